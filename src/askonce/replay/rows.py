"""Log files as rows: JSON lines, one JSON document, or CSV; plain or gzipped; from a file or standard input."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from typing import IO, TYPE_CHECKING, Any, Final, cast

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from askonce.model import Json

__all__ = ["STDIN", "UnreadableLog", "rows_of"]

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_LONGEST_LINE_BYTES: Final = 64 * 2**20
"""A line without an end must not fill the memory: what is longer is no request."""
_TOO_LONG: Final = "is longer than 64 MiB"
_LONGEST_DOCUMENT_BYTES: Final = 512 * 2**20
"""One document has to be parsed as a whole, in several times its size of memory."""
_LONGEST_CELL: Final = 64 * 2**20
_GOING_ON: Final = (b"{", b"[", b",")
"""How the first line of an object over several lines ends."""
_INSIDE: Final = ("data", "observations", "logs", "spend_logs", "result")
"""Where an API's answer has its rows."""


class UnreadableLog(Exception):
    """A file that can't be read as a log at all; says which and why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


def rows_of(
    path: Path, bad: Callable[[int, str], None], advance: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, Json]]:
    """A file's rows, each with the line that it begins on (in one document: its place).

    Args:
        path: The file, or `-`.
        bad: Told of each line that is no row, and why.
        advance: Told how many bytes of the file were read since it was last told.

    Raises:
        UnreadableLog: Nothing can be read, or reading ends half-way.
    """
    try:
        with _open(path) as raw:
            counted = cast("IO[bytes]", io.BufferedReader(_Counting(raw, advance), 2**18))
            magic = cast("Any", counted).peek(2)[:2]
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=counted)) if magic == _GZIP else counted
            yield from _rows(path, io.BufferedReader(cast("Any", file), 2**18), bad)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableLog(path, getattr(error, "strerror", None) or str(error)) from None


def _open(path: Path) -> IO[bytes]:
    return sys.stdin.buffer if str(path) == STDIN else path.open("rb")


class _Counting(io.RawIOBase):
    """Tells how much is read of a file that may be compressed."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._advance(len(data))
        return len(data)


def _rows(path: Path, file: io.BufferedReader, bad: Callable[[int, str], None]) -> Iterator[tuple[int, Json]]:
    if file.peek(3)[:3] == _BOM:
        file.read(3)
    first = file.peek(2**16).lstrip()[:1]
    if first == b"[":
        yield from _of_document(path, file.read(_LONGEST_DOCUMENT_BYTES + 1), bad)
    elif first == b"{":
        yield from _of_lines(path, file, bad)
    else:
        yield from _of_csv(path, file, bad)


def _of_lines(
    path: Path, file: io.BufferedReader, bad: Callable[[int, str], None]
) -> Iterator[tuple[int, Json]]:
    """JSON lines; or one object over several lines, which shows in how the first one ends."""
    for line_number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        if len(line) > _LONGEST_LINE_BYTES:
            bad(line_number, _TOO_LONG)
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if line_number == 1 and line.rstrip().endswith(_GOING_ON):
                yield from _of_document(path, line + file.read(_LONGEST_DOCUMENT_BYTES), bad)
                return
            bad(line_number, f"is not JSON: {error}")
            continue
        inside = _inside(row) if line_number == 1 and isinstance(row, dict) else None
        yield from _objects([row] if inside is None else inside, bad, line_number)


def _inside(document: Json) -> list[Any] | None:
    """The rows that an API's answer holds; None where it is a row itself, which says more than an answer beside its rows."""
    if any(name in document for name in ("id", "traceId", "messages", "model")):
        return None
    return next((document[name] for name in _INSIDE if isinstance(document.get(name), list)), None)


def _lines(file: io.BufferedReader) -> Iterator[bytes]:
    """Lines, each at most a little over the bound; the rest of a longer one is passed over."""
    while line := file.readline(_LONGEST_LINE_BYTES + 2):
        whole = line
        while line and not line.endswith(b"\n") and len(line) > _LONGEST_LINE_BYTES:
            line = file.readline(_LONGEST_LINE_BYTES + 2)
        yield whole


def _of_document(path: Path, content: bytes, bad: Callable[[int, str], None]) -> Iterator[tuple[int, Json]]:
    if len(content) > _LONGEST_DOCUMENT_BYTES:
        raise UnreadableLog(
            path, "is one JSON document of more than 512 MiB; write it as JSON lines (jq -c '.[]')"
        )
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnreadableLog(path, f"is not JSON: {error}") from None
    if isinstance(document, dict):
        inside = _inside(document)
        document = [document] if inside is None else inside
    yield from _objects(document, bad)


def _objects(rows: list[Any], bad: Callable[[int, str], None], first: int = 1) -> Iterator[tuple[int, Json]]:
    for place, row in enumerate(rows, first):
        if isinstance(row, dict):
            yield place, row
        else:
            bad(place, "is not an object")


def _of_csv(
    path: Path, file: io.BufferedReader, bad: Callable[[int, str], None]
) -> Iterator[tuple[int, Json]]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.DictReader(_words(file, bad), strict=False)
    if not reader.fieldnames or len(reader.fieldnames) < 2:  # noqa: PLR2004 - one column is no table
        raise UnreadableLog(path, "is neither JSON nor CSV")
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad(reader.line_num, f"is no CSV: {error}")
            continue
        yield (
            reader.line_num,
            {name: value for name, value in row.items() if name and value not in (None, "")},
        )


def _words(file: io.BufferedReader, bad: Callable[[int, str], None]) -> Iterator[str]:
    """Lines as text, without those that are too long."""
    for number, line in enumerate(_lines(file), 1):
        if len(line) > _LONGEST_LINE_BYTES:
            bad(number, _TOO_LONG)
        else:
            yield line.decode("utf-8", "replace").replace("\0", "")
