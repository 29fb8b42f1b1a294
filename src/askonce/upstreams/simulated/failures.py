"""Refusals in OpenAI's shape."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

import orjson

from askonce.errors import Sharing, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Severed", "invalid", "rate_limited", "refused", "simulated_failure"]

_FATAL: Final = frozenset({400, 404, 405, 413, 415, 422})
_PERSONAL: Final = frozenset({401, 402, 403})
_REASONS: Final[dict[int, tuple[str, str]]] = {
    400: ("invalid_value", "The request was refused as invalid, as it asked to be."),
    401: ("invalid_api_key", "Incorrect API key provided."),
    402: (
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    403: ("permission_denied", "You are not allowed to use this model."),
    404: ("model_not_found", "The model does not exist or you do not have access to it."),
    413: ("request_too_large", "The request is too large."),
    429: ("rate_limit_exceeded", "Rate limit reached; please try again later."),
    503: ("overloaded", "The server is overloaded; please try again later."),
}


def _sharing(status: int, *, own_key: bool) -> Sharing:
    if status in _PERSONAL:
        return Sharing.PERSONAL if own_key else Sharing.FATAL
    return Sharing.FATAL if status in _FATAL else Sharing.TRANSIENT


def _type(status: int) -> str:
    if status == 429:  # noqa: PLR2004 - an HTTP status
        return "requests"
    return "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - an HTTP status


def refused(status: int, code: str, message: str, *, param: str | None = None) -> UpstreamFailure:
    """A refusal whose cause lies in the request."""
    error = {"message": message, "type": _type(status), "param": param, "code": code}
    return UpstreamFailure(
        status, code, message, sharing=_sharing(status, own_key=True), body=orjson.dumps(error)
    )


def invalid(message: str, param: str | None, code: str = "invalid_value") -> UpstreamFailure:
    """A 400 that names the field at fault."""
    return refused(400, code, message, param=param)


def simulated_failure(
    status: int, code: str | None, retry_after_s: float | None, *, html: bool, own_key: bool
) -> UpstreamFailure:
    """A failure that was ordered. With `html` there is no error object, as from a proxy in front of a provider."""
    usual_code, message = _REASONS.get(status, ("server_error", "The server had an error; please try again."))
    error = {"message": message, "type": _type(status), "param": None, "code": code or usual_code}
    return UpstreamFailure(
        status,
        code or usual_code,
        message,
        sharing=_sharing(status, own_key=own_key),
        retry_after_s=retry_after_s,
        body=None if html else orjson.dumps(error),
    )


def rate_limited(
    what: str, retry_after_s: float | None, headers: Sequence[tuple[str, str]]
) -> UpstreamFailure:
    """The 429 of a limit on `requests` or `tokens`; without `retry_after_s` it doesn't say when to come again."""
    when = "" if retry_after_s is None else f" Please try again in {ceil(retry_after_s * 1000)}ms."
    message = f"Rate limit reached on {what}.{when}"
    error = {"message": message, "type": what, "param": None, "code": "rate_limit_exceeded"}
    return UpstreamFailure(
        429,
        "rate_limit_exceeded",
        message,
        sharing=Sharing.TRANSIENT,
        retry_after_s=None if retry_after_s is None else ceil(retry_after_s * 1000) / 1000,
        body=orjson.dumps(error),
        headers=headers,
    )


class Severed(UpstreamFailure):
    """The connection ends without an answer: what a dead upstream looks like."""

    def __init__(self) -> None:
        super().__init__(
            502,
            "upstream_unreachable",
            "The simulated upstream is dead, as it was told to be.",
            sharing=Sharing.TRANSIENT,
            began=True,
        )
