"""Settings → adapters and the values that the pipeline is made with."""

from __future__ import annotations

import contextlib
import importlib.resources
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

import orjson

from askonce.config import (
    MemoryStore as MemoryStoreSettings,
)
from askonce.config import (
    OpenAIUpstream as OpenAISettings,
)
from askonce.config import (
    PythonUpstream as PythonSettings,
)
from askonce.config import (
    SimulatedUpstream as SimulatedSettings,
)
from askonce.embedders.minilm import MiniLMEmbedder
from askonce.embedders.packaged import packaged_projection
from askonce.model import HighTemperature, Lane, Policy, RetainText, Route, Scope, SemanticMode
from askonce.observe.live import Live
from askonce.observe.metrics import Metrics
from askonce.observe.observers import Observers
from askonce.observe.recent import Recent
from askonce.pipeline.allowances import Allowances
from askonce.pipeline.bill import Billing
from askonce.pipeline.dispatch import Dispatcher, Fallback, Served
from askonce.pipeline.identity import Identity, Tenant
from askonce.pipeline.prices import Price, Prices
from askonce.sending.breaker import BreakerRules
from askonce.sending.limits import Limits
from askonce.sending.line import Line
from askonce.sending.outlet import Outlet
from askonce.sending.retries import RetryRules
from askonce.stores.ledger import Keep, SqliteLedger, ledger_path
from askonce.stores.memory import MemoryStore
from askonce.stores.sealing import Seals
from askonce.stores.sqlite import SqliteStore
from askonce.stores.vectors import PartitionedIndex
from askonce.upstreams.function import FunctionUpstream, find_function
from askonce.upstreams.openai import OpenAIUpstream, Server
from askonce.upstreams.simulated import RateLimits, SimulatedUpstream, Simulation, read_answers
from askonce.wiring.allowances import rulebook
from askonce.wiring.batching import batching_rules
from askonce.wiring.telemetry import open_telemetry

if TYPE_CHECKING:
    from askonce.config import PolicySettings, Settings, UpstreamSettings
    from askonce.observe.telemetry import Telemetry
    from askonce.ports import Charge, Clock, Observer, Store, Upstream

__all__ = ["Adapters", "choose", "identity", "policy", "price_table", "prices", "server", "tenants"]

_VECTOR_DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class Adapters:
    """What the settings have chosen."""

    store: Store
    seals: Seals
    index: PartitionedIndex
    embedder: MiniLMEmbedder | None
    dispatcher: Dispatcher
    prices: Prices
    billing: Billing
    allowances: Allowances
    metrics: Metrics
    ledger: SqliteLedger
    live: Live
    recent: Recent
    telemetry: Telemetry | None
    observer: Observers


def choose(settings: Settings, clock: Clock) -> Adapters:
    """The adapters that the settings name, none of them started."""
    modes = {settings.policy_settings(name).semantic for name in settings.feature_names}
    embedder = None
    if settings.embedder.type != "none" and modes != {"off"}:
        chosen = settings.embedder
        embedder = MiniLMEmbedder(
            project=packaged_projection(),
            workers=chosen.workers,
            max_queue=chosen.max_queue,
            memo_bytes=chosen.memo_bytes,
        )
    cache = settings.cache
    index_bytes = cache.memory_bytes // 2 if embedder is not None else 0
    memory = MemoryStore(clock, cache.memory_bytes - index_bytes, cache.max_entry_bytes)
    store: Store = memory
    seals = Seals([key.get_secret_value() for key in settings.cache_encryption_key])
    if not isinstance(settings.store, MemoryStoreSettings):
        with contextlib.suppress(OSError):  # the store itself says what is wrong with its path
            settings.store.path.parent.mkdir(parents=True, exist_ok=True)
        store = SqliteStore(
            settings.store.path,
            memory,
            clock,
            disk_bytes=cache.disk_bytes,
            commit_interval_s=cache.commit_interval_s,
            seals=seals,
        )
    metrics = Metrics(log_requests=settings.log.requests)
    kept_at = None if isinstance(settings.store, MemoryStoreSettings) else ledger_path(settings.store.path)
    ledger = SqliteLedger(kept_at, clock, Keep(settings.ledger.keep_s, settings.ledger.keep_calls_s))
    live = Live(clock)
    recording = settings.ledger.record
    priced = prices(settings)
    telemetry = open_telemetry(settings, priced)
    told: list[Observer] = [metrics, live]
    told += [ledger] if recording else []
    recent = Recent()
    told += [recent]
    told += [telemetry] if telemetry is not None else []
    allowances = Allowances(rulebook(settings), priced, clock)
    observer = Observers(told, payers=[allowances])
    billing = Billing(observer, ledger.begun if recording else _unrecorded, priced, clock)
    return Adapters(
        store=store,
        seals=seals,
        index=PartitionedIndex(_VECTOR_DIMENSIONS, index_bytes),
        embedder=embedder,
        dispatcher=Dispatcher(
            [_served(one, settings, clock) for one in settings.upstreams],
            observer,
            billing,
            _fallbacks(settings),
        ),
        prices=priced,
        billing=billing,
        allowances=allowances,
        metrics=metrics,
        ledger=ledger,
        live=live,
        recent=recent,
        telemetry=telemetry,
        observer=observer,
    )


