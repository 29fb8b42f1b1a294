"""JSON that fits a JSON schema: small, reproducible, good enough for structured outputs and tool arguments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from askonce.upstreams.simulated.failures import invalid

if TYPE_CHECKING:
    from askonce.model import Json
    from askonce.upstreams.simulated.dice import Dice

__all__ = ["instance"]

_MAX_DEPTH: Final = 4
"""Nesting below which optional parts are left out, so that recursive schemas come to an end."""
_HARD_DEPTH: Final = 32
"""Nesting below which nothing is made at all: a schema that asks for more has no finite instance."""
_WORDS: Final = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "juniper")
_FORMATS: Final = {
    "date-time": "2024-05-17T09:30:00Z",
    "date": "2024-05-17",
    "time": "09:30:00Z",
    "duration": "PT90M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: Any, dice: Dice) -> Any:
    """A value that fits `schema` (`$ref` within it, `anyOf`, `allOf`, `enum`, ranges and lengths are heeded).

    Raises:
        UpstreamFailure: the schema isn't one.
    """
    try:
        return _Maker(schema if isinstance(schema, dict) else {}, dice).make(schema, 0)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise invalid("Invalid schema.", "schema", "invalid_json_schema") from None


class _Maker:
    def __init__(self, root: Json, dice: Dice) -> None:
        self._root = root
        self._dice = dice

    def make(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _HARD_DEPTH:
            return None
        if "$ref" in schema:
            return self.make({**self._resolve(schema["$ref"]), **_without_reference(schema)}, depth + 1)
        if "const" in schema:
            return schema["const"]
        if enum := schema.get("enum"):
            return self._dice.pick(enum)
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self.make(self._option(options, depth), depth)
        return self._typed(self._merged(schema) if schema.get("allOf") else schema, depth)

    def _typed(self, schema: Json, depth: int) -> Any:
        value: Any = None
        match self._type(schema):
            case "object":
                value = self._object(schema, depth)
            case "array":
                value = self._array(schema, depth)
            case "integer":
                value = int(self._number(schema, 1))
            case "number":
                value = self._number(schema, 0)
            case "boolean":
                value = bool(self._dice.below(2))
            case "string":
                value = self._string(schema)
        return value

    @staticmethod
    def _type(schema: Json) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        return str(kind)

    def _resolve(self, reference: Any) -> Json:
        node: Any = self._root
        for step in str(reference).removeprefix("#").strip("/").split("/"):
            if step and isinstance(node, dict):
                node = node.get(step.replace("~1", "/").replace("~0", "~"))
        return node if isinstance(node, dict) else {}

    @staticmethod
    def _option(options: list[Any], depth: int) -> Any:
        """The first, and deep down one that leads no deeper."""
        if depth < _MAX_DEPTH:
            return options[0]
        flat = (one for one in options if isinstance(one, dict) and "$ref" not in one)
        return next(flat, options[0])

    def _merged(self, schema: Json) -> Json:
        """The schema and the parts of its `allOf` as one: what several say of properties adds up."""
        merged: Json = {key: value for key, value in schema.items() if key != "allOf"}
        properties = dict(merged.get("properties", {}))
        required = list(merged.get("required", []))
        for part in schema["allOf"]:
            whole = {**self._resolve(part["$ref"]), **_without_reference(part)} if "$ref" in part else part
            properties.update(whole.get("properties", {}))
            required += whole.get("required", [])
            merged = {**whole, **merged}
        return {**merged, "properties": properties, "required": required} if properties else merged

    def _object(self, schema: Json, depth: int) -> Json:
        properties = schema.get("properties", {})
        required = schema.get("required")
        if required is None:
            required = list(properties) if depth < _MAX_DEPTH else []
        return {name: self.make(properties.get(name, {}), depth + 1) for name in required}

    def _array(self, schema: Json, depth: int) -> list[Any]:
        prefix = schema.get("prefixItems", [])
        least = max(schema.get("minItems", 0), len(prefix), 1 if depth < _MAX_DEPTH else 0)
        count = min(least, schema.get("maxItems", least))
        items = schema.get("items", {})
        return [
            self.make(prefix[position] if position < len(prefix) else items, depth + 1)
            for position in range(count)
        ]

    def _number(self, schema: Json, step: int) -> float:
        """A number in range; `step` is the smallest distance from an exclusive bound that still counts (0: any)."""
        gap = step or 0.5
        low = schema.get("minimum", _plus(schema.get("exclusiveMinimum"), gap))
        high = schema.get("maximum", _plus(schema.get("exclusiveMaximum"), -gap))
        if low is None:
            low = min(0, high) if high is not None else 0
        if high is None:
            high = low + 100
        multiple = schema.get("multipleOf", step)
        if not multiple:
            return float(low + (high - low) * round(self._dice.share(), 3))
        first, last = math.ceil(low / multiple), math.floor(high / multiple)
        return float((first + self._dice.below(max(1, last - first + 1))) * multiple)

    def _string(self, schema: Json) -> str:
        if (form := schema.get("format")) in _FORMATS:
            return _FORMATS[form]
        text = f"{self._dice.pick(_WORDS)} {self._dice.pick(_WORDS)}"
        while len(text) < schema.get("minLength", 0):
            text += f" {self._dice.pick(_WORDS)}"
        return text[: schema.get("maxLength", len(text))]


def _without_reference(schema: Json) -> Json:
    return {key: value for key, value in schema.items() if key != "$ref"}


def _plus(bound: float | None, gap: float) -> float | None:
    return None if bound is None else bound + gap
