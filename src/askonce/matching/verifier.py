"""Decides, from two questions and what is stored around them, how likely one's answer is right for the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from askonce.matching.aligner import closeness
from askonce.matching.analysis import analyse
from askonce.matching.guards import first_veto, pair_of
from askonce.matching.neighbourhood import Near, Neighbourhood, Record, neighbourhood
from askonce.matching.objections import objections
from askonce.matching.signals import Signals, signals
from askonce.matching.text import MAX_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.aligner import Aligner
    from askonce.matching.analysis import Analysis
    from askonce.matching.calibration import Calibration, Evidence
    from askonce.matching.vocabulary import Vocabulary
    from askonce.model import Tokens

__all__ = [
    "EVIDENCE",
    "Asked",
    "Candidate",
    "Crowd",
    "Judgement",
    "TokenVerifier",
    "Verifier",
    "forget_texts",
]

_UNHEARD: Final = Record()


@dataclass(frozen=True, slots=True)
class Asked:
    """The asked question."""

    text: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored or in-flight question near the asked one.

    Attributes:
        text: What was asked then.
        similarity: Cosine to the asked question, in [-1, 1].
        tokens: Its tokens.
        answer: The class of its answer: candidates with the same answer share it.
        record: What audits said of that answer.
    """

    text: str
    similarity: float
    tokens: Tokens
    answer: bytes
    record: Record = _UNHEARD


class Judgement(NamedTuple):
    """What there is to say of one candidate.

    Attributes:
        veto: Reason code of the guard that forbids the match, "" for none.
        doubt: Reason code of what speaks most against it without forbidding it, "" for nothing.
        evidence: What the last layer weighs, (len(EVIDENCE),) in the order of `EVIDENCE`.
    """

    veto: str
    doubt: str
    evidence: Evidence


class Verifier(Protocol):
    """The place of any verifier."""

    @property
    def calibration(self) -> Calibration:
        """The last layer that ships with it: evidence to probability."""
        ...

    def judge(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        crowd: Sequence[float] = (),
    ) -> list[Judgement]:
        """Judges each candidate, in the order given.

        Args:
            asked: The asked question.
            candidates: Its nearest neighbours within the partition, at least one, the nearest first.
            vocabulary: Word weights of the partition.
            crowd: Similarities of further neighbours whose answers are not known.
        """
        ...


class Crowd(NamedTuple):
    """How near the other questions of the partition are, whatever their answers; similarities as cosines.

    How often something is asked in other words differs from partition to partition, and so does what a crowd of near
    neighbours means: the shipped last layer leaves it out, a refit weighs it.

    Attributes:
        first: The nearest other's similarity.
        second: The next one's.
        mean: Mean of the nearest four others.
        fifth: The fifth's.
        ahead: The candidate's similarity less `first`.
        above: The candidate's similarity less `mean`.
        nearer: Share of the nearest ten others that are nearer than the candidate.
    """

    first: float
    second: float
    mean: float
    fifth: float
    ahead: float
    above: float
    nearer: float


EVIDENCE: Final = (
    *Neighbourhood._fields,
    "closeness",
    *(f"crowd_{name}" for name in Crowd._fields),
    *(f"signal_{name}" for name in Signals._fields),
)
"""What each place of the evidence means; `pair_logit` is the aligner's word."""

_NOBODY: Final = 0.5
"""Stands for the similarity of others that aren't there."""
_CROWD: Final = 10
_LEAST_LOGIT: Final = -8.0
"""Of candidates that a guard forbids: near as they are, nobody takes them for rivals' equals."""
_NO_SIGNALS: Final = Signals(*[0.0] * len(Signals._fields))
_READ: Final = 5
_REMEMBERED: Final = 2_048
_SHORT: Final = 400
"""Characters up to which a text's analysis is remembered: what is asked often is near often."""
_ENGLISH: Final = "english"


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """Guards, then the aligner over the tokens of both questions, then what the neighbours say together.

    The words of the first five candidates are read; further ones (`outranked`) are neighbours and nothing else.
    Pure. The aligner has learned English: texts in other languages match only where they say the same words (case,
    spacing, punctuation and politeness aside).

    Attributes:
        aligner: The pair model.
        calibration: The last layer that ships with it, over `EVIDENCE`.
    """

    aligner: Aligner
    calibration: Calibration

    def judge(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        crowd: Sequence[float] = (),
    ) -> list[Judgement]:
        """See `Verifier.judge`. Costs time linear in the texts' lengths, and in their product for the alignment."""
        readings = [
            _read(asked, candidate, vocabulary) if place < _READ else _OUTRANKED
            for place, candidate in enumerate(candidates)
        ]
        similarities = np.array([candidate.similarity for candidate in candidates], np.float32)
        logits = self.aligner.logits(
            asked.tokens, [candidate.tokens for candidate in candidates], similarities
        )
        around = neighbourhood(
            [
                Near(
                    candidate.similarity,
                    _LEAST_LOGIT if reading.veto else max(_LEAST_LOGIT, float(logit)),
                    candidate.answer,
                    candidate.record,
                )
                for candidate, reading, logit in zip(candidates, readings, logits, strict=True)
            ]
        )
        near = closeness(similarities)
        return [
            Judgement(
                reading.veto,
                reading.doubt,
                np.array(
                    [
                        *around[place],
                        near[place],
                        *_crowd(similarities.tolist(), place, crowd),
                        *reading.signals,
                    ],
                    np.float32,
                ),
            )
            for place, reading in enumerate(readings)
        ]


class _Reading(NamedTuple):
    """What the words alone say."""

    veto: str
    doubt: str
    signals: Signals


_OUTRANKED: Final = _Reading("outranked", "", _NO_SIGNALS)


@lru_cache(_REMEMBERED)
def _remembered(text: str) -> Analysis:
    return analyse(text)


def forget_texts() -> None:
    """Forgets the texts that were read lately."""
    _remembered.cache_clear()


def _analysed(text: str) -> Analysis:
    return _remembered(text) if len(text) <= _SHORT else analyse(text)


def _unreadable(one: Asked | Candidate) -> str:
    """Why a text isn't read, as a reason code; "" where it is."""
    if len(one.text) > MAX_CHARACTERS:
        return "too-long"
    return "" if len(one.tokens.ids) else "no-words"


def _read(asked: Asked, candidate: Candidate, vocabulary: Vocabulary) -> _Reading:
    unread = _unreadable(asked) or _unreadable(candidate)
    if unread:
        return _Reading(unread, "", _NO_SIGNALS)
    question, stored = _analysed(asked.text), _analysed(candidate.text)
    pair = pair_of(question, stored)
    measured = signals(pair, vocabulary)
    veto = first_veto(pair) or ""
    if not veto and question.language != _ENGLISH and not measured.same:
        veto = "content-word-differs"
    return _Reading(veto, next(iter(objections(pair)), ""), measured)


def _crowd(similarities: Sequence[float], place: int, further: Sequence[float]) -> Crowd:
    own = float(similarities[place])
    others = sorted(
        [float(s) for i, s in enumerate(similarities) if i != place] + list(further), reverse=True
    )
    others = (others + [_NOBODY] * _CROWD)[:_CROWD]
    mean = sum(others[:4]) / 4
    return Crowd(
        first=others[0],
        second=others[1],
        mean=mean,
        fifth=others[4],
        ahead=own - others[0],
        above=own - mean,
        nearer=sum(other >= own for other in others) / _CROWD,
    )
