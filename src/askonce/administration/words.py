"""Reason codes in words: what an administrator is told beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["in_words"]

_WORDS: Final[Mapping[str, str]] = {
    "no-tenant": "nobody knows who asks, so nothing is shared",
    "no-user": "its feature shares answers within one user alone, and the request names none",
    "high-temperature": "its temperature is above the feature's limit",
    "hot": "its temperature is above the feature's limit",
    "no-store": "the request says no-store",
    "no-cache": "the request says no-cache",
    "exact-off": "the feature's `exact` is off",
    "too-old": "the request's max-age allows no answer of that age",
    "stored": "an answer to the identical request is stored",
    "link": "an equivalent request's answer was served to it before",
    "link-below-threshold": "a link to an equivalent request's answer is kept, but isn't sure enough now",
    "in-flight": "an identical request is being answered",
    "expired": "its answer was kept until its time was over",
    "unreadable": "the store's disk can't be read now",
    "absent": "no answer is stored under its key: there never was one, or it was forgotten or evicted",
    "semantic-off": "the feature's `semantic` is off, or there is no embedder",
    "not-chat": "only chat is matched semantically",
    "turns": "the conversation has more user messages than the feature's `max_turns`",
    "not-plain-text": "its last message isn't plain text of a user",
    "n-above-1": "it asks for several answers",
    "tools": "it carries tools, and the feature's `semantic_tools` is off",
    "about-the-text": "it asks for measures or copies of this very text",
    "refers-back": "its words refer to what was said before",
    "no-neighbour": "no other question is known in its partition",
    "below-floor": "no known question is as similar as the feature's `similarity_floor`",
    "embedder-loading": "the embedder is still loading",
    "embedder-failed": "the embedder has failed to load",
    "embedder-busy": "too many texts wait for the embedder",
    "embedder-slow": "the embedder takes too long",
    "text-too-long": "the text is longer than the embedder reads",
    "verifier-busy": "too many long texts wait for a verdict",
    "verifier-failed": "the verifier failed on these texts",
    "match": "an equivalent question is sure enough",
    "match-gone": "an equivalent question was found, but its answer is gone, too old, or may not be read",
    "not-cached": "it says only-if-cached, and nothing is stored for it",
    "shadow": "the feature only shadows: what it found isn't served",
    "low-confidence": "the likeliest candidate isn't sure enough",
    "too-short": "so short a question needs a higher probability",
    "conversation": "a question within a conversation needs a higher probability",
    "judged-wrong": "this answer was judged wrong for this question before",
    "outranked": "nearer candidates were read instead",
}


def in_words(reason: str) -> str:
    """A reason code as the end of a sentence; what isn't known here is a guard's, or an objection."""
    return _WORDS.get(reason, f"the words differ in a way that counts ({reason})")
