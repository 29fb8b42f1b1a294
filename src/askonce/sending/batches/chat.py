"""vLLM's `POST /v1/chat/completions/batch`: several conversations that share all parameters.

`messages` is a list of conversations; each is answered by one choice, whose index is the conversation's. Streams,
tools, beam search and more than one choice each are not supported there, and one conversation's failure fails all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from askonce.sending.batches.form import (
    Mismatch,
    Part,
    blames_item,
    group_of,
    read_fields,
    write_fields,
    write_list,
)
from askonce.sending.batches.shares import split_results
from askonce.sending.estimate import text_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.errors import UpstreamFailure
    from askonce.model import Call

__all__ = ["VllmChat"]

_PATH: Final = "chat/completions/batch"
_UNSUPPORTED: Final = ("tools", "functions", "tool_choice", "use_beam_search", "stream_options")
_ABSENT: Final = frozenset({b"null", b"false", b"[]"})
_NOT_THERE: Final = frozenset({404, 405, 501})
_FAILED: Final = 500
_ONE: Final = frozenset({b"null", b"1"})


class VllmChat:
    """Joins chats for a vLLM server."""

    def read(self, call: Call) -> Part | None:
        """What a call adds to a batch; None for what vLLM doesn't take there."""
        if call.stream:
            return None
        try:
            fields = read_fields(call.body)
        except Mismatch:
            return None
        messages = fields.get("messages", b"null")
        supported = all(fields.get(name, b"null") in _ABSENT for name in _UNSUPPORTED)
        if not supported or fields.get("n", b"null") not in _ONE or not messages.startswith(b"["):
            return None
        group = group_of(call, "chat", fields, "messages")
        return Part(call, group, fields, (messages,), (text_tokens(len(messages)),))

    def join(self, parts: Sequence[Part]) -> Call:
        """The one call for several parts of the same group."""
        conversations = write_list(item for part in parts for item in part.items)
        body = write_fields({**parts[0].fields, "messages": conversations})
        return replace(parts[0].call, body=body, path=_PATH)

    def split(self, body: bytes, parts: Sequence[Part]) -> Sequence[bytes]:
        """Each part's own body, in the parts' order. Raises Mismatch."""
        return split_results(body, "choices", parts)

    def pieces(self, failure: UpstreamFailure, count: int) -> int:
        """Each alone and at once: finding the one at fault by halves would generate the others again and again.

        Also where the server has no such endpoint, or fails over one conversation with a status that would otherwise
        be the moment's fault.
        """
        alone = blames_item(failure, "messages") or failure.status in _NOT_THERE or failure.status == _FAILED
        return count if alone else 1
