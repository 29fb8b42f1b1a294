"""What a request says of the batch lane: only who asks for a job by name gets one.

A feature's configured lane makes none: a caller that expects an answer would be handed a promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal
from askonce.model import JobTerms, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["job_terms"]

_LANE: Final = b"x-askonce-lane"
_DEADLINE: Final = b"x-askonce-deadline"
_WEBHOOK: Final = b"x-askonce-webhook"
_OF_JOBS: Final = frozenset({_LANE, _DEADLINE, _WEBHOOK})


def job_terms(
    headers: Mapping[bytes, bytes], *, deadline: float | None = None, webhook: str | None = None
) -> JobTerms | None:
    """The terms of the job that is wanted, by headers or by what the body says; None where an answer is wanted.

    Raises:
        Refusal: 400, a header says nothing, or something that jobs alone have.
    """
    if headers.keys().isdisjoint(_OF_JOBS) and deadline is None and webhook is None:
        return None
    if deadline is None and _DEADLINE in headers:
        try:
            deadline = float(headers[_DEADLINE])
        except ValueError:
            raise Refusal(400, "invalid_header", "X-Askonce-Deadline takes a number of seconds.") from None
    if webhook is None and _WEBHOOK in headers:
        webhook = headers[_WEBHOOK].decode("latin-1").strip()
    if headers.get(_LANE, b"").decode("latin-1").strip().lower() == Lane.BATCH:
        return JobTerms(deadline, webhook or "", native=False)
    if deadline is None and webhook is None:
        return None
    sentence = "A deadline or webhook is for jobs alone: ask for one with the batch lane."
    raise Refusal(400, "not_a_job", sentence)
