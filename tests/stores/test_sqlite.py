"""The SQLite store: the common promises with and without room in memory, and what the file adds."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from askonce.model import Owner, Stored
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore
from stores.conformance import StoreConformance, all_audits, unequal
from stores.first_schema import write_first_schema
from stores.samples import FakeClock, audit, entry, key, link, question, tokens, unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from askonce.ports import Erased, Store

TABLES = ("entries", "links", "questions", "tags")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make(path: Path, clock: FakeClock, *, memory_bytes: int = 2**20, disk_bytes: int = 2**30) -> SqliteStore:
    memory = MemoryStore(clock, memory_bytes, 10_000)
    return SqliteStore(
        path / "a.db", memory, clock, disk_bytes=disk_bytes, commit_interval_s=0.001, read_wait_s=30
    )


@pytest.fixture
async def small(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    store = make(tmp_path, clock, memory_bytes=0)
    await store.start()
    yield store
    await store.close()


@pytest.fixture(params=[2**20, 3_000, 0], ids=["roomy", "tight", "no-memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    """The suite's store; with little or no memory what it finds comes from what is pending or from the file."""
    store = make(tmp_path, clock, memory_bytes=request.param)
    await store.start()
    yield store
    await store.close()


class TestSqliteStore(StoreConformance):
    """The suite, against memory over a file."""

    async def test_health_counts(self, store: Store) -> None:
        """Entries are those on disk; both tiers report their bytes."""
        store.put(entry("a"), question("a"))
        store.put(entry("b"), None)
        assert store.health().pending_writes == 2
        await store.flush()
        health = store.health()
        assert health.durable
        assert (health.entries, health.pending_writes, health.lost_writes, health.evictions) == (2, 0, 0, 0)
        assert health.disk_bytes > 4_096
        await store.invalidate(["nothing"])
        store.remove(key("a"))
        await store.flush()
        assert store.health().entries == 1


async def test_everything_survives_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    """Entries, links and the secret are the same in the next process; peek knows them once get has."""
    first = make(tmp_path, clock)
    await first.start()
    first.put(entry("a", tags=("x", "y"), cost=None), None)
    first.link(link("b", "a"), None)
    secret = await first.secret()
    await first.close()
    second = make(tmp_path, clock)
    await second.start()
    assert second.peek(key("b")) is None
    found = Stored(entry("a", tags=("x", "y"), cost=None), link("b", "a"))
    assert await second.get(key("b")) == found
    assert second.peek(key("b")) == found
    assert await second.secret() == secret
    await second.close()


async def test_all_waiting_reads_are_answered(small: SqliteStore) -> None:
    """Look-ups that come together share trips to the disk, and each gets its own answer."""
    for number in range(50):
        small.put(entry(number), None)
    await small.flush()
    found = await asyncio.gather(*(small.get(key(number)) for number in range(60)))
    assert found[:50] == [Stored(entry(number)) for number in range(50)]
    assert found[50:] == [None] * 10


async def test_uncommitted_writes_are_visible_without_memory(small: SqliteStore) -> None:
    """Evicted before their commit, entries and links are still found, and removals still hold."""
    small.put(entry("a"), None)
    small.link(link("b", "a"), None)
    assert small.health().pending_writes == 2
    assert small.peek(key("a")) == Stored(entry("a"))
    assert small.peek(key("b")) == Stored(entry("a"), link("b", "a"))
    await small.flush()
    small.remove(key("a"))
    assert small.peek(key("a")) is None
    assert await small.get(key("a")) is None
    assert await small.get(key("b")) is None


async def test_a_removal_beats_a_read_under_way(small: SqliteStore) -> None:
    """What is forgotten while the disk is read is not served."""
    small.put(entry("a", tags=("x",)), None)
    await small.flush()
    reading = asyncio.create_task(small.get(key("a")))
    await asyncio.sleep(0)
    small.remove(key("a"))
    assert await reading is None


async def test_an_invalidation_hides_at_once(small: SqliteStore) -> None:
    """Before its commit, too, nothing on disk with the tag is served."""
    small.put(entry("a", tags=("x",)), None)
    await small.flush()
    forgetting = asyncio.create_task(small.invalidate(["x"]))
    await asyncio.sleep(0)
    assert await small.get(key("a")) is None
    assert await forgetting == [key("a")]


async def test_an_invalidation_names_only_what_it_forgot(small: SqliteStore) -> None:
    """A key whose tagged answer was already replaced or removed, or is put again meanwhile, isn't named."""
    for name in ("replaced", "removed", "again", "old"):
        small.put(entry(name, tags=("x",)), None)
    await small.flush()
    small.put(entry("replaced"), None)
    small.remove(key("removed"))
    forgetting = asyncio.create_task(small.invalidate(["x"]))
    await asyncio.sleep(0)
    small.put(entry("again", tags=("x",)), None)
    assert await forgetting == [key("old")]
    await small.flush()
    assert await small.get(key("replaced")) is not None
    assert await small.get(key("again")) is not None


