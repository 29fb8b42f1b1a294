"""Entries as lines of JSON: what is read back is what was written, and nothing else than an entry is taken for one."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.administration.lines import entry_line, kept_from
from askonce.administration.stream import Lines
from askonce.model import Answer, Entry, Link, Question, Tokens, Usage
from askonce.ports import Kept
from stores.samples import tokens, unit

if TYPE_CHECKING:
    from askonce.model import Vector

ENGINE = "engine-1"
keys = st.binary(min_size=32, max_size=32)
texts = st.text(max_size=20)
times = st.floats(0, 2e9)
users = st.lists(st.binary(min_size=16, max_size=16), max_size=2, unique=True).map(tuple)
contents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
answers = st.builds(
    lambda choices, usage, model, counts, cost: Answer(
        orjson.dumps({"object": "chat.completion", "choices": choices})[1:-1],
        usage,
        model,
        "chatcmpl-",
        Usage(*counts),
        cost,
    ),
    st.lists(st.dictionaries(texts, contents, max_size=3), max_size=2),
    st.just(b"") | st.just(b"null") | st.dictionaries(texts, st.integers(0, 9), max_size=2).map(orjson.dumps),
    texts,
    st.tuples(*[st.integers(0, 10**6)] * 3),
    st.none() | st.integers(0, 10**12),
)


def questions(key: bytes) -> st.SearchStrategy[Question | None]:
    vectors = st.none() | st.integers(0, 5).map(unit)
    return st.none() | st.builds(
        lambda partition, text, vector, states, answer: Question(
            key, partition, text, ENGINE, vector, None if vector is None else states, answer
        ),
        keys,
        texts,
        vectors,
        st.none() | st.integers(1, 4).map(tokens),
        keys,
    )


@st.composite
def kepts(draw: st.DrawFn) -> Kept:
    entry = draw(
        st.builds(
            Entry,
            keys,
            answers,
            times,
            times,
            texts,
            texts,
            texts,
            st.lists(texts, max_size=2).map(tuple),
            users,
        )
    )
    links = []
    for key in draw(st.lists(keys.filter(lambda one: one != entry.key), max_size=2)):
        link = draw(st.builds(Link, st.just(key), st.just(entry.key), st.floats(0, 1), times, texts, users))
        links.append((link, draw(questions(key))))
    return Kept(entry, draw(questions(entry.key)), tuple(links))


def same(one: Question | None, other: Question | None) -> bool:
    if one is None or other is None:
        return one is other
    plain = [
        getattr(one, name) == getattr(other, name)
        for name in ("key", "partition", "text", "engine", "answer")
    ]
    return all(plain) and _near(one.vector, other.vector) and _equal(one.tokens, other.tokens)


def _near(one: Vector | None, other: Vector | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.allclose(one, other, atol=2e-3))


def _equal(one: Tokens | None, other: Tokens | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool((one.ids == other.ids).all() and (one.states == other.states).all())


@settings(max_examples=25)
@given(kepts())
def test_what_is_read_is_what_was_written(kept: Kept) -> None:
    """Byte for byte the answer; vectors to three digits; users, tags, links and classes."""
    read = kept_from(json.loads(entry_line(kept)), ENGINE, 8)
    assert read.entry == kept.entry
    assert same(read.question, kept.question)
    assert [link for link, _ in read.links] == [link for link, _ in kept.links]
    assert all(same(one, other) for (_, one), (_, other) in zip(read.links, kept.links, strict=True))


def line(**changes: Any) -> Any:
    """An entry's line with other values."""
    answer = Answer(b'"choices":[]', b"", "m", "", Usage(), None)
    entry = Entry(b"e" * 32, answer, 1.0, 2.0, "tenant:acme", "default", "m")
    return {**json.loads(entry_line(Kept(entry, None, ()))), **changes}


