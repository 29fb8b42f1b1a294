"""A flight where things meet: bugs, landings, followers, second attempts, shutdown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import structlog.testing

from askonce.errors import CallerGone, Sharing
from askonce.model import Exact, Owner, Semantic
from fakes import request
from pipeline.airport import (
    ANSWER,
    FRESH,
    PLAIN,
    STREAM,
    Airport,
    chunk,
    failure,
    land_after_one,
    taken,
)
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.pipeline.flight import Flight


@virtual_time
async def test_marks_are_bounded_in_number() -> None:
    """The oldest mark goes when there are ten thousand."""
    flights = Airport(land_after_one).flights
    for number in range(10_001):
        flights.mark_unshareable(b"%d" % number)
    assert not flights._marked(b"0")
    assert flights._marked(b"1")


@virtual_time
async def test_a_streaming_caller_on_a_plain_flight_gets_events() -> None:
    """The answer's content and its end, once it has landed."""
    airport = Airport(land_after_one)
    plain, stream = airport.take(PLAIN), airport.take(STREAM)
    assert await plain is ANSWER
    events = await stream
    assert '"content":"hi"' in events
    assert '"finish_reason":"stop"' in events
    assert airport.flights.memory.used_bytes == 0


@virtual_time
async def test_a_flight_that_follows_is_not_left_with_anothers_lead() -> None:
    """The followed flight fails and hands over: its follower is told, so that it can go its own way."""

    async def fail_once(flight: Flight, call: int) -> None:
        await asyncio.sleep(1)
        if call == 1:
            raise failure(Sharing.TRANSIENT)
        flight.land(ANSWER, flight.source)

    airport = Airport(fail_once)
    leader = airport.take()
    assert airport.flights.follow(b"key", STREAM) is None
    await asyncio.sleep(0.5)
    follower = airport.flights.follow(b"key", request(b"other"))
    assert follower is not None
    heir = airport.take()
    assert await taken(follower) == "boom"
    assert await leader == "boom"
    assert await heir is ANSWER


@virtual_time
async def test_whoever_takes_over_the_lead_may_have_been_erased() -> None:
    """Of a flight on which somebody waits who is erased nothing is kept, whoever leads it in the end."""
    kept = []

    async def fail_the_first(flight: Flight, _: int) -> None:
        await asyncio.sleep(1)
        if flight.lead.request is PLAIN:
            raise failure(Sharing.TRANSIENT)
        if not flight.erased:
            kept.append(flight.lead.request)
        flight.land(ANSWER, flight.source)

    airport = Airport(fail_the_first)
    zoe, others = PLAIN._replace(users=(b"zoe",)), request(b"other")
    leader, heir, other = airport.take(), airport.take(zoe), airport.board(others, b"other")
    await asyncio.sleep(0.5)
    follower = airport.flights.follow(b"other", zoe)
    assert follower is not None
    assert airport.flights.erase(Owner(PLAIN.caller.tenant or "", b"zoe")) == [PLAIN]
    assert (await leader, await heir) == ("boom", ANSWER)
    assert await taken(other) is ANSWER
    follower.leave()
    assert kept == [others]


@virtual_time
async def test_a_following_flight_has_no_deadline_of_its_own() -> None:
    """Its callers have theirs: the one that came last must not fall with the first one's."""

    async def slow(flight: Flight, _: int) -> None:
        await asyncio.sleep(90)
        flight.land(ANSWER, flight.source)

    airport = Airport(slow)
    leader = airport.take(request(timeout_s=100))
    await asyncio.sleep(1)
    follower = airport.flights.follow(b"key", request(b"other", timeout_s=2, max_flight_age_s=1_000))
    assert follower is not None
    await asyncio.sleep(80)
    assert '"content":"hi"' in await taken(follower)
    await leader


@virtual_time
async def test_a_second_attempt_starts_with_a_clean_sheet() -> None:
    """What the first attempt said of itself (source, mark, model, times) doesn't stick to the second."""

    async def follow_then_ask(flight: Flight, call: int) -> None:
        if call == 1:
            flight.source = Semantic(b"k", 0.9, joined=True, age_s=0, ttl_s=0, reason="match")
            flight.describe(None, "old-", "old")
            flight.publish(chunk("a"))
            await asyncio.sleep(1)
            raise failure(Sharing.TRANSIENT)
        assert (flight.source, flight.id_prefix, flight.model, flight.told_at) == (FRESH, "", "", 0)
        await asyncio.sleep(2)
        flight.land(ANSWER, flight.source)

    airport = Airport(follow_then_ask)
    leader, heir = airport.take(STREAM), airport.board(PLAIN)
    assert await heir.answer() is ANSWER
    assert heir.outcome == FRESH
    assert heir.upstream_first_byte_s == pytest.approx(2)
    heir.leave()
    assert await leader == "a!boom"


@pytest.mark.parametrize("bug", [ValueError("bug"), asyncio.CancelledError(), None])
@virtual_time
async def test_a_bug_in_the_pilot_leaves_nobody_waiting(bug: BaseException | None) -> None:
    """It raises, is cancelled by something of its own, or comes back without an answer: everybody gets a 500."""

    async def fly(*_: object) -> None:
        await asyncio.sleep(1)
        if bug is not None:
            raise bug

    airport = Airport(fly)
    with structlog.testing.capture_logs():
        told = await asyncio.gather(airport.take(), airport.take(STREAM))
    assert list(told) == ["internal_error"] * 2
    assert not airport.flights.running


@pytest.mark.parametrize("late", [ValueError("bug"), failure(Sharing.TRANSIENT)])
@virtual_time
async def test_what_fails_after_landing_takes_nobodys_answer_away(late: Exception) -> None:
    """The connection can't be given back: those that haven't read yet still get the answer, of one call."""

    async def fly(flight: Flight, _: int) -> None:
        flight.land(ANSWER, Exact(b"k", 1, 2))
        raise late

    airport = Airport(fly)
    seats = [airport.board(), airport.board()]
    with structlog.testing.capture_logs():
        await asyncio.sleep(1)
    assert [await taken(seat) for seat in seats] == [ANSWER, ANSWER]
    assert seats[1].outcome == Exact(b"k", 1, 2)
    assert len(airport.calls) == 1


@virtual_time
async def test_a_client_that_is_gone_is_not_answered() -> None:
    """Whoever waits on its seat is told, even where the answer has landed."""
    airport = Airport(land_after_one)
    seat = airport.board()
    seat.gone()
    with pytest.raises(CallerGone):
        await seat.answer()
    await asyncio.sleep(2)
    with pytest.raises(CallerGone):
        await seat.read()
    seat.leave()


@virtual_time
async def test_draining_waits_and_then_tells() -> None:
    """What ends in time ends well; the rest is told 503 and cancelled, also before its first step."""

    async def by_key(flight: Flight, _: int) -> None:
        await asyncio.sleep(1 if flight.key == b"quick" else 60)
        flight.land(ANSWER, flight.source)

    airport = Airport(by_key)
    quick, slow = airport.board(PLAIN, b"quick"), airport.board(PLAIN, b"slow")
    assert await airport.flights.drain(5) == 1
    assert await taken(quick) is ANSWER
    assert await taken(slow) == "shutting_down"
    newborn = airport.board()
    airport.flights.cancel(newborn._flight)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not airport.flights.running
    newborn.leave()
    assert airport.flights.memory.used_bytes == 0
