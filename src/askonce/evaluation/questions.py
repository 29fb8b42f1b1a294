"""Texts with their embeddings, as a verifier is asked about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.matching.neighbourhood import Record
from askonce.matching.verifier import Asked, Candidate
from askonce.model import Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.embeddings import Embedded
    from askonce.model import Vector

__all__ = ["Embeddable", "embeddable", "vectors_of"]

_NO_TOKENS: Final = Tokens(np.empty(0, np.uint16), np.empty((0, 0), np.int8))
_UNHEARD: Final = Record()


class Embeddable(NamedTuple):
    """A text that the semantic tier has to do with; `tokens` are none where the verifier looks at no tokens."""

    text: str
    vector: Vector
    tokens: Tokens

    def asked(self) -> Asked:
        """As the question that is asked."""
        return Asked(self.text, self.tokens)

    def candidate(self, asked: Embeddable, answer: bytes, record: Record = _UNHEARD) -> Candidate:
        """As a stored question near an asked one."""
        return Candidate(self.text, float(self.vector @ asked.vector), self.tokens, answer, record)


def embeddable(text: str, embedded: Embedded) -> Embeddable | None:
    """A text with its embedding; None where there is none, or nothing in it that has a meaning."""
    if embedded is None or (embedded.tokens is not None and not len(embedded.tokens.ids)):
        return None
    return Embeddable(text, embedded.vector, embedded.tokens if embedded.tokens is not None else _NO_TOKENS)


def vectors_of(questions: Sequence[Embeddable | None]) -> NDArray[np.float32]:
    """The vectors as rows; zeros, which are near nothing, for texts without one."""
    known = next((each.vector for each in questions if each is not None), np.zeros(1, np.float32))
    return np.array([np.zeros_like(known) if each is None else each.vector for each in questions], np.float32)
