"""Observers hear of everything, but not of what was asked by those who were erased meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from askonce.model import Owner
from askonce.observe import observers
from askonce.observe.observers import Observers
from askonce.ports import Record
from fakes import FakeObserver, request

if TYPE_CHECKING:
    import pytest


def record(duration_s: float) -> Record:
    told: dict[str, Any] = dict.fromkeys(Record._fields, "")
    return Record(**(told | {"duration_s": duration_s, "request": request()}))


async def test_all_that_end_in_a_turn_are_told_of_in_the_next() -> None:
    """Each observer hears of every request once, in order, as soon as the event loop has gone round."""
    first, second = FakeObserver(), FakeObserver()
    several = Observers([cast("Any", first), cast("Any", second)])
    durations = [1.0, 2.0, 3.0]
    for duration_s in durations:
        several.request(record(duration_s))
    assert not first.records
    await asyncio.sleep(0)
    assert [one.duration_s for one in first.records] == durations
    assert second.records == first.records
    several.request(record(4.0))
    await asyncio.sleep(0)
    assert len(first.records) == 4


async def test_whoever_has_ended_is_told_of_before_an_erasure() -> None:
    """What observers are told after an erasure holds nothing that was asked before it."""
    told = FakeObserver()
    several = Observers([cast("Any", told)])
    several.request(record(1.0))
    several.erase(Owner(request().caller.tenant or ""))
    assert len(told.records) == 1
    await asyncio.sleep(0)
    assert len(told.records) == 1


async def test_what_was_under_way_is_told_without_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that began before the erasure of its owner has ended: nothing but that; later ones are told whole."""
    now = 100.0
    monkeypatch.setattr(observers, "monotonic", lambda: now)
    told = FakeObserver()
    several = Observers([cast("Any", told)])
    several.request(record(1.0))
    tenant = request().caller.tenant or ""
    several.erase(Owner("tenant:somebody-else"))
    several.erase(Owner(tenant))
    now = 105.0
    several.request(record(10.0))
    several.request(record(4.0))
    await asyncio.sleep(0)
    assert [one.request is None for one in told.records] == [False, True, False]
    now = 106.0
    several.erase(Owner("tenant:somebody-else"))
    several.request(record(6.5))
    await asyncio.sleep(0)
    assert told.records[-1].request is None
