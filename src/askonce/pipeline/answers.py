"""What an answer is made of: whole bodies, streamed chunks, the way between them, and each reader's envelope.

Shapes are OpenAI's: every upstream adapter yields them. One stored form (`Answer`, the whole) serves streaming
and plain callers alike; `assembler.Assembler` makes it out of chunks, `split` makes chunks out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import getrandbits
from typing import TYPE_CHECKING, Final

import orjson

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Answer, Chunk, Endpoint, Json, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ID_PREFIXES",
    "Envelope",
    "Stamp",
    "garbage",
    "keepable",
    "load",
    "make",
    "parse_whole",
    "said_usage",
    "split",
    "take_stamp",
    "told",
    "usage_bytes",
]

_MOST_TOKENS: Final = 10**9
ID_PREFIXES: Final = {Endpoint.CHAT: "chatcmpl-", Endpoint.COMPLETIONS: "cmpl-", Endpoint.EMBEDDINGS: ""}
_KEEPABLE: Final = frozenset({"stop", "length", "tool_calls", "function_call"})
"""Finish reasons of answers that are worth keeping: a filtered or aborted one is nobody else's answer."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """An answer's own mark: `id` and `created` (Unix seconds) as the upstream gave them, `model` as it says."""

    id: str
    created: int
    model: str


def garbage(sentence: str) -> UpstreamFailure:
    """The failure of an upstream that answered 200 with something that isn't an answer."""
    return UpstreamFailure(502, "upstream_garbage", sentence, sharing=Sharing.TRANSIENT, began=True)


def told(error: object) -> UpstreamFailure:
    """The failure of an upstream that reported an error under status 200: in its stream, or instead of an answer."""
    said = error.get("message") if isinstance(error, dict) else error
    return UpstreamFailure(
        502,
        "upstream_reported_error",
        f"The upstream reported an error under status 200: {said}",
        sharing=Sharing.TRANSIENT,
        body=orjson.dumps(error) if isinstance(error, dict) else None,
        began=True,
    )


def load(raw: bytes) -> Json:
    """An upstream's JSON object. Raises UpstreamFailure where it isn't one."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise garbage("The upstream answered 200 with a body that isn't JSON; try again.") from None
    if not isinstance(body, dict):
        raise garbage("The upstream answered 200 with JSON that isn't an object; try again.")
    return body


def said_usage(answer: Answer) -> Usage | None:
    """The tokens that the upstream says an answer took; None where it doesn't, or says what can't be counted."""
    return _usage(orjson.loads(answer.usage_json)) if answer.usage_json else None


def _count(value: object) -> int | None:
    """A count of tokens; None for what can't be one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    counts = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if counts and isinstance(value, int) else None


def _usage(value: object) -> Usage | None:
    """The tokens of a `usage` object; None where it has no count of them. Embeddings have no completion."""
    if not isinstance(value, dict):
        return None
    prompt = _count(value.get("prompt_tokens"))
    completion = _count(0 if value.get("completion_tokens") is None else value["completion_tokens"])
    if prompt is None or completion is None:
        return None
    details = value.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(prompt, completion, min(cached or 0, prompt))


def take_stamp(body: Json) -> Stamp:
    """Takes the envelope's fields out of `body`."""
    identity, created, model = body.pop("id", None), body.pop("created", None), body.pop("model", None)
    return Stamp(
        id=identity if isinstance(identity, str) else "",
        created=int(created) if isinstance(created, int | float) and 0 <= created < 2**53 else 0,
        model=model if isinstance(model, str) else "",
    )


def usage_bytes(usage: object) -> bytes:
    """The JSON of a `usage` value, copied: what orjson returns keeps its whole buffer, 4 KiB and more, alive."""
    return b"null" if usage is None else memoryview(orjson.dumps(usage)).tobytes()


def make(
    body: Json, stamp: Stamp, usage: object, endpoint: Endpoint, cost: Callable[[Usage], int | None]
) -> Answer:
    """The answer of a body without envelope (`id`, `created`, `model`, `usage` taken out)."""
    tokens = _usage(usage)
    return Answer(
        fields=orjson.dumps(body)[1:-1],
        usage_json=b"" if usage is None else usage_bytes(usage),
        model=stamp.model,
        id_prefix=ID_PREFIXES[endpoint] if stamp.id else "",
        usage=tokens or Usage(),
        cost_nanousd=None if tokens is None else cost(tokens),
    )


