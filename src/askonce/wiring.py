"""Settings → a running gateway: the only place that knows every adapter."""

from __future__ import annotations

import contextlib
import importlib.resources
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import orjson
import structlog

from askonce import __version__
from askonce.config import (
    MemoryStore as MemoryStoreSettings,
)
from askonce.config import (
    OpenAIUpstream as OpenAISettings,
)
from askonce.config import (
    SimulatedUpstream as SimulatedSettings,
)
from askonce.embedders.minilm import MiniLMEmbedder
from askonce.gateway import Gateway, Parts
from askonce.matching.verifier import LexicalVerifier
from askonce.model import HighTemperature, Policy, Scope, SemanticMode
from askonce.observe.clock import SystemClock
from askonce.observe.metrics import Metrics, Reading
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.dispatch import Dispatcher, Served
from askonce.pipeline.fetch import Fetcher
from askonce.pipeline.identity import Identity, Tenant
from askonce.pipeline.policy import Policies
from askonce.pipeline.prices import Price, Prices
from askonce.pipeline.semantic import SemanticTier
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore
from askonce.stores.vectors import PartitionedIndex
from askonce.upstreams.openai import OpenAIUpstream, Server
from askonce.upstreams.simulated import SimulatedUpstream, Simulation, read_answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.config import PolicySettings, Settings, UpstreamSettings
    from askonce.model import Json
    from askonce.ports import Clock, Store, Upstream

__all__ = ["Running", "open_gateway"]

_VECTOR_DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class _Adapters:
    """What the settings have chosen."""

    store: Store
    index: PartitionedIndex
    embedder: MiniLMEmbedder | None
    dispatcher: Dispatcher
    metrics: Metrics


async def open_gateway(settings: Settings) -> Running:
    """A gateway that takes requests; what loads slowly (embedder, index) goes on loading in the background."""
    clock = SystemClock()
    adapters = _choose(settings, clock)
    await adapters.store.start()
    secret = await adapters.store.secret()
    semantic = SemanticTier(adapters.embedder, adapters.index, LexicalVerifier(), adapters.metrics)
    prices = _prices(settings)
    gateway = Gateway(
        Parts(
            identity=_identity(settings, secret),
            policies=Policies({name: _policy(settings, name) for name in settings.feature_names}),
            dispatcher=adapters.dispatcher,
            fetcher=Fetcher(adapters.dispatcher, adapters.store, prices, clock, adapters.metrics),
            store=adapters.store,
            semantic=semantic,
            clock=clock,
            log_memory=LogMemory(settings.limits.flight_log_bytes, settings.limits.total_log_bytes),
        )
    )
    if adapters.embedder is not None:
        adapters.embedder.start()
        semantic.start(adapters.store.questions())
    running = Running(gateway, adapters, settings)
    adapters.metrics.read(running.readings)
    return running


class Running:
    """A gateway with all that it is made of, from its opening to its close.

    Attributes:
        gateway: Answers requests.
        metrics: What `/metrics` shows.
        admin_digests: SHA-256 digests of the administrators' keys.
        ready: Whether requests can be served.
    """

    def __init__(self, gateway: Gateway, adapters: _Adapters, settings: Settings) -> None:
        self.gateway = gateway
        self.metrics = adapters.metrics
        self.admin_digests = settings.admin.keys
        self.ready = True
        self._adapters = adapters
        self._settings = settings
        self._began = time.monotonic()

    async def close(self) -> None:
        """Lets flights end, commits what is to be stored, and closes everything."""
        self.ready = False
        log = structlog.get_logger("askonce")
        late = await self.gateway.flights.drain(self._settings.limits.drain_timeout_s / 4)
        if late:
            log.warning("flights cancelled", count=late)
        await self.gateway.parts.semantic.close()
        self._adapters.index.close()
        await self._adapters.dispatcher.close()
        await self._adapters.store.close()
        log.info("stopped")

    def health(self) -> Json:
        """What each part is doing."""
        store, flights = self._adapters.store.health(), self.gateway.flights
        return {
            "status": "ok" if store.durable or self._volatile() else "degraded",
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._began, 3),
            "store": {
                "durable": store.durable,
                "detail": store.detail,
                "entries": store.entries,
                "memory_bytes": store.memory_bytes,
                "disk_bytes": store.disk_bytes,
                "pending_writes": store.pending_writes,
                "lost_writes": store.lost_writes,
            },
            "semantic": self._semantic_health(),
            "flights": {"running": flights.running, "callers": flights.waiting},
            "upstreams": [upstream.name for upstream in self._settings.upstreams],
        }

    def readings(self) -> Iterator[Reading]:
        """Values that the metrics read when they are scraped."""
        flights, store = self.gateway.flights, self._adapters.store.health()
        yield "flights_running", "Flights in the air.", "gauge", flights.running
        yield "flight_callers", "Callers on board of flights.", "gauge", flights.waiting
        yield "flights", "Flights started.", "counter", flights.started
        yield "joiners", "Callers that joined a running flight.", "counter", flights.joined
        yield "log_bytes", "Bytes held by flights' logs.", "gauge", flights.memory.used_bytes
        yield (
            "store_durable",
            "1 while answers reach the disk (or none is configured).",
            "gauge",
            store.durable,
        )
        yield "store_entries", "Entries known to the store.", "gauge", store.entries
        yield "store_memory_bytes", "Bytes of answers in memory.", "gauge", store.memory_bytes
        yield "store_disk_bytes", "Bytes of the store's file.", "gauge", store.disk_bytes
        yield "store_pending_writes", "Writes that wait for the next commit.", "gauge", store.pending_writes
        yield "store_evictions", "Entries evicted for room.", "counter", store.evictions
        yield "store_lost_writes", "Writes that never reached the disk.", "counter", store.lost_writes
        index, semantic = self._adapters.index, self.gateway.parts.semantic
        yield "index_rows", "Questions that can be found.", "gauge", index.rows
        yield "index_bytes", "Memory of the vector index.", "gauge", index.size_bytes
        yield "semantic_backlog", "Questions that wait for their vector.", "gauge", semantic.backlog
        embedder = self._adapters.embedder
        if embedder is not None:
            yield "embedder_ready", "1 once the embedder is loaded.", "gauge", embedder.state == "ready"
            yield "embedder_runs", "Texts embedded.", "counter", embedder.runs
            yield "embedder_memo_hits", "Texts whose vector was known.", "counter", embedder.memo_hits
            yield (
                "embedder_rejected",
                "Texts refused for a full queue or their length.",
                "counter",
                embedder.rejected,
            )
            yield "embedder_queued", "Texts that wait.", "gauge", embedder.queued
            yield "embedder_busy_seconds", "Time spent on embedding.", "counter", embedder.seconds

    def _semantic_health(self) -> Json:
        embedder, semantic = self._adapters.embedder, self.gateway.parts.semantic
        if embedder is None:
            return {"embedder": "none"}
        return {
            "embedder": embedder.engine,
            "state": embedder.state.value,
            "detail": embedder.detail,
            "questions": self._adapters.index.rows,
            "rebuilding": semantic.loading,
            "rebuilt": semantic.loaded,
            "backlog": semantic.backlog,
        }

    def _volatile(self) -> bool:
        return isinstance(self._settings.store, MemoryStoreSettings)


