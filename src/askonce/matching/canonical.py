"""The canonical form of a request's body: two bodies have the same one exactly where they ask the same.

`read` parses the bytes and gives every number one spelling; `canonical` leaves out what doesn't make the answer and
puts the rest in order. Where in doubt, two spellings stay two requests: a miss costs money, a wrong coincidence
costs trust. Therefore nothing is ever lower-cased, trimmed or merged, a field that isn't known counts as it stands,
and a string content stays distinct from a list with one text part, which no provider documents to be the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.model import Json

__all__ = [
    "FIELDS",
    "MAX_DEPTH",
    "NESTED_TRANSPORT",
    "TRANSPORT",
    "Canonical",
    "Field",
    "Role",
    "canonical",
    "document",
    "read",
]

MAX_DEPTH: Final = 200
"""Levels of lists and objects in a body: far beyond any real one, well below every parser's own limit."""
_TOO_DEEP: Final = f"it is nested more than {MAX_DEPTH} levels deep"
_HOLE_BYTES: Final = b"?"
_PIECE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|\?')
"""A whole string, or the hole, which stands in none."""
_HOLE: Final = orjson.Fragment(_HOLE_BYTES)
"""Stands for the asked text. Not JSON, so that no content can be mistaken for it."""
_PLAIN: Final = frozenset({str, int, bool, NoneType})
_SCALARS: Final = _PLAIN | {float}
_CHOICES: Final = (("tools", "tool_choice"), ("functions", "function_call"))
"""What is offered, and how to choose: `auto` is the documented default where there is an offer, else `none`."""
_OPENAI_MODEL: Final = re.compile(r"(ft:)?(chatgpt-|gpt-[3-9]|o[1-9](-|$)|davinci-002|babbage-002)")


class Role(StrEnum):
    """What a field of a request is for."""

    IDENTITY = "identity"
    """It makes the answer; the order of keys inside means nothing."""
    SCHEMA = "schema"
    """It makes the answer and carries JSON schemas: models write properties in the order of the schema, so that
    inside schemas the order of keys counts. Elsewhere it doesn't."""
    TRANSPORT = "transport"
    """It doesn't change what is answered: how the answer travels, who asks, what the provider keeps."""
    ROUTE = "route"
    """It makes the answer, but under another name: the route's model, after aliases, stands for it."""
    UNKNOWN = "unknown"
    """Not known here: it counts as it stands, the order of its keys and null included."""


@dataclass(frozen=True, slots=True)
class Field:
    """A known field of a request's body.

    Attributes:
        role: What it is for.
        nullable: Whether the API takes null for "not given".
        default: The value that means the same as leaving the field out; None where the API documents none.
        openai_only: Whether only OpenAI's own models have that default. Servers of open models (vLLM, llama.cpp)
            take temperature and the like from the model's own configuration where a request doesn't name them.
    """

    role: Role = Role.IDENTITY
    nullable: bool = True
    default: Any = None
    openai_only: bool = False


TRANSPORT: Final[Mapping[str, str]] = {
    "stream": "whether the answer comes as events: the same answer",
    "stream_options": "which events accompany it: every subscriber gets its own",
    "user": "who asks; the isolation by `scope: user` reads it apart from the body",
    "safety_identifier": "who asks, for the provider's abuse monitoring",
    "metadata": "labels for the provider's dashboard",
    "store": "whether the provider keeps a copy",
    "service_tier": "how fast and at which price the same model answers",
    "prompt_cache_key": "routing hint for the provider's prompt cache, which changes price and latency alone",
    "prompt_cache_retention": "how long the provider's prompt cache lasts",
    "prompt_cache_options": "where the provider's prompt cache may break, and how long it lasts",
    "request_id": "vLLM: a name for its logs",
    "priority": "vLLM: place in its queue",
    "id_slot": "llama.cpp: which slot computes",
    "keep_alive": "Ollama: how long the model stays loaded",
}
"""Fields that never count, on every endpoint, each with the reason why."""

NESTED_TRANSPORT: Final[Mapping[str, str]] = {
    "prompt_cache_breakpoint": "where OpenAI's prompt cache may break",
    "cache_control": "where Anthropic's prompt cache may break, as gateways and routers accept it in chat requests",
}
"""Fields of messages and of their content parts that never count."""

