"""What a flight promises, one promise at a time; `test_inflight_machine` has them all at once.

Promise 9 (envelopes) is `test_answers`; 10 and 11 are the order of the gateway's lines.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from askonce.errors import Sharing
from askonce.model import Caller, Fresh
from fakes import request
from pipeline.airport import (
    ANSWER,
    PLAIN,
    STREAM,
    Airport,
    chunk,
    failure,
    stream_abc,
    taken,
)
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.pipeline.flight import Flight


@virtual_time
async def test_promise_1_a_caller_that_leaves_removes_only_itself() -> None:
    """The leader is cut off in the middle: the follower has all of the same call's answer."""
    airport = Airport(stream_abc)
    leader, follower = airport.take(STREAM), airport.take(STREAM)
    await asyncio.sleep(1.5)
    leader.cancel()
    assert await follower == "abc"
    assert len(airport.calls) == 1
    assert not airport.cancelled


@virtual_time
async def test_promise_2_the_call_outlives_its_last_caller_by_linger() -> None:
    """Cancelled five seconds after the last one left; one that comes in time keeps it; `finish` lets it land."""

    async def slow(flight: Flight, _: int) -> None:
        await asyncio.sleep(20)
        flight.land(ANSWER, flight.source)

    loop = asyncio.get_running_loop()
    airport = Airport(slow)
    airport.board().leave()
    await asyncio.sleep(4.9)
    newcomer = airport.board()
    await asyncio.sleep(4.9)
    assert not airport.cancelled
    newcomer.leave()
    left_at = loop.time()
    await asyncio.sleep(6)
    assert airport.cancelled == [left_at + 5]
    finishing = airport.board(request(linger_s=None), b"other")
    flight = finishing._flight
    finishing.leave()
    await asyncio.sleep(21)
    assert flight.answer is ANSWER


@virtual_time
async def test_promise_3_late_joiners_replay_and_slow_readers_slow_nobody() -> None:
    """One joins after two events, one reads nothing until all is over: both have every event once."""
    airport = Airport(stream_abc)
    leader, sleeper = airport.take(STREAM), airport.board(STREAM)
    await asyncio.sleep(2.5)
    late = airport.take(STREAM)
    assert (await leader, await late) == ("abc", "abc")
    assert await taken(sleeper) == "abc"
    assert airport.flights.memory.used_bytes == 0


@virtual_time
async def test_promise_3_an_overfull_flight_takes_no_more_joiners() -> None:
    """Past the bound a newcomer gets a flight of its own; those on board go on, and what all have read is dropped."""
    airport = Airport(stream_abc, each=300)
    first = airport.take(STREAM)
    await asyncio.sleep(2.5)
    second = airport.take(STREAM)
    assert airport.flights.memory.used_bytes == 0
    assert (await first, await second) == ("abc", "abc")
    assert len(airport.calls) == 2


@pytest.mark.parametrize(
    ("sharing", "told", "calls"),
    [
        (Sharing.FATAL, ["boom", "boom", "boom"], 1),
        (Sharing.TRANSIENT, ["boom", ANSWER, ANSWER], 2),
        (Sharing.PERSONAL, ["boom", ANSWER, ANSWER], 2),
    ],
)
@virtual_time
async def test_promise_4_who_is_told_of_a_failure_before_the_first_byte(
    sharing: Sharing, told: list[Any], calls: int
) -> None:
    """Fatal: everybody. Transient: the leader, and one waiter asks again. Personal: the leader alone."""

    async def fail_once(flight: Flight, call: int) -> None:
        await asyncio.sleep(1)
        if call == 1:
            raise failure(sharing)
        flight.land(ANSWER, flight.source)

    airport = Airport(fail_once)
    callers = [Caller("t", "t", ("default",), None, identity) for identity in (b"a", b"b", b"c")]
    assert await asyncio.gather(*(airport.take(request(caller=one)) for one in callers)) == told
    assert len(airport.calls) == calls


@virtual_time
async def test_promise_4_a_second_transient_failure_goes_to_all() -> None:
    """The lead is handed over once per flight."""

    async def always(_: Flight, call: int) -> None:
        await asyncio.sleep(1)
        raise failure(Sharing.TRANSIENT, f"boom-{call}")

    airport = Airport(always)
    told = await asyncio.gather(*(airport.take() for _ in range(4)))
    assert told == ["boom-1", "boom-2", "boom-2", "boom-2"]


@virtual_time
async def test_promise_4_retry_after_is_honoured_by_those_that_have_the_time() -> None:
    """The next call waits as long as the upstream asks; callers whose deadline comes first are told at once."""

    async def busy(flight: Flight, call: int) -> None:
        if call == 1:
            raise failure(Sharing.TRANSIENT, "busy", retry_after_s=10)
        flight.land(ANSWER, flight.source)

    airport, began = Airport(busy), asyncio.get_running_loop().time()
    leader, hasty, patient = airport.take(), airport.take(request(timeout_s=9)), airport.take()
    assert (await leader, await hasty) == ("busy", "busy")
    assert asyncio.get_running_loop().time() == began
    assert await patient is ANSWER
    assert airport.calls == [began, pytest.approx(began + 10)]


@virtual_time
async def test_promise_4_when_all_leave_during_retry_after_nobody_asks_again() -> None:
    """Linger runs out while the flight rests: no second call."""

    async def busy(*_: object) -> None:
        raise failure(Sharing.TRANSIENT, "busy", retry_after_s=30)

    airport = Airport(busy)
    leader, waiter = airport.take(), airport.take()
    await asyncio.sleep(1)
    waiter.cancel()
    assert await leader == "busy"
    await asyncio.sleep(60)
    assert len(airport.calls) == 1
    assert not airport.flights.running


