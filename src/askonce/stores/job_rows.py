"""A job as a row, an answer as a blob."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.job import Delivery, DeliveryState, Job, JobState
from askonce.model import Answer, Usage
from askonce.stores.sealing import Unreadable, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.stores.sealing import Seals

__all__ = ["FIND", "PAGES", "job_from", "pack", "unpack"]

_COLUMNS: Final = (
    "jobs.number, jobs.tenant, request_id, jobs.state, lines.state, label, feature, endpoint, jobs.model, "
    "lines.model, native, created_at, deadline_at, ended_at, outcome, spent_nanousd, saved_nanousd, error, jobs.line, "
    "url, deliveries.state, deliveries.attempts, deliveries.due_at, detail"
)
_FROM: Final = (
    "FROM jobs JOIN lines ON lines.number = jobs.line LEFT JOIN deliveries ON deliveries.job = jobs.number"
)
FIND: Final = f"SELECT {_COLUMNS}, answer {_FROM} WHERE jobs.tenant = ? AND request_id = ?"
_QUEUED: Final = "jobs.state = 'open' AND lines.state IN ('waiting', 'direct')"
_RUNNING: Final = "jobs.state = 'open' AND lines.state NOT IN ('waiting', 'direct')"
_ENDS: Final = "ORDER BY jobs.number DESC LIMIT :count"
_LOST: Final = orjson.dumps(
    {
        "message": "The gateway's disk has damaged the result of this job; submit it under another request id.",
        "type": "server_error",
        "param": None,
        "code": "result_unreadable",
    }
)


def _page(condition: str) -> str:
    return (
        f"SELECT {_COLUMNS}, x'' {_FROM} WHERE jobs.tenant = :tenant AND jobs.number < :after "
        f"AND {condition} {_ENDS}"
    )


PAGES: Final[Mapping[JobState | None, str]] = {
    None: _page("1"),
    JobState.QUEUED: _page(_QUEUED),
    JobState.RUNNING: _page(_RUNNING),
    JobState.COMPLETED: _page("jobs.state = 'completed'"),
    JobState.FAILED: _page("jobs.state = 'failed'"),
    JobState.CANCELLED: _page("jobs.state = 'cancelled'"),
}
"""A tenant's jobs by state (None: all), newest first: `:tenant`, `:after`, `:count`."""


def job_from(row: tuple[Any, ...], seals: Seals) -> Job:
    """The job of a row; one whose result no key opens has failed."""
    (
        number, tenant, request_id, state, line_state, label, feature, endpoint, model, upstream_model, native,
        created_at, deadline_at, ended_at, outcome, spent, saved, error, line, url, told, attempts, due_at, detail,
        answer,
    ) = row  # fmt: skip
    if state == "open":
        seen = JobState.QUEUED if line_state in {"waiting", "direct"} else JobState.RUNNING
    else:
        seen = JobState(state)
    found = delivery = None
    try:
        error = seals.unseal(error, place("jobs.error", number))
        if answer and seen is JobState.COMPLETED:
            found = unpack(seals.unseal(answer, place("lines.answer", line)))
    except Unreadable:
        seen, error = JobState.FAILED, _LOST
    if url is not None:
        with suppress(Unreadable):
            url = seals.unseal_text(url, place("deliveries.url", number))
            delivery = Delivery(number, url, DeliveryState(told), attempts, due_at, detail)
    return Job(
        number=number,
        tenant=tenant,
        request_id=request_id,
        state=seen,
        label=label,
        feature=feature,
        endpoint=endpoint,
        model=model,
        upstream_model=upstream_model,
        native=bool(native),
        created_at=created_at,
        deadline_at=deadline_at,
        ended_at=ended_at,
        outcome=outcome,
        spent_nanousd=spent,
        saved_nanousd=saved,
        error=error,
        answer=found,
        delivery=delivery,
    )


def pack(answer: Answer) -> bytes:
    """An answer as three lines: what is known of it, its usage, its fields; JSON holds no line ends."""
    usage = answer.usage
    head = [
        answer.model, answer.id_prefix, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens,
        answer.cost_nanousd,
    ]  # fmt: skip
    return b"\n".join((orjson.dumps(head), answer.usage_json, answer.fields))


def unpack(blob: bytes) -> Answer:
    """The answer of such a blob."""
    head, usage_json, fields = blob.split(b"\n", 2)
    model, id_prefix, prompt_tokens, completion_tokens, cached_tokens, cost_nanousd = orjson.loads(head)
    usage = Usage(prompt_tokens, completion_tokens, cached_tokens)
    return Answer(fields, usage_json, model, id_prefix, usage, cost_nanousd)
