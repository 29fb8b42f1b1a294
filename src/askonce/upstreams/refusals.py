"""What an upstream's refusal means, and whom it concerns."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import orjson

from askonce.errors import Sharing, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.model import Json

__all__ = ["Refused", "read_refusal", "transient"]

_CREDENTIAL: Final = frozenset({401, 402, 403})
_TRANSIENT: Final = frozenset({408, 409, 425, 429})
_NOT_IMPLEMENTED: Final = 501
"""The one server error that another try meets again: the server lacks what was asked for."""
_WAITED_IN_VAIN: Final = frozenset({504, 524})
"""A proxy's word (524 is Cloudflare's) for a server that was still at work: what that has done may be billed."""
_MAX_RETRY_AFTER_S: Final = 1e9
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Error codes that may stand in a header and be a metric's label."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A response that is no answer: status, headers, and the body as far as it was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def transient(status: int, code: str, sentence: str, *, began: bool = True) -> UpstreamFailure:
    """A failure that is the moment's fault: another try may help. `began` unless no word of the call was sent."""
    return UpstreamFailure(status, code, sentence, sharing=Sharing.TRANSIENT, began=began)


def read_refusal(name: str, refused: Refused, *, own_key: bool, now: float) -> UpstreamFailure:
    """The failure for the caller.

    Args:
        name: The upstream's.
        refused: What it said.
        own_key: Whether the gateway's own key was presented, so that its refusal is not the caller's to mend.
        now: Unix seconds.
    """
    status, error = refused.status, _error_object(refused.body)
    said = _sentence(error) or f"{name} answered {status} without saying why."
    code = _code(error) or f"upstream_{status}"
    body = orjson.dumps(error) if error else None
    if status in _CREDENTIAL or code == "insufficient_quota":
        if not own_key:
            return UpstreamFailure(status, code, said, sharing=Sharing.PERSONAL, body=body)
        sentence = f"{name} refused the gateway's own key ({status}); tell the gateway's operator."
        return UpstreamFailure(502, "upstream_credential", sentence, sharing=Sharing.FATAL)
    if status in _TRANSIENT or (500 <= status < 600 and status != _NOT_IMPLEMENTED):  # noqa: PLR2004 - HTTP's server errors
        return UpstreamFailure(
            status,
            code,
            said,
            sharing=Sharing.TRANSIENT,
            retry_after_s=_retry_after(refused.headers, now),
            body=body,
            headers=_limits(refused.headers),
            began=status in _WAITED_IN_VAIN,
        )
    if 400 <= status < 600:  # noqa: PLR2004 - HTTP's errors
        return UpstreamFailure(status, code, said, sharing=Sharing.FATAL, body=body)
    kind = refused.headers.get("Content-Type", "no type")
    said = f": {_sentence(error)}" if error else ", which is no answer."
    return transient(502, "upstream_garbage", f"{name} answered {status} ({kind}){said}")


def _error_object(body: bytes) -> Json | None:
    """The error in a body, whatever shape it takes: an object or a string under `error`, a bare one, a `detail`."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if isinstance(error, dict) and "message" not in error:
        error = error.get("detail")
    if isinstance(error, str):
        return {"message": error, "type": None, "param": None, "code": None}
    return error if isinstance(error, dict) and "message" in error else None


def _sentence(error: Json | None) -> str:
    return str(error["message"]) if error else ""


def _code(error: Json | None) -> str | None:
    """The error's own code, or else its type, where it is fit to be shown as one: the status again is none."""
    given = [error.get(name) for name in ("code", "type")] if error else []
    return next((code for code in given if isinstance(code, str) and _CODE.fullmatch(code)), None)


def _limits(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What it says of its limits."""
    return [(name.lower(), value) for name, value in headers.items() if "ratelimit-" in name.lower()]


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds: OpenAI's `retry-after-ms`, or else RFC 9110's `Retry-After`, seconds or a date; None for what is neither."""
    with contextlib.suppress(ValueError):
        return _wait(float(headers.get("retry-after-ms", "")) / 1000)
    value = headers.get("Retry-After", "")
    with contextlib.suppress(ValueError):
        return _wait(float(value))
    with contextlib.suppress(ValueError, OverflowError):
        return _wait(max(0.0, parsedate_to_datetime(value).timestamp() - now))
    return None


def _wait(seconds: float) -> float | None:
    return seconds if 0 <= seconds < _MAX_RETRY_AFTER_S else None
