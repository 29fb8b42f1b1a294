"""LiteLLM's logs: rows of its spend logs, and the payload that its loggers write for every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from askonce.model import Endpoint, Usage
from askonce.replay.arrival import (
    Arrival,
    BadRow,
    json_of,
    number,
    said_in,
    seconds_between,
    text_of,
    unix_seconds,
)
from askonce.replay.formats import asking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.model import Json

__all__ = ["is_litellm", "read_litellm"]

_CALLS: Final = {
    "completion": (Endpoint.CHAT, "messages"),
    "text_completion": (Endpoint.COMPLETIONS, "prompt"),
    "embedding": (Endpoint.EMBEDDINGS, "input"),
}
"""By `call_type`, whose asynchronous kinds begin with an `a`."""
_FEATURE: Final = "feature:"
_TENANTS: Final = (
    "user_api_key_team_alias",
    "user_api_key_team_id",
    "user_api_key_alias",
    "user_api_key_hash",
)


def is_litellm(row: Json) -> bool:
    """Whether a row is one of LiteLLM's."""
    return "startTime" in row and ("call_type" in row or "response_cost" in row or "spend" in row)


def read_litellm(row: Json) -> Iterator[Arrival]:
    """A spend log or a logging payload; nothing for calls of other kinds than the gateway answers.

    The tenant is the team, else the key. A feature is a request tag `feature:NAME`. Calls that LiteLLM answered from
    its own cache say nothing of what an answer takes or costs.

    Raises:
        BadRow: It is no request, or its prompt wasn't kept.
    """
    kind = _CALLS.get(text_of(row, "call_type").removeprefix("a") or "completion")
    if kind is None:
        return
    endpoint, asked_in = kind
    at = unix_seconds(row.get("startTime"))
    duration_s = seconds_between(at, row.get("endTime"))
    cached = str(row.get("cache_hit")).lower() == "true"
    metadata = json_of(row.get("metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    prompt = number(row.get("prompt_tokens"))
    response = json_of(row.get("response"))
    yield Arrival(
        at=at,
        tenant=text_of(metadata, *_TENANTS[:1])
        or text_of(row, "team_id")
        or text_of(metadata, *_TENANTS[1:])
        or text_of(row, "api_key"),
        feature=_feature(row),
        endpoint=endpoint,
        body=_body(row, asked_in),
        usage=Usage(int(prompt), int(number(row.get("completion_tokens")) or 0)) if prompt else None,
        duration_s=None if cached else duration_s,
        cost_usd=None if cached else (number(row.get("response_cost", row.get("spend"))) or None),
        answer=said_in(response) if response not in ({}, []) else None,
        failed=text_of(row, "status") == "failure",
    )


def _body(row: Json, asked_in: str) -> bytes:
    """The body as the proxy got it, where that is kept; else what was asked with the parameters that went along."""
    model = text_of(row, "model_group") or text_of(row, "model")
    sent = json_of(row.get("proxy_server_request"))
    sent = json_of(sent.get("body", sent)) if isinstance(sent, dict) else None
    if isinstance(sent, dict) and sent.get(asked_in):
        return asking(model, sent, text_of(row, "end_user"))
    asked: Any = json_of(row.get("messages"))
    if isinstance(asked, dict) and asked_in in asked:
        asked = asked[asked_in]
    if not asked:
        raise BadRow("has no prompt: LiteLLM keeps prompts only with `store_prompts_in_spend_logs: true`")
    if asked_in == "messages" and isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    parameters = json_of(row.get("model_parameters"))
    body = {asked_in: asked, **(parameters if isinstance(parameters, dict) else {})}
    return asking(model, body, text_of(row, "end_user"))


def _feature(row: Json) -> str:
    tags = json_of(row.get("request_tags"))
    named = (
        [tag for tag in tags if isinstance(tag, str) and tag.startswith(_FEATURE)]
        if isinstance(tags, list)
        else []
    )
    return named[0].removeprefix(_FEATURE) if named else ""
