"""Langfuse's exports: observations of its tables, its API and its blob storage; and traces with their observations inside."""

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
    from collections.abc import Iterator, Sequence

    from askonce.model import Json

__all__ = ["is_langfuse", "observations_of", "read_langfuse"]

_KINDS: Final = {"GENERATION": Endpoint.CHAT, "EMBEDDING": Endpoint.EMBEDDINGS, "": Endpoint.CHAT}
_STARTS: Final = ("startTime", "start_time")
_TRACES: Final = ("traceId", "trace_id")
_PARAMETERS: Final = frozenset(
    {
        "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "n", "parallel_tool_calls",
        "presence_penalty", "reasoning_effort", "response_format", "seed", "stop", "temperature", "tool_choice", "tools",
        "top_logprobs", "top_p", "verbosity", "dimensions", "encoding_format",
    }
)  # fmt: skip
"""Model parameters that are fields of a request; others are what a framework wrote down beside them."""
_NAMED: Final = frozenset({"encoding_format", "reasoning_effort", "stop", "tool_choice", "verbosity"})
_INPUT: Final = ("input", "input_tokens", "prompt_tokens", "promptTokens")
_OUTPUT: Final = ("output", "output_tokens", "completion_tokens", "completionTokens")
_CACHED: Final = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read")


def is_langfuse(row: Json) -> bool:
    """Whether a row is one of Langfuse's."""
    if isinstance(json_of(row.get("observations")), list):
        return True
    return any(name in row for name in _STARTS) and any(name in row for name in (*_TRACES, "type"))


def observations_of(row: Json) -> Sequence[Json]:
    """A row's observations: it may be one, or a trace with them inside.

    Raises:
        BadRow: It is a trace of which they were left out.
    """
    inside = json_of(row.get("observations"))
    if not isinstance(inside, list):
        return (row,)
    found = [{"userId": row.get("userId"), **one} for one in inside if isinstance(one, dict)]
    if inside and not found:
        raise BadRow("is a trace without its observations: export observations instead")
    return found


def read_langfuse(row: Json) -> Iterator[Arrival]:
    """An observation that is a call; nothing for spans and events.

    Tenant and feature are `tenant` (or `tenant_id`) and `feature` of the metadata, where applications write them.

    Raises:
        BadRow: It is no request.
    """
    endpoint = _KINDS.get(text_of(row, "type").upper())
    if endpoint is None:
        return
    at = unix_seconds(_first(row, *_STARTS))
    duration_s = seconds_between(at, _first(row, "endTime", "end_time"))
    metadata = json_of(row.get("metadata"))
    metadata = metadata if isinstance(metadata, dict) else {}
    yield Arrival(
        at=at,
        tenant=text_of(metadata, "tenant", "tenant_id"),
        feature=text_of(metadata, "feature"),
        endpoint=endpoint,
        body=_body(row, endpoint),
        usage=_usage(row),
        duration_s=number(row.get("latency")) if duration_s is None else duration_s,
        cost_usd=_cost_usd(row),
        answer=said_in(row.get("output")),
        failed=text_of(row, "level").upper() == "ERROR",
    )


def _first(row: Json, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _body(row: Json, endpoint: Endpoint) -> bytes:
    asked = json_of(row.get("input"))
    if not asked:
        raise BadRow("has no input")
    body: Json = {}
    if endpoint is Endpoint.EMBEDDINGS:
        body["input"] = asked.get("input", asked) if isinstance(asked, dict) else asked
    elif isinstance(asked, dict) and isinstance(asked.get("messages"), list):
        body = dict(asked)
    else:
        body["messages"] = _messages(asked)
    parameters = json_of(_first(row, "modelParameters", "model_parameters"))
    if isinstance(parameters, dict):
        for name in _PARAMETERS.intersection(parameters):
            value = parameters[name]
            body.setdefault(name, value if name in _NAMED else json_of(_as_number(value)))
    model = text_of(row, "model", "provided_model_name", "providedModelName")
    if not model and not body.get("model"):
        raise BadRow("names no model")
    return asking(model, body, text_of(row, "userId", "user_id"))


def _messages(asked: Any) -> list[Any]:
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    messages = asked if isinstance(asked, list) else [asked]
    if not all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in messages):
        raise BadRow("has an input that is no conversation")
    return messages


def _as_number(value: Any) -> Any:
    """Numbers that the export wrote as text are numbers again."""
    found = number(value) if isinstance(value, str) else None
    if found is None:
        return value
    return int(found) if found.is_integer() else found


def _usage(row: Json) -> Usage | None:
    for found in (json_of(_first(row, "usageDetails", "usage_details")), json_of(row.get("usage")), row):
        if not isinstance(found, dict):
            continue
        names = _INPUT[2:] if found is row else _INPUT  # a row's own `input` is the prompt
        prompt = next((count for name in names if (count := number(found.get(name))) is not None), None)
        if prompt is None:
            continue
        outputs = (number(found.get(name)) for name in (_OUTPUT[2:] if found is row else _OUTPUT))
        output = next((count for count in outputs if count is not None), 0)
        cached = sum(number(found.get(name)) or 0 for name in _CACHED)
        return Usage(int(prompt + cached), int(output), int(cached))
    return None


def _cost_usd(row: Json) -> float | None:
    details = json_of(_first(row, "costDetails", "cost_details"))
    named = _first(row, "totalCost", "total_cost", "calculatedTotalCost")
    return (
        number(named if named is not None else details.get("total") if isinstance(details, dict) else None)
        or None
    )
