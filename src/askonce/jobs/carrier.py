"""Takes one batch to a provider and its results back, across failures and restarts, without asking twice.

The batch's intent is in the store before the provider hears of it, and is the file's name and in the batch's metadata.
Whenever it isn't certain whether the provider has heard of it (a restart, a call that broke off), it is looked up there
first.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.job import RemoteState
from askonce.jobs.request_file import request_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.job import Batch, RemoteBatch
    from askonce.jobs.results import Results
    from askonce.ports import BatchApi, Clock, JobStore

__all__ = ["Carrier", "Pauses"]

_SETTLE_S: Final = 2.0
"""A call that broke off may still arrive: so long it is waited before it is looked up."""
_LOOKS: Final = 8
"""A new batch may show in the provider's list only after a while: so often it is looked for, with growing pauses."""
_DENIALS: Final = 3
"""What the provider has taken it may deny for a moment: so often it is asked before it is believed."""
_AT_ONCE: Final = 100
_AT_ONCE_BYTES: Final = 4 * 2**20
_GROWTH: Final = 1.5
_NO_ROOM: Final = frozenset({"token_limit_exceeded"})
"""Why a provider fails a batch that it would take later: too much of ours waits there already."""
_NO_ROOM_S: Final = 600.0
_log = structlog.get_logger("askonce.jobs")


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait between two looks (seconds): longer each time, and never all at once.

    Args:
        first_s: The first.
        longest_s: The longest.
        draw: A random number in [0, 1).
    """

    first_s: float
    longest_s: float
    draw: Callable[[], float]

    def after(self, times: int) -> float:
        """The pause after so many before it, between half of it and all."""
        full_s = min(self.longest_s, self.first_s * _GROWTH ** min(times, 40))
        return full_s * (0.5 + 0.5 * self.draw())


@dataclass(slots=True)
class _Course:
    """How far a batch may have come that has no id yet, as far as this process knows.

    Attributes:
        uploaded: Whether the provider may have its file.
        created: Whether the provider may have made it.
    """

    uploaded: bool
    created: bool


class Carrier:
    """Carries batches of one upstream."""

    def __init__(
        self,
        jobs: JobStore,
        api: BatchApi,
        results: Results,
        *,
        pauses: Pauses,
        clock: Clock,
        max_attempts: int,
    ) -> None:
        self._jobs = jobs
        self._api = api
        self._results = results
        self._pauses = pauses
        self._clock = clock
        self._max_attempts = max_attempts

    async def carry(self, batch: Batch, *, certain: bool) -> None:
        """Takes a batch to its end; `certain`: the provider can't have heard of it yet."""
        course = _Course(uploaded=not certain, created=not certain)
        failures = denials = 0
        while (known := await self._known(batch)) is not None:
            try:
                if known.remote_id:
                    await self._follow(known)
                else:
                    await self._hand_in(known, course)
                continue
            except UpstreamFailure as failure:
                _log.warning("batch delayed", batch=batch.intent, code=failure.code, status=failure.status)
                denials += failure.sharing is Sharing.FATAL and failure.code != "upstream_credential"
                if denials >= (_DENIALS if known.remote_id else 1):
                    await self._give_up(known)
                    return
                pause_s = max(self._pauses.after(failures), failure.retry_after_s or 0.0)
            except Refusal as refusal:  # the store
                pause_s = max(self._pauses.after(failures), refusal.retry_after_s or 0.0)
            failures += 1
            await asyncio.sleep(pause_s)

    async def _known(self, batch: Batch) -> Batch | None:
        """The batch as the store knows it, once that can say; None where it has ended."""
        while True:
            try:
                return await self._jobs.batch(batch.number)
            except Refusal as refusal:
                await asyncio.sleep(max(self._pauses.after(0), refusal.retry_after_s or 0.0))

    async def _hand_in(self, batch: Batch, course: _Course) -> None:
        """Gives a batch to the provider, unless it has it already, and takes note of its id."""
        remote = await self._look_for(batch) if course.created else None
        if remote is None:
            file = await self._api.find_file(_file_name(batch)) if course.uploaded else None
            course.uploaded = True
            file = file or await self._upload(batch)
            if file is None:  # nothing of it is wanted any more
                await self._jobs.end_batch(batch.number, self._clock.now(), self._max_attempts)
                return
            course.created = True
            remote = await self._api.create(file, batch.group.endpoint, batch.intent)
        await self._jobs.submitted(batch.number, remote.id)

    async def _look_for(self, batch: Batch) -> RemoteBatch | None:
        """The batch that the provider may have made; None where it hasn't shown up in a good while."""
        await asyncio.sleep(_SETTLE_S)
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(self._pauses.after(look - 1))
            remote = await self._api.find(batch.intent)
            if remote is not None:
                return remote
        return None

    async def _follow(self, batch: Batch) -> None:
        """Waits for the end of a batch that the provider has, and fetches what it brought."""
        remote = await self._watch(batch)
        for file in remote.output_files:
            if await self._wanted(batch):
                await self._collect(batch, file)
        await self._end(batch, remote)
        for file in filter(None, (*remote.output_files, remote.input_file)):
            with suppress(UpstreamFailure):
                await self._api.delete_file(file)

    async def _wanted(self, batch: Batch) -> bool:
        known = await self._jobs.batch(batch.number)
        return known is not None and not known.unwanted

    async def _end(self, batch: Batch, remote: RemoteBatch) -> None:
        """What is left of a batch waits a while where all of it has failed, longest where there was no room for it."""
        pause_s: float = 0.0
        attempts: int | None = self._max_attempts
        if remote.state is RemoteState.FAILED:
            _log.warning("batch failed", batch=batch.intent, reason=remote.reason[:100])
            pause_s = self._pauses.longest_s
            if remote.reason in _NO_ROOM:
                pause_s, attempts = _NO_ROOM_S, None
        await self._jobs.end_batch(batch.number, self._clock.now() + pause_s, attempts)

    async def _upload(self, batch: Batch) -> str | None:
        async with request_file(self._jobs, batch) as path:
            return None if path is None else await self._api.upload(_file_name(batch), path)

    async def _watch(self, batch: Batch) -> RemoteBatch:
        """Looks until the provider is done; a batch of which nothing is wanted any more is cancelled there."""
        looks, called_off = 0, False
        while (remote := await self._api.retrieve(batch.remote_id)).state is RemoteState.RUNNING:
            if not called_off and not await self._wanted(batch):
                with suppress(UpstreamFailure):  # asked again after the next look
                    await self._api.cancel(batch.remote_id)
                    called_off = True
            await asyncio.sleep(self._pauses.after(looks))
            looks += 1
        return remote

    async def _collect(self, batch: Batch, file: str) -> None:
        """The results of a file, some at a time; those that were taken before change nothing."""
        raws: list[bytes] = []
        size_bytes = 0
        async for raw in self._api.results(file):
            raws.append(raw)
            size_bytes += len(raw)
            if len(raws) >= _AT_ONCE or size_bytes >= _AT_ONCE_BYTES:
                await self._results.take(batch, raws)
                raws, size_bytes = [], 0
        if raws:
            await self._results.take(batch, raws)

    async def _give_up(self, batch: Batch) -> None:
        """The provider won't have a batch, or has lost it: its lines go into another, or are sent one by one."""
        due_at = self._clock.now() + self._pauses.after(0)
        while True:
            try:
                await self._jobs.end_batch(batch.number, due_at, self._max_attempts)
            except Refusal as refusal:
                await asyncio.sleep(max(self._pauses.after(0), refusal.retry_after_s or 0.0))
            else:
                break
        with suppress(UpstreamFailure):
            file = await self._api.find_file(_file_name(batch))
            if file is not None:
                await self._api.delete_file(file)


def _file_name(batch: Batch) -> str:
    return f"askonce-{batch.intent}.jsonl"
