"""What an answer is made of: whole bodies, streamed chunks, the way between them, and each reader's envelope.

Shapes are OpenAI's: every upstream adapter yields them. One stored form (`Answer`, the whole) serves streaming
and plain callers alike; `Assembler` makes it out of chunks, `split` makes chunks out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Answer, Chunk, Endpoint, Json, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Assembler", "Envelope", "Stamp", "garbage", "parse_whole", "split"]

ID_PREFIXES: Final = {Endpoint.CHAT: "chatcmpl-", Endpoint.COMPLETIONS: "cmpl-", Endpoint.EMBEDDINGS: ""}
KEEPABLE_FINISHES: Final = frozenset({"stop", "length", "tool_calls", "function_call"})
"""Finish reasons of answers that are worth keeping: a filtered or aborted one is nobody else's answer."""
_REPLACED: Final = frozenset({"role", "id", "type", "name", "index", "expires_at"})
"""Delta fields that a later chunk repeats rather than continues."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """An answer's own mark: `id` and `created` (Unix seconds) as the upstream gave them, `model` as it says."""

    id: str
    created: int
    model: str


def garbage(sentence: str) -> UpstreamFailure:
    """The failure of an upstream that answered 200 with something that isn't an answer."""
    return UpstreamFailure(502, "upstream_garbage", sentence, sharing=Sharing.TRANSIENT)


def _load(raw: bytes) -> Json:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise garbage("The upstream answered 200 with a body that isn't JSON; try again.") from None
    if not isinstance(body, dict):
        raise garbage("The upstream answered 200 with JSON that isn't an object; try again.")
    return body


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _usage(value: object) -> Usage:
    if not isinstance(value, dict):
        return Usage()
    details = value.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=_count(value.get("prompt_tokens")),
        completion_tokens=_count(value.get("completion_tokens")),
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else 0,
    )


def _stamp(body: Json) -> Stamp:
    """Takes the envelope's fields out of `body`."""
    identity, created, model = body.pop("id", None), body.pop("created", None), body.pop("model", None)
    return Stamp(
        id=identity if isinstance(identity, str) else "",
        created=created if isinstance(created, int) else 0,
        model=model if isinstance(model, str) else "",
    )


def _make(
    body: Json, stamp: Stamp, usage: object, endpoint: Endpoint, cost: Callable[[Usage], int | None]
) -> Answer:
    tokens = _usage(usage)
    return Answer(
        fields=orjson.dumps(body)[1:-1],
        usage_json=b"" if usage is None else orjson.dumps(usage),
        model=stamp.model,
        id_prefix=ID_PREFIXES[endpoint] if stamp.id else "",
        usage=tokens,
        cost_nanousd=cost(tokens),
    )


def _keepable(choices: list[Json]) -> bool:
    return all(choice.get("finish_reason") in KEEPABLE_FINISHES for choice in choices)


def parse_whole(
    raw: bytes, endpoint: Endpoint, cost: Callable[[Usage], int | None]
) -> tuple[Answer, Stamp, bool]:
    """Reads an upstream's whole body; the last item says whether it may be kept for others.

    Raises:
        UpstreamFailure: the body isn't an answer of that endpoint.
    """
    body = _load(raw)
    key = "data" if endpoint is Endpoint.EMBEDDINGS else "choices"
    parts = body.get(key)
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise garbage(f"The upstream answered 200 without `{key}`; try again.")
    stamp = _stamp(body)
    keepable = bool(parts) and (endpoint is Endpoint.EMBEDDINGS or _keepable(parts))
    return _make(body, stamp, body.pop("usage", None), endpoint, cost), stamp, keepable


