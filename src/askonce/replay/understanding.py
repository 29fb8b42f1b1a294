"""Takes a log's requests in, one by one, as the gateway would understand them, and remembers a few numbers of each."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

import numpy as np

from askonce.errors import Refusal
from askonce.model import Usage
from askonce.replay.latency import ASSUMED, fitted
from askonce.replay.traffic import Kind, Question, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from askonce.model import Ask
    from askonce.replay.arrival import Arrival
    from askonce.replay.latency import LatencyModel
    from askonce.replay.rules import Rules

__all__ = ["understand"]

_NONE: Final = -1
_LONGEST_TEXT: Final = 4_096
"""What is longer, the packaged embedder doesn't take."""
_BYTES_A_TOKEN: Final = 4
_USUAL_COMPLETION_TOKENS: Final = 200.0
_UNNAMED: Final = "-"
_NANOUSD: Final = 1e9


class _Names:
    """Numbers for names, in order of appearance."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))


class _Understanding:
    """Takes arrivals in, one by one, and remembers of each a few numbers.

    Args:
        rules: The gateway's.
        refuse: Told why the gateway would refuse a request.
    """

    def __init__(self, rules: Rules, refuse: Callable[[str], None]) -> None:
        self._rules = rules
        self._refuse = refuse
        self._keys: dict[bytes, int] = {}
        self._kinds: dict[Kind, int] = {}
        self._questions: list[Question] = []
        self._question_of: dict[int, int] = {}
        self._partitions: dict[bytes, int] = {}
        self._features, self._tenants, self._models = _Names(), _Names(), _Names()
        self._answers: dict[int, int] = {}
        self._numbers = {name: array("i") for name in ("kind", "tenant", "model", "answer")}
        self._measures = {
            name: array("d")
            for name in ("at", "duration_s", "cost_usd", "prompt", "completion", "cached", "guess")
        }
        self._failed = bytearray()
        self._unshared: dict[str, int] = {}
        self._unmatched: dict[str, int] = {}
        self._moved = 0
        for name in rules.policies:
            self._features.number(name)

    def add(self, arrival: Arrival) -> None:
        """Takes one request in, or has it refused as the gateway would."""
        feature = self._rules.feature(arrival.tenant, arrival.feature)
        feature_number = self._features.number(feature)
        try:
            ask = self._rules.understand(arrival.tenant, feature, arrival.endpoint, arrival.body)
        except Refusal as refusal:
            self._refuse(f"the gateway would refuse it: {refusal.code}")
            return
        self._moved += arrival.feature not in ("", feature)
        numbers, measures, usage = self._numbers, self._measures, arrival.usage
        numbers["kind"].append(self._kind(ask, feature_number))
        numbers["tenant"].append(self._tenants.number(arrival.tenant or _UNNAMED))
        numbers["model"].append(self._models.number(ask.route.model))
        numbers["answer"].append(self._answer(arrival.answer))
        measures["at"].append(arrival.at)
        measures["duration_s"].append(_or_nan(arrival.duration_s))
        measures["cost_usd"].append(_or_nan(arrival.cost_usd))
        measures["prompt"].append(usage.prompt_tokens if usage else -len(arrival.body) / _BYTES_A_TOKEN)
        measures["completion"].append(usage.completion_tokens if usage else float("nan"))
        measures["cached"].append(usage.cached_tokens if usage else 0)
        measures["guess"].append(
            len(arrival.answer.encode("utf-8", "replace")) if arrival.answer else float("nan")
        )
        self._failed.append(arrival.failed)

    def finish(self, declared: LatencyModel | None) -> Traffic:
        """All requests in order of arrival; `declared` counts before what can be fitted."""
        measures = {name: np.frombuffer(column, np.float64) for name, column in self._measures.items()}
        order = np.argsort(measures["at"], kind="stable")
        numbers = {name: np.frombuffer(column, np.int32)[order] for name, column in self._numbers.items()}
        measures = {name: column[order] for name, column in measures.items()}
        known = self._known(measures, numbers)
        latency = declared or fitted(measures["duration_s"], measures["completion"]) or ASSUMED
        completion = _completion(measures)
        prompt = np.abs(measures["prompt"])  # estimates were put down as negative
        failed = np.frombuffer(bytes(self._failed), np.bool_)[order]
        kinds, questions = _in_order(list(self._kinds), self._questions, numbers["kind"])
        durations_s = measures["duration_s"]
        durations_s = np.where(np.isnan(durations_s), latency.seconds(completion), durations_s)
        return Traffic(
            at=measures["at"],
            kind=numbers["kind"],
            tenant=numbers["tenant"],
            model=numbers["model"],
            duration_s=durations_s,
            cost_nanousd=np.where(
                failed, 0, self._costs(measures, numbers["model"], np.stack((prompt, completion)))
            ),
            tokens=prompt + completion,
            answer=numbers["answer"],
            failed=failed,
            kinds=kinds,
            questions=questions,
            keys=len(self._keys),
            features=list(self._features.numbers),
            tenants=list(self._tenants.numbers),
            models=list(self._models.numbers),
            unshared=self._unshared,
            unmatched=self._unmatched,
            latency=latency,
            known=known,
        )

    def _kind(self, ask: Ask, feature: int) -> int:
        key = question = _NONE
        if ask.exact_key is None:
            self._unshared[ask.unshared] = self._unshared.get(ask.unshared, 0) + 1
        else:
            key = self._keys.setdefault(ask.exact_key, len(self._keys))
        if ask.text is None or ask.partition is None or len(ask.text) > _LONGEST_TEXT:
            reason = ask.unmatched or ask.unshared or "text-too-long"
            self._unmatched[reason] = self._unmatched.get(reason, 0) + 1
        elif key != _NONE:
            question = self._question_of.get(key, len(self._questions))
        kind = Kind(key, feature, not ask.hot, ask.joinable, question)
        place = self._kinds.setdefault(kind, len(self._kinds))
        if question == len(self._questions) and ask.text is not None and ask.partition is not None:
            partition = self._partitions.setdefault(ask.partition, len(self._partitions))
            self._questions.append(Question(key, place, partition, ask.text, ask.turns))
            self._question_of[key] = question
        return place

    def _answer(self, text: str | None) -> int:
        """Equal but for case, spacing and a closing mark is the same answer."""
        if text is None:
            return _NONE
        plain = hash(" ".join(text.casefold().split()).rstrip(" .!"))
        return self._answers.setdefault(plain, len(self._answers))

    def _known(
        self, measures: dict[str, NDArray[np.float64]], numbers: dict[str, NDArray[np.int32]]
    ) -> dict[str, float]:
        unnamed = self._tenants.numbers.get(_UNNAMED, _NONE)
        count = max(1, len(measures["at"]))
        found = {
            "duration": np.isfinite(measures["duration_s"]),
            "usage": measures["prompt"] >= 0,
            "cost": np.isfinite(measures["cost_usd"]),
            "answer": numbers["answer"] != _NONE,
            "tenant": numbers["tenant"] != unnamed,
        }
        shares = {name: float(column.sum()) / count for name, column in found.items()}
        return {**shares, "feature": 1 - self._moved / count}

    def _costs(
        self, measures: dict[str, NDArray[np.float64]], model: NDArray[np.int32], tokens: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """By the price table; what the log says where that has no price."""
        costs = np.full(len(model), _NONE, np.int64)
        names = list(self._models.numbers)
        priced = [self._rules.cost_nanousd(name, Usage(1, 1)) is not None for name in names]
        said = measures["cost_usd"]
        cached, cost_of = measures["cached"], self._rules.cost_nanousd
        for place, (one, prompt, completion) in enumerate(zip(model.tolist(), *tokens.tolist(), strict=True)):
            if priced[one]:
                usage = Usage(round(prompt), round(completion), int(cached[place]))
                costs[place] = cost_of(names[one], usage) or 0
            elif np.isfinite(said[place]):
                costs[place] = round(said[place] * _NANOUSD)
        return costs


def understand(
    arrivals: Iterable[Arrival],
    rules: Rules,
    refuse: Callable[[str], None],
    declared: LatencyModel | None = None,
) -> Traffic:
    """All of a log's requests, as the gateway would understand them; see `Traffic`."""
    understanding = _Understanding(rules, refuse)
    for arrival in arrivals:
        understanding.add(arrival)
    return understanding.finish(declared)


def _in_order(
    kinds: Sequence[Kind], questions: Sequence[Question], kind: NDArray[np.int32]
) -> tuple[list[Kind], list[Question]]:
    """Numbers questions by when they were first asked: logs may be in any order."""
    first = np.full(len(questions), len(kind), np.int64)
    present, places = np.unique(kind, return_index=True)
    for number, place in zip(present.tolist(), places.tolist(), strict=True):
        question = kinds[number].question
        if question != _NONE:
            first[question] = min(first[question], place)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    renumbered = [
        one if one.question == _NONE else one._replace(question=int(rank[one.question])) for one in kinds
    ]
    return renumbered, [questions[place] for place in order.tolist()]


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _completion(measures: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Completion tokens: as logged, else the answer's bytes by four, else the log's mean."""
    logged, guessed = measures["completion"], measures["guess"] / _BYTES_A_TOKEN
    found = np.where(np.isnan(logged), guessed, logged)
    known = ~np.isnan(found)
    mean = float(found[known].mean()) if known.any() else _USUAL_COMPLETION_TOKENS
    return np.where(known, found, mean)
