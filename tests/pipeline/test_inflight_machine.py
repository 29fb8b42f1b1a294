"""Flights driven through random histories, against a plain model of what they promise."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import structlog.testing
from hypothesis import HealthCheck, event, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Caller, Chunk, Exact, Fresh
from askonce.pipeline.answers import split
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.inflight import Flights
from fakes import request
from pipeline.inflight_model import MARK_S, ModelFlight, ModelSeat, Sky
from pipeline.inflight_players import Attempt, Pair, Reader
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Request
    from askonce.pipeline.broadcast import Log
    from askonce.pipeline.flight import Flight, Seat

T = TypeVar("T")
CHUNK_BYTES = 200
WHICH = st.integers(0, 5)
KEYS = st.sampled_from([b"one", b"one", b"one", b"two"])
SELDOM = st.sampled_from([False, False, False, True])
CALLERS = [Caller("tenant:shared", "shared", ("default",), None, identity) for identity in (b"ann", b"bob")]
FAILURES = st.tuples(st.sampled_from(Sharing), st.sampled_from([None, 0.0, 3.0, 12.0]))


class InflightMachine(RuleBasedStateMachine):
    """The machine. Each rule acts on both sides, lets everything settle, and the invariants compare."""

    reached: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        asyncio.set_event_loop(self.loop)
        self.sky = Sky(self.loop.time())
        self.attempts: list[Attempt] = []
        self.pairs: list[Pair] = []
        self.real: dict[ModelFlight, Flight] = {}
        self.overfull: set[Flight] = set()
        self._ticks = itertools.count(1)

    @initialize(each=st.sampled_from([900, 100_000]), total=st.sampled_from([1_500, 1_000_000]))
    def open(self, each: int, total: int) -> None:
        self.memory = LogMemory(each, total)
        self.flights = Flights(self._pilot, self.memory)

    async def _pilot(self, flight: Flight) -> None:
        attempt = Attempt(len(self.attempts), flight)
        self.attempts.append(attempt)
        await attempt.fly()

    # Callers

    def _apart(self, seconds: float) -> float:
        """A time that no other timer shares: what happens at once has no promised order."""
        return seconds + next(self._ticks) * 0.618_033_988_75 % 1 * 0.01

    def _request(self, key: bytes, who: tuple[bool, int, float, float | None, float]) -> Request:
        stream, caller, timeout_s, linger_s, age_s = who
        return request(
            key,
            stream=stream,
            caller=CALLERS[caller],
            timeout_s=self._apart(timeout_s),
            linger_s=None if linger_s is None else self._apart(linger_s),
            max_flight_age_s=self._apart(age_s),
        )

    WHO: ClassVar = st.tuples(
        st.sampled_from([True, True, False]),
        st.sampled_from([0, 1]),
        st.sampled_from([2.0, 8.0, 40.0, 500.0]),
        st.sampled_from([0.0, 5.0, 5.0, None]),
        st.sampled_from([4.0, 30.0]),
    )

    @rule(key=KEYS, who=WHO, shared=st.sampled_from([True] * 9 + [False]), join=st.sampled_from([True] * 9 + [False]),
          slow=st.booleans(), stays=st.sampled_from([False, False, True]))  # fmt: skip
    def arrive(
        self,
        key: bytes,
        who: tuple[bool, int, float, float | None, float],
        shared: bool,  # noqa: FBT001 - drawn
        join: bool,  # noqa: FBT001 - drawn
        slow: bool,  # noqa: FBT001 - drawn
        stays: bool,  # noqa: FBT001 - drawn
    ) -> None:
        asked = self._request(key, who)
        flight, model = self.sky.board(asked, key if shared else None, join=join)
        seat = self._in_loop(
            lambda: self.flights.board(asked, key if shared else None, Fresh("miss"), join=join)
        )
        self._add(flight, model, seat, slow=slow, stays=stays)

    @rule(key=KEYS, crowd=st.lists(st.tuples(WHO, st.booleans()), min_size=2, max_size=4))
    def crowd(self, key: bytes, crowd: list[tuple[Any, bool]]) -> None:
        """Several callers of one key, some of them slow readers."""
        for who, slow in crowd:
            self.arrive(key, who, shared=True, join=True, slow=slow, stays=False)

    @rule(key=KEYS, crowd=st.lists(WHO, min_size=3, max_size=4), failure=FAILURES, leaves=st.booleans())
    def crowd_that_is_failed(
        self,
        key: bytes,
        crowd: list[Any],
        failure: tuple[Sharing, float | None],
        leaves: bool,  # noqa: FBT001 - drawn
    ) -> None:
        """Several wait, all but one with nothing read yet, when their call fails; the next lead may leave before its turn."""
        self.crowd(key, [(who, number > 0) for number, who in enumerate(crowd)])
        if self._asking():
            self.publish(0, 1)
            self.fail(0, 0, failure)
        if leaves and self._resting_leads():
            self.disconnect_next_lead(0)

    @rule(key=KEYS, who=WHO)
    def follow(self, key: bytes, who: tuple[bool, int, float, float | None, float]) -> None:
        """A flight of an equivalent question comes along."""
        asked = self._request(b"equivalent", who)
        expected = self.sky.follow(key, asked)
        seat = self._in_loop(lambda: self.flights.follow(key, asked))
        assert (seat is None) == (expected is None)
        if expected is not None and seat is not None:
            self._add(*expected, seat, slow=False, stays=False)

    def _add(self, flight: ModelFlight, model: ModelSeat, seat: Seat, *, slow: bool, stays: bool) -> None:
        self.real.setdefault(flight, seat._flight)
        assert self.real[flight] is seat._flight, "boarded another flight than it should"
        self.pairs.append(Pair(flight, model, self._in_loop(lambda: Reader(seat, slow=slow, stays=stays))))
        self._settle()

    @precondition(lambda self: self._some(lambda pair: pair.reader.waiting_for_permit))
    @rule(which=WHICH)
    def let_read(self, which: int) -> None:
        pair = _pick(self._some(lambda pair: pair.reader.waiting_for_permit), which)
        pair.reader.permits.release()
        self._settle()

    @precondition(lambda self: self._some(lambda pair: pair.aboard))
    @rule(which=WHICH, how=st.sampled_from(["gone", "cancel", "leave"]))
    def disconnect(self, which: int, how: str) -> None:
        pair = _pick(self._some(lambda pair: pair.aboard), which)
        self._disconnect(pair, how)

    @precondition(lambda self: self._resting_leads())
    @rule(which=WHICH)
    def disconnect_next_lead(self, which: int) -> None:
        """It has the lead, and leaves before `Retry-After` is over."""
        self._disconnect(_pick(self._resting_leads(), which), "gone")

    def _resting_leads(self) -> list[Pair]:
        return self._some(
            lambda pair: pair.flight.rest_until and pair.model is pair.flight.lead and pair.aboard
        )

    def _disconnect(self, pair: Pair, how: str) -> None:
        pair.gone = not pair.reader.over
        self._in_loop(lambda: self._part(pair.reader, how))
        self.sky.leave(pair.flight, pair.model)
        self._settle()

    def _part(self, reader: Reader, how: str) -> None:
        if how == "gone":
            reader.seat.gone()
            reader.slow = False
            reader.permits.release()
        elif how == "cancel":
            reader.task.cancel()
        if how == "leave" or reader.over or reader.stays:
            reader.stays = False
            reader.seat.leave()
            reader.seat.leave()
            reader.task.cancel()

    # Upstreams

    @precondition(lambda self: self._asking())
    @rule(which=WHICH, count=st.integers(1, 4))
    def publish(self, which: int, count: int) -> None:
        flight, attempt = self._pick_attempt(which)
        attempt.take(*self._chunks(flight, attempt, count))
        self._settle()

    @precondition(lambda self: self._asking())
    @rule(which=WHICH)
    def publish_one(self, which: int) -> None:
        self.publish(which, 1)

    @precondition(lambda self: self._asking())
    @rule(which=WHICH)
    def ask(self, which: int) -> None:
        flight, attempt = self._pick_attempt(which)
        attempt.take(*self._asks(flight, attempt))
        self._settle()

    @precondition(lambda self: self._asking())
    @rule(which=WHICH, burst=st.integers(0, 2), stored=st.booleans(), mark=st.sampled_from([False] * 7 + [True]),
          after=st.sampled_from([None, None, ValueError("after landing"),
                                 UpstreamFailure(500, "late", "Late.", sharing=Sharing.TRANSIENT)]))  # fmt: skip
    def land(
        self,
        which: int,
        burst: int,
        stored: bool,  # noqa: FBT001 - drawn
        mark: bool,  # noqa: FBT001 - drawn
        after: Exception | None,
    ) -> None:
        flight, attempt = self._pick_attempt(which)
        real, answer = attempt.flight, attempt.answer()
        steps = self._chunks(flight, attempt, burst) if not stored else []
        if mark:
            steps.append(real.mark_unshareable)
            if flight.key is not None:
                self.sky.marks[flight.key] = self.sky.now + MARK_S
        source = Exact(b"k", 1, 2) if stored else Fresh("miss")
        attempt.take(*steps, lambda: real.land(answer, source), after or "return")
        self.sky.land(flight, lambda: [chunk.fields for chunk in split(answer)])
        self._settle()

    @precondition(lambda self: self._asking())
    @rule(which=WHICH, burst=st.integers(0, 2), failure=FAILURES)
    def fail(self, which: int, burst: int, failure: tuple[Sharing, float | None]) -> None:
        flight, attempt = self._pick_attempt(which)
        sharing, retry_after_s = failure
        wait_s = None if retry_after_s is None else self._apart(retry_after_s) if retry_after_s else 0.0
        told = UpstreamFailure(
            500, f"{sharing}-{attempt.number}", "No.", sharing=sharing, retry_after_s=wait_s
        )
        attempt.take(*self._asks(flight, attempt), *self._chunks(flight, attempt, burst), told)
        self.sky.fail(flight, told)
        self._settle()

    @precondition(lambda self: self._asking())
    @rule(which=WHICH, burst=st.integers(0, 1),
          bug=st.sampled_from([ValueError("a bug"), asyncio.CancelledError(), "return"]), really=SELDOM)  # fmt: skip
    def break_down(self, which: int, burst: int, bug: Any, really: bool) -> None:  # noqa: FBT001 - drawn
        """The pilot has a bug: it raises, is cancelled from elsewhere, or comes back without an answer."""
        if not really:
            return
        flight, attempt = self._pick_attempt(which)
        attempt.take(*self._chunks(flight, attempt, burst), bug)
        self.sky.seen.add("broken down")
        self.sky.crash(flight, "internal_error")
        self._settle()

    def _asks(self, flight: ModelFlight, attempt: Attempt) -> list[Any]:
        flight.asked = True
        return [lambda: setattr(attempt.flight, "asked_at", self.loop.time())]

    def _chunks(self, flight: ModelFlight, attempt: Attempt, count: int) -> list[Any]:
        if not flight.streams or not count:
            return []
        steps = self._asks(flight, attempt)
        for _ in range(count):
            text = f"{attempt.number}:{attempt.published}".encode().ljust(CHUNK_BYTES, b".")
            attempt.published += 1
            flight.log.append(text)
            steps.append(lambda text=text: self._publish(attempt.flight, Chunk(text, b"", bare=False)))
        return steps

    def _publish(self, real: Flight, chunk: Chunk) -> None:
        """Whether a log is overfull depends on what every reader has dropped: here the real thing is believed."""
        before_bytes, used_bytes = real.log.size_bytes, self.memory.used_bytes
        real.publish(chunk)
        size_bytes = len(chunk.fields) + 160
        beyond = before_bytes + size_bytes > self.memory.max_bytes_each
        beyond = beyond or used_bytes + size_bytes > self.memory.max_bytes_total
        assert real.log.overfull or not beyond
        if real.log.overfull:
            self.overfull.add(real)

    # Time

    @rule(seconds=st.sampled_from([0.5, 0.5, 2.0, 2.0, 5.5, 12.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self._advance(self._apart(seconds))

    @precondition(lambda self: self.flights.running)
    @rule(timeout_s=st.sampled_from([0.0, 1.0, 600.0]), really=SELDOM)
    def drain(self, timeout_s: float, really: bool) -> None:  # noqa: FBT001 - drawn
        """The gateway is shutting down."""
        if really:
            self._drain(timeout_s)

    def _drain(self, timeout_s: float) -> None:
        end = self.loop.time() + self._apart(timeout_s)
        draining = self.loop.create_task(self.flights.drain(end - self.loop.time()))
        self._settle()
        while not draining.done():
            following = self.sky.next_event()
            if following is None or following[0] > end:
                break
            self._pass_to(following[0])
        else:
            assert draining.result() == 0
            return
        late = self.sky.running
        self.sky.seen.add("drained in the air")
        self.loop.advance(max(0.0, end - self.loop.time()))
        self.sky.now = self.loop.time()
        assert self.sky.drain() == len(late)
        self._settle()
        assert draining.done()
        assert draining.result() == len(late)

    def _advance(self, seconds: float) -> None:
        end = self.loop.time() + seconds
        while (following := self.sky.next_event()) is not None and following[0] <= end:
            self._pass_to(following[0])
        self.loop.advance(max(0.0, end - self.loop.time()))
        self.sky.now = self.loop.time()
        self._settle()

    def _pass_to(self, when: float) -> None:
        following = self.sky.next_event()
        assert following is not None
        self.loop.advance(max(0.0, when - self.loop.time()))
        self.sky.now = self.loop.time()
        following[1]()
        self._settle()

    # Both sides in step

    def _in_loop(self, act: Any) -> Any:
        async def run() -> Any:
            return act()

        return self.loop.run_until_complete(run())

    def _settle(self) -> None:
        """Lets the real thing run, then moves the model's readers as far as they can have got."""
        self.loop.settle()
        for flight in self.sky.running:
            if flight.rest_until is not None and flight.rest_until <= self.sky.now:
                following = [act for when, act in self.sky._timers() if when == flight.rest_until]
                following[0]()
        for pair in self.pairs:
            if pair.aboard:
                self._move(pair)
        for flight, real in self.real.items():
            if real in self.overfull and flight.key is not None and self.sky.table.get(flight.key) is flight:
                self.sky.seen.add("overfull")
                self.sky.delist(flight)
        self.loop.settle()

    def _move(self, pair: Pair) -> None:
        model, reader = pair.model, pair.reader
        waits = reader.waiting_for_permit and not reader.over
        if model.told is None and model.events:
            model.position = len(reader.got) if waits else len(model.log)
        if (model.told is not None or model.landed) and not reader.stays and not waits:
            self.sky.leave(pair.flight, model)

    def _some(self, wanted: Any) -> list[Pair]:
        return [pair for pair in self.pairs if wanted(pair)]

    def _asking(self) -> list[ModelFlight]:
        return [flight for flight in self.sky.flights if flight.state == "asking"]

    def _pick_attempt(self, which: int) -> tuple[ModelFlight, Attempt]:
        flight = _pick(self._asking(), which)
        mine = [attempt for attempt in self.attempts if attempt.flight is self.real[flight]]
        return flight, mine[-1]

    # What must hold, always

    @invariant()
    def the_same_flights_run_and_can_be_joined(self) -> None:
        if not hasattr(self, "flights"):
            return
        assert self.flights._table == {key: self.real[flight] for key, flight in self.sky.table.items()}
        assert set(self.flights._tasks) == {self.real[flight] for flight in self.sky.running}
        assert self.flights.waiting == sum(len(flight.seats) for flight in self.sky.running)

    @invariant()
    def the_upstream_is_asked_as_often_as_it_should_and_on_whose_behalf(self) -> None:
        for flight, real in self.real.items():
            mine = [attempt for attempt in self.attempts if attempt.flight is real]
            assert len(mine) == flight.attempts
            assert flight.lead is not None
            assert real.lead.request is flight.lead.request
            if flight.state == "asking":
                assert mine[-1].request is flight.lead.request
                assert not mine[-1].cancelled
            if flight.state == "cancelled" and flight.rest_until is None and mine[-1].published:
                assert real.answer is None

    @invariant()
    def every_reader_has_what_it_should(self) -> None:
        for pair in self.pairs:
            model, reader = pair.model, pair.reader
            if pair.gone:
                assert reader.got == model.log[: len(reader.got)]
                continue
            if reader.waiting_for_permit and not reader.over:
                assert reader.got == model.log[: len(reader.got)]
                continue
            self._check_end(pair.flight, model, reader)

    def _check_end(self, flight: ModelFlight, model: ModelSeat, reader: Reader) -> None:
        had = model.log if model.events else []
        if model.told is not None:
            assert isinstance(reader.error, Refusal)
            assert reader.error.code == model.told
            assert reader.answer is None
            assert reader.got == had[: len(reader.got)]
            assert len(reader.got) >= model.position
            assert bool(reader.got) == bool(model.position)
        elif model.landed:
            assert reader.error is None
            assert reader.answer is self.real[flight].answer
            assert reader.answer is not None
            assert reader.got == had
            name = (
                "exact" if isinstance(self.real[flight].source, Exact) else "fresh" if model.led else "joined"
            )
            assert reader.seat.outcome.name == name
        else:
            assert not reader.over
            assert reader.got == had

    @invariant()
    def memory_is_accounted_for_and_bounded(self) -> None:
        if not hasattr(self, "flights"):
            return
        held: dict[Log, list[Seat]] = {real.log: [] for flight, real in self.real.items() if flight.running}
        for pair in self.pairs:
            if pair.aboard:
                held.setdefault(pair.reader.seat._log, []).append(pair.reader.seat)
        assert self.memory.used_bytes == sum(log.size_bytes for log in held)
        for log, seats in held.items():
            assert log.size_bytes == sum(len(chunk.fields) + 160 for chunk in log._chunks)
            assert log.overfull or not log._dropped
            assert log.overfull or log.size_bytes <= self.memory.max_bytes_each
            current = log in {real.log for real in self.real.values()}
            if log.overfull and current and not any(seat._flight.answer for seat in seats):
                slowest = min((seat.position for seat in seats if seat.events), default=len(log))
                assert log._dropped == slowest

    def teardown(self) -> None:
        if hasattr(self, "flights"):
            self._drain(0.0)
            for pair in self._some(lambda pair: pair.aboard):
                self._in_loop(lambda reader=pair.reader: self._part(reader, "leave"))
                self.sky.leave(pair.flight, pair.model)
            self.loop.settle()
            for attempt in self.attempts:
                attempt.flight.trim()
            assert self.memory.used_bytes == 0
            assert not self.flights._table
            assert not self.flights.running
            assert not asyncio.all_tasks(self.loop)
            assert not [timer for timer in self.loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        for what in self.sky.seen:
            event(what)
        type(self).reached.update(self.sky.seen)
        asyncio.set_event_loop(None)
        self.loop.close()


def _pick(things: Sequence[T], which: int) -> T:
    return things[-1 - which % len(things)]


EVERYWHERE = {
    "late joiner", "leader leaves others", "newcomer while lingering", "cancelled after lingering", "lands for nobody",
    "hit-for-miss", "not joinable", "no longer trusted", "ends after its successor has started", "overfull",
    "events of a plain answer", "followed", "not to be followed yet", "broken down", "drained in the air",
    "deadline mid-stream", "deadline before the first byte", "rests for Retry-After", "lead passed on while resting",
    *(f"{sharing} {when}" for sharing in Sharing for when in ("mid-stream", "before the first byte")),
    *(f"handed over after {sharing} {when}" for sharing in (Sharing.TRANSIENT, Sharing.PERSONAL)
      for when in ("mid-stream", "before the first byte")),
}  # fmt: skip
"""Where the histories must have gone, all together."""


_ROUNDS = 6


def test_flights_keep_their_promises_through_random_histories() -> None:
    """Whatever happens in whatever order: everybody gets the one whole answer, or the failure that concerns it.

    What a seed leads to depends on which modules are loaded, as Hypothesis takes constants from them. So further rounds are
    played until the histories have been everywhere.
    """
    InflightMachine.reached.clear()
    for number in range(_ROUNDS):
        with structlog.testing.capture_logs():
            run_state_machine_as_test(
                seed(number)(InflightMachine),
                settings=settings(
                    max_examples=150,
                    stateful_step_count=40,
                    deadline=None,
                    derandomize=True,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        missed = EVERYWHERE - set(InflightMachine.reached)
        if not missed:
            return
    raise AssertionError(f"never reached: {sorted(missed)}")
