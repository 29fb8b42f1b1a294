"""What operators and tools ask: health, metrics, models, what was wrong with an answer; and what administrators do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from askonce.errors import Refusal
from askonce.http.admin import admin_routes
from askonce.http.admin_access import AdminAccess
from askonce.http.dashboard import dashboard_routes
from askonce.http.headers import joined
from askonce.http.jobs import job_routes
from askonce.http.rest import json_body, json_response, refusing

if TYPE_CHECKING:
    from starlette.requests import Request

    from askonce.model import Json
    from askonce.wiring import Running

__all__ = ["routes"]


def routes(running: Running) -> list[Route]:
    """All routes but the inference endpoints."""
    operations, access = _Operations(running), AdminAccess(running)
    return [
        Route("/metrics", operations.metrics),
        Route("/healthz", operations.health),
        Route("/readyz", operations.ready),
        Route("/v1/models", refusing(operations.models)),
        Route("/v1/models/{model:path}", refusing(operations.model)),
        Route("/v1/askonce/feedback", refusing(operations.feedback), methods=["POST"]),
        *job_routes(running),
        *admin_routes(running, access),
        *dashboard_routes(running, access),
    ]


class _Operations:
    def __init__(self, running: Running) -> None:
        self._running = running

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format, or OpenMetrics where that is asked for."""
        body, content_type = await self._running.metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def health(self, _: Request) -> Response:
        """What each part is doing; 200 as long as the process answers."""
        return json_response(self._running.health())

    async def ready(self, _: Request) -> Response:
        """200 as soon as requests can be served, whatever is still loading."""
        ready = self._running.ready
        return json_response({"ready": ready}, 200 if ready else 503)

    async def models(self, request: Request) -> Response:
        """OpenAI's list of models."""
        found = await self._running.gateway.models(joined(request.headers.raw))
        return json_response({"object": "list", "data": found})

    async def model(self, request: Request) -> Response:
        """One model."""
        wanted = request.path_params["model"]
        for found in await self._running.gateway.models(joined(request.headers.raw)):
            if found.get("id") == wanted:
                return json_response(found)
        raise Refusal(404, "model_not_found", f"There is no model {wanted[:100]!r}.", param="model")

    async def feedback(self, request: Request) -> Response:
        """What a caller says of a semantic hit: `{"request_id" or "entry": …, "correct": …}`."""
        body = await json_body(request)
        correct, tenant = body.get("correct"), body.get("tenant_id")
        if not isinstance(correct, bool):
            raise Refusal(400, "invalid_field", "`correct` must be true or false.", param="correct")
        if tenant is not None and not isinstance(tenant, str):
            raise Refusal(400, "invalid_field", "`tenant_id` must be a string.", param="tenant_id")
        await self._running.gateway.feedback(
            joined(request.headers.raw), _hit_name(body), correct=correct, tenant=tenant
        )
        return json_response({"recorded": True})


def _hit_name(body: Json) -> str | bytes:
    """The request id (text) or entry (bytes) that feedback is about. Raises Refusal."""
    named = [name for name in ("request_id", "entry") if body.get(name) is not None]
    if len(named) != 1 or not isinstance(body[named[0]], str):
        sentence = "Name the answer by `request_id` (its X-Request-Id) or by `entry` (its X-Askonce-Entry)."
        raise Refusal(400, "invalid_field", sentence, param="request_id")
    if named[0] == "request_id":
        return str(body["request_id"])
    try:
        return bytes.fromhex(body["entry"])
    except ValueError:
        raise Refusal(400, "invalid_field", "`entry` must be hexadecimal digits.", param="entry") from None
