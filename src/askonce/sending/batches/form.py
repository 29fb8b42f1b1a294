"""What can be sent together: parts, the forms that join them, and what forms have in common.

JSON is taken apart only as far as it has to be: what a form doesn't look into stays as the bytes that came, so that
numbers keep their spelling and a vector of thousands isn't parsed twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

from askonce.errors import Sharing, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from askonce.model import Call

__all__ = [
    "Fields",
    "Form",
    "Mismatch",
    "Part",
    "blamed_field",
    "blames_item",
    "by_index",
    "group_of",
    "mismatch",
    "read_fields",
    "read_list",
    "read_objects",
    "read_whole_number",
    "write_fields",
    "write_list",
]

Fields: TypeAlias = dict[str, bytes]
"""A JSON object: its values' own JSON, unread."""

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECTS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_WHOLE_NUMBER: Final = msgspec.json.Decoder(int)
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]]{0,63}")
_ITEM_AT_FAULT: Final = frozenset({400, 413, 422})
"""Statuses by which an upstream may refuse a batch for one of its items, or for its size."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One call, read: what it adds to a batch.

    Attributes:
        call: As it would be sent alone.
        group: Calls of one group can go together: all that a batch shares is the same.
        fields: The body's fields.
        items: The JSON of what it asks: texts, lists of tokens, conversations, bodies; at least one.
        tokens: Estimated tokens of each item, at least 1.
        choices: Answers per item.
    """

    call: Call
    group: Hashable
    fields: Fields
    items: tuple[bytes, ...]
    tokens: tuple[int, ...]
    choices: int = 1


class Mismatch(ValueError):
    """An answer that doesn't fit what was asked: nobody can be told which part is whose."""


class Form(Protocol):
    """Joins calls to one endpoint, and splits what comes back."""

    def read(self, call: Call) -> Part | None:
        """What a call adds to a batch; None where it has to go alone."""
        ...

    def join(self, parts: Sequence[Part]) -> Call:
        """The one call for several parts of the same group."""
        ...

    def split(self, body: bytes, parts: Sequence[Part]) -> Sequence[bytes | UpstreamFailure]:
        """Each part's own body, in the parts' order, or its own failure.

        Raises:
            Mismatch: the answer doesn't fit the parts.
        """
        ...

    def pieces(self, failure: UpstreamFailure, count: int) -> int:
        """Into how many pieces a failed batch of `count` parts is broken, to find the part at fault; 1: not at all."""
        ...


def mismatch(name: str) -> UpstreamFailure:
    """What every caller of a batch is told whose answer doesn't fit it."""
    sentence = f"{name} answered several requests at once with something that doesn't fit them; try again."
    return UpstreamFailure(502, "upstream_garbage", sentence, sharing=Sharing.TRANSIENT, began=True)


def read_fields(body: bytes) -> Fields:
    """The fields of a JSON object; of a name that comes twice the last counts. Raises Mismatch where it isn't one."""
    return _unread(_decode(_FIELDS, body))


def read_list(raw: bytes) -> list[bytes]:
    """The elements of a JSON list. Raises Mismatch where it isn't one."""
    return [bytes(element) for element in _decode(_LIST, raw)]


def read_objects(raw: bytes) -> list[Fields]:
    """The objects of a JSON list. Raises Mismatch where it is something else."""
    return [_unread(element) for element in _decode(_OBJECTS, raw)]


def read_whole_number(raw: bytes) -> int:
    """A whole number. Raises Mismatch where it is something else."""
    return int(_decode(_WHOLE_NUMBER, raw))


def write_list(elements: Iterable[bytes]) -> bytes:
    """The JSON list of its elements' JSON."""
    return b"[" + b",".join(elements) + b"]"


def write_fields(fields: Mapping[str, bytes]) -> bytes:
    """The JSON object of its values' JSON."""
    return b"{" + b",".join([msgspec.json.encode(name) + b":" + raw for name, raw in fields.items()]) + b"}"


def group_of(call: Call, kind: str, fields: Fields, asked: str) -> Hashable:
    """What calls must have in common to go together: all but `asked`, and whose key and headers they carry.

    Fields are compared as they are spelled: `0` and `0.0` make two groups, which costs a batch, never an answer.
    """
    shared = tuple(sorted((name, raw) for name, raw in fields.items() if name != asked))
    return (call.endpoint, kind, call.model, call.credential, call.headers, shared)


def by_index(results: Sequence[Fields], count: int) -> list[Fields]:
    """Results in the order of what they answer: by `index` where they have one, else as they came.

    Raises:
        Mismatch: there are more or fewer than `count`, some lack an index that others have, or the indices aren't
            each of 0 to `count` - 1 once.
    """
    if len(results) != count:
        raise Mismatch(f"{len(results)} results for {count}")
    if not any("index" in result for result in results):
        return list(results)
    indices = [read_whole_number(result.get("index", b"null")) for result in results]
    ordered = dict(zip(indices, results, strict=True))
    if ordered.keys() != set(range(count)):
        raise Mismatch("the results' indices aren't those that were asked")
    return [ordered[index] for index in range(count)]


def blames_item(failure: UpstreamFailure, asked: str) -> bool:
    """Whether a refusal may be one item's fault rather than that of something which all parts share.

    Refusals name the field at fault, where they name any; `asked` is the one that holds the items.
    """
    if failure.sharing is not Sharing.FATAL or failure.status not in _ITEM_AT_FAULT:
        return False
    field = blamed_field(failure)
    return not field or field.startswith(asked)


def blamed_field(failure: UpstreamFailure) -> str:
    """The request's field that a refusal names; "" where it names none that could be one."""
    try:
        field = msgspec.json.decode(failure.body or b"{}").get("param")
    except (msgspec.DecodeError, AttributeError):
        return ""
    return field if isinstance(field, str) and _FIELD.fullmatch(field) else ""


def _unread(raw: Mapping[str, msgspec.Raw]) -> Fields:
    return {name: bytes(value) for name, value in raw.items()}


def _decode(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Mismatch(str(error)) from None
