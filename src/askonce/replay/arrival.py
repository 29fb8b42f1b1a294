"""One logged request, whatever log it stood in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    from askonce.model import Endpoint, Json, Usage

__all__ = ["Arrival", "BadRow", "json_of", "number", "said_in", "seconds_between", "text_of", "unix_seconds"]

_MILLISECONDS_FROM: Final = 1e11
"""Larger numbers can't be seconds (the year 5138), so they are milliseconds."""
_MICROSECONDS_FROM: Final = 1e14
_LATEST: Final = 4e9
_LARGEST: Final = 1e8
"""Tokens, seconds or dollars of one request that are more than that can't be right."""


class BadRow(Exception):
    """A row that is no request; its text says why, and never what stood in it."""


class Arrival(NamedTuple):
    """One request.

    Attributes:
        at: Unix seconds at which it arrived.
        tenant: Whose it was; "" where the log doesn't say.
        feature: Which feature it belonged to; "" where the log doesn't say.
        endpoint: Where it was sent.
        body: The request's JSON.
        usage: Tokens, where the log has them.
        duration_s: How long the answer took in the end, where the log says so.
        cost_usd: What the answer cost, where the log says so.
        answer: What was answered, where the log has it.
        failed: Whether there was no answer.
    """

    at: float
    tenant: str
    feature: str
    endpoint: Endpoint
    body: bytes
    usage: Usage | None = None
    duration_s: float | None = None
    cost_usd: float | None = None
    answer: str | None = None
    failed: bool = False


def unix_seconds(value: Any) -> float:
    """A point in time: Unix seconds, milliseconds or microseconds, or ISO 8601 (UTC where no zone is given).

    Raises:
        BadRow: It is none.
    """
    seconds = None
    if isinstance(value, str):
        try:
            seconds = float(value)
        except ValueError:
            seconds = _of_iso(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    if seconds is None:
        raise BadRow("has no time that can be read")
    if seconds >= _MICROSECONDS_FROM:
        seconds /= 1e6
    elif seconds >= _MILLISECONDS_FROM:
        seconds /= 1e3
    if not 0 <= seconds <= _LATEST:
        raise BadRow("has a time that can't be right")
    return seconds


def seconds_between(at: float, end: Any) -> float | None:
    """How long something took that began then; None where its end can't be read, or lies before its beginning."""
    try:
        took_s = unix_seconds(end) - at
    except BadRow:
        return None
    return took_s if took_s >= 0 else None


def number(value: Any) -> float | None:
    """A number that isn't negative, also where it is written as text; None otherwise, and where it can't be right."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if 0 <= found <= _LARGEST else None


def json_of(value: Any) -> Any:
    """What a text says, where it is JSON; else the value itself: exports write objects as text, some of them twice."""
    for _ in range(2):
        if not isinstance(value, str) or value[:1] not in tuple('[{"'):
            break
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            break
    return value


def text_of(row: Json, *names: str) -> str:
    """The first of these fields that holds a text or a whole number, as text; "" where none does."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def said_in(answer: Any) -> str | None:
    """The text of an answer as logs have it: a whole response, a message, or the text itself; None where there is none."""
    answer = json_of(answer)
    if isinstance(answer, list) and answer:
        return said_in(answer[0])
    if not isinstance(answer, dict):
        return answer if isinstance(answer, str) and answer else None
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return said_in(choices[0].get("message") or choices[0].get("text"))
    content = answer.get("content")
    if isinstance(content, str) and content:
        return content
    calls = answer.get("tool_calls") or answer.get("content")
    return orjson.dumps(calls).decode() if calls else None


def _of_iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
