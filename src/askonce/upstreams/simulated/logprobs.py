"""Log-probabilities for tokens that no model weighed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json
    from askonce.upstreams.simulated.dice import Dice

__all__ = ["chat_logprobs", "completion_logprobs"]

_OTHERS: Final = (" the", " a", " and", " of", " to", " in", " is", " it", " that", " for", ".", ",", " on", "\n",
                  " as", " with", " be", " this", " or", " by")  # fmt: skip


def _alternatives(token: str, dice: Dice, count: int) -> list[tuple[str, float]]:
    """`count` tokens and their logarithms, the likeliest (the one said) first."""
    logarithm = -round(dice.share() * 0.7, 6)
    ranked = [(token, logarithm)]
    for other in dice.sample([other for other in _OTHERS if other != token], count - 1):
        logarithm = round(logarithm - 0.7 - dice.share(), 6)
        ranked.append((other, logarithm))
    return ranked


def _entry(token: str, logarithm: float) -> Json:
    return {"token": token, "logprob": logarithm, "bytes": list(token.encode())}


def chat_logprobs(tokens: Sequence[str], dice: Dice, top: int) -> list[Json]:
    """One entry per token, each with its `top` likeliest tokens, in the chat endpoint's shape."""
    entries = []
    for token in tokens:
        ranked = _alternatives(token, dice, max(1, top))
        entry = _entry(*ranked[0])
        entry["top_logprobs"] = [_entry(*one) for one in ranked[:top]]
        entries.append(entry)
    return entries


def completion_logprobs(tokens: Sequence[str], dice: Dice, top: int, offset: int) -> Json:
    """The completions endpoint's shape: parallel lists; `offset` is the first token's place in the text."""
    shape: Json = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token in tokens:
        ranked = _alternatives(token, dice, max(1, top))
        shape["tokens"].append(token)
        shape["token_logprobs"].append(ranked[0][1])
        shape["top_logprobs"].append(dict(ranked[:top]))
        shape["text_offset"].append(offset)
        offset += len(token)
    return shape