async def test_questions_come_back_alive_and_in_order(tmp_path: Path, clock: FakeClock) -> None:
    """Questions of live entries and links stream oldest first, with their vectors; others don't."""
    first = make(tmp_path, clock)
    await first.start()
    vector = unit(1)
    first.put(entry("a"), question("a", vector=vector))
    await first.flush()
    first.put(entry("short", ttl_s=5), question("short"))
    first.put(entry("plain"), None)
    first.put(entry("removed"), question("removed"))
    first.link(link("b", "a"), question("b", "q"))
    first.link(link("dead", "nowhere"), question("dead"))
    first.remove(key("removed"))
    await first.flush()
    first.put(entry("c"), question("c"))
    clock.time += 5
    asked = [one async for batch in first.questions() for one in batch]
    await first.close()
    assert [one.key for one in asked] == [key("a"), key("b"), key("c")]
    assert (asked[0].text, asked[0].partition, asked[0].engine) == ("What is a?", key_of("p"), "engine-1")
    assert asked[0].vector is not None
    assert asked[0].vector.dtype == np.float32
    np.testing.assert_allclose(asked[0].vector, vector, atol=1e-3)
    assert np.linalg.norm(asked[0].vector) == pytest.approx(1, abs=1e-6)
    assert asked[1].vector is None


def key_of(partition: object) -> bytes:
    return question("any", partition).partition


async def test_the_file_stays_within_its_budget(tmp_path: Path, clock: FakeClock) -> None:
    """However much is put, the file doesn't outgrow its budget, and what is worth most is still there."""
    budget = 2**20
    store = make(tmp_path, clock, memory_bytes=0, disk_bytes=budget)
    await store.start()
    store.put(entry("dear", cost=500_000_000), question("dear"))
    largest = 0
    for number in range(1_500):
        store.put(entry(number, size=2_000), question(number))
        if number % 50 == 0:
            await store.flush()
            largest = max(largest, (tmp_path / "a.db").stat().st_size)
    await store.flush()
    health = store.health()
    assert largest <= budget
    assert health.evictions > 500
    assert health.entries == 1_501 - health.evictions
    assert await store.get(key("dear")) is not None
    assert await store.get(key(0)) is None
    await store.close()


async def test_links_alone_stay_within_the_budget_too(tmp_path: Path, clock: FakeClock) -> None:
    """Links without entries, questions and all, don't fill the disk."""
    store = make(tmp_path, clock, memory_bytes=0, disk_bytes=2**20)
    await store.start()
    for number in range(1_500):
        store.link(link(number, "nowhere"), question(number, vector=unit(number, 384)))
        if number % 50 == 0:
            await store.flush()
    await store.flush()
    assert (tmp_path / "a.db").stat().st_size <= 2**20
    assert store.health().evictions > 100
    await store.close()


async def test_hits_are_written_back_and_count(tmp_path: Path, clock: FakeClock) -> None:
    """Hits found in memory reach the file with a later group commit, and decide what is evicted there."""
    store = make(tmp_path, clock, disk_bytes=2**20)
    await store.start()
    store.put(entry("liked"), None)
    for _ in range(400):
        store.peek(key("liked"))
    await store.flush()
    with sqlite3.connect(tmp_path / "a.db") as reading:
        assert reading.execute("SELECT hits FROM entries").fetchone() == (400,)
    reading.close()
    for number in range(1_000):
        store.put(entry(number, size=2_000), None)
        if number % 50 == 0:
            await store.flush()
    await store.flush()
    with sqlite3.connect(tmp_path / "a.db") as reading:
        kept = reading.execute("SELECT count(*) FROM entries WHERE key = ?", (key("liked"),)).fetchone()
    reading.close()
    assert kept == (1,)
    await store.close()


async def test_expired_rows_leave_the_file(tmp_path: Path, clock: FakeClock) -> None:
    """At the next tidying, at start for one, nothing of them is left in any table."""
    first = make(tmp_path, clock)
    await first.start()
    first.put(entry("a", ttl_s=5, tags=("x",)), question("a"))
    first.link(link("b", "a"), question("b"))
    first.put(entry("c"), None)
    await first.close()
    clock.time += 5
    second = make(tmp_path, clock)
    await second.start()
    assert second.health().entries == 1
    await second.close()
    with sqlite3.connect(tmp_path / "a.db") as reading:
        counts = [reading.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]  # noqa: S608
    reading.close()
    assert counts == [1, 0, 0, 0]


