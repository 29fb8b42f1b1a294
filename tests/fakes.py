"""Stand-ins for what the pipeline is given: small, scripted, and honest about what they were asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from askonce.model import (
    Ask,
    Caller,
    Endpoint,
    HighTemperature,
    Policy,
    Request,
    Route,
    Scope,
    SemanticMode,
    Stored,
)
from askonce.pipeline.bill import Billing
from askonce.pipeline.dispatch import Served
from askonce.pipeline.prices import Price, Prices
from askonce.ports import Erased, Kept, StoreHealth
from askonce.sending.breaker import BreakerRules
from askonce.sending.limits import Limits
from askonce.sending.line import Line
from askonce.sending.outlet import Outlet
from askonce.sending.retries import RetryRules
from askonce.stores.selection import listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from askonce.errors import UpstreamFailure
    from askonce.model import Audit, Call, Entry, Json, Link, Owner, Question
    from askonce.ports import Charge, Listed, Record, Selection, UpstreamCall

POLICY = Policy(
    feature="default",
    exact=True,
    inflight=True,
    inflight_high_temperature=HighTemperature.RETRIES,
    semantic=SemanticMode.OFF,
    error_budget=0.01,
    ttl_s=3_600,
    scope=Scope.TENANT,
    pool="",
    max_turns=1,
    max_temperature=1.0,
    semantic_tools=False,
    similarity_floor=0.6,
    timeout_s=60,
    linger_s=5,
    max_flight_age_s=30,
)
CALLER = Caller("tenant:acme", "acme", ("default",), None, b"acme's key")


def request(
    key: bytes | None = b"key",
    *,
    stream: bool = False,
    include_usage: bool = False,
    endpoint: Endpoint = Endpoint.CHAT,
    model: str = "gpt",
    caller: Caller = CALLER,
    body: Json | None = None,
    hot: bool = False,
    **policy: Any,
) -> Request:
    """A request that was understood already."""
    said = body or {"model": model, "messages": [{"role": "user", "content": "?"}]}
    ask = Ask(
        endpoint=endpoint,
        route=Route("fake", model),
        model=model,
        raw=json.dumps(said).encode(),
        body=said,
        stream=stream,
        include_usage=include_usage,
        exact_key=key,
        partition=None,
        text=None,
        turns=1,
        unshared="",
        unmatched="",
        hot=hot,
    )
    return Request(ask, caller, replace(POLICY, **policy))


@dataclass
class FakeClock:
    """A clock that stands still until it is moved."""

    time: float = 1_700_000_000.0

    def now(self) -> float:
        return self.time


@dataclass
class FakeStore:
    """A store that is a dict; a link is found under its own key."""

    clock: FakeClock
    entries: dict[bytes, Entry] = field(default_factory=dict)
    questions_kept: dict[bytes, Question | None] = field(default_factory=dict)
    audits_kept: list[Audit] = field(default_factory=list)
    values_kept: dict[str, bytes] = field(default_factory=dict)

    async def start(self) -> None:
        return

    def peek(self, key: bytes) -> Stored | None:
        entry = self.entries.get(key)
        return Stored(entry) if entry is not None and entry.expires_at > self.clock.now() else None

    async def get(self, key: bytes) -> Stored | None:
        await asyncio.sleep(0)
        return self.peek(key)

    def put(self, entry: Entry, question: Question | None) -> None:
        self.entries[entry.key] = entry
        self.questions_kept[entry.key] = question

    def link(self, link: Link, question: Question | None) -> None:
        self.entries[link.key] = self.entries[link.target]
        self.questions_kept[link.key] = question

    async def links_to(self, target: bytes) -> list[Link]:
        raise NotImplementedError(target)

    def remove(self, key: bytes) -> None:
        self.entries.pop(key, None)

    def reclass(self, key: bytes, answer: bytes) -> None:
        question = self.questions_kept.get(key)
        if question is not None:
            self.questions_kept[key] = replace(question, answer=answer)

    def audited(self, audit: Audit) -> None:
        self.audits_kept.append(audit)

    async def audits(self, feature: str | None) -> AsyncIterator[Sequence[Audit]]:
        yield [audit for audit in self.audits_kept if feature in (None, audit.feature)]

    def keep(self, name: str, value: bytes) -> None:
        self.values_kept[name] = value

    def kept(self, name: str) -> bytes | None:
        return self.values_kept.get(name)

    async def invalidate(self, tags: Sequence[str]) -> list[bytes]:
        keys = [key for key, entry in self.entries.items() if set(tags) & set(entry.tags)]
        for key in keys:
            self.remove(key)
        return keys

    async def owned(self, owner: Owner) -> Erased:
        keys = [one.key for one in self.entries.values() if owner.owns(one.tenant, one.users)]
        return Erased(tuple(keys), len(keys), 0, 0)

    async def erase(self, owner: Owner) -> Erased:
        erased = await self.owned(owner)
        for key in erased.keys:
            self.remove(key)
        return erased

    async def scrub(self) -> list[str]:
        return []

    async def select(self, selection: Selection) -> AsyncIterator[Sequence[Listed]]:
        yield [one for one in map(listed, self.entries.values()) if selection.admits(one)]

    async def contents(self, keys: Collection[bytes]) -> list[Kept]:
        return [Kept(self.entries[key], self.questions_kept.get(key), ()) for key in keys]

    async def discard(self, keys: Collection[bytes]) -> list[bytes]:
        for key in keys:
            self.remove(key)
        return list(keys)

    async def questions(self) -> AsyncIterator[Sequence[Question]]:
        yield [question for question in self.questions_kept.values() if question is not None]

    async def flush(self) -> None:
        return

    async def secret(self) -> bytes:
        return bytes(32)

    def health(self) -> StoreHealth:
        return StoreHealth(
            durable=False,
            detail="a dict",
            entries=len(self.entries),
            memory_bytes=0,
            disk_bytes=0,
            pending_writes=0,
            evictions=0,
            lost_writes=0,
        )

    async def close(self) -> None:
        return


@dataclass
class FakeReply:
    """An accepted call. A step of its script is a batch of payloads to read, a failure to raise, or seconds to wait."""

    script: list[Sequence[bytes] | bytes | float | Exception]
    marked: bool = True
    streamed: bool = False
    no_store: bool = False
    max_age_s: float | None = None
    headers: Sequence[tuple[str, str]] = (("x-request-id", "theirs"),)
    finished: bool = False
    closed: int = 0

    async def body(self) -> bytes:
        return b"".join(await self._step())

    async def read(self) -> Sequence[bytes]:
        return await self._step()

    async def aclose(self) -> None:
        self.closed += 1

    async def _step(self) -> Sequence[bytes]:
        while self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                return [step] if isinstance(step, bytes) else step
        self.finished = self.marked
        return ()


@dataclass
class FakeUpstream:
    """An upstream that answers each call with the next reply (or failure) of its list."""

    replies: list[FakeReply | UpstreamFailure] = field(default_factory=list)
    name: str = "fake"
    listing: list[Json] | UpstreamFailure = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    closed: int = 0

    async def open(self, call: Call) -> FakeReply:
        self.calls.append(call)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        reply.streamed = call.stream
        return reply

    async def models(self, credential: str | None) -> list[Json]:  # noqa: ARG002 - every caller sees the same
        if isinstance(self.listing, Exception):
            raise self.listing
        return self.listing

    async def close(self) -> None:
        self.closed += 1


def served(
    upstream: FakeUpstream,
    patterns: tuple[str, ...] = ("*",),
    aliases: dict[str, str] | None = None,
    *,
    keys: tuple[str, ...] = (),
    rules: RetryRules | None = None,
    breaker: BreakerRules | None = None,
    **said: Any,
) -> Served:
    """An upstream as the dispatcher knows it, with a line for each model. Without `rules` nothing is sent again."""
    outlet = Outlet(
        upstream.name,
        lambda model: Line(upstream, model, Limits(), keys, pass_through=not keys),
        rules or RetryRules(attempts=0),
        breaker or BreakerRules(),
        keys=max(1, len(keys)),
    )
    return Served(upstream, outlet, patterns, aliases or {}, **said)


@dataclass
class FakeObserver:
    """An observer that remembers."""

    records: list[Record] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    begun: list[Charge] = field(default_factory=list)
    calls: list[UpstreamCall] = field(default_factory=list)
    waits: list[tuple[str, str, str, float]] = field(default_factory=list)
    batches: list[tuple[str, int]] = field(default_factory=list)
    retries: list[tuple[str, str]] = field(default_factory=list)
    fallbacks: list[tuple[str, str, str]] = field(default_factory=list)
    semantics: list[tuple[str, str, str]] = field(default_factory=list)
    audits: list[tuple[str, str, str, str]] = field(default_factory=list)
    audits_dropped: list[str] = field(default_factory=list)

    def request(self, record: Record) -> None:
        self.records.append(record)

    def charged(self, charge: Charge) -> None:
        self.charges.append(charge)

    def upstream_call(self, call: UpstreamCall) -> None:
        self.calls.append(call)

    @property
    def upstream_calls(self) -> list[tuple[str, str, float]]:
        """Upstream, status and seconds of the calls that count."""
        return [(call.upstream, call.status, call.duration_s) for call in self.calls if call.counts]

    def waited(self, upstream: str, lane: str, reason: str, wait_s: float) -> None:
        self.waits.append((upstream, lane, reason, wait_s))

    def batch(self, upstream: str, size: int) -> None:
        self.batches.append((upstream, size))

    def retry(self, upstream: str, cause: str) -> None:
        self.retries.append((upstream, cause))

    def fallback(self, upstream: str, stand_in: str, cause: str) -> None:
        self.fallbacks.append((upstream, stand_in, cause))

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        self.semantics.append((feature, mode, reason))

    def audit(self, feature: str, source: str, verdict: str, judge: str) -> None:
        self.audits.append((feature, source, verdict, judge))

    def audit_dropped(self, reason: str) -> None:
        self.audits_dropped.append(reason)


def billing(observer: FakeObserver) -> Billing:
    """Bills at a dollar per million input tokens of any `gpt…`, two per million output tokens."""
    prices = Prices({"gpt*": Price.per_million(1, 2)})
    return Billing(observer, observer.begun.append, prices, FakeClock())