@virtual_time
async def test_promise_4_a_refused_credential_is_told_to_all_that_have_it() -> None:
    """Its owner's other requests need not be refused one by one; another's credential still gets its own try."""

    async def refuse_first(flight: Flight, call: int) -> None:
        await asyncio.sleep(1)
        if call == 1:
            raise failure(Sharing.PERSONAL, "invalid_api_key")
        flight.land(ANSWER, flight.source)

    airport = Airport(refuse_first)
    ann, bob = (request(caller=Caller("t", "t", ("default",), None, who)) for who in (b"ann", b"bob"))
    told = await asyncio.gather(*(airport.take(asked) for asked in (ann, ann, bob, ann)))
    assert told == ["invalid_api_key", "invalid_api_key", ANSWER, "invalid_api_key"]
    assert len(airport.calls) == 2


@virtual_time
async def test_promise_5_after_a_failure_mid_stream_only_those_without_bytes_start_over() -> None:
    """The reader with bytes gets its error after them; the one without gets the second attempt's events, unmixed."""

    async def break_once(flight: Flight, call: int) -> None:
        flight.publish(chunk(f"{call}a"))
        await asyncio.sleep(1)
        if call == 1:
            raise failure(Sharing.TRANSIENT)
        flight.publish(chunk(f"{call}b"))
        flight.land(ANSWER, flight.source)

    airport = Airport(break_once)
    leader, reader, sleeper, whole = (
        airport.take(STREAM), airport.take(STREAM), airport.board(STREAM), airport.take(PLAIN),
    )  # fmt: skip
    assert (await leader, await reader) == ("1a!boom", "1a!boom")
    assert await taken(sleeper) == "2a2b"
    assert await whole is ANSWER
    assert airport.flights.memory.used_bytes == 0


@virtual_time
async def test_promise_5_what_nobody_has_read_yet_is_no_byte() -> None:
    """An event and the failure in one go: the leader hears of the failure at once, as an error with a status."""

    async def break_at_once(flight: Flight, _: int) -> None:
        await asyncio.sleep(1)
        flight.publish(chunk("a"))
        raise failure(Sharing.TRANSIENT)

    airport = Airport(break_at_once)
    assert await airport.take(STREAM) == "boom"


@virtual_time
async def test_promise_6_deadlines_are_each_callers_own() -> None:
    """An impatient leader gets a 504; the call goes on for the patient follower."""
    airport = Airport(stream_abc)
    impatient = airport.take(request(stream=True, timeout_s=1.5))
    patient = airport.take(STREAM)
    assert await impatient == "a!deadline_exceeded"
    assert await patient == "abc"


@virtual_time
async def test_promise_6_an_old_flight_is_not_trusted_any_more() -> None:
    """After `max_flight_age` one further flight starts, which others join; the old one still serves its callers."""

    async def first_hangs(flight: Flight, call: int) -> None:
        await asyncio.sleep(50 if call == 1 else 5)
        flight.land(ANSWER, flight.source)

    airport = Airport(first_hangs)
    old = airport.take()
    await asyncio.sleep(31)
    younger = [airport.take(), airport.take()]
    assert await asyncio.gather(*younger) == [ANSWER, ANSWER]
    assert len(airport.calls) == 2
    assert await old is ANSWER


@virtual_time
async def test_promise_7_a_landed_flight_is_out_of_the_table_at_once() -> None:
    """While the pilot still gives its connection back, a newcomer starts anew (and would find the stored answer)."""

    async def tidy_up(flight: Flight, _: int) -> None:
        flight.land(ANSWER, flight.source)
        await asyncio.sleep(5)

    airport = Airport(tidy_up)
    assert await airport.take() is ANSWER
    assert airport.flights.running == 1
    assert airport.board()._flight.answer is None
    await asyncio.sleep(20)


@virtual_time
async def test_promise_7_a_dying_flight_is_out_of_the_table_before_it_is_cancelled() -> None:
    """A pilot takes its time to die: whoever comes in between gets a flight that lives."""

    async def die_slowly(flight: Flight, call: int) -> None:
        try:
            await asyncio.sleep(20 if call == 1 else 1)
        finally:
            await asyncio.sleep(3 if call == 1 else 0)
        flight.land(ANSWER, flight.source)

    airport = Airport(die_slowly)
    airport.board().leave()
    await asyncio.sleep(6)
    assert airport.flights.running == 1
    assert await airport.take() is ANSWER
    await asyncio.sleep(5)


@virtual_time
async def test_promise_7_an_ending_flight_spares_its_successor() -> None:
    """The old flight lands after its successor has started: newcomers still join the successor."""

    async def fly(flight: Flight, call: int) -> None:
        await asyncio.sleep(35 if call == 1 else 10)
        flight.land(ANSWER, flight.source)

    airport = Airport(fly)
    old = airport.take()
    await asyncio.sleep(31)
    successor = airport.board()
    assert await old is ANSWER
    assert airport.board()._flight is successor._flight
    await asyncio.sleep(30)


@virtual_time
async def test_promise_8_an_unshareable_answer_frees_its_next_callers_for_a_while() -> None:
    """For half a minute everybody flies alone, and says why; then callers join again."""

    async def forbid(flight: Flight, _: int) -> None:
        await asyncio.sleep(1)
        flight.mark_unshareable()
        flight.land(ANSWER, flight.source)

    airport = Airport(forbid)
    await airport.take()
    seats = [airport.board(), airport.board()]
    assert seats[0]._flight is not seats[1]._flight
    assert [seat.outcome for seat in seats] == [Fresh("hit-for-miss")] * 2
    await asyncio.sleep(30)
    assert airport.board()._flight is airport.board()._flight
    await asyncio.sleep(5)
