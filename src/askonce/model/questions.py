"""What the semantic tier knows of a question, and what is said of an answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Audit", "Neighbour", "Question", "Tokens", "Vector"]

Vector: TypeAlias = "NDArray[np.float32]"
"""A unit vector of shape (dimensions,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """What a text's tokens mean where they stand, small enough to be kept with every question.

    Attributes:
        ids: uint16 of shape (n,): the embedder's token ids, without the marks around the text.
        states: int8 of shape (n, width): each token's contextual state, projected; 127 stands for 1.0.
    """

    ids: NDArray[np.uint16]
    states: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Question:
    """The semantic side of an entry: the text that was asked and where its vector lives.

    Attributes:
        key: Exact key of the entry or link that answers it.
        partition: Where it may be found.
        text: What was asked.
        engine: The embedder that made `vector` and `tokens`, or will.
        vector: None where no vector of `engine` was computed yet.
        tokens: None where there is no vector, or the embedder gives no tokens.
        answer: Its answer's class: the key of the entry whose answer it is known to share, its own where it
            shares none. A class is a name: it holds its members together also when the entry of that key is gone,
            and each member is answered by what is stored under its own key.
    """

    key: bytes
    partition: bytes
    text: str
    engine: str
    vector: Vector | None
    tokens: Tokens | None
    answer: bytes


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A row of the vector index near an asked text; `similarity` is the cosine, the rest is its `Question`'s."""

    key: bytes
    text: str
    similarity: float
    tokens: Tokens | None
    answer: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What a judge said of one answer that was served to a question, or would have been.

    Attributes:
        feature: Whose error budget it counts for.
        at: Unix seconds.
        question: Exact key of the question.
        answer: Key of the entry whose answer was judged.
        request_id: As sent to the caller.
        source: How it came to be: `hit`, `shadow`, `miss`, `feedback`.
        judge: Who judged.
        right: Whether the answer was right.
        propensity: Probability with which this case was chosen to be judged, in (0, 1].
        probability: That the answer is right, as estimated when it was decided whether to serve it.
        threshold: What `probability` had to reach then.
        reason: The decision's reason code.
        evidence: float32 of shape (n,): what the estimate weighed; None where nothing was estimated. A store
            keeps three digits of each number.
        engine: Whose evidence it is: that of different engines is never used together.
        tenant: Whose the question is; "" once that is erased.
        users: Keyed hashes of the users that the request named.
    """

    feature: str
    at: float
    question: bytes
    answer: bytes
    request_id: str
    source: str
    judge: str
    right: bool
    propensity: float
    probability: float
    threshold: float
    reason: str
    evidence: NDArray[np.float32] | None
    engine: str
    tenant: str = ""
    users: tuple[bytes, ...] = ()
