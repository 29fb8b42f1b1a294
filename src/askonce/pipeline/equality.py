"""Whether two answers are the same by their form alone: as text, as JSON values, as tool calls.

What form can't tell is given back as pairs of texts, for a judge of meaning.
"""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import orjson

from askonce.pipeline.answers import keepable

if TYPE_CHECKING:
    from askonce.model import Answer

__all__ = ["Comparison", "Said", "Verdict", "compare", "said"]

_FENCE: Final = "```"
_CUT_SHORT: Final = "length"
"""Worth keeping for who asks the same with the same limit, but where it would have led, nobody knows."""
_GROUPED: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_ZEROS: Final = re.compile(r"(?<![\d.])(\d+)\.0+(?![\d.])")
"""Only a fraction of nothing is dropped: version 3.10 isn't version 3.1."""
_ENDING: Final = " .!"
_NAME_WORDS: Final = 3
"""Text values of so few words within JSON are names and codes: other words are another value."""


class Verdict(StrEnum):
    """What a judge says of two answers to one question."""

    SAME = "same"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


class Said(NamedTuple):
    """What an answer says.

    Attributes:
        text: Its text (or refusal), "" where there is none.
        calls: Tool calls: name and arguments as JSON text.
    """

    text: str
    calls: tuple[tuple[str, str], ...]


class Comparison(NamedTuple):
    """What form tells; `rest` are the pairs of texts on which the verdict hangs where it is undecided."""

    verdict: Verdict
    rest: tuple[tuple[str, str], ...] = ()


_SAME: Final = Comparison(Verdict.SAME)
_DIFFERENT: Final = Comparison(Verdict.DIFFERENT)


def said(answer: Answer) -> Said | None:
    """What a chat answer says; None where it has not exactly one choice that came to its end and says something."""
    choices = orjson.loads(b"{" + answer.fields + b"}").get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not keepable(choices):
        return None
    if choices[0]["finish_reason"] == _CUT_SHORT:
        return None
    message = choices[0].get("message")
    if not isinstance(message, dict):
        return None
    text = message.get("content") or message.get("refusal") or ""
    calls = [message["function_call"]] if message.get("function_call") else []
    tools = message.get("tool_calls") or []
    calls += [tool.get("function") or tool.get("custom") for tool in tools if isinstance(tool, dict)]
    if not isinstance(text, str) or not all(isinstance(call, dict) for call in calls):
        return None
    if not calls and not text.strip():  # nothing, or audio and the like: what can't be read isn't the same
        return None
    return Said(text, tuple((str(call.get("name")), _arguments(call)) for call in calls))


def compare(one: Said, other: Said) -> Comparison:
    """Same, different, or what is left to compare. Symmetric; never raises.

    Tool calls decide alone: the same calls in any order are the same answer, whatever is said beside them. JSON is
    compared by its values. Other text is the same where it differs only in white space, Unicode form, the way
    numbers are written and a last full stop.
    """
    if one.calls or other.calls:
        return _compare_calls(one, other)
    if _plain(one.text) == _plain(other.text):
        return _SAME
    try:
        return _compare_values(_value(one.text), _value(other.text))
    except (ValueError, RecursionError):  # not both are JSON
        return Comparison(Verdict.UNDECIDED, ((one.text, other.text),))


def _compare_calls(one: Said, other: Said) -> Comparison:
    """Text within arguments is what a tool acts on: no judge of meaning is asked."""
    if len(one.calls) != len(other.calls):
        return _DIFFERENT
    left = list(other.calls)
    for call in one.calls:
        match = next((there for there in left if _is_same_call(call, there)), None)
        if match is None:
            return _DIFFERENT
        left.remove(match)
    return _SAME


def _is_same_call(one: tuple[str, str], other: tuple[str, str]) -> bool:
    if one[0] != other[0]:
        return False
    try:
        return _compare_values(_value(one[1]), _value(other[1])).verdict is Verdict.SAME
    except (ValueError, RecursionError):
        return one[1] == other[1]


def _compare_values(one: Any, other: Any) -> Comparison:
    match one, other:
        case dict(), dict():
            if one.keys() != other.keys():
                return _DIFFERENT
            return _all([_compare_values(value, other[key]) for key, value in one.items()])
        case list(), list():
            if len(one) != len(other):
                return _DIFFERENT
            return _all([_compare_values(*pair) for pair in zip(one, other, strict=True)])
        case str(), str():
            return _compare_text_values(one, other)
    same = isinstance(one, bool) == isinstance(other, bool) and one == other
    return _SAME if same else _DIFFERENT


def _compare_text_values(one: str, other: str) -> Comparison:
    if _plain(one) == _plain(other):
        return _SAME
    if min(len(one.split()), len(other.split())) <= _NAME_WORDS:
        return _DIFFERENT
    return Comparison(Verdict.UNDECIDED, ((one, other),))


def _all(parts: list[Comparison]) -> Comparison:
    """The whole is as different as its parts."""
    if any(part.verdict is Verdict.DIFFERENT for part in parts):
        return _DIFFERENT
    rest = tuple(pair for part in parts for pair in part.rest)
    return Comparison(Verdict.UNDECIDED, rest) if rest else _SAME


def _value(text: str) -> Any:
    """The JSON object or list that a text is, numbers exact. Raises ValueError where it is none."""
    value = json.loads(_unfenced(text), parse_float=Decimal, parse_constant=_refuse_constant)
    if not isinstance(value, dict | list):
        raise ValueError("a bare value is text")  # noqa: TRY004 - for the caller it is one more thing that isn't JSON
    return value


def _unfenced(text: str) -> str:
    """What stands in a code block, where the text is one that may hold JSON."""
    text = text.strip()
    if not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return text
    language, _, inside = text.removeprefix(_FENCE).removesuffix(_FENCE).partition("\n")
    return inside if language.strip().lower() in {"", "json"} else text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _plain(text: str) -> str:
    """One spelling for texts that differ in form alone."""
    text = unicodedata.normalize("NFC", text)
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _ZEROS.sub(r"\1", text)
    return " ".join(text.split()).rstrip(_ENDING)


def _arguments(call: dict[str, Any]) -> str:
    arguments = call.get("arguments", call.get("input", ""))
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