def keepable(choices: list[Json]) -> bool:
    """Whether choices came to an end that makes them worth keeping for others."""
    reasons = [choice.get("finish_reason") for choice in choices]
    return bool(reasons) and all(isinstance(reason, str) and reason in _KEEPABLE for reason in reasons)


def parse_whole(
    raw: bytes, endpoint: Endpoint, cost: Callable[[Usage], int | None]
) -> tuple[Answer, Stamp, bool]:
    """Reads an upstream's whole body; the last item says whether it may be kept for others.

    Raises:
        UpstreamFailure: the body isn't an answer of that endpoint.
    """
    body = load(raw)
    key = "data" if endpoint is Endpoint.EMBEDDINGS else "choices"
    parts = body.get(key)
    if parts is None and body.get("error"):
        raise told(body["error"])
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise garbage(f"The upstream answered 200 without `{key}`; try again.")
    stamp = take_stamp(body)
    worth_keeping = bool(parts) if endpoint is Endpoint.EMBEDDINGS else keepable(parts)
    return make(body, stamp, body.pop("usage", None), endpoint, cost), stamp, worth_keeping


def split(answer: Answer) -> list[Chunk]:
    """The chunks of a stored answer: per choice one with all its content and one that ends it; last the usage."""
    body: Json = orjson.loads(b"{" + answer.fields + b"}")
    choices: list[Json] = body.pop("choices", [])
    if body.get("object") == "chat.completion":
        body["object"] = "chat.completion.chunk"
    usage_null = b"null" if answer.usage_json else b""
    chunks = [
        Chunk(fields=orjson.dumps({**body, "choices": [part]})[1:-1], usage=usage_null, bare=False)
        for choice in choices
        for part in _parts(choice)
    ]
    if answer.usage_json:
        bare = orjson.dumps({**body, "choices": []})[1:-1]
        chunks.append(Chunk(fields=bare, usage=answer.usage_json, bare=True))
    return chunks


def _parts(choice: Json) -> tuple[Json, Json]:
    """One choice as two parts of a stream: all its content, then its end."""
    first = {**choice, "finish_reason": None}
    last: Json = {
        "index": choice.get("index", 0),
        "finish_reason": choice.get("finish_reason"),
        "logprobs": None,
    }
    message = first.pop("message", None)
    if message is None:
        return first, {**last, "text": ""}
    delta = dict(message)
    if isinstance(delta.get("tool_calls"), list):
        delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(delta["tool_calls"])]
    return {**first, "delta": delta}, {**last, "delta": {}}


class Envelope:
    """One reader's own wrapping: its `id` and `created`, the model's name as it knows it, usage if it asked.

    Attributes:
        id: The id that this reader sees.
    """

    __slots__ = ("_include_usage", "_prefix", "id")

    def __init__(self, stamp: Stamp, include_usage: bool) -> None:  # noqa: FBT001 - the reader's own wish
        self.id = stamp.id
        self._include_usage = include_usage
        prefix: Json = {}
        if stamp.id:
            prefix = {"id": stamp.id, "created": stamp.created}
        if stamp.model:
            prefix["model"] = stamp.model
        self._prefix = orjson.dumps(prefix)[1:-1] + b"," if prefix else b""

    @staticmethod
    def new_stamp(id_prefix: str, created: int, model: str) -> Stamp:
        """A mark of the reader's own, for an answer that was made for somebody else."""
        return Stamp(
            id=f"{id_prefix}{getrandbits(112):028x}" if id_prefix else "", created=created, model=model
        )

    def whole(self, answer: Answer) -> bytes:
        """The JSON body."""
        usage = b',"usage":' + answer.usage_json if answer.usage_json else b""
        return b"{" + self._prefix + answer.fields + usage + b"}"

    def event(self, chunk: Chunk) -> bytes:
        """The server-sent event; empty where this reader gets none."""
        if not self._include_usage:
            return b"" if chunk.bare else b"data: {" + self._prefix + chunk.fields + b"}\n\n"
        usage = b',"usage":' + (chunk.usage or b"null")
        return b"data: {" + self._prefix + chunk.fields + usage + b"}\n\n"
