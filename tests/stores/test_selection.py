"""Entries selected by what is known of them, read whole, and forgotten with their links: in every store alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from askonce.model import Link, Stored
from askonce.ports import Selection
from askonce.stores.memory import MemoryStore
from askonce.stores.selection import listed
from askonce.stores.sqlite import SqliteStore
from stores.samples import FakeClock, entry, key, link, question, tokens, unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from askonce.model import Entry
    from askonce.ports import Listed, Store

NAMES = "abcdefgh"


def several(values: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


entries = st.builds(
    lambda name, tags, feature, model, tenant, age_s: replace(
        entry(name, at=1_000_000.0 - age_s, ttl_s=1_000 + age_s, tags=tuple(sorted(tags))),
        feature=feature,
        model=model,
        tenant=f"tenant:{tenant}",
    ),
    st.sampled_from(NAMES),
    several("xyz"),
    st.sampled_from("fg"),
    st.sampled_from("mn"),
    st.sampled_from("tu"),
    st.integers(0, 100),
)
selections = st.builds(
    Selection,
    entries=st.none() | st.frozensets(st.sampled_from(NAMES).map(key), max_size=3),
    tags=several("xyz"),
    features=several("fgh"),
    models=several("mno"),
    tenants=several("tuv"),
    created_before=st.none() | st.integers(999_880, 1_000_010).map(float),
)


def made(kind: str, path: Path, clock: FakeClock) -> Store:
    if kind == "memory":
        return MemoryStore(clock, 2**20, 10_000)
    memory = MemoryStore(clock, {"roomy": 2**20, "tight": 3_000, "none": 0}[kind], 10_000)
    return SqliteStore(path / "a.db", memory, clock, commit_interval_s=0.001, read_wait_s=30)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "roomy", "tight", "none"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    store = made(request.param, tmp_path, clock)
    await store.start()
    yield store
    await store.close()


async def selected(store: Store, selection: Selection) -> list[Listed]:
    return [one async for batch in store.select(selection) for one in batch]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(put=st.lists(st.lists(entries, max_size=5), max_size=3), selection=selections)
async def test_a_selection_finds_what_it_means_once(
    store: Store, put: list[list[Entry]], selection: Selection
) -> None:
    """Wherever entries are, however often they were replaced: the same as looking at each."""
    for name in NAMES:
        store.remove(key(name))
    alive: dict[bytes, Entry] = {}
    for group in put:
        for one in group:
            store.put(one, None)
            alive[one.key] = one
        if len(group) % 2:
            await store.flush()
    meant = {one.key: one for one in alive.values() if selection.admits(listed(one))}
    found = await selected(store, selection)
    assert sorted(one.key for one in found) == sorted(meant)
    for known in found:
        assert known[:7] == listed(meant[known.key])[:7]
        assert known.account in {"t", "u"}


async def test_what_is_discarded_goes_with_its_links(store: Store) -> None:
    """The entry, every link to it and their questions; a link elsewhere and another entry stay."""
    for name in "ab":
        store.put(entry(name), question(name))
    for name, target in (("1", "a"), ("2", "a"), ("3", "b")):
        store.link(link(name, target), question(name))
    gone = await store.discard([key("a")])
    assert set(gone) == {key("a"), key("1"), key("2")}
    store.put(entry("a", text="new"), question("a"))
    await store.flush()
    assert await store.get(key("1")) is None, "a new answer doesn't revive them"
    assert await store.get(key("3")) == Stored(entry("b"), link("3", "b"))
    questions = {one.key async for batch in store.questions() for one in batch}
    assert questions in ({key("a"), key("b"), key("3")}, set()), "memory keeps none"


async def test_contents_are_whole(store: Store) -> None:
    """Answer, question with vector and tokens, links with theirs; unknown keys are left out."""
    asked = question("a", vector=unit(1), tokens=tokens(3))
    store.put(entry("a", tags=("x",)), asked)
    store.put(entry("b"), None)
    store.link(link("1", "a"), question("1", answer="a"))
    await store.flush()
    found = {one.entry.key: one for one in await store.contents([key("a"), key("b"), key("c")])}
    assert set(found) == {key("a"), key("b")}
    assert found[key("a")].entry == entry("a", tags=("x",))
    assert [one for one, _ in found[key("a")].links] == [link("1", "a")]
    assert found[key("b")].links == ()
    kept = found[key("a")].question
    if kept is not None:
        assert (kept.text, kept.answer, kept.partition) == (asked.text, asked.answer, asked.partition)
        assert kept.vector is not None
        assert kept.tokens is not None
        assert [one.text for _, one in found[key("a")].links if one is not None] == ["What is 1?"]
    else:
        assert isinstance(store, MemoryStore)


async def test_a_disk_that_is_away_is_said_to_be(tmp_path: Path, clock: FakeClock) -> None:
    """What memory knows is found first, then comes the error: nobody takes half of it for all."""
    (tmp_path / "a.db").mkdir()
    store = made("roomy", tmp_path, clock)
    await store.start()
    store.put(entry("a"), None)
    found: list[bytes] = []

    async def look() -> None:
        async for batch in store.select(Selection()):
            found.extend(one.key for one in batch)

    with pytest.raises(OSError, match="can't be read"):
        await look()
    assert found == [key("a")]
    store.link(Link(key("1"), key("a"), 1.0, 2_000_000.0), None)
    assert set(await store.discard([key("a")])) == {key("a"), key("1")}
    assert store.peek(key("a")) is None
    await store.close()


async def test_no_entries_means_none() -> None:
    """A selection of no keys at all is not a selection of all."""
    assert not Selection(entries=frozenset()).admits(listed(entry("a")))
    assert Selection().admits(listed(entry("a")))


def test_accounts_are_named_as_the_ledger_names_them() -> None:
    """Configured tenants by their name, passed-through credentials by the start of their hash."""
    one = listed(entry("a"))
    hashed = "key:" + "0123456789abcdef" * 4
    named = {"tenant:acme": "acme", hashed: "key:0123456789ab", f"{hashed}/t1": "key:0123456789ab/t1"}
    assert {tenant: one._replace(tenant=tenant).account for tenant in named} == named
