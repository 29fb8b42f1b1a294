"""How many tokens a request will take, before anybody has counted them: settled by the answer's usage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from askonce.model import Endpoint, Usage

if TYPE_CHECKING:
    from askonce.model import Ask

__all__ = ["estimated_tokens", "estimated_usage", "text_tokens"]

_BYTES_PER_TOKEN: Final = 4
"""Of English text; the rule of thumb that providers give."""
_COMPLETION_TOKENS: Final = 256
"""What an answer is taken to have where the request sets no limit."""
_IMAGE_TOKENS: Final = 1_000
"""What an image, a sound or a file is taken to have, whatever its encoding takes."""
_MOST_TOKENS: Final = 10_000_000
"""More than any answer has, whatever limit a request names."""
_PLAIN_BYTES: Final = 16_384
"""Bodies up to this size are taken for text; larger ones are looked into."""


def text_tokens(size_bytes: int) -> int:
    """About how many tokens a text of so many bytes has, at least 1."""
    return max(1, size_bytes // _BYTES_PER_TOKEN)


def estimated_tokens(ask: Ask) -> int:
    """Prompt and completion tokens together, an estimate; at least 1, whatever the request says."""
    usage = estimated_usage(ask)
    return usage.prompt_tokens + usage.completion_tokens


def estimated_usage(ask: Ask) -> Usage:
    """Prompt tokens (at least 1) and completion tokens, an estimate."""
    tokens = text_tokens(len(ask.raw) if len(ask.raw) <= _PLAIN_BYTES else _text_bytes(ask.body))
    if ask.endpoint is Endpoint.EMBEDDINGS:
        return Usage(tokens)
    body = ask.body
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or _COMPLETION_TOKENS
    limit, count = min(limit, _MOST_TOKENS), min(body.get("n") or 1, _MOST_TOKENS)
    return Usage(tokens, int(max(0, min(limit * count, _MOST_TOKENS))))


def _text_bytes(value: Any) -> int:
    """Characters of all text in a value; what is encoded in it counts as one image."""
    if isinstance(value, str):
        return _IMAGE_TOKENS * _BYTES_PER_TOKEN if value.startswith("data:") else len(value)
    if isinstance(value, dict):
        encoded = value.get("data") if "format" in value or "filename" in value else value.get("file_data")
        if isinstance(encoded, str):
            return _IMAGE_TOKENS * _BYTES_PER_TOKEN
        return sum(map(_text_bytes, value.values()))
    if isinstance(value, list):
        if value and all(isinstance(one, int) for one in value):  # tokens already
            return len(value) * _BYTES_PER_TOKEN
        return sum(map(_text_bytes, value))
    return 0
