"""The memory store: the common promises, and what goes first when room runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from askonce.stores.memory import MemoryStore
from askonce.stores.worth import entry_bytes, expected_saving
from stores.conformance import StoreConformance
from stores.samples import FakeClock, entry, key, link

if TYPE_CHECKING:
    from askonce.ports import Store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return MemoryStore(clock, 2**20, 10_000)


class TestMemoryStore(StoreConformance):
    """The suite, against memory alone."""


def _small(clock: FakeClock, entries: int) -> MemoryStore:
    return MemoryStore(clock, entries * entry_bytes(entry(0)), 10_000)


def test_the_budget_holds(clock: FakeClock) -> None:
    """However much is put, what is counted stays within the budget, and evictions are counted."""
    store = _small(clock, 10)
    for number in range(100):
        store.put(entry(number), None)
    health = store.health()
    assert health.memory_bytes <= 10 * entry_bytes(entry(0))
    assert health.entries == 10
    assert health.evictions == 90


def test_the_expensive_outlives_the_cheap(clock: FakeClock) -> None:
    """An answer that cost a lot survives a flood of cheap ones."""
    store = _small(clock, 10)
    store.put(entry("dear", cost=50_000_000), None)
    for number in range(20):
        store.put(entry(number, cost=1_000), None)
    assert store.peek(key("dear")) is not None


def test_the_popular_outlives_the_rest(clock: FakeClock) -> None:
    """Of equal cost, what was asked often stays."""
    store = _small(clock, 10)
    for number in range(10):
        store.put(entry(number), None)
    for _ in range(5):
        store.peek(key(3))
    for number in range(10, 19):
        store.put(entry(number), None)
    assert store.peek(key(3)) is not None
    assert store.health().evictions == 9


def test_the_small_outlives_the_large(clock: FakeClock) -> None:
    """Of equal cost and popularity, what takes more room goes first."""
    store = MemoryStore(clock, 12_000, 10_000)
    store.put(entry("large", size=5_000), None)
    store.put(entry("small"), None)
    for number in range(4):
        store.put(entry(number), None)
    assert store.peek(key("large")) is None
    assert store.peek(key("small")) is not None


def test_what_was_popular_long_ago_ages(clock: FakeClock) -> None:
    """The floor rises with each eviction, so old hits lose their weight against newer ones."""
    store = _small(clock, 10)
    store.put(entry("once"), None)
    for _ in range(5):
        store.peek(key("once"))
    for number in range(300):
        store.put(entry(number), None)
        store.peek(key(number))
    assert store.peek(key("once")) is None


def test_links_count_and_are_evicted(clock: FakeClock) -> None:
    """Links take room of the same budget."""
    store = _small(clock, 10)
    for number in range(100):
        store.link(link(number, "a"), None)
    assert 0 < store.health().memory_bytes <= 10 * entry_bytes(entry(0))
    assert store.health().evictions > 0


def test_replaced_rows_leave_no_heap_behind(clock: FakeClock) -> None:
    """Writing one key over and over neither grows the heap without bound nor counts twice."""
    store = MemoryStore(clock, 2**20, 10_000)
    for _ in range(10_000):
        store.put(entry("a"), None)
    assert store.health().memory_bytes == entry_bytes(entry("a"))
    assert len(store._heap) < 2_000


def test_close_forgets(clock: FakeClock) -> None:
    """Nothing is left of a closed store but its zeros."""
    store = _small(clock, 10)
    store.put(entry("a", tags=("x",)), None)
    store.remove(key("a"))
    assert store.health().memory_bytes == 0
    assert store._tagged == {}


async def test_memory_has_no_questions(clock: FakeClock) -> None:
    """There is nothing to rebuild an index from after a restart."""
    store = MemoryStore(clock)
    await store.start()
    assert [batch async for batch in store.questions()] == []
    await store.close()


@pytest.mark.parametrize(
    ("cost", "least", "most"),
    [(5, 5, 5), (0, 1, 1), (None, 4_500, 4_500)],
    ids=["known", "free", "estimated"],
)
def test_what_a_hit_saves(cost: int | None, least: int, most: int) -> None:
    """The price where it is known, an estimate from the tokens (1 and 2 of them here) where it isn't, never 0."""
    assert least <= expected_saving(entry("a", cost=cost).answer) <= most
