"""Where the words come from: tokens, and answers that nobody wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.upstreams.simulated.dice import Dice

__all__ = ["Piece", "compose", "estimate_tokens", "limit", "normalise", "tokenise"]

_TOKEN: Final = re.compile(r" ?\w{1,8}| ?[^\w\s]+|\s")
_MAX_NAMED: Final = 200
"""Characters of a question that its answer repeats."""
_OPENINGS: Final = (
    "Here is what can be said about “{question}”.",
    "“{question}” comes down to a few points.",
    "You asked “{question}”, and the short answer follows.",
    "Regarding “{question}”:",
)
_SENTENCES: Final = (
    "Begin with the simplest case and check it before going further.",
    "Most people find that the second step takes longer than the first.",
    "The usual advice is to write down what you know and what you still need.",
    "There are exceptions, but they are rare and easy to recognise.",
    "If the result looks wrong, go back one step and compare.",
    "A small example makes the difference clear.",
    "It depends on the circumstances, of which two matter most.",
    "Once that is settled, the rest follows without much effort.",
    "Keep the original at hand until you have verified the outcome.",
    "None of this requires special equipment or prior knowledge.",
    "Allow a little more time than you think you need.",
    "The order of the steps matters less than doing all of them.",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One generated text: its tokens, and why it ended (`stop`, `length`)."""

    tokens: Sequence[str]
    finish_reason: str

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.tokens)


def tokenise(text: str) -> list[str]:
    """Pieces about the size of a tokenizer's, that join to the text again."""
    return _TOKEN.findall(text)


def estimate_tokens(text: str) -> int:
    """About how many tokens a tokenizer would make of the text: four characters each, at least one."""
    return max(1, (len(text) + 3) // 4)


def normalise(question: str) -> str:
    """A question without case and surplus white space."""
    return " ".join(question.split()).casefold()


def compose(question: str, dice: Dice) -> str:
    """Some sentences that name the question and end in a reference that no other request's answer has."""
    named = " ".join(question.split()) or "nothing in words"
    if len(named) > _MAX_NAMED:
        named = named[:_MAX_NAMED] + "…"
    opening = dice.pick(_OPENINGS).format(question=named)
    body = dice.sample(_SENTENCES, 2 + dice.below(3))
    return " ".join([opening, *body, f"Reference {dice.hex(8)}."])


def limit(text: str, stops: Sequence[str], max_tokens: int | None, length: int | None) -> Piece:
    """Cuts a text as a model would have: at a stop sequence, or at so many tokens.

    Args:
        text: What would be said.
        stops: Sequences that end the text; they are left out.
        max_tokens: The request's bound.
        length: Exact number of tokens to say before any bound: the text is repeated or cut to fit.
    """
    tokens = tokenise(text)
    if length is not None and tokens:
        repeats = -(-length // len(tokens))
        tokens = (tokens * repeats)[:length]
    if stops:
        said = "".join(tokens)
        cut = min((at for stop in stops if stop and (at := said.find(stop)) >= 0), default=None)
        if cut is not None:
            tokens = tokenise(said[:cut])
    if max_tokens is not None and len(tokens) > max_tokens:
        return Piece(tokens[:max_tokens], "length")
    return Piece(tokens, "stop")
