"""Upstreams with limits of every kind, on virtual time: what a line meets, and what it makes of it."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Call, Endpoint, Lane
from askonce.sending.line import Line
from askonce.sending.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json
    from askonce.sending.limits import Limits

Headers = tuple[tuple[str, str], ...]

CALL = Call(Endpoint.CHAT, "m", b"{}", stream=True)


class Limiter(Protocol):
    """An upstream's own limit."""

    def admit(self, now: float) -> bool: ...

    def retry_after_s(self, now: float) -> float: ...

    def headers(self, now: float) -> Headers: ...


@dataclass
class FixedWindow:
    """So many in each span of the clock."""

    limit: int
    span_s: float
    index: int = -1
    used: int = 0

    def _roll(self, now: float) -> None:
        if int(now / self.span_s) != self.index:
            self.index, self.used = int(now / self.span_s), 0

    def admit(self, now: float) -> bool:
        self._roll(now)
        self.used += self.used < self.limit + 1
        return self.used <= self.limit

    def retry_after_s(self, now: float) -> float:
        return (int(now / self.span_s) + 1) * self.span_s - now

    def headers(self, now: float) -> Headers:
        self._roll(now)
        return _headers(self.limit, self.limit - min(self.used, self.limit), self.retry_after_s(now))


@dataclass
class SlidingWindow:
    """So many in any span."""

    limit: int
    span_s: float
    taken: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> bool:
        while self.taken and self.taken[0] <= now - self.span_s:
            self.taken.popleft()
        if len(self.taken) >= self.limit:
            return False
        self.taken.append(now)
        return True

    def retry_after_s(self, now: float) -> float:
        return max(0.0, self.taken[0] + self.span_s - now) if self.taken else 0.0

    def headers(self, now: float) -> Headers:
        return _headers(self.limit, self.limit - len(self.taken), self.retry_after_s(now))


@dataclass
class TokenBucket:
    """So many at once, so many a second after that."""

    rate: float
    burst: float
    level: float = math.inf
    at: float = 0.0

    def _fill(self, now: float) -> None:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now

    def admit(self, now: float) -> bool:
        self._fill(now)
        if self.level < 1:
            return False
        self.level -= 1
        return True

    def retry_after_s(self, now: float) -> float:
        self._fill(now)
        return max(0.0, (1 - self.level) / self.rate)

    def headers(self, now: float) -> Headers:
        self._fill(now)
        return _headers(self.burst, math.floor(max(self.level, 0)), (self.burst - self.level) / self.rate)


def _headers(limit: float, remaining: float, reset_s: float) -> Headers:
    return (
        ("x-ratelimit-limit-requests", f"{limit:.0f}"),
        ("x-ratelimit-remaining-requests", f"{remaining:.0f}"),
        ("x-ratelimit-reset-requests", f"{math.ceil(reset_s * 1000)}ms"),
    )


@dataclass
class Reply:
    """An accepted call that takes its time."""

    seconds: float
    headers: Sequence[tuple[str, str]] = ()
    streamed: bool = False
    no_store: bool = False
    max_age_s: float | None = None
    finished: bool = True
    closed: int = 0

    async def body(self) -> bytes:
        await asyncio.sleep(self.seconds)
        return b"{}"

    async def read(self) -> Sequence[bytes]:
        await asyncio.sleep(self.seconds)
        return ()

    async def aclose(self) -> None:
        self.closed += 1


@dataclass
class LimitedUpstream:
    """Answers within its limit, after a journey over a network that takes longer now and then."""

    limiter: Limiter
    says: str = ""
    """What it tells of its limit: "", `retry-after`, `headers`."""
    latency_s: float = 0.2
    way_s: float = 0.005
    jitter_s: float = 0.003
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - a network's dice
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    name: str = "limited"

    async def open(self, call: Call) -> Reply:  # noqa: ARG002 - all calls are alike
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.way_s + self.dice.expovariate(1 / self.jitter_s))
        now = loop.time()
        taken = self.limiter.admit(now)
        headers = self.limiter.headers(now) if self.says == "headers" else ()
        if not taken:
            self.refused.append(now)
            await asyncio.sleep(self.way_s)
            after_s = math.ceil(self.limiter.retry_after_s(now)) if self.says == "retry-after" else None
            raise UpstreamFailure(
                429,
                "rate_limit",
                "slow down",
                sharing=Sharing.TRANSIENT,
                retry_after_s=after_s,
                headers=headers,
            )
        self.accepted.append(now)
        await asyncio.sleep(self.latency_s * self.dice.uniform(0.5, 1.5))
        return Reply(0.0, headers)

    async def models(self, credential: str | None) -> list[Json]:
        raise NotImplementedError

    async def close(self) -> None:
        return


@dataclass
class Traffic:
    """What came of a load."""

    offered: int = 0
    answered: int = 0
    refused: int = 0
    turned_away: int = 0
    waits: list[float] = field(default_factory=list)


async def drive(
    upstream: LimitedUpstream, limits: Limits, *, per_s: float, seconds: float, patience_s: float = 20.0
) -> tuple[Traffic, Line]:
    """Calls at random times (Poisson); each that is answered 429 is sent again up to three times."""
    loop, dice, traffic = asyncio.get_running_loop(), random.Random(2), Traffic()  # noqa: S311 - arrivals
    line = Line(upstream, "m", limits)
    tasks: set[asyncio.Task[None]] = set()

    async def one() -> None:
        deadline = loop.time() + patience_s
        for attempt in range(4):
            try:
                passage = await line.open(CALL, Ticket("t", Lane.INTERACTIVE, 10, deadline))
            except UpstreamFailure:
                await asyncio.sleep(dice.uniform(0, 0.1 * 2**attempt))
            except Refusal:
                traffic.turned_away += 1
                return
            else:
                await passage.reply.read()
                await passage.aclose()
                traffic.answered += 1
                traffic.waits.append(passage.waited_s)
                return
        traffic.refused += 1

    end = loop.time() + seconds
    while loop.time() < end:
        await asyncio.sleep(dice.expovariate(per_s))
        traffic.offered += 1
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return traffic, line
