"""A streamed answer added up: the same whole that a plain caller would have got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.model import Chunk, Endpoint, Json
from askonce.pipeline.answers import garbage, keepable, load, make, take_stamp, told, usage_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.model import Answer, Usage
    from askonce.pipeline.answers import Stamp

__all__ = ["Assembler"]

_REPLACED: Final = frozenset({"role", "id", "type", "name", "index", "format", "expires_at"})
"""Delta fields that a later chunk repeats rather than continues."""


class Assembler:
    """Turns a stream's payloads into chunks for readers, and adds them up to the whole answer.

    Attributes:
        stamp: The first event's own mark, once there is one.
    """

    def __init__(self, endpoint: Endpoint, choices: int = 1) -> None:
        """`choices` is how many the request asked for: a stream without an end mark isn't whole before it has them."""
        self._endpoint = endpoint
        self._expected = choices
        self._top: Json = {}
        self._choices: dict[int, Json] = {}
        self._usage: object = None
        self._usages: dict[int, Json] = {}
        self.stamp: Stamp | None = None

    def feed(self, payload: bytes) -> Chunk | None:
        """One event's JSON. None for events that carry nothing (`null`, as some servers open with).

        Raises:
            UpstreamFailure: the event is an error, or isn't a chunk.
        """
        if payload == b"null":
            return None
        body = load(payload)
        choices = body.get("choices")
        if body.get("error") and not choices:
            raise told(body["error"])
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise garbage("The upstream's stream has an event without `choices`; try again.")
        stamp = take_stamp(body)
        if self.stamp is None:
            self.stamp = stamp
        usage = body.pop("usage", b"")
        chunk = Chunk(
            fields=orjson.dumps(body)[1:-1],
            usage=b"" if usage == b"" else usage_bytes(usage),
            bare=not choices and isinstance(usage, dict),
        )
        self._merge(body, choices)
        if isinstance(usage, dict):
            self._count(usage, choices)
        return chunk

    def finish(self, cost: Callable[[Usage], int | None]) -> tuple[Answer, bool]:
        """The whole answer, and whether it may be kept.

        Raises:
            UpstreamFailure: there was no event at all.
        """
        if self.stamp is None:
            raise garbage("The upstream's stream ended without an event; try again.")
        choices = [self._whole_choice(self._choices[index]) for index in sorted(self._choices)]
        answer = make({**self._top, "choices": choices}, self.stamp, self._usage, self._endpoint, cost)
        return answer, keepable(choices)

    @property
    def ended(self) -> bool:
        """Whether each choice has its finish reason: what tells a whole stream without an end mark from half a one."""
        finished = [choice for choice in self._choices.values() if choice.get("finish_reason")]
        return len(finished) == len(self._choices) >= self._expected

    @property
    def said_bytes(self) -> int:
        """About how much text has come so far."""
        return sum(
            len(orjson.dumps(choice.get("text") or choice.get("delta"))) for choice in self._choices.values()
        )

    @property
    def speaks(self) -> bool:
        """Whether some choice has more than its role by now: a part of the answer, or its end."""
        return any(
            choice.get("text") or choice.get("finish_reason") or _speaks(choice.get("delta"))
            for choice in self._choices.values()
        )

    def _count(self, usage: Json, choices: list[Json]) -> None:
        """An event with choices counts them alone (llama.cpp's prompt lists, once each); a bare one counts all.

        Servers that count as they go repeat themselves per choice: the newest replaces.
        """
        if self._endpoint is Endpoint.CHAT or not choices:
            self._usage = usage
            return
        for position, choice in enumerate(choices):
            self._usages[_index(choice, position)] = usage
        total: object = None
        for one in self._usages.values():
            total = _sum(total, one)
        self._usage = total

    def _merge(self, body: Json, choices: list[Json]) -> None:
        for key, value in body.items():
            if key not in {"choices", "obfuscation"} and value is not None:
                self._top[key] = value
        if self._top.get("object") == "chat.completion.chunk":
            self._top["object"] = "chat.completion"
        for position, choice in enumerate(choices):
            index = _index(choice, position)
            into = self._choices.setdefault(index, {"index": index})
            for key, value in choice.items():
                if key in {"delta", "logprobs"} and isinstance(value, dict):
                    (_merge_delta if key == "delta" else _merge_lists)(_object(into, key), value)
                elif key == "text" and isinstance(value, str):
                    into["text"] = (into.get("text") or "") + value
                elif key != "index" and (value is not None or key not in into):
                    into[key] = value

    def _whole_choice(self, choice: Json) -> Json:
        whole = {key: value for key, value in choice.items() if key != "delta"}
        if self._endpoint is Endpoint.CHAT:
            delta = choice.get("delta") or {}
            message = {"role": "assistant", "content": None, **delta}
            message["role"] = message["role"] or "assistant"
            calls = message.get("tool_calls")
            if isinstance(calls, list):
                message["tool_calls"] = [_without_index(call) for call in sorted(calls, key=_call_order)]
            whole["message"] = message
        return whole


def _speaks(delta: Any) -> bool:
    return isinstance(delta, dict) and any(value for key, value in delta.items() if key != "role")


def _index(choice: Json, position: int) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else position


def _object(parent: Json, key: str) -> Json:
    value = parent.get(key)
    if not isinstance(value, dict):
        value = parent[key] = {}
    return value


def _list(parent: Json, key: str) -> list[Any]:
    value = parent.get(key)
    if not isinstance(value, list):
        value = parent[key] = []
    return value


def _call_order(call: Any) -> int:
    return _index(call, 0) if isinstance(call, dict) else 0


def _without_index(call: Any) -> Any:
    return {key: value for key, value in call.items() if key != "index"} if isinstance(call, dict) else call


def _sum(one: object, other: object) -> object:
    """Token counts, nested as they are, added up."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _sum(one.get(key), other.get(key)) for key in {**one, **other}}
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one + other
    return one if other is None else other


def _merge_lists(into: Json, logprobs: Json) -> None:
    """Adds a chunk's logprobs: lists grow, the rest is set."""
    for key, value in logprobs.items():
        if isinstance(value, list):
            _list(into, key).extend(value)
        elif value is not None or key not in into:
            into[key] = value


def _merge_delta(into: Json, delta: Json) -> None:
    """Adds a delta: strings grow, lists grow (or merge by their items' `index`), objects merge, the rest is set."""
    for key, value in delta.items():
        held = into.get(key)
        if value is None:
            into.setdefault(key, None)
        elif isinstance(value, str) and isinstance(held, str):
            into[key] = (value or held) if key in _REPLACED else held + value
        elif isinstance(value, dict):
            _merge_delta(_object(into, key), value)
        elif isinstance(value, list):
            _merge_list(_list(into, key), value)
        else:
            into[key] = value


def _merge_list(into: list[Any], items: list[Any]) -> None:
    for item in items:
        index = item.get("index") if isinstance(item, dict) else None
        if not isinstance(index, int):
            into.append(item)
            continue
        held = next((one for one in into if isinstance(one, dict) and one.get("index") == index), None)
        if held is None:
            held = {}
            into.append(held)
        _merge_delta(held, item)