async def test_a_clock_set_back_is_made_good_on_disk(tmp_path: Path, clock: FakeClock) -> None:
    """Entries from the future get their TTL from the restart on, so that restarts don't stretch it either."""
    first = make(tmp_path, clock)
    await first.start()
    first.put(entry("a", ttl_s=10), None)
    await first.close()
    clock.time -= 1_000
    second = make(tmp_path, clock)
    await second.start()
    await second.close()
    clock.time += 10
    third = make(tmp_path, clock)
    await third.start()
    assert await third.get(key("a")) is None
    await third.close()


async def test_a_lowered_budget_gives_pages_back(tmp_path: Path, clock: FakeClock) -> None:
    """A file larger than its new budget shrinks."""
    first = make(tmp_path, clock)
    await first.start()
    for number in range(1_000):
        first.put(entry(number, size=2_000), None)
    await first.close()
    assert (tmp_path / "a.db").stat().st_size > 2 * 2**20
    second = make(tmp_path, clock, disk_bytes=2**20)
    await second.start()
    await second.close()
    assert (tmp_path / "a.db").stat().st_size <= 2**20


async def restarted(path: Path, clock: FakeClock, store: SqliteStore) -> SqliteStore:
    await store.close()
    again = make(path, clock)
    await again.start()
    return again


async def test_a_file_of_the_first_schema_is_taken_over(tmp_path: Path, clock: FakeClock) -> None:
    """Entries, links and the secret stay; its questions come back without tokens, each its own class."""
    write_first_schema(tmp_path / "a.db")
    store = make(tmp_path, clock)
    await store.start()
    assert store.health().durable
    assert await store.secret() == bytes(32)
    found = await store.get(key("b"))
    assert found is not None
    assert found.entry.answer.fields == b'"text":"old"'
    asked_before = [one async for batch in store.questions() for one in batch]
    assert [(one.key, one.tokens, one.answer) for one in asked_before] == [
        (key("a"), None, key("a")),
        (key("b"), None, key("b")),
    ]
    store.put(entry("c"), question("c", tokens=tokens(3), answer="a"))
    store.audited(audit(1))
    store = await restarted(tmp_path, clock, store)
    new = [one async for batch in store.questions() for one in batch][-1]
    assert new.tokens is not None
    assert new.answer == key("a")
    assert len(await all_audits(store)) == 1
    assert await store.invalidate(["x"]) == [key("a")]
    await store.close()


async def test_tokens_and_classes_come_back(tmp_path: Path, clock: FakeClock) -> None:
    """To the bit, also those of a text without tokens, and none where there were none."""
    store = make(tmp_path, clock)
    await store.start()
    given = {"none": None, "empty": tokens(0), "short": tokens(1), "long": tokens(254, seed=2)}
    for name, some in given.items():
        store.put(entry(name), question(name, vector=unit(1), tokens=some, answer="short"))
    store = await restarted(tmp_path, clock, store)
    asked = {one.key: one async for batch in store.questions() for one in batch}
    for name, some in given.items():
        one = asked[key(name)]
        assert one.answer == key("short")
        assert (one.tokens is None) == (some is None)
        if some is not None and one.tokens is not None:
            np.testing.assert_array_equal(one.tokens.ids, some.ids)
            np.testing.assert_array_equal(one.tokens.states, some.states)
            assert one.tokens.states.shape == some.states.shape
    await store.close()


async def test_a_change_of_class_is_kept(tmp_path: Path, clock: FakeClock) -> None:
    """Whether the question waits for its commit or is on disk; the last change counts, a new question starts anew."""
    store = make(tmp_path, clock)
    await store.start()
    for name in ("disk", "back", "again"):
        store.put(entry(name), question(name))
    await store.flush()
    store.put(entry("waiting"), question("waiting"))
    for name in ("disk", "back", "waiting", "again"):
        store.reclass(key(name), key("first"))
        store.reclass(key(name), key("last"))
    store.reclass(key("back"), key("back"))
    store.put(entry("again"), question("again"))
    store = await restarted(tmp_path, clock, store)
    classes = {one.key: one.answer async for batch in store.questions() for one in batch}
    expected = {"disk": "last", "back": "back", "waiting": "last", "again": "again"}
    assert classes == {key(name): key(answer) for name, answer in expected.items()}
    await store.close()


