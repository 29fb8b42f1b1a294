"""A log played against the layers, request by request in order of arrival, with no upstream and no clock.

Follows `gateway.answer` and `gateway._fly`: a stored answer, a seat on a running flight, an equivalent answer, else a
call. Looking takes no time; calls take theirs.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.matching.budget import audit_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from askonce.replay.meaning import Meaning
    from askonce.replay.scenario import FeatureRules
    from askonce.replay.traffic import Kind, Traffic

__all__ = ["Played", "Served", "play"]

_NEVER: Final = -1.0
_NOBODY: Final = -1
_CERTAIN: Final = 1.0
_TOLD_EVERY: Final = 8_192


class Served(IntEnum):
    """How a request was answered; named as the gateway's outcomes."""

    FRESH = 0
    BYPASS = 1
    JOINED = 2
    EXACT = 3
    SEMANTIC = 4
    SEMANTIC_JOINED = 5

    @property
    def word(self) -> str:
        """The gateway's word for it."""
        return self.name.lower().replace("_", "-")


class Played(NamedTuple):
    """What became of each request.

    Attributes:
        served: A `Served` for each request, (n,).
        wait_s: How long each waited for an answer of another's call; 0 for the others, (n,).
        source: For semantic hits the place of the request whose call answered; -1 for the others, (n,).
        unlooked: Requests that the semantic tier would have been asked about, but for the sample, (n,).
    """

    served: NDArray[np.uint8]
    wait_s: NDArray[np.float32]
    source: NDArray[np.int32]
    unlooked: NDArray[np.bool_]


def play(
    traffic: Traffic,
    rules: Sequence[FeatureRules],
    meaning: Meaning | None,
    advance: Callable[[int], None] = lambda _: None,
) -> Played:
    """Plays all requests from an empty store. The same arguments give the same result.

    Args:
        traffic: The log.
        rules: Each feature's.
        meaning: The semantic tier's word; None plays without one.
        advance: Told how many requests were played since it was last told.
    """
    world = _World(traffic, rules, meaning)
    at, kinds, durations_s = traffic.at.tolist(), traffic.kind.tolist(), traffic.duration_s.tolist()
    failed = traffic.failed.tolist()
    answer = world.answer
    for place, (now, kind, duration_s, fails) in enumerate(zip(at, kinds, durations_s, failed, strict=True)):
        answer(place, now, kind, 0.0 if fails else duration_s, fails)
        if place % _TOLD_EVERY == 0:
            advance(_TOLD_EVERY if place else 0)
    return world.played()


