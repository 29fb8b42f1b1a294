"""An entry as a line of JSON and back: what an export is made of. Blocking, for a thread.

The first line says what the file is, each further one is an entry with its question and the links that lead to it, and
the last one says how many there were, so that a file that breaks off is known for it.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from askonce.model import Answer, Entry, Link, Question, Tokens, Usage
from askonce.pipeline.answers import split
from askonce.ports import Kept
from askonce.stores.tokens import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json

__all__ = ["FORMAT", "VERSION", "end_line", "entry_line", "kept_from"]

FORMAT: Final = "askonce-cache"
VERSION: Final = 1
_KEY_BYTES: Final = 32
_USER_BYTES: Final = 16
_ENVELOPE: Final = frozenset({"id", "created", "model", "usage"})
"""What each reader's answer has of its own."""
_LATEST: Final = 253_402_300_800.0
"""The year 10000 in Unix seconds: what is later, or before 1970, is no time that anybody meant."""
_MOST_TOKENS: Final = 10**9
_MOST_NANOUSD: Final = 2**62
_STATES_BYTES: Final = 2**24
_STATE_WIDTH: Final = 4_096


def entry_line(kept: Kept) -> bytes:
    """An entry's line."""
    entry, answer = kept.entry, kept.entry.answer
    return orjson.dumps(
        {
            "entry": entry.key.hex(),
            "created_at": entry.created_at,
            "expires_at": entry.expires_at,
            "tenant": entry.tenant,
            "users": [user.hex() for user in entry.users],
            "feature": entry.feature,
            "model": entry.model,
            "tags": list(entry.tags),
            "answer": orjson.Fragment(b"{" + answer.fields + b"}"),
            "usage": orjson.Fragment(answer.usage_json) if answer.usage_json else False,
            "answer_model": answer.model,
            "id_prefix": answer.id_prefix,
            "tokens": list(_usage(answer.usage)),
            "cost_nanousd": answer.cost_nanousd,
            "question": _question(kept.question),
            "links": [
                {
                    "key": link.key.hex(),
                    "confidence": link.confidence,
                    "expires_at": link.expires_at,
                    "tenant": link.tenant,
                    "users": [user.hex() for user in link.users],
                    "question": _question(question),
                }
                for link, question in kept.links
            ],
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def end_line(entries: int) -> bytes:
    """The last line."""
    return orjson.dumps({"end": {"entries": entries}}, option=orjson.OPT_APPEND_NEWLINE)


def kept_from(line: Json, engine: str, dimensions: int) -> Kept:
    """An entry from its parsed line; vectors that aren't of `engine`, with so many dimensions, are left out.

    Raises:
        ValueError: with what is wrong, and no value of the line.
    """
    key = _key(line, "entry")
    entry = Entry(
        key=key,
        answer=_answer(line),
        created_at=_moment(line, "created_at"),
        expires_at=_moment(line, "expires_at"),
        tenant=_text(line, "tenant"),
        feature=_text(line, "feature"),
        model=_text(line, "model"),
        tags=tuple(_texts(line, "tags")),
        users=_users(line),
    )
    links = line.get("links", [])
    if not isinstance(links, list):
        raise _damaged("`links` must be a list")
    return Kept(
        entry,
        _question_from(line, key, engine, dimensions),
        tuple(_link_from(one, key, engine, dimensions) for one in links),
    )


def _answer(line: Json) -> Answer:
    """An answer that whole and streaming callers can be served."""
    told, usage, tokens = line.get("answer"), line.get("usage"), line.get("tokens")
    if not isinstance(told, dict):
        raise _damaged("`answer` must be an object")
    parts = told.get("choices", told.get("data"))
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise _damaged("`answer` must have `choices` or `data`, a list of objects")
    if not _ENVELOPE.isdisjoint(told):
        raise _damaged(f"`answer` must have none of {', '.join(sorted(_ENVELOPE))}")
    if usage is not None and usage is not False and not isinstance(usage, dict):
        raise _damaged("`usage` must be an object, null, or false")
    if not isinstance(tokens, list) or len(tokens) != len(_usage(Usage())):
        raise _damaged("`tokens` must be a list of three counts")
    cost = line.get("cost_nanousd")
    try:
        answer = Answer(
            fields=orjson.dumps(told)[1:-1],
            usage_json=b"" if usage is False else orjson.dumps(usage),
            model=_text(line, "answer_model"),
            id_prefix=_text(line, "id_prefix"),
            usage=Usage(*(_count(one) for one in tokens)),
            cost_nanousd=None if cost is None else _count(cost, _MOST_NANOUSD),
        )
        split(answer)
    except TypeError:  # nested too deeply, or a message that is none
        raise _damaged("`answer` is none that can be served") from None
    return answer


def _damaged(sentence: str) -> ValueError:
    """What is wrong with a line."""
    return ValueError(sentence)


def _usage(usage: Usage) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens


def _question(question: Question | None) -> Json | None:
    if question is None:
        return None
    told: Json = {
        "text": question.text,
        "partition": question.partition.hex(),
        "class": question.answer.hex(),
        "engine": question.engine,
    }
    if question.vector is not None:
        told["vector"] = base64.b64encode(question.vector.astype("<f2").tobytes()).decode()
    if question.tokens is not None:
        told["states"] = base64.b64encode(packed(question.tokens)).decode()
    return told


def _question_from(line: Json, key: bytes, engine: str, dimensions: int) -> Question | None:
    told = line.get("question")
    if told is None:
        return None
    if not isinstance(told, dict):
        raise _damaged("`question` must be an object")
    ours = bool(engine) and told.get("engine") == engine
    vector = states = None
    if ours and told.get("vector") is not None:
        vector = np.frombuffer(_blob(told, "vector", 2 * dimensions), "<f2").astype(np.float32)
        if vector.shape != (dimensions,):
            raise _damaged("`vector` has a wrong length")
        length = float(np.sqrt(np.dot(vector, vector)))
        if not math.isfinite(length) or not length:
            raise _damaged("`vector` must have a direction")
        vector /= length
        if told.get("states") is not None:
            states = _states(told)
    return Question(
        key=key,
        partition=_key(told, "partition"),
        text=_text(told, "text"),
        engine=engine if ours else _text(told, "engine"),
        vector=vector,
        tokens=states,
        answer=_key(told, "class"),
    )


def _states(told: Json) -> Tokens:
    try:
        states = unpacked(_blob(told, "states", _STATES_BYTES))
    except Exception:  # noqa: BLE001 - whatever a damaged blob raises
        raise _damaged("`states` is damaged") from None
    if not 0 < states.states.shape[1] <= _STATE_WIDTH:
        raise _damaged("`states` is damaged")
    return states


def _link_from(told: Any, target: bytes, engine: str, dimensions: int) -> tuple[Link, Question | None]:
    if not isinstance(told, dict):
        raise _damaged("`links` must be a list of objects")
    key, confidence = _key(told, "key"), told.get("confidence")
    if key == target:
        raise _damaged("`key` of a link must not be its entry's")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise _damaged("`confidence` must be a number from 0 to 1")
    tenant = _text(told, "tenant")
    link = Link(key, target, float(confidence), _moment(told, "expires_at"), tenant, _users(told))
    return link, _question_from(told, key, engine, dimensions)


def _key(told: Json, name: str) -> bytes:
    try:
        key = bytes.fromhex(told[name])
    except (KeyError, TypeError, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise _damaged(f"`{name}` must be {2 * _KEY_BYTES} hexadecimal digits")
    return key


def _text(told: Json, name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise _damaged(f"`{name}` must be a string")
    return value


def _texts(told: Json, name: str) -> Sequence[str]:
    value = told.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _damaged(f"`{name}` must be a list of strings")
    return value


def _users(told: Json) -> tuple[bytes, ...]:
    try:
        users = tuple(bytes.fromhex(one) for one in _texts(told, "users"))
    except ValueError:
        users = (b"",)
    if len(set(users)) != len(users) or not all(len(user) == _USER_BYTES for user in users):
        raise _damaged(f"`users` must be a list of {2 * _USER_BYTES} hexadecimal digits, each once")
    return users


def _moment(told: Json, name: str) -> float:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise _damaged(f"`{name}` must be Unix seconds")
    return float(value)


def _count(value: object, most: int = _MOST_TOKENS) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise _damaged("`tokens` and `cost_nanousd` must be counts")
    return value


def _blob(told: Json, name: str, most: int) -> bytes:
    try:
        blob = base64.b64decode(_text(told, name), validate=True)
    except binascii.Error:
        raise _damaged(f"`{name}` must be base64") from None
    if not blob or len(blob) > most or len(blob) % 2:
        raise _damaged(f"`{name}` has a wrong length")
    return blob
