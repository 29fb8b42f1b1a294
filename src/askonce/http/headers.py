"""What an answer's headers say of where it came from (RFC 9211's `Cache-Status`, and our own names)."""

from __future__ import annotations

import math
import re
from random import getrandbits
from typing import TYPE_CHECKING, Final, assert_never

from askonce.model import Bypass, Exact, Fresh, Joined, Semantic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.model import Outcome
    from askonce.pipeline.reply import Reply

__all__ = ["Headers", "answer_headers", "joined", "request_id"]

Headers = list[tuple[bytes, bytes]]
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9_.:/+=-]{1,128}\Z")


def joined(lines: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name: what comes on several lines is one list (RFC 9110, 5.3), lest one line hide another."""
    headers = dict(lines)
    if len(headers) == len(lines):
        return headers
    several: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        several.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in several.items()}


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's own `X-Request-Id` where it is sane, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _SANE_ID.match(given):
        return given.decode()
    return f"req_{getrandbits(96):024x}"


def answer_headers(reply: Reply, identity: str) -> Headers:
    """All headers but the content's type and length."""
    outcome = reply.outcome
    if outcome is None:
        raise RuntimeError("a reply has no outcome before it has started")
    headers = _cache_headers(outcome)
    headers.append((b"x-request-id", identity.encode()))
    headers.append((b"x-askonce-outcome", outcome.name.encode()))
    headers.append((b"x-askonce-reason", outcome.reason.encode()))
    if reply.waited_s:
        headers.append((b"x-askonce-waited-ms", b"%d" % math.ceil(reply.waited_s * 1_000)))
    saved = reply.saved_nanousd
    if saved is not None:
        headers.append((b"x-askonce-saved-usd", b"%.9f" % (saved * 1e-9)))
    if reply.headers:
        headers += [
            (name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in reply.headers
        ]
    return headers if reply.allotment is None else _with_limits(headers, reply.allotment.headers)


def _with_limits(headers: Headers, limits: Sequence[tuple[str, str]]) -> Headers:
    """The caller's own limits, in the place of the upstream's, which aren't its own."""
    own = [(name.encode(), value.encode()) for name, value in limits]
    names = {name for name, _ in own}
    return [header for header in headers if header[0] not in names] + own


def _cache_headers(outcome: Outcome) -> Headers:
    """RFC 9211's and RFC 9111's headers; which entry answered, and how sure that is."""
    headers: Headers = []
    match outcome:
        case Exact() | Semantic(joined=False):
            status = b"hit; ttl=%d; detail=%s" % (outcome.ttl_s, outcome.name.encode())
            headers.append((b"age", b"%d" % outcome.age_s))
        case Joined() | Semantic():
            status = b"fwd=miss; collapsed; detail=" + outcome.name.encode()
        case Fresh():
            status = (
                b"fwd=request; detail=fresh"
                if outcome.reason.startswith("no-cache")
                else b"fwd=miss; detail=fresh"
            )
        case Bypass():
            status = b"fwd=bypass; detail=" + outcome.reason.encode()
        case _:
            assert_never(outcome)
    headers.append((b"cache-status", b"askonce; " + status))
    if isinstance(outcome, Exact | Semantic):
        headers.append((b"x-askonce-entry", outcome.entry.hex().encode()))
    if isinstance(outcome, Semantic):
        headers.append((b"x-askonce-confidence", b"%.4f" % outcome.confidence))
    return headers
