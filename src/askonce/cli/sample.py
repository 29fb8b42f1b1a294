"""The packaged sample of `askonce demo`: support questions with known answers, and traffic made of them."""

from __future__ import annotations

import importlib.resources
import json
import math
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Intent", "PlannedRequest", "Sample", "load_sample", "normalised", "traffic", "write_answers"]

_FILE: Final = "support.jsonl"
_SPAN_S: Final = 12.0
_MOST_PER_SECOND: Final = 100.0
_ZIPF_EXPONENT: Final = 0.8
_REPEAT_PROBABILITY: Final = 0.55
"""Of a single request; waves and the first seconds, which can't repeat, bring it down to about 35 % of all."""
_RETYPE_PROBABILITY: Final = 0.15
_REPEAT_AFTER_S: Final = 1.5
_WAVE_PROBABILITY: Final = 0.05
_WAVE_SIZES: Final = (2, 12)
_WAVE_SPREAD_S: Final = 0.004
_STREAM_PROBABILITY: Final = 0.4
_BURST_SPEED: Final = 6.0
_BURST_BEGINS: Final = 0.04
_BURST_ENDS: Final = 0.08


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that people want to know.

    Attributes:
        name: Unique in the sample.
        group: The look-alike group: its intents differ in one decisive thing; "" where nothing looks alike.
        answer: The right answer to every one of `questions`, and to no other question of the sample.
        questions: Wordings of the same question.
    """

    name: str
    group: str
    answer: str
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """The questions and the truth about them.

    Attributes:
        intents: In the file's order.
        by_question: Normalised question → name of its intent.
        by_answer: Answer → name of its intent.
        answers: Name of an intent → its answer.
    """

    intents: tuple[Intent, ...]
    by_question: Mapping[str, str]
    by_answer: Mapping[str, str]
    answers: Mapping[str, str]

    def intent_of(self, question: str) -> str | None:
        """The intent that a question of the sample belongs to, whatever its case and white space."""
        return self.by_question.get(normalised(question))

    def is_right(self, intent: str, answer_text: str) -> bool:
        """Whether `answer_text` is, but for white space around it, the answer to that intent's questions.

        Raises:
            KeyError: the sample has no such intent.
        """
        return answer_text.strip() == self.answers[intent]


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request of the traffic.

    Attributes:
        at_s: When it is sent, in seconds from the start.
        question: The user's message.
        intent: Name of the intent whose answer is the right one.
        stream: Whether the caller wants events.
    """

    at_s: float
    question: str
    intent: str
    stream: bool


def normalised(question: str) -> str:
    """The question without differences of case and white space."""
    return " ".join(question.casefold().split())


def load_sample() -> Sample:
    """Reads the packaged sample.

    Raises:
        ValueError: two intents share a name, an answer or a question, so that there is no single truth.
    """
    text = importlib.resources.files("askonce.data").joinpath(_FILE).read_text(encoding="utf-8")
    intents = tuple(_intent(line) for line in text.splitlines())
    return Sample(
        intents=intents,
        by_question=_unambiguous((normalised(text), one.name) for one in intents for text in one.questions),
        by_answer=_unambiguous((one.answer, one.name) for one in intents),
        answers=_unambiguous((one.name, one.answer) for one in intents),
    )


def _intent(line: str) -> Intent:
    row = json.loads(line)
    return Intent(row["intent"], row.get("group", ""), row["answer"].strip(), tuple(row["questions"]))


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} is in the sample twice")
        found[key] = value
    return found


def traffic(sample: Sample, seed: int, requests: int) -> list[PlannedRequest]:
    """Plans a burst of traffic, the same for the same seed, ordered by time.

    Popularity falls with rank as in Zipf's law, and look-alikes have neighbouring ranks, so that a question and
    its opposite are both popular or both rare. About 35 % of the requests repeat, to the letter, a question of at
    least 1.5 s before (more once every wording of the sample was asked), and some more repeat it as another person
    would type it: other case and punctuation, a greeting, a please. One arrival in twenty is a wave: 2 to 12
    requests of one question within 4 ms, most of them identical. About 40 % are streams. Gaps between arrivals are exponential and become six
    times shorter in bursts; all of it takes 12 s, or longer where that would exceed 100 requests a second.

    Args:
        sample: What can be asked.
        seed: Other seeds give other popularity, wordings and times.
        requests: Length of the plan.
    """
    dice = random.Random(seed)  # noqa: S311 - traffic that anybody can play again, no secret
    sizes = _arrival_sizes(dice, requests)
    span_s = max(_SPAN_S, requests / _MOST_PER_SECOND)
    asked = _Questions(sample, dice)
    plan: list[PlannedRequest] = []
    for size, at_s in zip(sizes, _arrival_times(dice, len(sizes), span_s), strict=True):
        chance = dice.random()
        repeat = size == 1 and chance < _REPEAT_PROBABILITY + _RETYPE_PROBABILITY
        question, intent = asked.next(at_s, repeat=repeat)
        if repeat and chance >= _REPEAT_PROBABILITY:
            question = _retyped(question, dice)
        for position in range(size):
            late_s = dice.uniform(0.0, _WAVE_SPREAD_S) if position else 0.0
            typed = _retyped(question, dice) if position and dice.random() < _RETYPE_PROBABILITY else question
            stream = dice.random() < _STREAM_PROBABILITY
            plan.append(PlannedRequest(at_s + late_s, typed, intent, stream))
    return sorted(plan, key=lambda planned: planned.at_s)