class Assembler:
    """Turns a stream's payloads into chunks for readers, and adds them up to the whole answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._top: Json = {}
        self._choices: dict[int, Json] = {}
        self._usage: object = None
        self.stamp: Stamp | None = None

    def feed(self, payload: bytes) -> Chunk | None:
        """One event's JSON. None for events that carry nothing (`null`, as some servers open with).

        Raises:
            UpstreamFailure: the event is an error, or isn't a chunk.
        """
        if payload == b"null":
            return None
        body = _load(payload)
        choices = body.get("choices")
        if "error" in body and not choices:
            raise self._told(body)
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise garbage("The upstream's stream has an event without `choices`; try again.")
        stamp = _stamp(body)
        if self.stamp is None:
            self.stamp = stamp
        usage = body.pop("usage", b"")
        chunk = Chunk(
            fields=orjson.dumps(body)[1:-1],
            usage=b"" if usage == b"" else orjson.dumps(usage),
            bare=not choices and isinstance(usage, dict),
        )
        if isinstance(usage, dict):
            self._usage = _add_usage(self._usage, usage) if self._late_usage(choices) else usage
        self._merge(body, choices)
        return chunk

    def finish(self, cost: Callable[[Usage], int | None]) -> tuple[Answer, bool]:
        """The whole answer, and whether it may be kept.

        Raises:
            UpstreamFailure: there was no event at all.
        """
        if self.stamp is None:
            raise garbage("The upstream's stream ended without an event; try again.")
        choices = [self._choices[index] for index in sorted(self._choices)]
        body = {**self._top, "choices": [self._whole_choice(choice) for choice in choices]}
        answer = _make(body, self.stamp, self._usage, self._endpoint, cost)
        return answer, bool(choices) and _keepable(choices)

    @property
    def ended(self) -> bool:
        """Whether each choice has its finish reason: what tells a whole stream without an end mark from half a one."""
        return bool(self._choices) and all(choice.get("finish_reason") for choice in self._choices.values())

    def _late_usage(self, choices: list[Json]) -> bool:
        """Whether usage comes once per choice, as llama.cpp's prompt lists send it, and must be added up."""
        return self._endpoint is Endpoint.COMPLETIONS and bool(choices) and len(self._choices) > 0

    @staticmethod
    def _told(body: Json) -> UpstreamFailure:
        error = body["error"]
        said = error.get("message") if isinstance(error, dict) else error
        return UpstreamFailure(
            502,
            "upstream_stream_error",
            f"The upstream's stream reported an error: {said}",
            sharing=Sharing.TRANSIENT,
            body=orjson.dumps(error) if isinstance(error, dict) else None,
        )

    def _merge(self, body: Json, choices: list[Json]) -> None:
        for key, value in body.items():
            if key not in {"choices", "obfuscation"} and value is not None:
                self._top[key] = value
        if self._top.get("object") == "chat.completion.chunk":
            self._top["object"] = "chat.completion"
        for position, choice in enumerate(choices):
            index = choice.get("index", position)
            into = self._choices.setdefault(index if isinstance(index, int) else position, {"index": index})
            for key, value in choice.items():
                if key == "delta" and isinstance(value, dict):
                    _merge_delta(into.setdefault("delta", {}), value)
                elif key == "text" and isinstance(value, str):
                    into["text"] = into.get("text", "") + value
                elif key == "logprobs" and isinstance(value, dict):
                    _merge_delta(_object(into, "logprobs"), value)
                elif value is not None or key not in into:
                    into[key] = value

    def _whole_choice(self, choice: Json) -> Json:
        whole = {key: value for key, value in choice.items() if key != "delta"}
        if self._endpoint is Endpoint.CHAT:
            message = {"role": "assistant", "content": None, **choice.get("delta", {})}
            calls = message.get("tool_calls")
            if isinstance(calls, list):
                message["tool_calls"] = [_without_index(call) for call in calls]
            whole["message"] = message
        return whole


def _object(parent: Json, key: str) -> Json:
    value = parent.get(key)
    if not isinstance(value, dict):
        value = parent[key] = {}
    return value


def _without_index(call: Any) -> Any:
    return {key: value for key, value in call.items() if key != "index"} if isinstance(call, dict) else call


def _add_usage(so_far: object, more: Json) -> Json:
    if not isinstance(so_far, dict):
        return more
    return {
        key: value + so_far.get(key, 0)
        if isinstance(value, int) and isinstance(so_far.get(key, 0), int)
        else value
        for key, value in more.items()
    }


def _merge_delta(into: Json, delta: Json) -> None:
    """Adds a delta: strings grow, lists grow (or merge by their items' `index`), objects merge, the rest is set."""
    for key, value in delta.items():
        held = into.get(key)
        if value is None:
            into.setdefault(key, None)
        elif isinstance(value, str) and isinstance(held, str) and key not in _REPLACED:
            into[key] = held + value
        elif isinstance(value, dict) and isinstance(held, dict):
            _merge_delta(held, value)
        elif isinstance(value, list):
            _merge_list(_list(into, key), value)
        elif isinstance(value, dict):
            _merge_delta(_object(into, key), value)
        else:
            into[key] = value


def _list(parent: Json, key: str) -> list[Any]:
    value = parent.get(key)
    if not isinstance(value, list):
        value = parent[key] = []
    return value


def _merge_list(into: list[Any], items: list[Any]) -> None:
    for item in items:
        index = item.get("index") if isinstance(item, dict) else None
        if index is None:
            into.append(item)
            continue
        held = next((one for one in into if isinstance(one, dict) and one.get("index") == index), None)
        if held is None:
            held = {}
            into.append(held)
        _merge_delta(held, item)


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
        return Stamp(id=id_prefix + token_hex(14) if id_prefix else "", created=created, model=model)

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
