"""What a flight promises, one promise at a time; `test_inflight_machine` has them all at once.

Promise 9 (envelopes) is `test_answers`; 10 and 11 are the order of the gateway's lines.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import structlog.testing

from askonce.errors import CallerGone, Refusal, Sharing, UpstreamFailure
from askonce.model import Answer, Caller, Chunk, Exact, Fresh, Semantic, Usage
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.inflight import Flights
from fakes import request
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from askonce.pipeline.flight import Flight, Seat

FRESH = Fresh("miss")
BODY = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
ANSWER = Answer(orjson.dumps(BODY)[1:-1], b"", "m", "chatcmpl-", Usage(), 5)
STREAM = request(stream=True)
PLAIN = request()


def chunk(text: str) -> Chunk:
    return Chunk(text.encode(), b"", bare=False)


def failure(sharing: Sharing, code: str = "boom", retry_after_s: float | None = None) -> UpstreamFailure:
    return UpstreamFailure(503, code, "Boom.", sharing=sharing, retry_after_s=retry_after_s)


async def taken(seat: Seat) -> Any:
    """What a caller gets in the end: its events as one text, its whole answer, or the failure's code."""
    text = b""
    try:
        if not seat.events:
            return await seat.answer()
        while chunks := await seat.read():
            text += b"".join(one.fields for one in chunks)
    except Refusal as refusal:
        return (text.decode() + "!" if text else "") + refusal.code
    finally:
        seat.leave()
    return text.decode()


class Airport:
    """Flights that do what a function says, and a note of each upstream call."""

    def __init__(self, fly: Callable[[Flight, int], Awaitable[None]], each: int = 10**6) -> None:
        self._fly = fly
        self.calls: list[float] = []
        self.cancelled: list[float] = []
        self.flights = Flights(self._pilot, LogMemory(each, 10**6))

    async def _pilot(self, flight: Flight) -> None:
        loop = asyncio.get_running_loop()
        flight.asked_at = loop.time()
        self.calls.append(loop.time())
        try:
            await self._fly(flight, len(self.calls))
        except asyncio.CancelledError:
            self.cancelled.append(loop.time())
            raise

    def board(self, asked: Any = PLAIN, key: bytes | None = b"key", *, join: bool = True) -> Seat:
        return self.flights.board(asked, key, FRESH, join=join)

    def take(self, asked: Any = PLAIN) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(taken(self.board(asked)))


async def land_after_one(flight: Flight, _: int) -> None:
    await asyncio.sleep(1)
    flight.land(ANSWER, flight.source)


async def stream_abc(flight: Flight, _: int) -> None:
    for letter in "abc":
        await asyncio.sleep(1)
        flight.publish(chunk(letter))
    flight.land(ANSWER, flight.source)


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
