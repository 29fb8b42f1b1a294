"""What a caller is shown of a job: the same in responses, events and webhooks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson

from askonce.job import DeliveryState, JobState
from askonce.pipeline.answers import Envelope, Stamp

if TYPE_CHECKING:
    from askonce.job import Job
    from askonce.model import Answer, Json

__all__ = ["document", "native_fields"]

_PATH: Final = "/v2/inference/"


def document(job: Job) -> Json:
    """A job as JSON; to be written with orjson, which the answer's own bytes need."""
    path = _PATH + quote(job.request_id, safe="")
    shown: Json = {
        "id": job.request_id,
        "request_id": job.request_id,
        "object": "inference.job",
        "status": job.state.value,
        "endpoint": f"/v1/{job.endpoint}",
        "model": job.model,
        "feature": job.feature,
        "created_at": job.created_at,
        "deadline_at": job.deadline_at,
        "ended_at": job.ended_at,
        "links": {"self": path, "cancel": f"{path}/cancel"},
    }
    if job.delivery is not None:
        delivery = job.delivery
        shown["webhook"] = {
            "url": delivery.url,
            "state": delivery.state.value,
            "attempts": delivery.attempts,
            "last_attempt": delivery.detail or None,
            "next_attempt_at": delivery.due_at if delivery.state is DeliveryState.PENDING else None,
        }
    if job.state is JobState.COMPLETED:
        shown |= {
            "outcome": job.outcome,
            "cost_usd": _usd(job.spent_nanousd),
            "saved_usd": _usd(job.saved_nanousd),
        }
    if job.answer is not None:
        body = _envelope(job, job.answer).whole(job.answer)
        shown["response"] = orjson.Fragment(body)
        if job.native:
            shown |= native_fields(orjson.loads(body))
    if job.state is JobState.FAILED:
        shown["error"] = orjson.loads(job.error or b"null")
    return shown


def native_fields(body: Json) -> Json:
    """What the native endpoint shows of a chat answer: the first choice's text, and how it came about."""
    choice: Json = next(iter(body.get("choices", [])), {})
    return {
        "model": body.get("model"),
        "output": choice.get("message", {}).get("content"),
        "finish_reason": choice.get("finish_reason"),
        "usage": body.get("usage"),
    }


def _envelope(job: Job, answer: Answer) -> Envelope:
    """A job's own mark, the same whenever it is asked for."""
    name = hashlib.sha256(orjson.dumps([job.tenant, job.request_id])).hexdigest()[:28]
    model = job.model if job.model != job.upstream_model else answer.model
    stamp = Stamp(answer.id_prefix + name if answer.id_prefix else "", int(job.ended_at or 0), model)
    return Envelope(stamp, include_usage=True)


def _usd(nanousd: int | None) -> float | None:
    return None if nanousd is None else nanousd * 1e-9
