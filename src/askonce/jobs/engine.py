"""Runs the batch lane: gathers, carries, sends, tells, and forgets, for as long as the gateway lives.

With nothing to do it sleeps until a job comes.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from askonce.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from askonce.job import Batch, JobTotals, Pile
    from askonce.jobs.carrier import Carrier
    from askonce.jobs.courier import Courier
    from askonce.jobs.results import Results
    from askonce.jobs.sender import Sender
    from askonce.ports import Clock, JobStore

__all__ = ["Engine", "Gathering"]

_TICK_S: Final = 1.0
_SHORTEST_TICK_S: Final = 0.05
_COUNT_S: Final = 5.0
_PURGE_S: Final = 300.0
_PURGED_AT_ONCE: Final = 500
_AFTER_A_BUG_S: Final = 30.0
_LATE: Final = orjson.dumps(
    Refusal(
        504, "deadline_exceeded", "No answer before the job's deadline; submit it again with more time."
    ).error_object()
)
_log = structlog.get_logger("askonce.jobs")


@dataclass(frozen=True, slots=True)
class Gathering:
    """When waiting lines become a batch: so many, so many bytes, or after so many seconds.

    Attributes:
        max_batches: Batches of one upstream at a time.
        retention_s: How long jobs are kept after their end.
    """

    requests: int
    size_bytes: int
    wait_s: float
    max_batches: int
    retention_s: float

    def ready(self, pile: Pile, now: float) -> bool:
        """Whether a pile is to be sent now; one from the future, after the clock was set back, isn't waited for."""
        waited_s = now - pile.oldest_at
        full = pile.lines >= self.requests or pile.size_bytes >= self.size_bytes
        return full or not 0 <= waited_s < self.wait_s