def nested(depth: int) -> Any:
    return {} if not depth else {"in": nested(depth - 1)}


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": {"choices": [{"message": 5}]}},
        {"answer": {"choices": [{"message": {"tool_calls": [7]}}]}},
        {"answer": {"choices": [], "usage": {}}},
        {"answer": {"choices": [], "id": "x"}},
        {"answer": {"choices": [], "more": nested(300)}},
        {"usage": nested(300)},
        {"usage": 5},
        {"usage": True},
        {"users": ["ab" * 16] * 2},
        {"users": ["ab"]},
        {"created_at": -1.0},
        {"expires_at": 1e300},
        {"links": [{"key": b"e".hex() * 32, "confidence": 1, "expires_at": 2.0, "tenant": "", "users": []}]},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_what_could_not_be_kept_or_served_is_no_entry(changes: Any) -> None:
    """An answer that a streaming caller couldn't be given, rows that the disk would refuse, times that nobody meant."""
    kept_from(line(), ENGINE, 8)
    with pytest.raises(ValueError, match=r"must|served"):
        kept_from(line(**changes), ENGINE, 8)


@settings(max_examples=25)
@given(kepts())
def test_another_embedders_vectors_are_left_out(kept: Kept) -> None:
    """The text stays, so that it can be embedded anew; a vector of a wrong length is an error."""
    read = kept_from(json.loads(entry_line(kept)), "engine-2", 8)
    assert read.question is None or (read.question.vector is None and read.question.tokens is None)
    if kept.question is not None and kept.question.vector is not None:
        with pytest.raises(ValueError, match="wrong length"):
            kept_from(json.loads(entry_line(kept)), ENGINE, 16)


@settings(max_examples=25)
@given(kepts(), st.data())
def test_a_damaged_line_is_a_problem_and_nothing_worse(kept: Kept, data: st.DataObject) -> None:
    """Whatever stands in a field: an entry, or a ValueError that repeats nothing of it."""
    line: Any = json.loads(entry_line(kept))
    place = line
    if data.draw(st.booleans()) and line["question"] is not None:
        place = line["question"]
    elif line["links"] and data.draw(st.booleans()):
        place = line["links"][0]
    name = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[name]
    else:
        place[name] = data.draw(contents | st.just("secret-value"))
    problem = ""
    try:
        kept_from(line, ENGINE, 8)
    except ValueError as error:
        problem = str(error)
    assert "secret-value" not in problem


@given(
    written=st.lists(st.dictionaries(texts, texts, max_size=2), max_size=8),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    compressed=st.booleans(),
    parts=st.integers(1, 3),
    ended=st.booleans(),
)
def test_lines_come_whole_however_the_stream_is_cut(
    written: list[dict[str, str]],
    cuts: list[int],
    *,
    compressed: bool,
    parts: int,
    ended: bool,
) -> None:
    """Compressed in one part or several, or not; with or without the last newline: each once, in order, with its number."""
    raw = b"".join(orjson.dumps(one) + b"\n" for one in written)
    raw = raw if ended else raw.removesuffix(b"\n")
    stream = raw
    if compressed:
        size = len(raw) // parts + 1
        stream = b"".join(gzip.compress(raw[start : start + size]) for start in range(0, size * parts, size))
    lines, read = Lines(1_000, compressed=compressed), []
    at = 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        lines.feed(stream[at : at + size])
        at += size
        while (batch := lines.take()) is not None:
            read += batch
    while (batch := lines.take(ended=True)) is not None:
        read += batch
    assert read == list(enumerate(written, 1))


def test_a_line_that_never_ends_takes_no_memory() -> None:
    """It is let go of while it comes, and what follows is read."""
    lines = Lines(1_000, compressed=True)
    lines.feed(gzip.compress(b"x" * 50_000_000 + b"\n{}\n"))
    read: list[Any] = []
    while (batch := lines.take()) is not None:
        read += batch
        assert len(lines._line) <= 1_000
    assert [number for number, _ in read] == [1, 2]
    assert isinstance(read[0][1], ValueError)
    assert read[1][1] == {}


def test_a_last_line_that_is_too_long_is_told() -> None:
    """It doesn't need a newline to be counted."""
    lines = Lines(1_000, compressed=False)
    lines.feed(b"{}\n" + b"x" * 2_000)
    read = [*(lines.take() or ()), *(lines.take(ended=True) or ())]
    assert [number for number, _ in read] == [1, 2]
    assert isinstance(read[1][1], ValueError)
    assert lines.take(ended=True) is None


def test_what_follows_compressed_data_takes_no_memory() -> None:
    """It is no gzip, and said to be none, rather than kept to the end."""
    lines = Lines(1_000, compressed=True)
    lines.feed(gzip.compress(b"{}\n") + b"no gzip")
    assert lines.take() == [(1, {})]
    with pytest.raises(ValueError, match="not gzip"):
        lines.take()