def _unrecorded(charge: Charge) -> None:
    """Nobody keeps the books."""


def _served(settings: UpstreamSettings, whole: Settings, clock: Clock) -> Served:
    upstream: Upstream
    keys: tuple[str, ...] = ()
    match settings:
        case OpenAISettings():
            at = server(settings, whole)
            upstream, keys = OpenAIUpstream(at, clock), at.keys
            stream_usage = settings.stream_usage
        case SimulatedSettings():
            upstream = SimulatedUpstream(_simulation(settings), clock)
            stream_usage = True
        case PythonSettings():
            models = [
                name for name in (*settings.models, *settings.aliases.values()) if not set(name) & set("*?[")
            ]
            function = find_function(settings.function)
            upstream = FunctionUpstream(settings.name, function, models, settings.timeout_s)
            stream_usage = False
        case _:
            assert_never(settings)
    own_key, batching = settings.presents_own_key, batching_rules(settings)
    outlet = Outlet(
        upstream.name,
        lambda model: Line(
            upstream, model, _limits(settings, model), keys, pass_through=not own_key, batching=batching
        ),
        RetryRules(**settings.retries.model_dump()),
        BreakerRules(**settings.breaker.model_dump()),
        keys=max(1, len(keys)),
    )
    return Served(upstream, outlet, settings.models, settings.aliases, stream_usage, own_key)


def _limits(settings: UpstreamSettings, model: str) -> Limits:
    return Limits(**settings.limits.of(model).model_dump(exclude={"models"}))


def _fallbacks(settings: Settings) -> list[Fallback]:
    return [
        Fallback(pattern, tuple(Route(one.upstream, one.model or "") for one in stand_ins))
        for pattern, stand_ins in settings.fallbacks.items()
    ]


def server(settings: OpenAISettings, whole: Settings) -> Server:
    """Where an upstream's server is."""
    return Server(
        name=settings.name,
        base_url=settings.base_url,
        keys=tuple(key.get_secret_value() for key in settings.keys),
        pass_through=not settings.presents_own_key,
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        connect_timeout_s=settings.connect_timeout_s,
        first_byte_timeout_s=settings.first_byte_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        max_connections=settings.max_connections,
        max_response_bytes=whole.limits.max_response_bytes,
        respect_cache_control=settings.cache_control == "respect",
    )


def _simulation(settings: SimulatedSettings) -> Simulation:
    return Simulation(
        name=settings.name,
        seed=settings.seed,
        ttft_ms=settings.ttft_ms,
        tokens_per_second=settings.tokens_per_second,
        concurrency_knee=settings.concurrency_knee,
        error_rate=settings.error_rate,
        rate_limit_rate=settings.rate_limit_rate,
        garbage_rate=settings.garbage_rate,
        half_stream_rate=settings.half_stream_rate,
        slots=settings.slots,
        call_ms=settings.call_ms,
        item_ms=settings.item_ms,
        rate_limits=RateLimits(
            requests_per_second=settings.requests_per_second,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
        ),
        answers=read_answers(settings.answers) if settings.answers is not None else {},
    )


def identity(settings: Settings, secret: bytes) -> Identity:
    """Who may call."""
    return Identity(tenants(settings), settings.feature_names, secret)


def tenants(settings: Settings) -> list[Tenant] | None:
    """The configured tenants; None where callers are told apart by their own credentials."""
    if settings.tenants is None:
        return None
    return [Tenant(one.name, tuple(key.hex() for key in one.keys), one.features) for one in settings.tenants]


def policy(settings: Settings, feature: str) -> Policy:
    """A feature's policy."""
    chosen: PolicySettings = settings.policy_settings(feature)
    return Policy(
        feature=feature,
        exact=chosen.exact,
        inflight=chosen.inflight,
        inflight_high_temperature=HighTemperature(chosen.inflight_high_temperature),
        semantic=SemanticMode(chosen.semantic),
        error_budget=chosen.error_budget,
        ttl_s=chosen.ttl_s,
        scope=Scope(chosen.scope),
        pool=chosen.pool,
        max_turns=chosen.max_turns,
        max_temperature=chosen.max_temperature,
        semantic_tools=chosen.semantic_tools,
        similarity_floor=chosen.similarity_floor,
        timeout_s=chosen.timeout_s,
        linger_s=chosen.linger_s,
        max_flight_age_s=chosen.max_flight_age_s,
        audit_share=chosen.audit_share,
        retain_text=RetainText(chosen.retain_text),
        lane=Lane(chosen.lane),
    )


def prices(settings: Settings) -> Prices:
    """What models cost."""
    return Prices(price_table(settings), _packaged_prices()["as_of"])


def _packaged_prices() -> Any:
    return orjson.loads(importlib.resources.files("askonce.data").joinpath("prices.json").read_bytes())


def price_table(settings: Settings) -> dict[str, Price]:
    """The configuration's prices before the packaged table's."""
    packaged = _packaged_prices()
    table = {
        pattern: Price.per_million(one.input, one.output, one.cached_input)
        for pattern, one in settings.prices.items()
    }
    for pattern, listed in packaged["models"].items():
        price = Price.per_million(listed["input"], listed["output"], listed["cached_input"])
        table.setdefault(pattern, price)
    return table
