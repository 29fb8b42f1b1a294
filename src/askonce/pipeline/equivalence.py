"""What a flight does about equivalent questions: lands on their answers, follows their flights, or learns from its own.

The semantic tier decides, this acts: on stored answers, on other flights, and on what becomes of the question itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal
from askonce.model import Fresh, Semantic, SemanticMode
from askonce.pipeline.stored import cache_key, semantic, young_enough

if TYPE_CHECKING:
    from askonce.model import Question, Request
    from askonce.pipeline.audit import Auditor
    from askonce.pipeline.budgets import Budgets
    from askonce.pipeline.decision import Decision, Finding
    from askonce.pipeline.flight import Flight, Seat
    from askonce.pipeline.inflight import Flights
    from askonce.pipeline.links import Links
    from askonce.pipeline.semantic import SemanticTier
    from askonce.ports import Clock, Store

__all__ = ["Equivalence"]

_EQUIVALENTS: Final = b"equivalents"
"""With the feature's name, ends the keys of flights that may land on an equivalent answer. Features share keys, but not
the bar that such an answer has to clear: nobody must get one by joining that wouldn't have got it alone."""


class Equivalence:
    """Equivalent answers for flights, as far as each feature's budget allows."""

    def __init__(
        self,
        tier: SemanticTier,
        *,
        budgets: Budgets,
        links: Links,
        audits: Auditor,
        store: Store,
        clock: Clock,
    ) -> None:
        self._tier = tier
        self._budgets = budgets
        self._links = links
        self._audits = audits
        self._store = store
        self._clock = clock

    def flight_key(self, request: Request, key: bytes) -> bytes:
        """The key of a request's flight: those that may end up with an equivalent answer are apart from the others."""
        apart = request.ask.text is not None and self._serves(request)
        return _own_key(key, request.policy.feature) if apart else key

    async def land(self, flight: Flight, flights: Flights, request: Request) -> bool:
        """Lands a flight on an equivalent answer; False where there is none, or none may be served."""
        if not self._concerns(request):
            return False
        if not self._serves(request):
            self._tier.in_background(self._shadow(flight, request))
            return False
        finding = await self._tier.find(request)
        for match in finding.matches:
            if await self._land_on(match, flight, flights, request):
                return True
        self._announce(flight, finding, "match-gone")
        return False

    def unserved(self, request: Request) -> None:
        """A caller is served an answer that is nobody else's: one more request among which hits are counted."""
        if self._concerns(request):
            self._budgets.missed(request.policy.feature)

    def settle(self, flight: Flight, flights: Flights) -> None:
        """Once the upstream has been asked: a question whose answer was kept can be found, any other can't."""
        question = flight.question
        if question is None:
            return
        kept = self._store.peek(question.key)
        if kept is None:
            others = (key for key in self._running(question.key) if key != flight.key)
            if not any(key in flights for key in others):
                self._tier.forget(question.key)
        elif kept.link is None and not _is_announced(flight, question):
            self._tier.add(question)

    def learn(self, flight: Flight, request: Request) -> None:
        """A fresh answer tells whether the likeliest candidate's would have been right."""
        if flight.candidates and flight.answer is not None and not flight.erased:
            self._audits.compare(request, flight.candidates, flight.answer)
            flight.candidates = ()

    def joins(self, key: bytes, flights: Flights, request: Request) -> bool:
        """Whether a request may wait for the answer to an equivalent question, which is under way."""
        policy = request.policy
        waits = policy.inflight and not policy.only_if_cached
        return waits and any(one in flights for one in self._running(key))

    async def _land_on(self, match: Decision, flight: Flight, flights: Flights, request: Request) -> bool:
        """Lands on one answer, stored or under way; False where it is gone."""
        readable = cache_key(request) is not None
        stored = await self._store.get(match.key) if readable else None
        now = self._clock.now()
        if stored is not None and young_enough(stored.entry, request, now):
            if not flight.erased:
                self._links.made(request, match, stored.entry)
            flight.land(stored.entry.answer, semantic(stored.entry, match.probability, match.reason, now))
            return True
        running = self._running(match.key)
        if request.policy.inflight and not request.policy.only_if_cached:
            for key in running:
                seat = flights.follow(key, request)
                if seat is not None:
                    return await self._follow(flight, seat, match)
        if readable and stored is None and not any(key in flights for key in running):
            self._tier.forget(match.key)
        return False

    async def _follow(self, flight: Flight, seat: Seat, match: Decision) -> bool:
        """Relays another flight's events; False where that flight failed before any."""
        source = flight.source
        self._links.remember(match, match.key)
        flight.source = Semantic(
            match.key, match.probability, joined=True, age_s=0, ttl_s=0, reason=match.reason
        )
        try:
            while chunks := await seat.read():
                flight.describe(None, seat.id_prefix, seat.model)
                for chunk in chunks:
                    flight.publish(chunk)
            answer, flight.call = await seat.answer(), seat.call
            flight.land(answer, flight.source)
        except Refusal:
            if len(flight.log):
                raise
            flight.source = source
            return False
        finally:
            seat.leave()
        return True

    async def _shadow(self, flight: Flight, request: Request) -> None:
        """Shadow mode: what would have been found, beside the upstream call that is made anyway."""
        finding = await self._tier.find(request)
        if flight.answer is None:
            self._announce(flight, finding, "shadow-match")
            return
        question = finding.question
        kept = self._store.peek(question.key) if question is not None else None
        # What isn't stored under the asked question may be another model's answer, which says nothing of this one's.
        if question is None or kept is None or kept.link is not None or kept.entry.answer != flight.answer:
            return
        self._store.put(kept.entry, question)
        self._tier.add(question)
        flight.candidates = finding.candidates
        self.learn(flight, request)

    def _announce(self, flight: Flight, finding: Finding, unserved: str) -> None:
        """Makes this question findable for others while its answer is under way, and says why it is asked.

        `unserved` is the reason where there was a match.
        """
        if flight.erased:
            return
        flight.question, flight.candidates = finding.question, finding.candidates
        if finding.question is not None and _is_announced(flight, finding.question):
            self._tier.add(finding.question)
        if finding.decisions and isinstance(flight.source, Fresh) and not flight.told_at:
            flight.source = Fresh(unserved if finding.matches else finding.reason)

    def _running(self, key: bytes) -> list[bytes]:
        """The keys of flights, whichever feature's, that others may follow for a question."""
        return [_own_key(key, feature) for feature in self._budgets.features]

    def _concerns(self, request: Request) -> bool:
        return request.policy.read and request.policy.store and self._tier.applies(request)

    def _serves(self, request: Request) -> bool:
        return self._budgets.mode(request.policy) is SemanticMode.ON


def _is_announced(flight: Flight, question: Question) -> bool:
    """Whether others may follow a flight for its question: those that serve equivalents follow only each other."""
    return flight.key is not None and flight.key.startswith(question.key + _EQUIVALENTS)


def _own_key(key: bytes, feature: str) -> bytes:
    return key + _EQUIVALENTS + feature.encode()