def _retyped(question: str, dice: random.Random) -> str:
    """The same words as another person would type them."""
    bare = question.rstrip("?.! ").removesuffix(" please")
    lower = bare[0].lower() + bare[1:] if bare[1:2].islower() else bare
    return dice.choice([lower, f"{lower} please?", f"Hi, {lower}?", f"Hello! {bare}?", f"{bare}? Thanks!"])


def write_answers(sample: Sample, plan: Iterable[PlannedRequest], path: Path) -> None:
    """Writes what the simulated upstream answers to each question of the sample and of a plan: the truth."""
    rows = {question: one.answer for one in sample.intents for question in one.questions}
    rows |= {planned.question: sample.answers[planned.intent] for planned in plan}
    lines = (json.dumps({"question": question, "answer": answer}) for question, answer in rows.items())
    path.write_text("\n".join(lines), encoding="utf-8")


def _arrival_sizes(dice: random.Random, requests: int) -> list[int]:
    """How many identical requests arrive together, arrival by arrival: `requests` in sum."""
    sizes: list[int] = []
    left = requests
    while left > 0:
        size = dice.randint(*_WAVE_SIZES) if dice.random() < _WAVE_PROBABILITY else 1
        sizes.append(min(size, left))
        left -= sizes[-1]
    return sizes


def _arrival_times(dice: random.Random, count: int, span_s: float) -> list[float]:
    """Ascending times from 0 to `span_s`: a Poisson process that is in a burst now and then."""
    times = [0.0] * count
    in_burst = False
    for position in range(1, count):
        in_burst = dice.random() >= _BURST_ENDS if in_burst else dice.random() < _BURST_BEGINS
        times[position] = times[position - 1] + dice.expovariate(_BURST_SPEED if in_burst else 1.0)
    scale = span_s / times[-1] if count > 1 else 1.0
    return [time * scale for time in times]


def _popularity(intents: Sequence[Intent], dice: random.Random) -> dict[str, float]:
    """Name of an intent → its weight, the look-alikes of a group next to one another in rank."""
    groups: dict[str, list[str]] = {}
    for intent in intents:
        groups.setdefault(intent.group or intent.name, []).append(intent.name)
    ranked = list(groups.values())
    dice.shuffle(ranked)
    names = [name for group in ranked for name in group]
    return {name: rank**-_ZIPF_EXPONENT for rank, name in enumerate(names, start=1)}


class _Questions:
    """Draws questions by the popularity of their intents, and remembers which were asked and when."""

    def __init__(self, sample: Sample, dice: random.Random) -> None:
        self._dice = dice
        self._weights = _popularity(sample.intents, dice)
        self._unasked = {one.name: dice.sample(one.questions, len(one.questions)) for one in sample.intents}
        self._recent: deque[tuple[float, str, str]] = deque()
        self._repeatable: dict[str, list[str]] = {}

    def next(self, at_s: float, *, repeat: bool) -> tuple[str, str]:
        """A question and its intent: a new wording, or an old one where asked for or where no other is left."""
        self._age(at_s - _REPEAT_AFTER_S if self._unasked else math.inf)
        if self._repeatable and (repeat or not self._unasked):
            intent = self._draw(self._repeatable)
            return self._dice.choice(self._repeatable[intent]), intent
        intent = self._draw(self._unasked)
        question = self._unasked[intent].pop()
        if not self._unasked[intent]:
            del self._unasked[intent]
        self._recent.append((at_s, question, intent))
        return question, intent

    def _age(self, before_s: float) -> None:
        while self._recent and self._recent[0][0] <= before_s:
            _, question, intent = self._recent.popleft()
            self._repeatable.setdefault(intent, []).append(question)

    def _draw(self, intents: Mapping[str, object]) -> str:
        names = list(intents)
        return self._dice.choices(names, [self._weights[name] for name in names])[0]
