"""What a request asks for, read as strictly as a provider reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.upstreams.simulated.directive import FIELD
from askonce.upstreams.simulated.failures import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json

__all__ = ["Bounds", "Fields", "canonical", "parse"]

_NOT_CONTENT: Final = frozenset({
    FIELD, "stream", "stream_options", "user", "metadata", "store", "service_tier", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention", "max_tokens", "max_completion_tokens", "stop", "n",
    "logprobs", "top_logprobs", "encoding_format", "dimensions", "echo",
})  # fmt: skip
"""Fields that change an answer's form or length, but not its words."""
_MAX_STOPS: Final = 4


def parse(raw: bytes) -> Json:
    """The request's JSON object, with a model.

    Raises:
        UpstreamFailure: it isn't one.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("We could not parse the JSON body of your request.", None, "invalid_json") from None
    if not isinstance(body, dict):
        raise invalid("The JSON body of your request is not an object.", None, "invalid_json")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise invalid("You must provide a model parameter.", "model", "missing_required_parameter")
    return body


def canonical(body: Json, *left_out: str) -> bytes:
    """What makes an answer's words, as bytes that don't depend on the order of keys."""
    content = {key: value for key, value in body.items() if key not in _NOT_CONTENT and key not in left_out}
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number's least and largest value."""

    least: float
    most: float


class Fields:
    """A body's optional fields; null counts as absent. Every reader raises UpstreamFailure on another type."""

    def __init__(self, body: Json) -> None:
        self._body = body

    def given(self, name: str) -> bool:
        """Whether the field is there."""
        return self._body.get(name) is not None

    def integer(self, name: str, bounds: Bounds) -> int | None:
        """An integer within bounds."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid(f"Invalid type for '{name}': expected an integer.", name, "invalid_type")
        return int(_within(value, name, bounds))

    def number(self, name: str, bounds: Bounds) -> float | None:
        """A number within bounds."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise invalid(f"Invalid type for '{name}': expected a number.", name, "invalid_type")
        return _within(value, name, bounds)

    def boolean(self, name: str) -> bool:
        """A boolean, false where absent."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, bool):
            raise invalid(f"Invalid type for '{name}': expected a boolean.", name, "invalid_type")
        return bool(value)

    def object(self, name: str) -> Json:
        """An object, empty where absent."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, dict):
            raise invalid(f"Invalid type for '{name}': expected an object.", name, "invalid_type")
        return value or {}

    def objects(self, name: str) -> list[Json]:
        """A list of objects, empty where absent."""
        value = self._body.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise invalid(f"Invalid type for '{name}': expected an array of objects.", name, "invalid_type")
        return value

    def stops(self) -> Sequence[str]:
        """The stop sequences."""
        value: Any = self._body.get("stop")
        stops = [value] if isinstance(value, str) else value or []
        if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
            raise invalid("Invalid type for 'stop': expected a string or an array.", "stop", "invalid_type")
        if len(stops) > _MAX_STOPS:
            message = f"Invalid 'stop': array too long, at most {_MAX_STOPS} sequences."
            raise invalid(message, "stop", "array_above_max_length")
        return stops

    def include_usage(self, *, stream: bool) -> bool:
        """Whether the stream is to end with the usage."""
        options = self.object("stream_options")
        if options and not stream:
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise invalid(message, "stream_options")
        return bool(options.get("include_usage"))


def _within(value: float, name: str, bounds: Bounds) -> float:
    if value < bounds.least:
        message = f"Invalid '{name}': expected a value >= {bounds.least:g}, but got {value:g} instead."
        raise invalid(message, name, "below_min_value")
    if value > bounds.most:
        message = f"Invalid '{name}': expected a value <= {bounds.most:g}, but got {value:g} instead."
        raise invalid(message, name, "above_max_value")
    return value
