"""What the dashboard shows as it happens: sums over the last quarter of an hour, and the latest semantic hits.

Told of every request, so that it only adds to plain counters on the way; whoever looks at it does the work.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.model import Semantic, SemanticMode
from askonce.observe.live_hits import Hit, Mark
from askonce.ports import MATCH, Latency, Observer
from askonce.ports.ledger import BOUNDS_S

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from askonce.model import Owner, Request
    from askonce.ports import Charge, Clock, Record, UpstreamCall

__all__ = ["SLOTS", "SLOT_S", "Calls", "Cell", "Live", "Window"]

SLOT_S: Final = 5.0
SLOTS: Final = 180
"""Slots that are looked back on: a quarter of an hour."""
_HITS: Final = 50
_NONE: Final = [0] * (len(BOUNDS_S) + 1)


class Cell:
    """What requests of one feature and outcome came to in a slot, or in several."""

    __slots__ = ("counts", "requests", "saved_nanousd", "spent_nanousd", "unpriced")

    def __init__(self, counts: list[int]) -> None:
        """`counts`: the latencies' buckets, shared by all of one outcome in a slot."""
        self.counts = counts
        self.requests = self.saved_nanousd = self.spent_nanousd = self.unpriced = 0

    def add(self, other: Cell, sign: int = 1) -> None:
        """Adds what another one has, or with -1 takes it away; latencies apart."""
        self.requests += sign * other.requests
        self.saved_nanousd += sign * other.saved_nanousd
        self.spent_nanousd += sign * other.spent_nanousd
        self.unpriced += sign * other.unpriced


class Calls:
    """What one upstream's calls came to."""

    __slots__ = ("calls", "failures", "total_s")

    def __init__(self) -> None:
        self.calls = self.failures = 0
        self.total_s = 0.0

    def add(self, other: Calls) -> None:
        """Adds what another one has."""
        self.calls += other.calls
        self.failures += other.failures
        self.total_s += other.total_s


class _Slot:
    """A few seconds."""

    __slots__ = ("calls", "cells", "counts", "number", "shadowed")

    def __init__(self, number: int) -> None:
        self.number = number
        self.cells: dict[tuple[str, str], Cell] = {}
        self.counts: dict[str, list[int]] = {}
        self.calls: dict[str, Calls] = {}
        self.shadowed: dict[str, int] = {}

    def outcomes(self) -> dict[str, int]:
        """Requests by outcome."""
        sums: dict[str, int] = {}
        for (_, outcome), cell in self.cells.items():
            if cell.requests:
                sums[outcome] = sums.get(outcome, 0) + cell.requests
        return sums


class Window(NamedTuple):
    """The last quarter of an hour.

    Attributes:
        cells: By feature and outcome.
        latencies: By outcome.
        calls: By upstream.
        shadowed: Requests by feature that semantic hits would have answered, had the feature served them.
    """

    cells: dict[tuple[str, str], Cell]
    latencies: dict[str, Latency]
    calls: dict[str, Calls]
    shadowed: dict[str, int]


