"""The vector index: exact, bounded, and safe while it is being searched."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.model import Question
from askonce.stores import vectors
from askonce.stores.chunks import Row
from askonce.stores.vectors import PartitionedIndex
from stores.samples import key, question, tokens, unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from askonce.model import Vector

DIMENSIONS = 8
P, Q = b"p" * 32, b"q" * 32


@pytest.fixture
def index() -> Iterator[PartitionedIndex]:
    index = PartitionedIndex(DIMENSIONS)
    yield index
    index.close()


def units(count: int, dimensions: int = DIMENSIONS, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    made: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


def add(index: PartitionedIndex, partition: bytes, row: bytes, text: str, vector: Vector) -> None:
    index.add(Question(row, partition, text, "engine", vector, None, row))


def fill(index: PartitionedIndex, rows: NDArray[np.float32], partition: bytes = P) -> None:
    for number, row in enumerate(rows):
        add(index, partition, key(number), f"text {number}", row)


async def test_the_nearest_come_first(index: PartitionedIndex) -> None:
    """Exactly what comparing with every row would give, in order, with texts and cosines."""
    rows = units(500)
    fill(index, rows)
    asked = unit(7)
    found = await index.search(P, asked, 10)
    order = np.argsort(-(rows @ asked))[:10]
    assert [one.key for one in found] == [key(number) for number in order]
    assert [one.text for one in found] == [f"text {number}" for number in order]
    np.testing.assert_allclose([one.similarity for one in found], (rows @ asked)[order], atol=1e-6)


async def test_neighbours_carry_tokens_and_the_class_of_their_answer(index: PartitionedIndex) -> None:
    """As they were added: tokens of any length or none, the own class or another's."""
    given = {"none": None, "empty": tokens(0), "short": tokens(1), "long": tokens(254, seed=2)}
    for seed, (name, some) in enumerate(given.items()):
        answer = "short" if seed % 2 else None
        index.add(question(name, vector=unit(seed), tokens=some, answer=answer))
    found = {one.key: one for one in await index.search(key("p"), unit(1), 10)}
    assert len(found) == 4
    for seed, (name, some) in enumerate(given.items()):
        one = found[key(name)]
        assert one.answer == key("short" if seed % 2 else name)
        assert (one.tokens is None) == (some is None)
        if one.tokens is not None and some is not None:
            np.testing.assert_array_equal(one.tokens.ids, some.ids)
            np.testing.assert_array_equal(one.tokens.states, some.states)


async def test_a_row_changes_its_class(index: PartitionedIndex) -> None:
    """At once, there and back, without its vector; a key without a row is nothing; accounts stay balanced."""
    index.add(question("a", vector=unit(1), tokens=tokens(5)))
    before = index.size_bytes
    index.reclass(key("nobody"), key("b"))
    index.reclass(key("a"), key("b"))
    assert [one.answer for one in await index.search(key("p"), unit(1), 1)] == [key("b")]
    assert index.size_bytes > before
    index.reclass(key("a"), key("a"))
    assert [one.answer for one in await index.search(key("p"), unit(1), 1)] == [key("a")]
    assert index.size_bytes == before
    index.reclass(key("a"), key("b"))
    index.remove(key("a"))
    assert index.size_bytes == 0


async def test_a_question_without_vector_is_refused(index: PartitionedIndex) -> None:
    """It can't be found, so adding it is a mistake; what is under its key stays."""
    index.add(question("a", vector=unit(1)))
    with pytest.raises(ValueError, match="without vector"):
        index.add(question("a"))
    assert index.rows == 1


def rows_in_memory(name: str) -> int:
    """Rows of this key that Python hasn't freed."""
    return sum(isinstance(one, Row) and one.key == key(name) for one in gc.get_objects())


async def test_tokens_count_and_go_with_their_row(index: PartitionedIndex) -> None:
    """66 bytes a token are counted, and given back when the row goes, though its chunk stays."""
    index.add(question("stays", vector=unit(1)))
    index.add(question("stays too", vector=unit(2)))
    index.add(question("and a third", vector=unit(3)))
    before = index.size_bytes
    index.add(question("passes", vector=unit(4), tokens=tokens(200)))
    assert index.size_bytes - before > 200 * 66
    assert rows_in_memory("passes") == 1
    index.remove(key("passes"))
    assert index.size_bytes == before
    assert rows_in_memory("passes") == 0


async def test_partitions_are_apart(index: PartitionedIndex) -> None:
    """A search sees its own partition alone."""
    add(index, P, key("a"), "a", unit(1))
    add(index, Q, key("b"), "b", unit(1))
    assert [one.key for one in await index.search(P, unit(1), 5)] == [key("a")]
    assert await index.search(b"r" * 32, unit(1), 5) == []
    assert await index.search(P, unit(1), 0) == []


async def test_an_added_key_replaces_its_row(index: PartitionedIndex) -> None:
    """One key has one row, in one partition."""
    add(index, P, key("a"), "old", unit(1))
    add(index, P, key("a"), "new", unit(2))
    assert index.rows == 1
    found = await index.search(P, unit(2), 5)
    assert [(one.text, round(one.similarity, 5)) for one in found] == [("new", 1.0)]
    add(index, Q, key("a"), "elsewhere", unit(2))
    assert await index.search(P, unit(2), 5) == []