_SHARED: Final[Mapping[str, Field]] = {
    "model": Field(Role.ROUTE, nullable=False),
    **dict.fromkeys(TRANSPORT, Field(Role.TRANSPORT)),
}
_GENERATION: Final[Mapping[str, Field]] = {
    **_SHARED,
    "frequency_penalty": Field(default=0),
    "logit_bias": Field(),
    "max_tokens": Field(),
    "n": Field(default=1),
    "presence_penalty": Field(default=0),
    "seed": Field(),
    "stop": Field(),
    "temperature": Field(default=1, openai_only=True),
    "top_p": Field(default=1, openai_only=True),
}
FIELDS: Final[Mapping[Endpoint, Mapping[str, Field]]] = {
    Endpoint.CHAT: {
        **_GENERATION,
        "messages": Field(nullable=False),
        "audio": Field(),
        "function_call": Field(nullable=False),
        "functions": Field(Role.SCHEMA, nullable=False),
        "logprobs": Field(default=False),
        "max_completion_tokens": Field(),
        "modalities": Field(default=["text"]),
        "moderation": Field(),
        "parallel_tool_calls": Field(nullable=False, default=True, openai_only=True),
        "prediction": Field(),
        "reasoning_effort": Field(),
        "response_format": Field(Role.SCHEMA, nullable=False, default={"type": "text"}),
        "tool_choice": Field(nullable=False),
        "tools": Field(Role.SCHEMA, nullable=False),
        "top_logprobs": Field(),
        "verbosity": Field(default="medium", openai_only=True),
        "web_search_options": Field(nullable=False),
    },
    Endpoint.COMPLETIONS: {
        **_GENERATION,
        "best_of": Field(),
        "echo": Field(default=False),
        "logprobs": Field(),
        "prompt": Field(),
        "suffix": Field(),
    },
    Endpoint.EMBEDDINGS: {
        **_SHARED,
        "dimensions": Field(nullable=False),
        "encoding_format": Field(nullable=False, default="float"),
        "input": Field(nullable=False),
    },
}
"""Every known field by endpoint."""
_UNKNOWN: Final = Field(Role.UNKNOWN, nullable=False)
_DROPPED: Final[Mapping[Endpoint, frozenset[str]]] = {
    endpoint: frozenset(n for n, field in fields.items() if field.role in {Role.TRANSPORT, Role.ROUTE})
    for endpoint, fields in FIELDS.items()
}


@dataclass(frozen=True, slots=True)
class Canonical:
    """What a body asks. Both parts together tell it from every other body that asks something else.

    Attributes:
        context: JSON with sorted keys; where there is a `text`, with a hole in its place. It ends with its own
            closing brace: none is another's beginning.
        text: The last message where it is plain user text (a string, or a list of one text part).
    """

    context: bytes
    text: str | None


class _InexactError(Exception):
    """A float that may have been an integer beyond 64 bits: the fast parser cannot tell."""


def read(raw: bytes) -> tuple[Json, Json]:
    """Reads a body.

    Returns:
        The JSON object with all integers exact (of a key that comes twice the last counts), and the same *settled*:
        with one spelling for every number (`2.0` and `2e0` are `2`, `-0.0` is `0`), fit for `canonical` alone. Both
        are one object where nothing differs.

    Raises:
        ValueError: with the reason, to be put after "The body is not a valid JSON object:".
    """
    body = orjson.loads(raw)
    if type(body) is not dict:
        raise ValueError("it must start with { and end with }")
    try:
        return body, _settle(body, 1, exact=False)
    except _InexactError:
        return _read_exactly(raw)


def canonical(endpoint: Endpoint, settled: Json, model: str) -> Canonical:
    """The canonical form of a body.

    Args:
        endpoint: Where it was sent.
        settled: As `read` settled it; for chat, `messages` is a list (not empty) of objects.
        model: The upstream's own name of the model, whose defaults count as given.
    """
    fields, dropped = FIELDS[endpoint], _DROPPED[endpoint]
    kept: Json = {}
    for name, value in settled.items():
        if name in dropped:
            continue
        field = fields.get(name, _UNKNOWN)
        if value is None and field.nullable:
            continue
        if field.default is not None and _is_default(field, value, model):
            continue
        kept[name] = value if type(value) in _SCALARS else _ordered(field, value)
    text = None
    if endpoint is Endpoint.CHAT:
        kept["messages"], text = _messages(kept["messages"])
        for offer, choice in _CHOICES:
            if choice in kept and kept[choice] == ("auto" if kept.get(offer) else "none"):
                del kept[choice]
    return Canonical(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS), text)