def _choose(settings: Settings, clock: Clock) -> _Adapters:
    modes = {settings.policy_settings(name).semantic for name in settings.feature_names}
    embedder = None
    if settings.embedder.type != "none" and modes != {"off"}:
        chosen = settings.embedder
        embedder = MiniLMEmbedder(
            workers=chosen.workers, max_queue=chosen.max_queue, memo_bytes=chosen.memo_bytes
        )
    cache = settings.cache
    index_bytes = cache.memory_bytes // 2 if embedder is not None else 0
    memory = MemoryStore(clock, cache.memory_bytes - index_bytes, cache.max_entry_bytes)
    store: Store = memory
    if not isinstance(settings.store, MemoryStoreSettings):
        with contextlib.suppress(OSError):  # the store itself says what is wrong with its path
            settings.store.path.parent.mkdir(parents=True, exist_ok=True)
        store = SqliteStore(
            settings.store.path,
            memory,
            clock,
            disk_bytes=cache.disk_bytes,
            commit_interval_s=cache.commit_interval_s,
        )
    return _Adapters(
        store=store,
        index=PartitionedIndex(_VECTOR_DIMENSIONS, index_bytes),
        embedder=embedder,
        dispatcher=Dispatcher([_served(one, settings, clock) for one in settings.upstreams]),
        metrics=Metrics(log_requests=settings.log.requests),
    )


def _served(settings: UpstreamSettings, whole: Settings, clock: Clock) -> Served:
    upstream: Upstream
    match settings:
        case OpenAISettings():
            upstream = OpenAIUpstream(_server(settings, whole), clock)
            stream_usage = settings.stream_usage
        case SimulatedSettings():
            upstream = SimulatedUpstream(_simulation(settings), clock)
            stream_usage = True
        case _:
            assert_never(settings)
    return Served(upstream, settings.models, settings.aliases, stream_usage)


def _server(settings: OpenAISettings, whole: Settings) -> Server:
    return Server(
        name=settings.name,
        base_url=settings.base_url,
        api_key=settings.api_key.get_secret_value() if settings.api_key is not None else None,
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
        answers=read_answers(settings.answers) if settings.answers is not None else {},
    )


def _identity(settings: Settings, secret: bytes) -> Identity:
    if settings.tenants is None:
        return Identity(None, settings.feature_names, secret)
    tenants = [
        Tenant(one.name, tuple(key.hex() for key in one.keys), one.features) for one in settings.tenants
    ]
    return Identity(tenants, settings.feature_names, secret)


def _policy(settings: Settings, feature: str) -> Policy:
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
    )


def _prices(settings: Settings) -> Prices:
    """The configuration's prices before the packaged table's."""
    packaged = orjson.loads(importlib.resources.files("askonce.data").joinpath("prices.json").read_bytes())
    table = {
        pattern: Price.per_million(one.input, one.output, one.cached_input)
        for pattern, one in settings.prices.items()
    }
    for pattern, listed in packaged["models"].items():
        price = Price.per_million(listed["input"], listed["output"], listed["cached_input"])
        table.setdefault(pattern, price)
    return Prices(table)
