"""Log files of every kind as rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from askonce.replay.rows import UnreadableLog, rows_of

ROWS = [{"a": 1}, {"a": 2}]


def rows(file: Path) -> tuple[list[Any], list[tuple[int, str]]]:
    bad: list[tuple[int, str]] = []
    return [row for _, row in rows_of(file, lambda line, reason: bad.append((line, reason)))], bad


LINES = b'{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        LINES.rstrip(),
        b"\xef\xbb\xbf" + LINES,
        LINES.replace(b"\n", b"\r\n"),
        gzip.compress(LINES, mtime=0),
        gzip.compress(LINES[:9], mtime=0) + gzip.compress(LINES[9:], mtime=0),
        b'[{"a": 1}, {"a": 2}]',
        json.dumps(ROWS, indent=2).encode(),
        b'{"data": [{"a": 1}, {"a": 2}]}',
        b'{"data": [\n{"a": 1},\n{"a": 2}\n]}',
        json.dumps({"data": ROWS, "meta": {"page": 1}}, indent=2).encode(),
    ],
)
def test_json(tmp_path: Path, content: bytes) -> None:
    """Lines, arrays and an API's answer, with or without a byte-order mark, gzipped in one part or several."""
    file = tmp_path / "log"
    file.write_bytes(content)
    assert rows(file) == (ROWS, [])


def test_csv(tmp_path: Path) -> None:
    """Cells may hold JSON over several lines; empty ones are no fields; a gzipped file is read as well."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows(
        [["type", "input", "endTime"], ["GENERATION", '[{"role": "user",\n"content": "a, b"}]', ""]]
    )
    for name, content in (
        ("a.csv", text.getvalue().encode()),
        ("b.csv.gz", gzip.compress(text.getvalue().encode())),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        ((row,), bad) = rows(file)
        assert row == {"type": "GENERATION", "input": '[{"role": "user",\n"content": "a, b"}]'}
        assert not bad


@pytest.mark.parametrize(
    ("first", "second", "row"), [(b'{"a": 1}', b'{"a": 2}', {"a": 2}), (b"a,b", b"1,2", {"a": "1", "b": "2"})]
)
def test_a_line_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes, second: bytes, row: dict[str, object]
) -> None:
    """A line that is longer than one may be isn't held in memory: it is left out and told, and the rest is read."""
    monkeypatch.setattr("askonce.replay.rows._LONGEST_LINE_BYTES", 50)
    file = tmp_path / "log"
    file.write_bytes(b"\n".join((first, b"9" * 1_000, second, b"")))
    told: list[tuple[int, str]] = []
    rows = [found for _, found in rows_of(file, lambda *one: told.append(one))]
    assert rows[-1] == row
    assert told == [(2, "is longer than 64 MiB")]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads what is piped in, gzipped too."""
    for content in (LINES, gzip.compress(LINES)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert rows(Path("-"))[0] == ROWS


def test_a_broken_gzip_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """A download that was cut off isn't taken for the whole log."""
    file = tmp_path / "log.gz"
    file.write_bytes(gzip.compress(LINES * 5_000)[:-20])
    with pytest.raises(UnreadableLog, match=r"log\.gz"):
        rows(file)


@pytest.mark.parametrize("content", [b"", b"hello\nworld\n", b"[1, 2", b"[" * 100_000])
def test_what_is_no_log(tmp_path: Path, content: bytes) -> None:
    """Neither JSON nor CSV: an error, never a crash."""
    file = tmp_path / "log"
    file.write_bytes(content)
    with pytest.raises(UnreadableLog):
        rows(file)


def test_what_isnt_there(tmp_path: Path) -> None:
    """A file that can't be opened is named with the reason."""
    with pytest.raises(UnreadableLog, match="No such file"):
        rows(tmp_path / "nowhere")