class Live(Observer):
    """An observer that remembers the last quarter of an hour. Slots are numbered by the monotonic clock.

    The event loop turns from slot to slot, once `start`ed: asking a clock would double what a request's counting takes.

    Attributes:
        hits: The latest semantic hits, newest last.
        originals: The questions that their answers were given to, where that was looked up, as far as they are shown.
        mark: Stands for texts that aren't shown.
    """

    def __init__(self, clock: Clock) -> None:
        self.hits: deque[Hit] = deque(maxlen=_HITS)
        self.originals: dict[Hit, tuple[str | None, str]] = {}
        self.mark = Mark()
        self._clock = clock
        self._slots: deque[_Slot] = deque()
        self._cells: dict[tuple[str, str], Cell] = {}
        """Sums of all closed slots."""
        self._counts: dict[str, np.ndarray] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._begin(int(monotonic() // SLOT_S))

    def start(self) -> None:
        """Begins to turn from slot to slot."""
        if monotonic() >= self._until:
            self._turn()
        self._timer = asyncio.get_running_loop().call_later(self._until - monotonic(), self.start)

    def close(self) -> None:
        """Ends that."""
        if self._timer is not None:
            self._timer.cancel()

    def request(self, record: Record) -> None:
        """A request has ended."""
        outcome = record.outcome
        kind = record.feature, "refused" if outcome is None else outcome.name
        try:
            cell = self._current[kind]
        except KeyError:
            cell = self._cell(*kind)
        cell.requests += 1
        cell.counts[bisect_left(BOUNDS_S, record.duration_s)] += 1
        saved = record.saved_nanousd
        if saved:
            cell.saved_nanousd += saved
        elif saved is None and record.usage is not None:
            cell.unpriced += 1
        if outcome.__class__ is Semantic and record.request is not None:
            self._note(record, record.request)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for."""
        if charge.usage is None:
            return
        for share in charge.shares:
            self._cell(share.feature, share.outcome).spent_nanousd += share.nanousd

    def upstream_call(self, call: UpstreamCall) -> None:
        """An upstream call has ended."""
        if not call.counts:
            return
        calls = self._slots[-1].calls.setdefault(call.upstream, Calls())
        calls.calls += 1
        calls.failures += call.status not in {"ok", "cancelled"}
        calls.total_s += call.duration_s

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided: what it would have answered is of interest where it may not."""
        if mode == SemanticMode.SHADOW.value and reason == MATCH:
            shadowed = self._slots[-1].shadowed
            shadowed[feature] = shadowed.get(feature, 0) + 1

    def erase(self, owner: Owner) -> None:
        """Drops the hits of an owner's tenant: no hit says which user's it is."""
        tenant = owner._replace(user=None)
        self._keep([hit for hit in self.hits if not tenant.owns(hit.tenant)])

    def forget(self, keys: Collection[bytes]) -> None:
        """Drops the hits on any of these entries, whosever: they show what the entry was asked for."""
        self._keep([hit for hit in self.hits if hit.outcome.entry not in keys])

    def _keep(self, hits: Sequence[Hit]) -> None:
        self.hits.clear()
        self.hits.extend(hits)
        self.originals.clear()

    @property
    def number(self) -> int:
        """The number of the slot that is being filled."""
        return self._slot().number

    def series(self, count: int = SLOTS) -> list[dict[str, int]]:
        """Requests by outcome for each of the latest slots, oldest first; the last one is being filled."""
        last = self.number
        known = {slot.number: slot for slot in self._slots if slot.number > last - count}
        return [
            known[number].outcomes() if number in known else {}
            for number in range(last - count + 1, last + 1)
        ]

    def window(self) -> Window:
        """All slots together."""
        current = self._slot()
        cells = {kind: Cell([]) for kind in (*self._cells, *current.cells)}
        for kind, cell in cells.items():
            for part in (self._cells.get(kind), current.cells.get(kind)):
                if part is not None:
                    cell.add(part)
        latencies = {
            name: Latency(
                (self._counts.get(name, 0) + np.array(current.counts.get(name, _NONE))).tolist(), 0.0
            )
            for name in {*self._counts, *current.counts}
        }
        calls: dict[str, Calls] = {}
        shadowed: dict[str, int] = {}
        for slot in self._slots:
            for feature, count in slot.shadowed.items():
                shadowed[feature] = shadowed.get(feature, 0) + count
            for upstream, part_of in slot.calls.items():
                calls.setdefault(upstream, Calls()).add(part_of)
        return Window(cells, latencies, calls, shadowed)

    def _slot(self) -> _Slot:
        """The slot that is being filled."""
        if monotonic() >= self._until:
            self._turn()
        return self._slots[-1]

    def _cell(self, feature: str, outcome: str) -> Cell:
        cell = self._current.get((feature, outcome))
        if cell is None:
            counts = self._slots[-1].counts.setdefault(outcome, [0] * (len(BOUNDS_S) + 1))
            cell = self._current[feature, outcome] = Cell(counts)
        return cell

    def _turn(self) -> None:
        """Closes the slot, begins the one that it is time for, and drops those that are too old."""
        closed = self._slots[-1]
        for kind, cell in closed.cells.items():
            self._cells.setdefault(kind, Cell([])).add(cell)
        for name, counts in closed.counts.items():
            self._counts[name] = self._counts.get(name, 0) + np.array(counts, np.int64)
        self._begin(int(monotonic() // SLOT_S))
        oldest = self._slots[-1].number - SLOTS
        while self._slots[0].number <= oldest:
            self._drop(self._slots.popleft())

    def _begin(self, number: int) -> None:
        slot = _Slot(number)
        self._slots.append(slot)
        self._current = slot.cells
        self._until = (number + 1) * SLOT_S

    def _drop(self, slot: _Slot) -> None:
        for kind, cell in slot.cells.items():
            self._cells[kind].add(cell, -1)
        for name, counts in slot.counts.items():
            self._counts[name] = self._counts[name] - np.array(counts, np.int64)

    def _note(self, record: Record, request: Request) -> None:
        outcome = record.outcome
        if not isinstance(outcome, Semantic):
            return
        text, mark = self.mark.shown(request.ask.text, request.policy.retain_text)
        caller = request.caller
        self.hits.append(
            Hit(
                self._clock.now(),
                record.request_id,
                caller.tenant,
                caller.account,
                record.feature,
                record.model,
                outcome,
                text,
                mark,
            )
        )
