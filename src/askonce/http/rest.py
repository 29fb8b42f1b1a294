"""What the endpoints beside inference share: JSON in, JSON out, and refusals in the usual shape."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from askonce.errors import Refusal
from askonce.http.errors import error_response
from askonce.http.headers import joined, request_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from askonce.model import Json

__all__ = ["json_body", "json_response", "refusing"]

_MAX_BODY_BYTES: Final = 65_536
_BODY_TIMEOUT_S: Final = 60.0


def json_response(content: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(content), status, media_type="application/json")


def refusing(
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


async def json_body(request: Request, max_bytes: int = _MAX_BODY_BYTES) -> Json:
    """The request's JSON object. Raises Refusal."""
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for part in request.stream():
                raw += part
                if len(raw) > max_bytes:
                    raise Refusal(413, "request_too_large", f"The body is larger than {max_bytes} bytes.")
    except ClientDisconnect:
        raise Refusal(400, "incomplete_body", "The body broke off.") from None
    except TimeoutError:
        sentence = f"The body took longer than {_BODY_TIMEOUT_S:g} s to arrive."
        raise Refusal(408, "request_timeout", sentence) from None
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body must be a JSON object.")
    return body
