"""Endpoints that take a list where they take one: `/v1/embeddings` and `/v1/completions`.

A field of the body (`input`, `prompt`) is a text, a list of tokens, or a list of either. All lists become one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from askonce.sending.batches.form import (
    Mismatch,
    Part,
    blames_item,
    group_of,
    read_fields,
    read_list,
    read_whole_number,
    write_fields,
    write_list,
)
from askonce.sending.batches.shares import split_results
from askonce.sending.estimate import text_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.errors import UpstreamFailure
    from askonce.model import Call

__all__ = ["COMPLETIONS", "EMBEDDINGS", "ListForm"]

_TEXT: Final = "text"
_TOKENS: Final = "tokens"
_NUMBER: Final = "number"
_KINDS: Final = {ord('"'): _TEXT, ord("["): _TOKENS, **dict.fromkeys(b"0123456789", _NUMBER)}


@dataclass(frozen=True, slots=True)
class ListForm:
    """One endpoint's way: `asked` is the field that holds the list, `results` the one that answers it."""

    asked: str
    results: str

    def read(self, call: Call) -> Part | None:
        """What a call adds to a batch; None for streams, for what isn't text or tokens, and for what is malformed.

        A malformed body goes alone, so that the upstream can say what is wrong with it.
        """
        if call.stream:
            return None
        try:
            fields = read_fields(call.body)
            kind, items = _items(fields.get(self.asked, b"null"))
            count = fields.get("n", b"null")
            choices = 1 if count == b"null" else read_whole_number(count)
        except Mismatch:
            return None
        if not items or choices < 1:
            return None
        tokens = tuple(item.count(b",") + 1 if kind is _TOKENS else text_tokens(len(item)) for item in items)
        return Part(call, group_of(call, kind, fields, self.asked), fields, items, tokens, choices)

    def join(self, parts: Sequence[Part]) -> Call:
        """The one call for several parts of the same group."""
        items = write_list(item for part in parts for item in part.items)
        return replace(parts[0].call, body=write_fields({**parts[0].fields, self.asked: items}))

    def split(self, body: bytes, parts: Sequence[Part]) -> Sequence[bytes]:
        """Each part's own body, in the parts' order. Raises Mismatch."""
        return split_results(body, self.results, parts)

    def pieces(self, failure: UpstreamFailure, count: int) -> int:
        """Halves, until those at fault are alone."""
        return min(2, count) if blames_item(failure, self.asked) else 1


EMBEDDINGS: Final = ListForm("input", "data")
COMPLETIONS: Final = ListForm("prompt", "choices")


def _items(raw: bytes) -> tuple[str, tuple[bytes, ...]]:
    """The single texts or lists of tokens in a field, none where it is neither. Raises Mismatch."""
    whole = _KINDS.get(raw[0])
    if whole is _TEXT:
        return _TEXT, (raw,)
    elements = read_list(raw) if whole is _TOKENS else []
    kinds = {_KINDS.get(element[0], "") for element in elements}
    if kinds == {_NUMBER}:
        return _TOKENS, (raw,)
    return (kinds.pop(), tuple(elements)) if kinds in ({_TEXT}, {_TOKENS}) else ("", ())