def document(form: Canonical) -> Json:
    """A canonical form as one JSON object, for people: the asked text stands in its place."""
    text = orjson.dumps(form.text)

    def whole(piece: re.Match[bytes]) -> bytes:
        return text if piece[0] == _HOLE_BYTES else piece[0]

    read_back: Json = orjson.loads(_PIECE.sub(whole, form.context))
    return read_back


def _read_exactly(raw: bytes) -> tuple[Json, Json]:
    """The slow way, for bodies with enormous numbers: the standard library's integers have no bounds."""
    try:
        body: Json = json.loads(raw)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return body, _settle(body, 1, exact=True)


def _settle(value: Any, depth: int, *, exact: bool) -> Any:
    """A list or object with its numbers in one spelling: itself where nothing changes."""
    if depth > MAX_DEPTH:
        raise ValueError(_TOO_DEEP)
    is_object = type(value) is dict
    if not exact and _PLAIN.issuperset(map(type, value.values() if is_object else value)):
        return value
    settled = value
    for key, item in value.items() if is_object else enumerate(value):
        kind = type(item)
        if kind is dict or kind is list:
            other = _settle(item, depth + 1, exact=exact)
        elif kind is float or (exact and kind is int):
            other = _settle_number(item, exact=exact)
        else:
            continue
        if other is not item:
            settled = value.copy() if settled is value else settled
            settled[key] = other
    return settled


def _settle_number(number: float, *, exact: bool) -> float | orjson.Fragment:
    if type(number) is float:
        if not number.is_integer():
            return number
        if not exact and not -(2**63) < number < 2**63:
            raise _InexactError
        number = int(number)
    return number if -(2**63) <= number < 2**64 else orjson.Fragment(str(number))


def _is_default(field: Field, value: Any, model: str) -> bool:
    """Whether a value says what leaving the field out says. Types count: `1` is not `true`."""
    return (
        type(value) is type(field.default)
        and value == field.default
        and (not field.openai_only or _OPENAI_MODEL.match(model) is not None)
    )


def _ordered(field: Field, value: Any) -> Any:
    """A list or object, ready for sorting: where the order of keys counts, it is kept."""
    if field.role is Role.IDENTITY:
        return value
    return _with_schemas_in_order(value) if field.role is Role.SCHEMA else _in_order(value)


def _in_order(value: Any) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(value))


def _with_schemas_in_order(value: Any) -> Any:
    """Schemas are known by their place: `parameters` of a function, `schema` of a response format."""
    if type(value) is list:
        return [_with_schemas_in_order(item) for item in value]
    if type(value) is not dict:
        return value
    return {
        name: _in_order(item) if name in ("parameters", "schema") else _with_schemas_in_order(item)
        for name, item in value.items()
    }


def _messages(messages: list[Json]) -> tuple[list[Json], str | None]:
    """The messages without marks for prompt caches and without the asked text, and that text."""
    kept = [
        _unmarked(message) if type(message.get("content")) is list or "cache_control" in message else message
        for message in messages
    ]
    last = kept[-1]
    if last.get("role") != "user":
        return kept, None
    match last.get("content"):
        case str() as text:
            kept[-1] = {**last, "content": _HOLE}
            return kept, text
        case [{"type": "text", "text": str() as text} as part]:
            kept[-1] = {**last, "content": [{**part, "text": _HOLE}]}
            return kept, text
    return kept, None


def _unmarked(message: Json) -> Json:
    kept = {name: value for name, value in message.items() if name not in NESTED_TRANSPORT}
    content = kept.get("content")
    if type(content) is list:
        kept["content"] = [
            {name: value for name, value in part.items() if name not in NESTED_TRANSPORT}
            if type(part) is dict
            else part
            for part in content
        ]
    return kept
