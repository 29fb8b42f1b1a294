"""What operators and tools ask: health, metrics, models, and forgetting answers."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from askonce.errors import Refusal
from askonce.http.errors import error_response
from askonce.http.headers import joined, request_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from askonce.model import Json
    from askonce.wiring import Running

__all__ = ["routes"]

_MAX_ADMIN_BODY_BYTES = 65_536


def routes(running: Running) -> list[Route]:
    """All routes but the inference endpoints."""
    operations = _Operations(running)
    return [
        Route("/metrics", operations.metrics),
        Route("/healthz", operations.health),
        Route("/readyz", operations.ready),
        Route("/v1/models", _refusing(operations.models)),
        Route("/v1/models/{model:path}", _refusing(operations.model)),
        Route("/admin/cache/invalidate", _refusing(operations.invalidate), methods=["POST"]),
    ]


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _refusing(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turns a Refusal into its response."""

    async def answer(request: Request) -> Response:
        identity = request_id(joined(request.headers.raw))
        try:
            response = await endpoint(request)
        except Refusal as refusal:
            return error_response(refusal, identity)
        response.headers["x-request-id"] = identity
        return response

    return answer


class _Operations:
    def __init__(self, running: Running) -> None:
        self._running = running

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format."""
        return Response(self._running.metrics.exposition(), media_type="text/plain; version=0.0.4")

    async def health(self, _: Request) -> Response:
        """What each part is doing; 200 as long as the process answers."""
        return _json(self._running.health())

    async def ready(self, _: Request) -> Response:
        """200 as soon as requests can be served, whatever is still loading."""
        ready = self._running.ready
        return _json({"ready": ready}, 200 if ready else 503)

    async def models(self, request: Request) -> Response:
        """OpenAI's list of models."""
        found = await self._running.gateway.models(joined(request.headers.raw))
        return _json({"object": "list", "data": found})

    async def model(self, request: Request) -> Response:
        """One model."""
        wanted = request.path_params["model"]
        for found in await self._running.gateway.models(joined(request.headers.raw)):
            if found.get("id") == wanted:
                return _json(found)
        raise Refusal(404, "model_not_found", f"There is no model {wanted[:100]!r}.", param="model")

    async def invalidate(self, request: Request) -> Response:
        """Forgets answers by tag: `{"tags": [...]}`."""
        self._authorise(request)
        tags = (await _admin_body(request)).get("tags")
        if not isinstance(tags, list) or not tags or not all(isinstance(tag, str) for tag in tags):
            raise Refusal(
                400, "invalid_field", "`tags` must be a list of strings that isn't empty.", param="tags"
            )
        return _json({"forgotten": await self._running.gateway.invalidate(tags)})

    def _authorise(self, request: Request) -> None:
        digests: Sequence[bytes] = self._running.admin_digests
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(key.strip().encode("latin-1", "replace")).digest()
        if scheme.lower() != "bearer" or not any(hmac.compare_digest(digest, known) for known in digests):
            raise Refusal(
                401, "invalid_admin_key", "Send an administrator's key; `admin.keys` in the configuration."
            )


async def _admin_body(request: Request) -> Json:
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > _MAX_ADMIN_BODY_BYTES:
            raise Refusal(413, "request_too_large", f"The body is larger than {_MAX_ADMIN_BODY_BYTES} bytes.")
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body must be a JSON object.")
    return body
