"""Decides whether the answer stored for one question is right for another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from askonce.matching.analysis import Analysis, analyse
from askonce.matching.guards import first_veto, pair_of
from askonce.matching.objections import objections
from askonce.matching.signals import Signals, signals
from askonce.matching.terms import is_light
from askonce.matching.text import MAX_CHARACTERS

if TYPE_CHECKING:
    from askonce.matching.vocabulary import Vocabulary

__all__ = ["Candidate", "LexicalVerifier", "Verdict", "Verifier"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored or in-flight question near the asked one; `similarity` is the cosine, in [-1, 1]."""

    text: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer may be shared.

    Attributes:
        accepted: Whether it may.
        confidence: 0 to 1, ordered like a probability; uncalibrated until a deployment has audited its own hits.
        reason: Stable code: `match`, or what spoke against it.
    """

    accepted: bool
    confidence: float
    reason: str


class Verifier(Protocol):
    """The place of any verifier, this one or a learned one."""

    def verify(
        self, asked: str, candidate: Candidate, rival: Candidate | None, vocabulary: Vocabulary
    ) -> Verdict:
        """Judges whether `candidate`'s answer is right for `asked`.

        Args:
            asked: The question as asked.
            candidate: A question of the same partition whose answer is at hand.
            rival: The nearest question of the partition that holds another answer, where there is one.
            vocabulary: Word weights of the partition.
        """
        ...


_SAME_WORDS: Final = 0.99
_FEWEST_TERMS: Final = 2
_MOST_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class LexicalVerifier:
    """Accepts a question whose words with subject matter all match, unless a guard objects. Pure and symmetric.

    Texts in other languages than English, texts of hundreds of words and those of fewer than two words with subject
    matter match only where they say the same words (case, spacing, punctuation and politeness aside).

    Attributes:
        floor: Cosine below which nothing is looked at.
        threshold: Confidence from which a match is accepted.
    """

    floor: float = 0.70
    threshold: float = 0.90

    def verify(
        self, asked: str, candidate: Candidate, rival: Candidate | None, vocabulary: Vocabulary
    ) -> Verdict:
        """Judges a candidate; see `Verifier.verify`. Costs time linear in the texts' lengths."""
        if asked == candidate.text:
            return Verdict(accepted=True, confidence=1.0, reason="match")
        if not candidate.similarity >= self.floor:
            return Verdict(accepted=False, confidence=0.0, reason="below-floor")
        if max(len(asked), len(candidate.text)) > MAX_CHARACTERS:
            return Verdict(accepted=False, confidence=0.0, reason="too-long")
        question = analyse(asked)
        confidence, reason = self._judge(question, candidate, vocabulary)
        if confidence < self.threshold:
            return Verdict(accepted=False, confidence=confidence, reason=reason or "low-confidence")
        if (
            rival is not None
            and rival.similarity >= candidate.similarity
            and len(rival.text) <= MAX_CHARACTERS
        ):
            other, _ = self._judge(question, rival, vocabulary)
            if other >= confidence:
                return Verdict(accepted=False, confidence=1.0 - other / 2, reason="near-rival")
        return Verdict(accepted=True, confidence=confidence, reason="match")

    def _judge(self, asked: Analysis, candidate: Candidate, vocabulary: Vocabulary) -> tuple[float, str]:
        """Confidence, and the reason where a guard objects."""
        stored = analyse(candidate.text)
        pair = pair_of(asked, stored)
        veto = first_veto(pair) or next(iter(objections(pair)), None)
        if veto is not None:
            return 0.0, veto
        if asked.normal == stored.normal:
            return _SAME_WORDS, ""
        if asked.language != "english":
            return 0.0, "content-word-differs"
        if max(len(asked.normal), len(stored.normal)) > _MOST_WORDS:
            return 0.0, "too-long"
        if sum(not is_light(term) for term, _ in pair.alignment.pairs) < _FEWEST_TERMS:
            return 0.0, "too-short"
        confidence = _confidence(candidate.similarity, signals(pair, vocabulary))
        extra = pair.alignment.asked_only or pair.alignment.stored_only
        return confidence, "content-word-differs" if extra and confidence < self.threshold else ""


def _confidence(similarity: float, found: Signals) -> float:
    """A logistic set by hand, monotone in every signal.

    Constant and slope of the similarity follow the share of wrong intents among accepted neighbours within the
    training questions of BANKING77 and CLINC150 (6 % at 0.85, 2 % at 0.92, under 1 % above 0.95).
    """
    logit = (
        3.4
        + 20.0 * (similarity - 0.90)
        - 12.0 * (found.partition_most + found.partition_least)
        - 1.0 * found.question_gap
        - 0.5 * found.tense_gap
        - 0.5 * found.grammar
    )
    return min(_SAME_WORDS, 1.0 / (1.0 + math.exp(-logit)))
