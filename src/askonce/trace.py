"""Where a request or a call stands in a distributed trace: W3C Trace Context, as far as it travels."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Trace", "new_span_id", "new_trace_id", "read_trace"]

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_MAX_STATE_BYTES: Final = 512
"""What the standard asks everybody to pass on; longer ones are dropped whole, as it allows."""
_STATE: Final = re.compile(rb"[\x20-\x7e]*\Z")
_SAMPLED: Final = 0x01


class Trace(NamedTuple):
    """A span's place.

    Attributes:
        trace_id: 128 bits, not 0.
        span_id: The span's own, 64 bits, not 0.
        parent_id: The span that it belongs to; 0 for the first of a trace.
        sampled: Whether it is recorded.
        state: The vendors' own data (`tracestate`), passed on as it came.
    """

    trace_id: int
    span_id: int
    parent_id: int
    sampled: bool
    state: str = ""

    def child(self) -> Trace:
        """A new span that belongs to this one."""
        return self._replace(span_id=new_span_id(), parent_id=self.span_id)

    @property
    def headers(self) -> dict[str, str]:
        """What a call carries whose span this is."""
        headers = {"traceparent": f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.sampled:02x}"}
        return {**headers, "tracestate": self.state} if self.state else headers


def read_trace(headers: Mapping[bytes, bytes]) -> Trace | None:
    """The caller's own span (`parent_id` 0); None where it sends none, or one that doesn't follow the standard."""
    given = headers.get(b"traceparent")
    match = _TRACEPARENT.match(given) if given is not None else None
    if match is None or match[1] == b"ff" or (match[1] == b"00" and match[5]):
        return None
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    if not (trace_id and span_id):
        return None
    state = headers.get(b"tracestate", b"")
    kept = len(state) <= _MAX_STATE_BYTES and _STATE.match(state)
    return Trace(trace_id, span_id, 0, bool(int(match[4], 16) & _SAMPLED), state.decode() if kept else "")


def new_trace_id() -> int:
    """128 random bits, not 0."""
    return random.getrandbits(128) or new_trace_id()


def new_span_id() -> int:
    """64 random bits, not 0."""
    return random.getrandbits(64) or new_span_id()