@pytest.mark.parametrize("end", ["removed", "expired", "evicted"])
async def test_a_class_survives_its_entry_on_disk(tmp_path: Path, clock: FakeClock, end: str) -> None:
    """However the entry that named a class ends, members with answers of their own stay members of it.

    Two of them share an answer still, and must not look like rivals. What was answered by that entry goes with it.
    """
    store = make(tmp_path, clock, disk_bytes=2**20)
    await store.start()
    store.put(entry("a", ttl_s=5, cost=1), question("a"))
    for name in ("own", "other"):
        store.put(entry(name, cost=10**12), question(name, answer="a"))
    store.link(link("linked", "a"), question("linked", answer="a"))
    await store.flush()
    if end == "removed":
        store.remove(key("a"))
    elif end == "expired":
        clock.time += 5
    else:
        for number in range(1_000):
            store.put(entry(number, size=2_000), None)
            if number % 50 == 0:
                await store.flush()
    store = await restarted(tmp_path, clock, store)
    asked = [one async for batch in store.questions() for one in batch]
    assert [(one.key, one.answer) for one in asked] == [(key("own"), key("a")), (key("other"), key("a"))]
    assert await store.get(key("own")) == Stored(entry("own", cost=10**12))
    await store.close()


async def test_audits_and_values_survive_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    """More of them than one read brings, in order; numbers that float16 or SQLite can't express do no harm."""
    store = make(tmp_path, clock)
    await store.start()
    put = [audit(number) for number in range(4_500)]
    computed: dict[str, Any] = {"probability": np.float32(np.nan), "threshold": np.inf, "right": np.True_}
    odd = replace(audit(4_500, evidence=(1e9, -1e9, np.nan)), **computed)
    for one in (*put, odd):
        store.audited(one)
    store.keep("budget:support", b'{"breached":true}')
    store = await restarted(tmp_path, clock, store)
    found = await all_audits(store, "support")
    assert [unequal(*pair) for pair in zip(found[:-1], put, strict=True)] == [[]] * len(put)
    last = found[-1]
    assert last.evidence is not None
    np.testing.assert_allclose(last.evidence, [65_504, -65_504, np.nan])
    assert np.isnan(last.probability)
    assert (last.threshold, last.right) == (np.inf, True)
    assert store.kept("budget:support") == b'{"breached":true}'
    assert store.health().lost_writes == 0
    await store.close()


async def test_an_audit_that_cannot_be_written_costs_itself_alone(tmp_path: Path, clock: FakeClock) -> None:
    """A request id that SQLite can't express: counted as lost, and the rest of its group is written."""
    store = make(tmp_path, clock)
    await store.start()
    store.put(entry("a"), None)
    store.audited(audit(1))
    store.audited(replace(audit(2), request_id="\ud800"))
    store.keep("\ud800", b"unspeakable")
    store = await restarted(tmp_path, clock, store)
    assert await store.get(key("a")) is not None
    assert [one.request_id for one in await all_audits(store)] == ["request-1"]
    await store.close()


async def test_audits_leave_answers_their_room(tmp_path: Path, clock: FakeClock) -> None:
    """In a small file the oldest audits go before they crowd out what the file is for."""
    store = make(tmp_path, clock, disk_bytes=2**20)
    await store.start()
    for number in range(100):
        store.put(entry(number), question(number))
    for number in range(5_000):
        store.audited(audit(number))
        if number % 100 == 0:
            await store.flush()
    found = await all_audits(store)
    health = store.health()
    await store.close()
    assert (health.entries, health.evictions) == (100, 0)
    assert [one.request_id for one in found] == [f"request-{number}" for number in range(4_744, 5_000)]
    assert (tmp_path / "a.db").stat().st_size <= 2**20


async def test_erasing_leaves_no_name_of_a_class(small: SqliteStore) -> None:
    """A question that shared an erased one's answer is in a class of its own then."""
    small.put(replace(entry("mine"), users=(b"m" * 16,)), question("mine"))
    small.put(entry("theirs"), question("theirs", answer="mine"))
    await small.erase(Owner("acme", b"m" * 16))
    (left,) = [one async for batch in small.questions() for one in batch]
    assert left.key == left.answer == key("theirs")


async def test_what_is_put_again_during_an_erasure_goes_too(
    small: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a verdict on a hit that was read before, while the disk forgets it."""
    mine = replace(entry("mine"), users=(b"m" * 16,))
    small.put(mine, question("mine"))
    on_disk = small._cleaner.erase

    async def erase(owner: Owner) -> Erased:
        erasing = asyncio.ensure_future(on_disk(owner))
        await asyncio.sleep(0)
        small.put(mine, question("mine"))
        return await erasing

    monkeypatch.setattr(small._cleaner, "erase", erase)
    await small.erase(Owner("acme", b"m" * 16))
    await small.flush()
    assert await small.get(key("mine")) is None
    assert [one async for batch in small.questions() for one in batch] == []


async def test_new_files_are_for_their_owner_alone(small: SqliteStore, tmp_path: Path) -> None:
    """The file and its logs can be read by this user only, whatever the umask."""
    small.put(entry("a"), question("a"))
    await small.flush()
    assert modes(tmp_path) == dict.fromkeys(("a.db", "a.db-wal", "a.db-shm", "a.db.lock"), 0o600)


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