async def test_an_empty_index_takes_nothing(index: PartitionedIndex) -> None:
    """Removing every row gives every byte back; removing what isn't there is nothing."""
    fill(index, units(300))
    for number in range(300):
        index.remove(key(number))
    index.remove(key("never"))
    assert (index.rows, index.size_bytes) == (0, 0)
    assert await index.search(P, unit(1), 5) == []


async def test_over_the_budget_the_oldest_rows_go() -> None:
    """The budget holds at every step, over all partitions; what was added or replaced last stays."""
    index = PartitionedIndex(DIMENSIONS, 100_000)
    for number in range(1_000):
        add(index, P if number % 3 else Q, key(number), f"text {number}", unit(number))
        add(index, Q, key("kept"), "kept", unit(5_000))
        assert index.size_bytes <= 100_000
    assert 50 < index.rows < 200
    newest = {key(number) for number in range(1_001 - index.rows, 1_000)}
    found = {one.key for part in (P, Q) for one in await index.search(part, unit(1), 1_000)}
    assert found == newest | {key("kept")}
    index.close()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.sampled_from([P, Q])), max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_order_of_changes_agrees_with_a_dict(changes: list[tuple[bool, int, bytes]]) -> None:
    """Adds, replacements and removals in any order leave exactly the rows that a dict would have."""

    async def run() -> None:
        index, rows = PartitionedIndex(DIMENSIONS), {}
        for step, (adds, number, partition) in enumerate(changes):
            if adds:
                add(index, partition, key(number), f"text {step}", unit(step))
                rows[key(number)] = (partition, f"text {step}")
            else:
                index.remove(key(number))
                rows.pop(key(number), None)
        for partition in (P, Q):
            found = await index.search(partition, unit(1), 100)
            assert {one.key: (partition, one.text) for one in found} == {
                one: row for one, row in rows.items() if row[0] == partition
            }
        assert index.rows == len(rows)
        index.close()

    asyncio.run(run())


async def test_a_large_partition_is_quantised_and_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its exact chunks a partition keeps bytes for dimensions: less memory, the same neighbours."""
    monkeypatch.setattr(vectors, "_EXACT_CHUNKS", 1)
    index = PartitionedIndex(64)
    rows = units(13_000, 64)
    fill(index, rows)
    exact_bytes = 13_000 * 64 * 4
    assert index.size_bytes - 13_000 * 620 < 0.7 * exact_bytes
    recalled = 0
    for seed in range(30):
        asked = unit(100_000 + seed, 64)
        true = rows @ asked
        found = await index.search(P, asked, 10)
        assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
        recalled += len({one.key for one in found} & {key(number) for number in np.argsort(-true)[:10]})
        numbers = [int(one.text.split()[1]) for one in found]
        np.testing.assert_allclose([one.similarity for one in found], true[numbers], atol=0.005)
    assert recalled >= 285, "of 300; random vectors lie closer together than questions do"
    for number in range(0, 13_000, 2):
        index.remove(key(number))
    for number in range(1, 13_000, 4):
        index.remove(key(number))
    alive = np.arange(3, 13_000, 4)
    assert index.rows == len(alive)
    for number in alive[:: len(alive) // 20]:
        assert (await index.search(P, rows[number], 1))[0].key == key(number)
    index.close()


@pytest.mark.slow
async def test_a_search_in_its_thread_survives_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """While threads scan, rows come, go and are replaced: nothing torn, removed or foreign is ever returned."""
    monkeypatch.setattr(vectors, "_INLINE_ROWS", 0)
    monkeypatch.setattr(vectors, "_EXACT_CHUNKS", 1)
    index = PartitionedIndex(32)
    rows = units(12_000, 32)
    fill(index, rows)
    stay = 200
    dice = random.Random(0)  # noqa: S311 - an order of changes, not a secret
    gone: set[int] = set()

    async def change() -> None:
        while not all(search.done() for search in searches):
            for _ in range(200):
                number = dice.randrange(stay, 12_000)
                if number in gone:
                    add(index, P, key(number), f"text {number}", rows[number])
                    gone.discard(number)
                else:
                    index.remove(key(number))
                    gone.add(number)
            await asyncio.sleep(0)

    async def search(seed: int) -> None:
        for step in range(40):
            number = (seed * 40 + step) % stay
            found = await index.search(P, rows[number], 20)
            assert found[0].key == key(number)
            assert not {one.key for one in found} & {key(one) for one in gone}
            for one in found:
                known = int(one.text.split()[1])
                assert one.key == key(known)
                assert one.similarity == pytest.approx(float(rows[known] @ rows[number]), abs=0.02)

    searches = [asyncio.create_task(search(seed)) for seed in range(5)]
    await asyncio.gather(*searches, change())
    index.close()


async def test_a_key_that_moved_is_not_found_in_its_old_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that changes its partition while the old one is searched isn't returned from there."""
    monkeypatch.setattr(vectors, "_INLINE_ROWS", 0)
    index = PartitionedIndex(DIMENSIONS)
    fill(index, units(10))
    searching = asyncio.create_task(index.search(P, unit(1), 10))
    await asyncio.sleep(0)
    add(index, Q, key(3), "moved", unit(3))
    assert key(3) not in {one.key for one in await searching}
    index.close()
