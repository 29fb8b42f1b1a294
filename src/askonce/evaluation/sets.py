"""Labelled data: pairs of questions, and streams of questions with the intent that each has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "PAIR_SETS",
    "STREAM_SETS",
    "BadFile",
    "Pair",
    "PairSet",
    "Row",
    "StreamSet",
    "arriving",
    "read_pairs",
    "read_stream",
    "rows_of",
    "sampled",
]

PAIR_SETS: Final = (
    ("paws_wiki", "test"),
    ("synthetic", "test"),
    ("qqp_40k", "test"),
    ("sick", ""),
    ("stsb", ""),
)
"""Files below `pairs/` of the evaluation data, each with the split to measure; "" takes all rows."""
STREAM_SETS: Final = ("banking77", "clinc150")
"""Files below `intents/` of the evaluation data, without `_train.jsonl` and `_test.jsonl`."""

Row = dict[str, Any]


class BadFile(Exception):
    """A file that isn't what it should be: says which, on which line, and why."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        where = str(path) if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {reason}")


class Pair(NamedTuple):
    """Two questions, and whether the stored one's answer is right for the asked one.

    Attributes:
        asked: The question as asked.
        stored: The question whose answer is at hand.
        right: The label.
        category: What kind of pair it is; "" where the file doesn't say.
    """

    asked: str
    stored: str
    right: bool
    category: str


class PairSet(NamedTuple):
    """Labelled pairs of one source, in its order."""

    name: str
    pairs: Sequence[Pair]


class StreamSet(NamedTuple):
    """Different questions in the order in which they arrive, each with the intent that its answer serves.

    Attributes:
        name: The set's.
        texts: What is asked, n of them.
        intents: Theirs, n of them.
        repeats: Questions left out because the same text came before: the exact tier answers those.
    """

    name: str
    texts: Sequence[str]
    intents: Sequence[str]
    repeats: int


def rows_of(path: Path) -> Iterator[tuple[int, Row]]:
    """The objects of a file of JSON lines, each with its line number; blank lines are passed over.

    Raises:
        BadFile: The file can't be read, or a line isn't a JSON object.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _object(path, number, line)
    except OSError as error:
        raise BadFile(path, None, error.strerror or "unreadable") from None


def read_pairs(path: Path, split: str = "") -> list[Pair]:
    """The labelled pairs of a file: `a`, `b`, `y` (0, 1, or null for a row to skip), and `category` or `kind`.

    Args:
        path: JSON lines.
        split: Only rows with this `split`; "" takes all.

    Raises:
        BadFile: With the line that is wrong, or where the file has no labelled pair.
    """
    pairs = []
    for number, row in rows_of(path):
        if split and row.get("split") != split:
            continue
        label = row.get("y", path)
        if label is None:
            continue
        if label not in (0, 1):
            raise BadFile(path, number, '"y" must be 0, 1 or null')
        category = row.get("category") or row.get("kind") or ""
        if not isinstance(category, str):
            raise BadFile(path, number, '"category" and "kind" must be texts')
        pairs.append(
            Pair(_text(path, number, row, "a"), _text(path, number, row, "b"), bool(label), category)
        )
    if not pairs:
        raise BadFile(path, None, "has no labelled pair")
    return pairs


def read_stream(path: Path) -> tuple[list[str], list[str]]:
    """The texts (`t`) and intents (`c`, a text or a number) of a file of questions, in its order.

    Raises:
        BadFile: With the line that is wrong, or where the file has no question.
    """
    texts, intents = [], []
    for number, row in rows_of(path):
        intent = row.get("c")
        if not isinstance(intent, str | int):
            raise BadFile(path, number, '"c" must be a text or a whole number')
        texts.append(_text(path, number, row, "t"))
        intents.append(str(intent))
    if not texts:
        raise BadFile(path, None, "has no question")
    return texts, intents


def arriving(
    name: str, texts: Sequence[str], intents: Sequence[str], *, limit: int | None, shuffle: int | None
) -> StreamSet:
    """The first `limit` questions of a stream, in the order given or in the random order of the seed `shuffle`."""
    order = (
        range(len(texts))
        if shuffle is None
        else np.random.default_rng(shuffle).permutation(len(texts)).tolist()
    )
    first: dict[str, str] = {}
    taken = 0
    for place in order:
        if len(first) == limit:
            break
        taken += 1
        first.setdefault(texts[place], intents[place])
    return StreamSet(name, list(first), list(first.values()), taken - len(first))


def sampled(count: int, limit: int | None, seed: int) -> list[int]:
    """At most `limit` random places out of `count`, in rising order; the same for the same arguments."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(np.random.default_rng(seed).permutation(count)[:limit].tolist())


def _object(path: Path, number: int, line: bytes) -> Row:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadFile(path, number, f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadFile(path, number, "must be a JSON object")
    return row


def _text(path: Path, number: int, row: Row, name: str) -> str:
    text = row.get(name)
    if not isinstance(text, str):
        raise BadFile(path, number, f'"{name}" must be a text')
    return text
