"""What audits have found of answers, and of pairs of question and answer: bounded, and rebuilt from the store at start."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from askonce.matching.neighbourhood import Record

if TYPE_CHECKING:
    from collections.abc import Collection

    from askonce.model import Audit

__all__ = ["Records"]

_MOST: Final = 50_000
_NONE: Final = Record()


class Records:
    """The verdicts so far, by answer and by pair."""

    def __init__(self) -> None:
        self._by_answer: OrderedDict[bytes, Record] = OrderedDict()
        self._refused: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()

    def of(self, answer: bytes) -> Record:
        """An answer's record."""
        return self._by_answer.get(answer, _NONE)

    def refused(self, question: bytes, *answers: bytes) -> bool:
        """Whether the last word on any of these pairs was that the answer is wrong for the question.

        A candidate goes by its own key as well as by its class: the class may be another one since it was judged.
        """
        return any((question, answer) in self._refused for answer in answers)

    def erase(self, keys: Collection[bytes]) -> None:
        """Forgets the verdicts that concern any of the keys."""
        for key in keys:
            self._by_answer.pop(key, None)
        for pair in [pair for pair in self._refused if not set(pair).isdisjoint(keys)]:
            del self._refused[pair]

    def add(self, audit: Audit) -> None:
        """One more verdict, in the order of time; the last one on a pair counts.

        Feedback may refuse a pair, but not pardon one: in a shared pool one caller would do so for all.
        """
        answer, pair = audit.answer, (audit.question, audit.answer)
        self._by_answer[answer] = self.of(answer).after(right=audit.right, probability=audit.probability)
        self._by_answer.move_to_end(answer)
        if audit.source != "feedback" or not audit.right:
            self._refused.pop(pair, None)
        if not audit.right:
            self._refused[pair] = None
        if len(self._by_answer) > _MOST:
            self._by_answer.popitem(last=False)
        if len(self._refused) > _MOST:
            self._refused.popitem(last=False)
