"""What callers ask of their jobs: how one stands (waiting for it, or as events), all of them, and to call one off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from askonce.errors import Refusal
from askonce.http.headers import joined
from askonce.http.rest import json_response, refusing
from askonce.job import JobState
from askonce.jobs.document import document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from askonce.job import Job
    from askonce.model import Caller
    from askonce.wiring import Running

__all__ = ["job_body", "job_path", "job_routes"]

_PATH: Final = "/v2/inference"
_LONGEST_WAIT_S: Final = 60.0
_BEAT_S: Final = 5.0
"""Between two looks of an event stream: also what keeps its connection alive."""
_PAGE: Final = 100
_LONGEST_PAGE: Final = 1_000
_CLOSING: Final = b'event: closing\nretry: 1000\ndata: {"code":"shutting_down","message":"The gateway is shutting down; ask again."}\n\n'
"""The last event of a stream that ends before its job: clients of event streams come back by themselves."""
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_LOOK_AGAIN_S: Final = 5


def job_path(job: Job) -> str:
    """Where a job is."""
    return f"{_PATH}/{quote(job.request_id, safe='')}"


def job_body(job: Job, *, durable: bool) -> bytes:
    """The body of the response to a submission."""
    return orjson.dumps({**document(job), "durable": durable})


def job_routes(running: Running) -> list[Route]:
    """All routes of jobs but their submission."""
    jobs = _Jobs(running)
    return [
        Route(_PATH, refusing(jobs.page)),
        Route("/v2/webhooks/secret", refusing(jobs.secret)),
        Route(_PATH + "/{request_id}", refusing(jobs.find), methods=["GET"]),
        Route(_PATH + "/{request_id}", refusing(jobs.cancel), methods=["DELETE"]),
        Route(_PATH + "/{request_id}/cancel", refusing(jobs.cancel), methods=["POST"]),
    ]


class _Jobs:
    def __init__(self, running: Running) -> None:
        self._gateway = running.gateway
        self._desk = running.jobs.desk

    async def find(self, request: Request) -> Response:
        """A job: 200 once it has ended, 202 before; `?wait=` seconds for its end, or as events."""
        caller, request_id = self._caller(request), request.path_params["request_id"]
        if "text/event-stream" in request.headers.get("accept", ""):
            job = await self._desk.find(caller, request_id)
            return StreamingResponse(
                self._events(caller, job),
                media_type="text/event-stream",
                headers={"cache-control": "no-store"},
            )
        return _shown(await self._desk.find(caller, request_id, _wait_s(request)))

    async def cancel(self, request: Request) -> Response:
        """Calls a job off: the job as it stands then."""
        return _shown(await self._desk.cancel(self._caller(request), request.path_params["request_id"]))

    async def page(self, request: Request) -> Response:
        """A caller's jobs, newest first: `?status=&limit=&after=`."""
        query = request.query_params
        status, limit = query.get("status"), query.get("limit", str(_PAGE))
        if status is not None and status not in {state.value for state in JobState}:
            sentence = f"`status` is one of {', '.join(JobState)}."
            raise Refusal(400, "invalid_field", sentence, param="status")
        if not _NUMBER.fullmatch(limit) or not 0 < int(limit) <= _LONGEST_PAGE:
            sentence = f"`limit` must be a number from 1 to {_LONGEST_PAGE}."
            raise Refusal(400, "invalid_field", sentence, param="limit")
        state = None if status is None else JobState(status)
        count = int(limit)
        found = await self._desk.page(self._caller(request), state, query.get("after", ""), count + 1)
        data = [document(job) for job in found[:count]]
        return json_response({"object": "list", "data": data, "has_more": len(found) > count})

    async def secret(self, request: Request) -> Response:
        """What the caller's webhooks are signed with."""
        return json_response({"secret": self._desk.signing_secret(self._caller(request))})

    async def _events(self, caller: Caller, job: Job) -> AsyncIterator[bytes]:
        """The job's states as they come, then its end."""
        told = None
        while not job.state.ended:
            if self._desk.closing:
                yield _CLOSING
                return
            if job.state is not told:
                yield _event("status", job)
                told = job.state
            else:
                yield b":\n\n"
            try:
                job = await self._desk.find(caller, job.request_id, _BEAT_S)
            except Refusal:
                return
        yield _event("result", job)

    def _caller(self, request: Request) -> Caller:
        """Who asks. Raises Refusal: 401."""
        tenant = request.query_params.get("tenant_id")
        caller = self._gateway.caller(joined(request.headers.raw), tenant)
        if caller.tenant is None:
            raise Refusal(401, "missing_api_key", "Send the key that the job was handed in with.")
        return caller


def _shown(job: Job) -> Response:
    if job.state.ended:
        return json_response(document(job))
    response = json_response(document(job), 202)
    response.headers["retry-after"] = str(_LOOK_AGAIN_S)
    return response


def _event(name: str, job: Job) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(document(job)))


def _wait_s(request: Request) -> float:
    given = request.query_params.get("wait", "0")
    try:
        wait_s = float(given)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s < float("inf"):
        raise Refusal(400, "invalid_field", "`wait` must be a number of seconds.", param="wait")
    return min(wait_s, _LONGEST_WAIT_S)
