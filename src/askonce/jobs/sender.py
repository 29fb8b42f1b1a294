"""Asks lines one by one: where there is no Batch API, where a deadline is near, where batches have failed."""

from __future__ import annotations

import asyncio
import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from askonce.errors import CallerGone, Refusal, Sharing, UpstreamFailure
from askonce.job import LineResult
from askonce.model import Bypass, Lane

if TYPE_CHECKING:
    from collections.abc import Container

    from askonce.gateway import Gateway
    from askonce.job import Line
    from askonce.jobs.carrier import Pauses
    from askonce.jobs.results import Results
    from askonce.ports import Clock, JobStore

__all__ = ["Sender"]

_LOCAL: Final = frozenset({429, 503, 504})
"""Refusals of the gateway's own that pass: a full queue, an open breaker, a deadline that can't be met."""
_log = structlog.get_logger("askonce.jobs")


class Sender:
    """Sends lines the usual way, a few at a time; failures that may pass are tried again until the deadline.

    Args:
        gateway: The usual way.
        jobs: Where lines come from.
        results: Where answers go.
        pauses: Between two tries of one line.
        clock: Wall-clock time.
        concurrency: Lines at a time.
        batching: Upstreams with a Batch API: what is sent to them all the same is in a hurry.

    Attributes:
        wake: Set where there may be room, or something to send.
    """

    def __init__(
        self,
        gateway: Gateway,
        jobs: JobStore,
        results: Results,
        *,
        pauses: Pauses,
        clock: Clock,
        concurrency: int,
        batching: Container[str],
    ) -> None:
        self._gateway = gateway
        self._jobs = jobs
        self._results = results
        self._pauses = pauses
        self._clock = clock
        self._concurrency = concurrency
        self._batching = batching
        self._running: dict[int, asyncio.Task[None]] = {}
        self._draining = False
        self.wake = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether any line is being asked."""
        return bool(self._running)

    async def fill(self) -> None:
        """Lets go of lines that nobody wants any more, and takes as many as there is room for."""
        if self._running:
            for number in await self._jobs.dropped(list(self._running)):
                if number in self._running:  # it may have ended meanwhile
                    self._running[number].cancel()
        room = self._concurrency - len(self._running)
        if room <= 0 or self._draining:
            return
        for line in await self._jobs.take_direct(room, self._clock.now()):
            task = asyncio.create_task(self._send(line), name="job-line")  # noqa: TID251 - ended by `close`
            self._running[line.number] = task
            task.add_done_callback(partial(self._ended, line.number))

    def drain(self) -> None:
        """Takes no more lines."""
        self._draining = True

    async def close(self, timeout_s: float = 0.0) -> None:
        """Waits so long for what is under way, then gives it up: it is taken again after the next start."""
        tasks = list(self._running.values())
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        self._running.pop(number, None)
        self.wake.set()
        if not task.cancelled() and task.exception() is not None:
            _log.error("job line failed", error=type(task.exception()).__name__)

    async def _send(self, line: Line) -> None:
        """Asks; what the store can't take note of now is tried again until it can."""
        try:
            result = await self._ask(line)
        except CallerGone:
            result = None
        except Refusal as refusal:
            result = None if _passes(refusal) else _failed(line, refusal)
        except Exception:  # noqa: BLE001 - a bug in answering one question: its jobs are told, the others go on
            _log.exception("job line failed", line=line.number)
            result = _failed(line, Refusal(500, "internal_error", "The gateway failed on this request."))
        while True:
            try:
                if result is not None:
                    await self._results.settle([result])
                else:
                    pause_s = self._pauses.after(line.attempts)
                    await self._jobs.postpone(line.number, self._clock.now() + pause_s)
            except Refusal as refusal:
                await asyncio.sleep(refusal.retry_after_s or 1.0)
            else:
                return

    async def _ask(self, line: Line) -> LineResult:
        request = self._results.request(line)
        lane = Lane.RELAXED if line.group.upstream in self._batching else Lane.BATCH
        left_s = max(1.0, line.deadline_at - self._clock.now())
        policy = dataclasses.replace(
            request.policy, lane=lane, timeout_s=min(request.policy.timeout_s, left_s)
        )
        reply = self._gateway.answer(request._replace(policy=policy), submitted=True)
        try:
            await reply.start()
            if reply.answer is None or reply.outcome is None:
                raise RuntimeError("an answer that isn't streamed is whole")
            self._gateway.served(reply, f"line-{line.number}")
            outcome = "fresh" if isinstance(reply.outcome, Bypass) else reply.outcome.name
            return LineResult(line.number, reply.answer, outcome, spent_nanousd=reply.spent_nanousd)
        finally:
            reply.leave()


def _passes(refusal: Refusal) -> bool:
    """Whether another try may bring an answer."""
    if isinstance(refusal, UpstreamFailure):
        return refusal.sharing is Sharing.TRANSIENT or refusal.code == "upstream_credential"
    return refusal.status in _LOCAL


def _failed(line: Line, refusal: Refusal) -> LineResult:
    return LineResult(line.number, None, error=orjson.dumps(refusal.error_object()), code=refusal.code)
