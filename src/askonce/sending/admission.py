"""Who may send now, who waits, and who is told at once that waiting is of no use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal, Sharing
from askonce.sending.concurrency import ConcurrencyLimit
from askonce.sending.drain import Drain
from askonce.sending.grant import Grant
from askonce.sending.key import GO, PAUSED, Key, Wait
from askonce.sending.pool import KeyRing, Pool
from askonce.sending.queue import Queue, Waiter
from askonce.sending.quota import read_headers
from askonce.sending.refusals import in_vain, queue_full, unreachable
from askonce.sending.state import LineState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.errors import UpstreamFailure
    from askonce.model import Lane
    from askonce.sending.limits import Limits
    from askonce.sending.ticket import Ticket

__all__ = ["Admission"]

_TOO_MANY: Final = 429
_OVERLOADED: Final = frozenset({502, 503, 504, 529})
"""Statuses by which an upstream, or what stands before it, shows that it has too much to do."""
_REFUSED_KEY_S: Final = 60.0
_SWEEP_S: Final = 1.0
"""How often those that wait are looked through for deadlines that can't be met any more."""


class Admission:
    """The gate before one upstream and model.

    Where a slot and a key are free and nobody waits, `admit` grants without waiting, and without a task, a future or a
    timer. Belongs to one event loop.
    """

    def __init__(
        self, name: str, limits: Limits, secrets: Sequence[str] = (), *, pass_through: bool = False
    ) -> None:
        self._name = name
        self._limits = limits
        self._limit = ConcurrencyLimit(limits)
        self._ring = KeyRing(limits, secrets, pass_through=pass_through)
        self._queue = Queue()
        self._drain = Drain()
        self._in_use = 0
        self._mean_tokens = 0.0
        self._sweeping: asyncio.TimerHandle | None = None
        self._avoided = self._refused = self._turned_away = self._given_up = 0

    async def admit(self, ticket: Ticket, credential: str | None) -> Grant:
        """Waits for a turn. Where it is cancelled, nothing stays behind.

        Raises:
            Refusal: 429 `queue_full`, or 429 `deadline_unreachable` as soon as that is known.
        """
        now = asyncio.get_running_loop().time()
        pool = self._ring.pool(credential)
        if not self._queue and self._in_use < self._limit.value:
            key, wait = pool.choose(ticket.tokens, now)
            if wait is GO:
                return self._grant(pool, key, ticket, now)
        return await self._wait(ticket, pool, now)

    def wait_s(self, ticket: Ticket, credential: str | None) -> float:
        """Seconds that a call would wait for its turn, or that one which waits still will: an estimate; 0 for none."""
        now = _now()
        pool = self._ring.pool(credential)
        if not self._queue and self._in_use < self._limit.value and pool.choose(ticket.tokens, now)[1] is GO:
            return 0.0
        return self._estimate_s(pool, self._queue.ahead(ticket, pool), now)

    def hurry(self, ticket: Ticket, lane: Lane) -> None:
        """Moves a ticket to an earlier lane, whether it waits already or not; a later one changes nothing."""
        waiter = self._queue.find(ticket)
        if waiter is not None:
            self._queue.hurry(waiter, lane)
            self._reconsider(waiter.pool)
        elif ticket.is_behind(lane):
            ticket.lane = lane

    def dismiss(self, refusal: Callable[[], Refusal]) -> None:
        """Tells all that wait that their turn won't come; `refusal` makes what one of them is told."""
        for waiter in self._queue.waiters():
            self._refuse(waiter, refusal())

    def counted(self, tokens: int) -> int:
        """What an estimate counts as: a minute's worth at most, lest a wrong one keep others waiting for long."""
        return int(min(tokens, self._limits.tokens_per_minute or tokens))

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return not self._in_use and not self._queue

    def state(self) -> LineState:
        """What there is to see."""
        now, own = _now(), self._ring.own
        queued = self._queue.depth()
        waits, ahead = {}, 0
        for lane, count in queued.items():
            ahead += count
            waits[lane] = self._estimate_s(own, ahead, now)
        return LineState(
            limit=self._limit.value,
            in_use=self._in_use,
            queued=queued,
            wait_s=waits,
            drain_per_s=self._drain.rate(self._limit.value, now),
            keys=tuple(key.state(now) for key in own.keys),
            avoided_429=self._avoided,
            refused_429=self._refused,
            turned_away=self._turned_away,
            given_up=self._given_up,
        )

    def answered(self, grant: Grant, now: float, *, bounded: bool) -> None:
        """A call's answer has begun, or come whole: see `Grant.answered`."""
        seconds, target = now - grant.shot.at, self._limits.target_latency_s
        if bounded or target is None or seconds <= target:
            self._limit.latency(seconds, grant.shot.at, grant.level, now)
            if self._queue:
                self._pump(now)

    def failed(self, grant: Grant, failure: UpstreamFailure, now: float) -> None:
        """A call has failed: see `Grant.failed`."""
        key, shot = grant.key, grant.shot
        if failure.status == _TOO_MANY and failure.sharing is Sharing.TRANSIENT:
            self._refused += 1
            if failure.retry_after_s is None and read_headers(failure.headers) == (None, None):
                self._limit.refused(shot.at, grant.level, now)
            if key.refused(shot, failure.retry_after_s, failure.headers, now):
                self._look_through(now)
        elif failure.code == "upstream_credential":
            # The last one goes on being presented: callers are told at once, and it shows when keys work again.
            if any(one is not key and one.aside_until <= now for one in grant.pool.keys):
                key.set_aside(_REFUSED_KEY_S, now)
        elif failure.status in _OVERLOADED and failure.code != "upstream_garbage":
            self._limit.overloaded(shot.at, grant.level, now)
            if failure.retry_after_s:
                for one in grant.pool.keys:
                    one.pause(failure.retry_after_s, now)
                self._look_through(now)

    def released(self, grant: Grant, now: float, *, sent: bool) -> None:
        """A slot comes back: see `Grant.release`."""
        self._in_use -= 1
        grant.key.in_use -= 1
        if sent:
            self._drain.served(now - grant.shot.at)
        else:
            grant.key.unsend(grant.shot, grant.tokens, now)
            self._reconsider(grant.pool)
        self._pump(now)

    def _grant(self, pool: Pool, key: Key, ticket: Ticket, now: float) -> Grant:
        tokens = self.counted(ticket.tokens)
        self._in_use += 1
        self._mean_tokens += 0.05 * (tokens - self._mean_tokens)
        return Grant(self, pool, key, key.send(tokens, now), tokens=tokens, level=self._in_use)

    async def _wait(self, ticket: Ticket, pool: Pool, now: float) -> Grant:
        self._check_deadline(ticket, pool, now)
        if len(self._queue) >= self._limits.max_queue:
            self._make_room(ticket, pool, now)
        waiter = Waiter(ticket, pool, asyncio.get_running_loop().create_future(), now)
        self._queue.push(waiter)
        pool.waiting += 1
        self._reconsider(pool)
        self._keep_sweeping()
        try:
            turn = await waiter.turn
        except asyncio.CancelledError:
            self._abandon(waiter)
            raise
        if isinstance(turn, Refusal):
            raise turn
        return turn

    def _abandon(self, waiter: Waiter) -> None:
        """The waiting task was cancelled, perhaps after its turn had come."""
        turn = waiter.turn
        if turn.cancelled() or not turn.done():
            self._leave(waiter)
            self._reconsider(waiter.pool)
        elif isinstance(granted := turn.result(), Grant):
            granted.release(sent=False)

    def _leave(self, waiter: Waiter) -> None:
        if self._queue.find(waiter.ticket) is waiter:
            self._queue.remove(waiter)
            waiter.pool.waiting -= 1

    def _pump(self, now: float) -> None:
        """Lets go whoever may."""
        if not self._queue:
            self._drain.watch(now, busy=False)
            return
        while self._in_use < self._limit.value and (turn := self._queue.peek()) is not None:
            waiter = turn.waiter
            if waiter.turn.done():
                self._leave(waiter)
                continue
            key, wait = waiter.pool.choose(waiter.ticket.tokens, now)
            if wait is GO:
                self._queue.take(turn)
                self._go(waiter, key, now)
            else:
                self._hold(waiter.pool, wait, now)
        own_pause = self._ring.own.held
        self._drain.watch(now, busy=bool(self._queue) and (own_pause is None or own_pause.reason != PAUSED))

    def _go(self, waiter: Waiter, key: Key, now: float) -> None:
        pool = waiter.pool
        pool.waiting -= 1
        self._drain.left(now)
        grant = self._grant(pool, key, waiter.ticket, now)
        grant.waited_s = now - waiter.since
        if grant.waited_s > 0:
            limited = pool.held_at >= waiter.since
            grant.waited_for = pool.held_for if limited else "concurrency"
            self._avoided += limited
        waiter.turn.set_result(grant)

    def _hold(self, pool: Pool, wait: Wait, now: float) -> None:
        pool.hold(wait, now, asyncio.get_running_loop().call_at(now + wait.seconds, self._resume, pool))
        self._queue.hold(pool)

    def _resume(self, pool: Pool) -> None:
        now = _now()
        pool.free(now)
        self._queue.free(pool)
        self._pump(now)

    def _reconsider(self, pool: Pool) -> None:
        """Somebody else may be the pool's first now, whose call may fit where the former one's didn't."""
        if pool.held is not None:
            self._resume(pool)
        else:
            self._pump(_now())

    def _estimate_s(self, pool: Pool, ahead: int, now: float) -> float:
        """Seconds that a call waits that has so many before it."""
        first_s = pool.choose(0, now)[1].seconds
        by_limits_s = min(ahead, pool.waiting) / pool.rate(self._mean_tokens, now)
        slots = self._limit.value
        ahead_of_slot = ahead + (self._in_use >= slots)
        drained = self._drain.rate(slots, now) if ahead_of_slot else None
        return first_s + max(by_limits_s, ahead_of_slot / drained if drained else 0.0)

    def _check_deadline(self, ticket: Ticket, pool: Pool, now: float) -> None:
        wait_s = self._estimate_s(pool, self._queue.ahead(ticket, pool), now)
        if now + wait_s > ticket.deadline:
            self._given_up += 1
            raise unreachable(self._name, wait_s)

    def _make_room(self, ticket: Ticket, pool: Pool, now: float) -> None:
        crowded_out = self._queue.crowded_out(ticket, pool)
        full = queue_full(self._name, len(self._queue), self._estimate_s(pool, len(self._queue), now))
        self._turned_away += 1
        if crowded_out is None:
            raise full
        self._refuse(crowded_out, full)

    def _refuse(self, waiter: Waiter, refusal: Refusal) -> None:
        self._leave(waiter)
        if not waiter.turn.done():
            waiter.turn.set_result(refusal)

    def _look_through(self, now: float) -> None:
        """Tells those that wait in vain; who is told makes room for those behind."""
        told = 0
        for waiter, ahead in sorted(self._queue.places(), key=lambda one: one[1]):
            wait_s = self._estimate_s(waiter.pool, max(0, ahead - told), now)
            if in_vain(wait_s, waiter.ticket.deadline, now):
                told += 1
                self._given_up += 1
                self._refuse(waiter, unreachable(self._name, wait_s))

    def _keep_sweeping(self) -> None:
        if self._sweeping is None and self._queue:
            self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        self._look_through(_now())
        self._keep_sweeping()


def _now() -> float:
    return asyncio.get_running_loop().time()