class Engine:
    """Owns all tasks of the batch lane.

    Attributes:
        totals: All jobs at a glance, some seconds old; None before the first count.
    """

    def __init__(
        self,
        jobs: JobStore,
        carriers: Mapping[str, Carrier],
        *,
        results: Results,
        sender: Sender,
        courier: Courier,
        gathering: Gathering,
        clock: Clock,
    ) -> None:
        self.totals: JobTotals | None = None
        self._jobs = jobs
        self._carriers = carriers
        self._results = results
        self._sender = sender
        self._courier = courier
        self._gathering = gathering
        self._clock = clock
        self._awake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._carried: dict[int, str] = {}
        self._submissions = 0
        self._looked_at = 0.0

    def start(self) -> None:
        """Takes up what a restart found, in the background."""
        self._own(self._live(), "jobs")

    def submitted(self) -> None:
        """There is a new job."""
        self._submissions += 1
        self._awake.set()
        self._sender.wake.set()

    def drain(self) -> None:
        """The gateway is about to end: nobody waits any longer, and nothing more is asked one by one."""
        self._results.news.close()
        self._sender.drain()

    async def close(self, timeout_s: float = 0.0) -> None:
        """Lets what is being asked one by one end, then stops where it stands: the next start goes on from there."""
        self.drain()
        await self._sender.close(timeout_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._courier.close()
        await self._jobs.close()

    async def _live(self) -> None:
        for batch in await self._insist(lambda: self._jobs.recover(self._clock.now())):
            self._carry(batch, certain=False)
        self._awake.set()
        self._own(self._repeat(_TICK_S, self._keep_time), "jobs-deadlines")
        gather_s = min(_TICK_S, max(_SHORTEST_TICK_S, self._gathering.wait_s))
        self._own(self._repeat(gather_s, self._gather), "jobs-batches")
        self._own(self._repeat(_COUNT_S, self._count), "jobs-totals")
        self._own(self._repeat(_PURGE_S, self._purge, while_idle=True), "jobs-retention")
        for work, name in (
            (self._send, "jobs-sender"),
            (self._courier.run, "jobs-webhooks"),
            (self._results.learn, "jobs-questions"),
        ):
            self._own(self._persevere(work), name)

    def _own(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)  # noqa: TID251 - the engine owns its tasks
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the batch lane ended", task=task.get_name(), exc_info=error)

    async def _persevere(self, work: Callable[[], Awaitable[None]]) -> None:
        """Does work that may last for ever: a bug in it costs a pause, not the lane."""
        while True:
            try:
                await work()
            except Exception:  # noqa: BLE001 - whatever it is, what is left to do is in the store
                _log.exception("a part of the batch lane failed")
                await asyncio.sleep(_AFTER_A_BUG_S)
            else:
                return

    async def _insist(self, step: Callable[[], Awaitable[list[Batch]]]) -> list[Batch]:
        """Takes a step that the store may refuse for a while."""
        while True:
            try:
                return await step()
            except Refusal as refusal:
                await asyncio.sleep(refusal.retry_after_s or _TICK_S)

    async def _repeat(
        self, pause_s: float, step: Callable[[], Awaitable[None]], *, while_idle: bool = False
    ) -> None:
        """Takes a step now and then while any job is open; a step that fails is taken again."""
        while True:
            if not while_idle:
                await self._awake.wait()
            try:
                await step()
            except Refusal:
                pass  # the store has said what is wrong
            except Exception:  # noqa: BLE001 - a bug costs one turn, not the lane
                _log.exception("a step of the batch lane failed")
            await asyncio.sleep(pause_s)

    async def _keep_time(self) -> None:
        now, before = self._clock.now(), self._looked_at
        if now < before:
            await self._jobs.set_back(now)
            self._courier.wake()
        self._looked_at = now
        await self._results.announce(await self._jobs.due(now, _LATE))

    async def _gather(self) -> None:
        """Makes batches of piles that are ready, until none is."""
        formed = True
        while formed:
            now = self._clock.now()
            formed = False
            for pile in await self._jobs.piles(now):
                formed = await self._form(pile, now) or formed

    async def _form(self, pile: Pile, now: float) -> bool:
        """Makes one batch of a pile, if that is ready; where there is nobody to carry it, it is ready at once."""
        gathering, upstream = self._gathering, pile.group.upstream
        under_way = sum(one == upstream for one in self._carried.values())
        ready = under_way < gathering.max_batches and gathering.ready(pile, now)
        if not ready and upstream in self._carriers:
            return False
        most = gathering.requests, gathering.size_bytes
        batch = await self._jobs.form(pile.group, secrets.token_hex(16), most, now)
        if batch is not None:
            self._carry(batch, certain=True)
        return batch is not None

    def _carry(self, batch: Batch, *, certain: bool) -> None:
        carrier = self._carriers.get(batch.group.upstream)
        if carrier is None:
            _log.warning("upstream without Batch API", upstream=batch.group.upstream, batch=batch.intent)
            self._own(self._release(batch), f"batch-{batch.intent}")
            return
        self._carried[batch.number] = batch.group.upstream
        self._own(self._carried_by(carrier, batch, certain=certain), f"batch-{batch.intent}")

    async def _carried_by(self, carrier: Carrier, batch: Batch, *, certain: bool) -> None:
        try:
            await carrier.carry(batch, certain=certain)
        except Exception:  # noqa: BLE001 - as below, and from then on nothing is certain
            _log.exception("a batch's carrier failed", batch=batch.intent)
            await asyncio.sleep(_AFTER_A_BUG_S)
            await self._persevere(lambda: carrier.carry(batch, certain=False))
        finally:
            self._carried.pop(batch.number, None)
            self._sender.wake.set()

    async def _release(self, batch: Batch) -> None:
        """The configuration no longer knows how to send a batch: its lines are sent one by one."""

        async def release() -> list[Batch]:
            await self._jobs.end_batch(batch.number, self._clock.now(), 0)
            return []

        await self._insist(release)

    async def _send(self) -> None:
        """Fills the sender whenever it has room, something new has come, or a line may be due again."""
        while True:
            await self._awake.wait()
            self._sender.wake.clear()
            try:
                await self._sender.fill()
            except Refusal as refusal:
                await asyncio.sleep(refusal.retry_after_s or _TICK_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._sender.wake.wait()

    async def _count(self) -> None:
        """Counts; goes to sleep where nothing is open."""
        before = self._submissions
        totals = self.totals = await self._jobs.totals()
        idle = not totals.jobs.get("open") and not totals.batches and not self._carried
        if idle and not self._sender.busy and before == self._submissions:
            self._awake.clear()

    async def _purge(self) -> None:
        before = self._clock.now() - self._gathering.retention_s
        purged = _PURGED_AT_ONCE
        while purged == _PURGED_AT_ONCE:
            purged = await self._jobs.purge(before, purged)
