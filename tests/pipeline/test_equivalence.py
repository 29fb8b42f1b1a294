"""What flights do about equivalent questions, with a tier that is told what to find."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from askonce.errors import Sharing
from askonce.model import Entry, Question, SemanticMode
from askonce.pipeline.decision import Decision, Finding
from askonce.pipeline.equivalence import Equivalence
from askonce.trace import Trace
from fakes import FakeClock, FakeStore, request
from pipeline.airport import ANSWER, Airport, chunk, failure, taken

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from askonce.model import Answer, Request
    from askonce.pipeline.flight import Flight, Seat

A, B = b"a" * 32, b"b" * 32
EVIDENCE = np.zeros(1, np.float32)
CALL = Trace(1, 2, 3, sampled=True)


class Tier:
    """Finds what was announced under A for B, and nothing for anything else."""

    def __init__(self) -> None:
        self.found: dict[bytes, Question] = {}
        self.slowness = 0
        self.tasks: list[asyncio.Future[None]] = []

    def applies(self, asked: Request) -> bool:
        return asked.policy.semantic is not SemanticMode.OFF

    async def find(self, asked: Request) -> Finding:
        for _ in range(self.slowness):
            await asyncio.sleep(0)
        key = asked.ask.exact_key or b""
        question = Question(key, b"p", "?", "e", np.ones(2, np.float32), None, key)
        match = Decision(key, A, A, 0.99, 0.9, "match", vetoed=False, evidence=EVIDENCE)
        return Finding((match,) if key == B and A in self.found else (), "match", question)

    def add(self, question: Question) -> None:
        self.found[question.key] = question

    def forget(self, key: bytes) -> None:
        self.found.pop(key, None)

    def in_background(self, work: Coroutine[object, object, None]) -> None:
        self.tasks.append(asyncio.ensure_future(work))


class Budgets:
    """Two features, both of which serve."""

    features = ("loose", "strict")
    told = SemanticMode.ON

    def mode(self, _: object) -> SemanticMode:
        return self.told


class Links:
    """Links and audits: notes what was made, and what is to be compared."""

    def __init__(self) -> None:
        self.remembered: list[bytes] = []
        self.compared: list[tuple[bytes, Answer]] = []

    def made(self, _: Decision, entry: Entry) -> None:
        self.remembered.append(entry.key)

    def remember(self, _: Decision, entry: bytes) -> None:
        self.remembered.append(entry)

    def compare(self, _: Request, candidates: tuple[Decision, ...], fresh: Answer) -> None:
        self.compared.append((candidates[0].key, fresh))


class House:
    """Flights that ask the upstream for as long as the gate is shut, unless they land on an equivalent answer."""

    def __init__(self) -> None:
        parts: Any = (Tier(), Budgets(), Links())
        self.tier, self.budgets, self.links = parts
        self.store = FakeStore(FakeClock())
        self.equivalence = Equivalence(
            self.tier,
            budgets=self.budgets,
            links=self.links,
            audits=parts[2],
            store=self.store,
            clock=FakeClock(),
        )
        self.gates = {feature: asyncio.Event() for feature in Budgets.features}
        self.broken: set[str] = set()
        self.airport = Airport(self._fly)

    async def _fly(self, flight: Flight, _: int) -> None:
        asked = flight.lead.request
        flight.asked_at = 0.0  # the airport says so for all
        if await self.equivalence.land(flight, self.airport.flights, asked):
            return
        flight.asked_at = 1.0
        try:
            await self.gates[asked.policy.feature].wait()
            if asked.policy.feature in self.broken:
                raise failure(Sharing.FATAL)
            flight.call = CALL
            flight.publish(chunk("hi"))
            flight.land(ANSWER, flight.source)
        finally:
            flight.candidates = ()
            self.equivalence.settle(flight, self.airport.flights)

    def board(self, key: bytes, feature: str, *, stream: bool = True) -> Seat:
        asked = request(key, stream=stream, semantic=SemanticMode.ON, feature=feature)
        asked = asked._replace(ask=asked.ask._replace(text="?", partition=b"p"))
        return self.airport.board(asked, self.equivalence.flight_key(asked, key))

    def take(self, key: bytes, feature: str) -> asyncio.Task[Any]:
        return asyncio.ensure_future(taken(self.board(key, feature)))

    async def pass_time(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


async def test_features_with_bars_of_their_own_do_not_share_a_flight() -> None:
    """What one feature's budget allows isn't served to another's callers because they asked at the same time."""
    house = House()
    for feature in ("loose", "loose", "strict"):
        house.take(A, feature)
    assert len(house.airport.flights._tasks) == 2
    for gate in house.gates.values():
        gate.set()
    await house.pass_time()


async def test_a_flight_is_followed_across_features() -> None:
    """Each by its own decision: one call for both, and what was decided is known to those who judge it."""
    house = House()
    first = house.take(A, "loose")
    await house.pass_time()
    second = house.take(B, "strict")
    await house.pass_time()
    house.gates["loose"].set()
    assert await first == await second == "hi"
    assert house.links.remembered == [A]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_follower_knows_the_call_that_answers_it(stream: bool) -> None:  # noqa: FBT001
    """Its own flight made none: what is told of it points to the other flight's."""
    house = House()
    first = house.take(A, "loose")
    await house.pass_time()
    seat = house.board(B, "strict", stream=stream)
    await house.pass_time()
    house.gates["loose"].set()
    await seat.answer()
    assert seat.call == CALL
    seat.leave()
    assert await first == "hi"


async def test_a_question_stays_findable_while_another_flight_answers_it() -> None:
    """One feature's call fails, the other's is still under way: its question can be followed, and is forgotten at last."""
    house = House()
    flights = {feature: house.take(A, feature) for feature in Budgets.features}
    await house.pass_time()
    house.broken.add("loose")
    house.gates["loose"].set()
    assert await flights["loose"] == "boom"
    assert A in house.tier.found
    follower = house.take(B, "loose")
    await house.pass_time()
    house.gates["strict"].set()
    assert await flights["strict"] == await follower == "hi"
    await house.pass_time()
    assert A not in house.tier.found


@pytest.mark.parametrize("own", [True, False])
async def test_a_shadow_that_comes_late_learns_from_the_asked_models_answer_alone(own: bool) -> None:  # noqa: FBT001
    """The flight has landed before its question was embedded: by its own upstream, or by one that stood in."""
    house = House()
    house.budgets.told = SemanticMode.SHADOW
    house.tier.slowness = 20
    house.tier.found[A] = Question(A, b"p", "?", "e", None, None, A)
    if own:
        house.store.put(Entry(B, ANSWER, 0, 9e9, "t", "loose", "m"), None)
    house.gates["loose"].set()
    assert await house.take(B, "loose") == "hi"
    await asyncio.gather(*house.tier.tasks)
    assert house.links.compared == ([(A, ANSWER)] if own else [])
    assert (B in house.tier.found) == own
