"""An upstream that takes whole calls, several at a time: a list of bodies goes in, a list of outcomes comes back.

Functions in the gateway's own process are asked so. What the calls share is who asks, and for which model; all else
may differ, and each may fail for itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from askonce.errors import Sharing, UpstreamFailure
from askonce.sending.batches.form import (
    Mismatch,
    Part,
    read_fields,
    read_list,
    write_fields,
    write_list,
)
from askonce.sending.estimate import text_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Call

__all__ = ["Bodies", "read_bodies", "write_outcomes"]


class _Failure(msgspec.Struct, frozen=True):
    """An UpstreamFailure as JSON."""

    status: int
    code: str
    message: str
    sharing: Sharing
    retry_after_s: float | None
    body: msgspec.Raw
    began: bool


_FAILURE: Final = msgspec.json.Decoder(_Failure)


class Bodies:
    """Joins calls as they are."""

    def read(self, call: Call) -> Part:
        """What a call adds to a batch."""
        group = (call.endpoint, call.model, call.credential, call.headers)
        return Part(call, group, {}, (call.body,), (text_tokens(len(call.body)),))

    def join(self, parts: Sequence[Part]) -> Call:
        """The one call for several parts of the same group."""
        body = write_list(part.call.body for part in parts)
        return replace(parts[0].call, body=body, stream=False)

    def split(self, body: bytes, parts: Sequence[Part]) -> Sequence[bytes | UpstreamFailure]:
        """Each part's own body or failure, in the parts' order. Raises Mismatch."""
        outcomes = read_list(body)
        if len(outcomes) != len(parts):
            raise Mismatch(f"{len(outcomes)} outcomes for {len(parts)} calls")
        return [_outcome(raw) for raw in outcomes]

    def pieces(self, failure: UpstreamFailure, count: int) -> int:  # noqa: ARG002 - the protocol's shape
        """Never broken: each call has its own outcome, and what fails the batch is nobody's own."""
        return 1


def read_bodies(body: bytes) -> list[bytes] | None:
    """The bodies of calls that go together; None where the body is a single call's."""
    return read_list(body) if body.lstrip().startswith(b"[") else None


def write_outcomes(outcomes: Sequence[bytes | UpstreamFailure]) -> bytes:
    """The body that `Bodies.split` reads: what became of each call, in their order; bodies are valid JSON."""
    return write_list(
        write_fields({"failure": _write_failure(outcome)})
        if isinstance(outcome, UpstreamFailure)
        else write_fields({"body": outcome})
        for outcome in outcomes
    )


def _outcome(raw: bytes) -> bytes | UpstreamFailure:
    fields = read_fields(raw)
    if "body" in fields:
        return fields["body"]
    try:
        failure = _FAILURE.decode(fields["failure"])
    except (KeyError, msgspec.DecodeError) as error:
        raise Mismatch(str(error)) from None
    return UpstreamFailure(
        failure.status,
        failure.code,
        failure.message,
        sharing=failure.sharing,
        retry_after_s=failure.retry_after_s,
        body=None if bytes(failure.body) == b"null" else bytes(failure.body),
        began=failure.began,
    )


def _write_failure(failure: UpstreamFailure) -> bytes:
    told = _Failure(
        failure.status,
        failure.code,
        failure.message,
        failure.sharing,
        failure.retry_after_s,
        msgspec.Raw(failure.body or b"null"),
        failure.began,
    )
    return msgspec.json.encode(told)
