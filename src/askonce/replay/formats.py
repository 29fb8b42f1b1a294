"""askonce's own request log, and OpenAI request bodies with a time beside or inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.model import Endpoint, Usage
from askonce.replay.arrival import Arrival, BadRow, json_of, number, said_in, text_of, unix_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from askonce.model import Json

__all__ = ["asking", "endpoint_of", "is_openai", "is_own", "read_openai", "read_own", "usage_of"]

_TIMES: Final = ("at", "timestamp", "time", "ts", "created_at", "created", "start_time", "startTime")
_BODIES: Final = ("body", "request", "request_body")
_ASKING: Final = {
    "messages": Endpoint.CHAT,
    "prompt": Endpoint.COMPLETIONS,
    "input": Endpoint.EMBEDDINGS,
}
_ABOUT: Final = frozenset(
    {*_TIMES, "tenant", "feature", "usage", "duration_s", "cost_usd", "answer", "response", "endpoint"}
)
"""What a log says about a bare body beside the body itself."""
_FIRST_ERROR: Final = 400


def is_own(row: Json) -> bool:
    """Whether a row is of askonce's own format."""
    return "at" in row and isinstance(row.get("body"), dict)


def is_openai(row: Json) -> bool:
    """Whether a row is a request body with a time."""
    body = _inner(row)
    return any(name in row for name in _TIMES) and any(name in body for name in _ASKING)


def read_own(row: Json) -> Iterator[Arrival]:
    """A row of `at` and `body`.

    It may have `tenant`, `feature`, `user`, `endpoint`, `usage`, `duration_s`, `cost_usd`, `answer` and `status`.

    Raises:
        BadRow: It is no request.
    """
    body = row.get("body")
    if not isinstance(body, dict):
        raise BadRow('needs "body", an object')
    yield _arrival(row, body, unix_seconds(row.get("at")))


def read_openai(row: Json) -> Iterator[Arrival]:
    """A request body that carries a time, or that stands under `body` or `request` beside one.

    Raises:
        BadRow: It is no request.
    """
    time = next((row[name] for name in _TIMES if name in row), None)
    body = _inner(row)
    if body is row:
        body = {name: value for name, value in row.items() if name not in _ABOUT}
    yield _arrival(row, body, unix_seconds(time))


def endpoint_of(path: str, body: Mapping[str, Any]) -> Endpoint:
    """The endpoint that a path names, or the one that a body is for.

    Raises:
        BadRow: It is one that the gateway doesn't have, or can't be told.
    """
    if path:
        named = path.partition("?")[0].rstrip("/").rpartition("/v1/")[2].strip("/")
        if named not in tuple(Endpoint):
            raise BadRow("is for an endpoint that the gateway doesn't answer")
        return Endpoint(named)
    found = next((endpoint for name, endpoint in _ASKING.items() if name in body), None)
    if found is None:
        raise BadRow("asks nothing: no messages, prompt or input")
    return found


def asking(model: str, asked: Mapping[str, Any], user: str) -> bytes:
    """A request's JSON. `user` is added where the body names none.

    Raises:
        BadRow: It can't be written as JSON.
    """
    body = dict(asked)
    if model:
        body.setdefault("model", model)
    if user:
        body.setdefault("user", user)
    try:
        return orjson.dumps(body)
    except (TypeError, orjson.JSONEncodeError):
        raise BadRow("has a body that is no JSON") from None


def usage_of(found: Any) -> Usage | None:
    """OpenAI's usage object; None where there is none."""
    found = json_of(found)
    if not isinstance(found, dict):
        return None
    prompt = number(found.get("prompt_tokens", found.get("input_tokens")))
    if prompt is None:
        return None
    details = found.get("prompt_tokens_details") or found.get("input_tokens_details")
    cached = number(details.get("cached_tokens")) if isinstance(details, dict) else None
    completion = number(found.get("completion_tokens", found.get("output_tokens")))
    return Usage(int(prompt), int(completion or 0), int(cached or 0))


def _inner(row: Json) -> Json:
    return next((row[name] for name in _BODIES if isinstance(row.get(name), dict)), row)


def _arrival(row: Json, body: Json, at: float) -> Arrival:
    response = json_of(row.get("response"))
    usage = row.get("usage") or (response.get("usage") if isinstance(response, dict) else None)
    status = number(row.get("status"))
    return Arrival(
        at=at,
        tenant=text_of(row, "tenant"),
        feature=text_of(row, "feature"),
        endpoint=endpoint_of(text_of(row, "endpoint", "url", "path"), body),
        body=asking(text_of(row, "model"), body, text_of(row, "user") if body is not row else ""),
        usage=usage_of(usage),
        duration_s=number(row.get("duration_s")),
        cost_usd=number(row.get("cost_usd")),
        answer=said_in(row.get("answer") or response),
        failed=status is not None and status >= _FIRST_ERROR,
    )