class _World:
    """What is stored, and what is under way.

    An entry is `[since, until)` by key; a flight lands at `lands` and belongs to a kind: features share entries, but not
    flights that may land on an equivalent answer.
    """

    def __init__(self, traffic: Traffic, rules: Sequence[FeatureRules], meaning: Meaning | None) -> None:
        count, keys, kinds, questions = len(traffic), traffic.keys, len(traffic.kinds), len(traffic.questions)
        self._kinds: Sequence[Kind] = traffic.kinds
        self._questions = traffic.questions
        self._rules = rules
        self._meaning = meaning
        self._since, self._until = [_NEVER] * keys, [_NEVER] * keys
        self._asked_for = [_NOBODY] * keys
        self._slots = _slots(traffic.kinds, rules)
        self._began, self._lands = [_NEVER] * kinds, [_NEVER] * kinds
        self._findable = bytearray(questions)
        self._linked: dict[int, tuple[int, float, float]] = {}
        self._answers = traffic.answer.tolist()
        self._hits = [0] * len(rules)
        self._to_audit = [0.0] * len(rules)
        self._served = bytearray(count)
        self._wait_s = np.zeros(count, np.float32)
        self._source = np.full(count, _NOBODY, np.int32)
        self._unlooked = bytearray(count)

    def played(self) -> Played:
        return Played(
            np.frombuffer(bytes(self._served), np.uint8),
            self._wait_s,
            self._source,
            np.frombuffer(bytes(self._unlooked), np.bool_),
        )

    def answer(self, place: int, now: float, number: int, duration_s: float, fails: bool) -> None:  # noqa: FBT001 - a million times
        kind = self._kinds[number]
        key, feature, readable, joinable, question = kind
        if key < 0:
            self._served[place] = Served.BYPASS
            return
        rule = self._rules[feature]
        stored = readable and rule.exact
        if stored and self._since[key] <= now < self._until[key]:
            self._served[place] = Served.EXACT
            return
        if stored and question >= 0 and self._by_link(place, now, number, rule):
            return
        slot = self._slots[number]
        if rule.inflight and self._lands[slot] > now:
            if not joinable or now - self._began[slot] >= rule.longest_flight_s:
                self._served[place] = Served.FRESH if readable else Served.BYPASS
                return
            self._served[place] = Served.JOINED
            self._wait_s[place] = self._lands[slot] - now
            return
        if question >= 0 and rule.semantic and self._by_meaning(place, now, number, rule):
            return
        self._served[place] = Served.FRESH if readable else Served.BYPASS
        self._began[slot], self._lands[slot] = now, now + duration_s
        if stored and not fails:
            landing, pending = now + duration_s, self._since[key]
            self._since[key] = pending if now < pending < landing else landing
            self._until[key] = landing + rule.ttl_s
            self._asked_for[key] = place
        if (
            question >= 0
            and rule.semantic
            and not fails
            and self._meaning is not None
            and self._meaning.plays(question)
        ):
            self._asked_for[key] = place
            self._findable[question] = True
            self._meaning.added(question)

    def _by_link(self, place: int, now: float, number: int, rule: FeatureRules) -> bool:
        """A question that was answered by another's entry before is answered by it again, as long as that is there."""
        question = self._kinds[number].question
        link = self._linked.get(question)
        if link is None or self._meaning is None or not rule.semantic:
            return False
        target, until, probability = link
        if now >= until or not self._meaning.clears(question, probability, rule.threshold):
            return False
        self._serve(place, number, target)
        return True

    def _by_meaning(self, place: int, now: float, number: int, rule: FeatureRules) -> bool:
        """An equivalent answer, stored or under way; what turns out to be gone isn't found again."""
        kind, meaning = self._kinds[number], self._meaning
        if meaning is None:
            return False
        question = kind.question
        if not meaning.plays(question):
            self._unlooked[place] = True
            return False
        for target in meaning.likely(question, self._findable, rule.threshold, rule.floor):
            key = self._questions[target].key
            answering = self._stored(target, now) if rule.exact and kind.readable else None
            if answering is not None:
                until = self._until[self._questions[answering].key]
                self._linked[question] = answering, until, meaning.probability(question, target)
                self._serve(place, number, answering)
                return True
            other, slot = self._slots[self._questions[target].kind], self._slots[number]
            if rule.inflight and now < self._lands[other]:
                self._served[place] = Served.SEMANTIC_JOINED
                self._source[place] = self._asked_for[key]
                self._wait_s[place] = self._lands[other] - now
                self._began[slot], self._lands[slot] = now, self._lands[other]
                return True
            self._findable[target] = False
        return False

    def _stored(self, question: int, now: float) -> int | None:
        """The question whose entry answers this one: its own, or the one that it is linked to; None where there is none."""
        key = self._questions[question].key
        if self._since[key] <= now < self._until[key]:
            return question
        link = self._linked.get(question)
        return link[0] if link is not None and now < link[1] else None

    def _serve(self, place: int, number: int, target: int) -> None:
        """Serves another question's stored answer. What an audit confirms can be found itself, and its link is certain."""
        self._served[place] = Served.SEMANTIC
        source = self._source[place] = self._asked_for[self._questions[target].key]
        if self._is_audited(number) and self._answers[place] == self._answers[source] >= 0:
            question = self._kinds[number].question
            _, until, _ = self._linked[question]
            self._linked[question] = target, until, _CERTAIN
            self._findable[question] = True
            if self._meaning is not None:
                self._meaning.added(question)

    def _is_audited(self, number: int) -> bool:
        """As many hits as the gateway would draw, at even distances: chance would make two runs differ."""
        feature = self._kinds[number].feature
        self._hits[feature] += 1
        before = self._to_audit[feature]
        self._to_audit[feature] += audit_share(self._rules[feature].audit_share, self._hits[feature])
        return int(self._to_audit[feature]) > int(before)


def _slots(kinds: Sequence[Kind], rules: Sequence[FeatureRules]) -> list[int]:
    """Where each kind's flight is: its own place where it may land on an equivalent answer, else its key's first kind's."""
    first: dict[int, int] = {}
    return [
        number if kind.question >= 0 and rules[kind.feature].semantic else first.setdefault(kind.key, number)
        for number, kind in enumerate(kinds)
    ]
