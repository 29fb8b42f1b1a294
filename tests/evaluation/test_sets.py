"""Files of labelled data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.evaluation.sets import BadFile, arriving, read_pairs, read_stream, sampled

if TYPE_CHECKING:
    from pathlib import Path

_GOOD = {"a": "x", "b": "y", "y": 1}


def _file(folder: Path, *lines: object) -> Path:
    path = folder / "rows.jsonl"
    written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(written), encoding="utf-8")
    return path


def test_pairs_are_read_in_order(tmp_path: Path) -> None:
    """Rows without a label and blank lines are passed over; a category goes before a kind; other fields don't matter."""
    path = _file(
        tmp_path,
        {"a": "é", "b": "y", "y": 1, "extra": [1]},
        "",
        {"a": "x", "b": "y", "y": None},
        {"a": "p", "b": "q", "y": False, "kind": "slot"},
        {"a": "p", "b": "q", "y": 0, "kind": "slot", "category": "units"},
    )
    assert read_pairs(path) == [("é", "y", True, ""), ("p", "q", False, "slot"), ("p", "q", False, "units")]


def test_a_split_can_be_chosen(tmp_path: Path) -> None:
    """Rows of other splits aren't even looked at."""
    path = _file(tmp_path, {**_GOOD, "split": "test"}, {"split": "train"})
    assert len(read_pairs(path, "test")) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object"),
        ({"a": "x", "b": "y"}, '"y" must be'),
        ({"a": "x", "b": "y", "y": 2}, '"y" must be'),
        ({"a": "x", "b": "y", "y": "1"}, '"y" must be'),
        ({"a": "x", "b": "y", "y": []}, '"y" must be'),
        ({"a": "x", "y": 1}, '"b" must be a text'),
        ({"a": 3, "b": "y", "y": 1}, '"a" must be a text'),
        ({**_GOOD, "kind": 4}, '"kind" must be'),
        ('{"a": "\\ud800", "b": "y", "y": 1}', "not JSON"),
    ],
)
def test_a_broken_row_is_named_with_its_line(tmp_path: Path, line: object, reason: str) -> None:
    """Counting blank lines too."""
    with pytest.raises(BadFile, match=r"rows\.jsonl, line 3: ") as caught:
        read_pairs(_file(tmp_path, _GOOD, "", line, _GOOD))
    assert reason in str(caught.value)


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    """Latin-1, say."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(_GOOD).encode() + b'\n{"a": "\xe9"}')
    with pytest.raises(BadFile, match="line 2: not JSON"):
        read_pairs(path)


def test_a_file_without_anything_to_measure_is_refused(tmp_path: Path) -> None:
    """Missing, empty, or all unlabelled."""
    with pytest.raises(BadFile, match="No such file"):
        read_pairs(tmp_path / "none.jsonl")
    with pytest.raises(BadFile, match="has no labelled pair"):
        read_pairs(_file(tmp_path, {**_GOOD, "y": None}))
    with pytest.raises(BadFile, match="has no question"):
        read_stream(_file(tmp_path))
    with pytest.raises(BadFile, match="irectory"):
        read_stream(tmp_path)


def test_streams_are_read_in_order(tmp_path: Path) -> None:
    """Intents may be numbers; a row without one is an error."""
    path = _file(tmp_path, {"t": "one", "c": "x"}, {"t": "two", "c": 7})
    assert read_stream(path) == (["one", "two"], ["x", "7"])
    with pytest.raises(BadFile, match='line 1: "c" must be'):
        read_stream(_file(tmp_path, {"t": "one"}))
    with pytest.raises(BadFile, match='line 1: "t" must be'):
        read_stream(_file(tmp_path, {"c": "one"}))


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 5))
def test_a_sample_is_a_part_in_order(count: int, limit: int, seed: int) -> None:
    """Without repetition, the same for the same seed; everything where it would be more than there is."""
    places = sampled(count, limit, seed)
    assert places == sorted(set(places)) == sampled(count, limit, seed)
    assert len(places) == min(count, limit)
    assert set(places) <= set(range(count))
    assert sampled(count, None, seed) == list(range(count))


def test_a_stream_arrives_in_order_or_shuffled_without_repeats() -> None:
    """The same shuffle for the same seed; a repeated text is the exact tier's business and only counted."""
    texts, intents = ["a", "b", "a", "c", "d"], ["1", "2", "1", "3", "4"]
    stream = arriving("mine", texts, intents, limit=None, shuffle=None)
    assert (stream.texts, stream.intents, stream.repeats) == (["a", "b", "c", "d"], ["1", "2", "3", "4"], 1)
    short = arriving("mine", texts, intents, limit=2, shuffle=None)
    assert (short.texts, short.repeats) == (["a", "b"], 0)
    shuffled = [arriving("mine", texts, intents, limit=None, shuffle=seed) for seed in (0, 1, 2, 0)]
    assert shuffled[0] == shuffled[3]
    assert len({tuple(each.texts) for each in shuffled}) > 1
    assert all(
        dict(zip(each.texts, each.intents, strict=True)) == dict(zip("abcd", "1234", strict=True))
        for each in shuffled
    )
