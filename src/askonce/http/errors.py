"""Refusals on the wire, in the shape that OpenAI's SDKs turn into their own exceptions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import orjson
from starlette.responses import Response

from askonce.errors import LimitExceeded

if TYPE_CHECKING:
    from askonce.errors import Refusal

__all__ = ["error_body", "error_headers", "error_response"]

_UNREAD: Final = frozenset({408, 413, 431})
"""After these, more of the request may come: nothing else can be read from the connection."""


def error_body(refusal: Refusal, request_id: str) -> bytes:
    """The JSON body: the upstream's own error object where it sent one, with this request's id added."""
    return orjson.dumps({"error": {**refusal.error_object(), "request_id": request_id}})


def error_headers(refusal: Refusal, request_id: str, size_bytes: int) -> list[tuple[bytes, bytes]]:
    """The response headers; `Retry-After` in whole seconds, rounded up, where another try makes sense."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(size_bytes).encode()),
        (b"x-request-id", request_id.encode()),
        (b"x-askonce-reason", refusal.code.encode("ascii", "replace")),
    ]
    if refusal.status in _UNREAD:
        headers.append((b"connection", b"close"))
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(math.ceil(refusal.retry_after_s)).encode()))
    if isinstance(refusal, LimitExceeded):
        headers += [(name.encode(), value.encode()) for name, value in refusal.headers]
    return headers


def error_response(refusal: Refusal, request_id: str) -> Response:
    """The whole response, for starlette's endpoints."""
    body = error_body(refusal, request_id)
    response = Response(body, refusal.status)
    response.raw_headers = error_headers(refusal, request_id, len(body))
    return response
