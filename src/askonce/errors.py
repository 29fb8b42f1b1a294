"""The errors that cross a boundary, and who consumes each.

AskonceError
├── Refusal                what a caller is told instead of an answer → `http.errors` renders it
│   ├── UpstreamFailure    the upstream's share of the blame → `pipeline.inflight` decides who is told
│   └── LimitExceeded      a limit of the caller's own → `http.errors` says how much is left of it
├── EmbedderUnavailable    no vector for this text now → `pipeline.semantic` goes on without
├── AuditDropped           an audit that brings no label → `pipeline.audit` counts it and goes on
└── CallerGone             the caller left while it waited → `http` closes the exchange silently

(`config.ConfigError` is the sixth: raised before anything runs, consumed by `cli`.)
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AskonceError",
    "AuditDropped",
    "CallerGone",
    "EmbedderUnavailable",
    "LimitExceeded",
    "Refusal",
    "Sharing",
    "UpstreamFailure",
]

_TYPES: Final[dict[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


class AskonceError(Exception):
    """The root: nothing catches it, everything here is one."""


class Refusal(AskonceError):
    """A request that gets an error instead of an answer.

    Attributes:
        status: HTTP status code.
        code: Stable machine-readable code, such as `model_not_found`.
        message: One sentence that says what to do.
        param: The request field at fault, where there is one.
        retry_after_s: Seconds after which another try makes sense; sent as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def type(self) -> str:
        """The error's class in OpenAI's vocabulary, derived from the status."""
        unknown = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004 - HTTP's classes
        return _TYPES.get(self.status, unknown)

    def error_object(self) -> dict[str, Any]:
        """What callers are told, in the shape that OpenAI's SDKs know."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code}


class Sharing(StrEnum):
    """Whom an upstream failure concerns."""

    FATAL = "fatal"
    """The request itself is at fault (400, 404, 413, 422, content filter): everybody that asked it is told."""
    TRANSIENT = "transient"
    """The moment is at fault (429, 5xx, timeout, connection): the leader is told, one waiter may try again."""
    PERSONAL = "personal"
    """The caller's own credential is at fault (401, 402, 403 with its key): nobody with another one is ever told."""


class UpstreamFailure(Refusal):
    """An upstream call that brought no whole answer.

    Attributes:
        sharing: Whom it concerns.
        body: The upstream's own error object (OpenAI's shape, JSON bytes), passed on as it is, where it sent one.
        headers: The upstream's response headers that say how much it takes (`x-ratelimit-…`), names in lower case.
        began: Whether the upstream may have begun to work on the call, and bill it: cut off rather than refused.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        sharing: Sharing,
        retry_after_s: float | None = None,
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        began: bool = False,
    ) -> None:
        super().__init__(status, code, message, retry_after_s=retry_after_s)
        self.sharing = sharing
        self.body = body
        self.headers = headers
        self.began = began

    def error_object(self) -> dict[str, Any]:
        """The same, with what the upstream's own error object says in its place."""
        return super().error_object() | (orjson.loads(self.body) if self.body is not None else {})


class LimitExceeded(Refusal):
    """A request above a limit that is set for its tenant or feature.

    Attributes:
        budget: Whether it is one of dollars, rather than of requests or tokens per minute.
        headers: Response headers that say what is left, and whether clients should try again by themselves.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        budget: bool,
        retry_after_s: float,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(429, code, message, retry_after_s=retry_after_s)
        self.budget = budget
        self.headers = headers

    @property
    def type(self) -> str:
        """As OpenAI calls them."""
        return "insufficient_quota" if self.budget else "rate_limit_error"


class EmbedderUnavailable(AskonceError):
    """No vector for this text now.

    Attributes:
        reason: `embedder-loading`, `embedder-failed`, `embedder-busy` or `text-too-long`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AuditDropped(AskonceError):
    """An audit that brings no label.

    Attributes:
        reason: `queue-full`, `pass-through`, `spend-limit`, `upstream-failed`, `timeout`, `answer-gone`,
            `not-comparable`, `embedder` or `failed`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CallerGone(AskonceError):
    """The caller closed its connection while it waited: there is nobody to tell anything."""
