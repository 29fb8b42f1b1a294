"""What a stored answer takes and what it is expected to save: the two sides of every eviction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.model import Answer, Entry, Link, Question

__all__ = ["entry_bytes", "expected_saving", "link_bytes", "question_bytes", "rebased"]

_ENTRY_BYTES: Final = 800
"""Objects around an answer: entry, row, key, times, dict and heap slots (measured by `test_accounting`)."""
_LINK_BYTES: Final = 700
"""A link with its row, two keys, dict and heap slots (measured by `test_accounting`)."""
_TAG_BYTES: Final = 300
"""A tag: its string, its slot in the index of tags and, where nobody else carries it, that slot's set."""
_PROMPT_NANOUSD: Final = 500
_COMPLETION_NANOUSD: Final = 2_000
"""Assumed prices of one token where the model's own isn't known: half a dollar and two dollars a million."""
_BYTES_PER_TOKEN: Final = 4


def entry_bytes(entry: Entry) -> int:
    """Bytes that an entry takes in memory, Python's objects included: an estimate from above."""
    tags = sum(len(tag) + _TAG_BYTES for tag in entry.tags)
    return entry.answer.size_bytes + _ENTRY_BYTES + tags


def link_bytes(_link: Link) -> int:
    """Bytes that a link takes in memory, Python's objects included: an estimate from above."""
    return _LINK_BYTES


def question_bytes(question: Question | None) -> int:
    """Bytes that a question takes while it waits for its commit."""
    if question is None:
        return 0
    vector = 0 if question.vector is None else question.vector.nbytes
    return 4 * len(question.text) + vector + _LINK_BYTES


def expected_saving(answer: Answer) -> int:
    """Nano-dollars that one hit saves, at least 1.

    The price that was paid; where it isn't known, assumed prices of the tokens; where those aren't known
    either, of as many tokens as the answer's bytes are likely to be.
    """
    if answer.cost_nanousd is not None:
        return max(answer.cost_nanousd, 1)
    usage = answer.usage
    completion = usage.completion_tokens
    if not completion and not usage.prompt_tokens:
        completion = len(answer.fields) // _BYTES_PER_TOKEN
    return max(usage.prompt_tokens * _PROMPT_NANOUSD + completion * _COMPLETION_NANOUSD, 1)


def rebased(entry: Entry, now: float) -> Entry:
    """The same entry, as made just now where it claims to be made in the future.

    A clock that was set back would otherwise stretch lives: what remains of one is never more than its TTL.
    """
    if entry.created_at <= now:
        return entry
    return replace(entry, created_at=now, expires_at=now + (entry.expires_at - entry.created_at))
