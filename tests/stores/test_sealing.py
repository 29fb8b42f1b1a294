"""Encryption at rest: what is sealed, by which key, and what becomes of files whose key is another."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.job import JobState, LineResult
from askonce.model import Owner
from askonce.ports import Selection
from askonce.stores import cleaner, scrubbing
from askonce.stores.files import acquire
from askonce.stores.job_room import JobLimits
from askonce.stores.jobs import SqliteJobs
from askonce.stores.memory import MemoryStore
from askonce.stores.sealing import Seals, Unreadable, place
from askonce.stores.sqlite import SqliteStore
from askonce.stores.transactions import Transactions
from jobs.players import ANSWER, new_job
from stores.conformance import StoreConformance
from stores.first_schema import write_first_schema
from stores.samples import FakeClock, entry, key, link, question, tokens, unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from askonce.ports import Store

OLD, NEW = Seals([b"o" * 32]), Seals([b"n" * 32])
BOTH = Seals([b"n" * 32, b"o" * 32])
CLEAR = Seals()
MARKS = (b"The-Answer", b"What is ", b"tag-text", b"total_tokens", b"x-job-body", b"hooks.example")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make(path: Path, seals: Seals, clock: FakeClock, memory_bytes: int = 0) -> SqliteStore:
    memory = MemoryStore(clock, memory_bytes, 10_000)
    return SqliteStore(path / "a.db", memory, clock, commit_interval_s=0.001, read_wait_s=30, seals=seals)


async def fill(store: SqliteStore) -> None:
    """Some of everything that is sealed."""
    for number in range(5):
        vector, said = unit(number), tokens(4, number)
        asked = question(number, vector=vector, tokens=said)
        store.put(entry(number, tags=("tag-text",), text="The-Answer"), asked)
    store.link(link("l", 0), question("l", vector=unit(9)))
    lane = jobs(store, store._cleaner._seals)
    for name, webhook in (("a", "https://hooks.example/x"), ("b", "")):
        job = new_job(name, digest=b"d", webhook=webhook)
        body = f'{{"x-job-body": "{name}"}}'.encode()
        await lane.submit(replace(job, line=replace(job.line, body=body, batched=False)))
    (line,) = [one for one in await lane.take_direct(9, 1e9) if one.body == b'{"x-job-body": "b"}']
    await lane.settle([LineResult(line.number, ANSWER)], 300.0)
    await store.flush()


def jobs(store: SqliteStore, seals: Seals) -> SqliteJobs:
    at = Transactions(store.transact, durable=True, close=lambda: None, seals=seals)
    return SqliteJobs(at, JobLimits(10, 2**20))


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def whole(store: SqliteStore, seals: Seals) -> None:
    """Everything that `fill` put is there and right."""
    for number in range(5):
        found = await store.get(key(number))
        assert found is not None
        assert found.entry == entry(number, tags=("tag-text",), text="The-Answer")
    assert await store.get(key("l")) is not None
    texts = {one.text for batch in [one async for one in store.questions()] for one in batch}
    assert texts == {f"What is {name}?" for name in (*range(5), "l")}
    lane = jobs(store, seals)
    (waiting,) = [job for job in await lane.page("tenant:acme", None, 0, 9) if job.delivery is not None]
    assert waiting.delivery is not None
    assert waiting.delivery.url == "https://hooks.example/x"
    answered = await lane.find("tenant:acme", "b")
    assert answered is not None
    assert answered.answer == ANSWER


async def finish(store: SqliteStore) -> None:
    """Waits until nothing is left to seal."""
    task = store._cleaner._task
    assert task is not None
    await task
    assert store.health().rows_to_seal == 0


@given(st.binary(), st.binary(min_size=1), st.binary(min_size=1))
def test_what_is_sealed_is_opened_where_it_was_sealed_alone(plain: bytes, at: bytes, other: bytes) -> None:
    """With the key that sealed it, wherever that stands in the list; elsewhere, or changed by a bit, never."""
    blob = OLD.seal(plain, at)
    assert BOTH.unseal(blob, at) == plain
    assert OLD.seal(plain, at) != blob
    assert len(plain) < 8 or plain not in blob[24:]
    if other != at:
        with pytest.raises(Unreadable):
            OLD.unseal(blob, other)
    with pytest.raises(Unreadable):
        OLD.unseal(blob[:-1] + bytes([blob[-1] ^ 1]), at)
    with pytest.raises(Unreadable):
        NEW.unseal(blob, at)
    with pytest.raises(Unreadable):
        CLEAR.unseal(blob, at)
    assert CLEAR.unseal(CLEAR.seal(b"clear", at), at) == b"clear"


@given(st.text())
def test_texts_and_tags_have_no_second_form(text: str) -> None:
    """A text comes back as it was; a tag is always found under one of its forms."""
    try:
        value = BOTH.seal_text(text, b"at")
    except UnicodeEncodeError:
        return
    assert isinstance(value, bytes)
    assert BOTH.unseal_text(value, b"at") == text
    assert BOTH.current(value)
    assert not BOTH.current(text)
    assert BOTH.tag(text) in BOTH.tag_forms(text)
    assert {OLD.tag(text), CLEAR.tag(text)} <= set(BOTH.tag_forms(text))


@pytest.mark.slow
class TestSealedStore(StoreConformance):
    """The suite, with all values sealed and little memory."""

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
        store = make(tmp_path, BOTH, clock, 3_000)
        await store.start()
        yield store
        await store.close()


async def test_nothing_that_is_sealed_is_in_the_file(tmp_path: Path, clock: FakeClock) -> None:
    """No answer, question, tag, usage, job body or webhook in clear; keys, times and tenants are."""
    store = make(tmp_path, OLD, clock)
    await store.start()
    await fill(store)
    await whole(store, OLD)
    for closed in (False, True):
        if closed:
            await store.close()
        raw = bytes_of(tmp_path)
        assert [mark for mark in MARKS if mark in raw] == []
        assert b"acme" in raw
    assert tokens(4, 0).ids.tobytes() not in raw


@pytest.mark.parametrize("before", [CLEAR, OLD], ids=["clear", "another-key"])
async def test_a_file_is_sealed_anew_behind_the_requests(
    tmp_path: Path, clock: FakeClock, before: Seals
) -> None:
    """Rows of before are read at once, found by their tags, sealed in the background, and then need the new key alone."""
    store = make(tmp_path, before, clock)
    await store.start()
    await fill(store)
    await store.close()
    store = make(tmp_path, BOTH, clock)
    await store.start()
    await whole(store, BOTH)
    await finish(store)
    raw = bytes_of(tmp_path)
    assert [mark for mark in MARKS if mark in raw] == []
    await store.close()
    store = make(tmp_path, NEW, clock)
    await store.start()
    assert store.health().durable
    await whole(store, NEW)
    assert len(await store.invalidate(["tag-text"])) == 5
    await store.close()


@pytest.mark.parametrize("killed", [False, True])
async def test_no_clear_copy_is_left_where_the_file_cant_be_written_anew_at_once(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    """A full disk is tried again, and so does the next process; until then health says that something is left."""
    store = make(tmp_path, CLEAR, clock)
    await store.start()
    await fill(store)
    await store.transact(leave_a_clear_copy)
    await store.close()
    assert b"The-Answer" in bytes_of(tmp_path)
    failed = asyncio.Event()

    async def full(transact: scrubbing.Transact) -> None:
        if not failed.is_set():
            failed.set()
            raise OSError("the disk is full")
        await scrubbing.scrub(transact)

    monkeypatch.setattr(cleaner, "scrub", full)
    monkeypatch.setattr(cleaner, "_RETRY_S", 60.0 if killed else 0.01)
    store = make(tmp_path, NEW, clock)
    await store.start()
    await failed.wait()
    if killed:
        assert store.health().rows_to_seal == 1
        await store.close()
        store = make(tmp_path, NEW, clock)
        await store.start()
        assert store.health().rows_to_seal == 1
    await finish(store)
    await store.close()
    assert [mark for mark in MARKS if mark in bytes_of(tmp_path)] == []


def leave_a_clear_copy(file: sqlite3.Connection) -> None:
    """As versions did that didn't overwrite what they deleted."""
    file.execute("PRAGMA secure_delete = OFF")
    file.executescript("DELETE FROM entries; DELETE FROM questions; DELETE FROM tags;")


async def test_a_file_that_is_locked_at_the_start_is_sealed_once_it_isnt(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a process that takes over from another."""
    monkeypatch.setattr(cleaner, "_RETRY_S", 0.01)
    store = make(tmp_path, CLEAR, clock)
    await store.start()
    await fill(store)
    await store.close()
    lock = acquire(tmp_path / "a.db")
    store = make(tmp_path, NEW, clock)
    await store.start()
    assert store.health().rows_to_seal == 1
    os.close(lock)
    await finish(store)
    await store.close()
    assert [mark for mark in MARKS if mark in bytes_of(tmp_path)] == []


@pytest.mark.parametrize(
    ("seals", "said"), [(CLEAR, "cache_encryption_key isn't set"), (NEW, "cache_encryption_key doesn't have")]
)
async def test_without_the_right_key_nothing_is_served(
    tmp_path: Path, clock: FakeClock, seals: Seals, said: str
) -> None:
    """Every look-up is a miss, health says why; with the key again all is there."""
    store = make(tmp_path, OLD, clock)
    await store.start()
    await fill(store)
    await store.close()
    store = make(tmp_path, seals, clock)
    await store.start()
    assert await store.get(key(0)) is None
    health = store.health()
    assert not health.durable
    assert said in health.detail
    with pytest.raises(OSError, match="encrypt"):
        await store.erase(Owner("acme"))
    await store.close()
    store = make(tmp_path, OLD, clock)
    await store.start()
    await whole(store, OLD)
    await store.close()


async def test_a_row_that_was_swapped_is_a_miss(tmp_path: Path, clock: FakeClock) -> None:
    """Another row's answer under a key is never served, and counted; the other rows are."""
    store = make(tmp_path, OLD, clock)
    await store.start()
    await fill(store)
    await store.close()
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as file:
        file.execute(
            "UPDATE entries SET fields = (SELECT fields FROM entries WHERE key = ?) WHERE key = ?",
            (key(1), key(0)),
        )
        file.execute("UPDATE questions SET text = 'planted' WHERE key = ?", (key(2),))
        file.execute("UPDATE questions SET vector = tokens WHERE key = ?", (key(3),))
    store = make(tmp_path, OLD, clock)
    await store.start()
    assert await store.get(key(0)) is None
    assert store.health().unreadable == 1
    assert await store.get(key(1)) is not None
    assert {one.key for batch in [one async for one in store.questions()] for one in batch}.isdisjoint(
        {key(3)}
    )
    await store.close()


async def test_a_job_that_nothing_opens_keeps_no_others(tmp_path: Path, clock: FakeClock) -> None:
    """It is left out; the one behind it is asked."""
    store = make(tmp_path, OLD, clock)
    await store.start()
    await fill(store)
    lane = jobs(store, OLD)
    fine = new_job("fine", digest=b"d")
    await lane.submit(replace(fine, created_at=200.0, line=replace(fine.line, batched=False)))
    await lane.recover(300.0)
    await store.transact(lambda file: file.execute("UPDATE lines SET body = context WHERE number = 1"))
    found = await lane.take_direct(9, 1e9) + await lane.take_direct(9, 1e9)
    assert [line.number for line in found] == [3]
    await store.close()


async def test_a_damaged_answer_keeps_no_others(tmp_path: Path, clock: FakeClock) -> None:
    """Administrators find and forget it by all but its tags, and get the others whole."""
    store = make(tmp_path, OLD, clock)
    await store.start()
    await fill(store)
    await store.transact(
        lambda file: file.execute("UPDATE entries SET tags = fields, fields = tags WHERE key = ?", (key(0),))
    )
    found = [one for batch in [one async for one in store.select(Selection())] for one in batch]
    assert {one.key: one.tags for one in found} == {
        key(number): ("tag-text",) if number else () for number in range(5)
    }
    kept = await store.contents([one.key for one in found])
    assert {one.entry.key for one in kept} == {key(number) for number in range(1, 5)}
    assert store.health().unreadable == 1
    assert set(await store.discard([key(0)])) == {key(0), key("l")}
    await store.close()


async def test_a_damaged_job_keeps_no_others(tmp_path: Path, clock: FakeClock) -> None:
    """Its result is lost, its webhook given up; all others are listed, told and erased."""
    store = make(tmp_path, OLD, clock)
    await store.start()
    await fill(store)
    lane = jobs(store, OLD)
    for name in ("c", "d"):
        await lane.submit(new_job(name, digest=b"d", webhook=f"https://hooks.example/{name}"))
        await lane.cancel("tenant:acme", name, 300.0)
    await store.transact(lambda file: file.execute("UPDATE deliveries SET state = 'pending', due_at = job"))
    await store.transact(
        lambda file: file.execute(
            "UPDATE deliveries SET url = (SELECT url FROM deliveries ORDER BY job DESC LIMIT 1) WHERE job < 4"
        )
    )
    await store.transact(lambda file: file.execute("UPDATE lines SET answer = context"))
    listed = {job.request_id: job for job in await lane.page("tenant:acme", None, 0, 9)}
    assert listed.keys() == {"a", "b", "c", "d"}
    lost = await lane.find("tenant:acme", "b")
    assert lost is not None
    assert (lost.state, lost.answer) == (JobState.FAILED, None)
    assert b"result_unreadable" in lost.error
    due, _ = await lane.take_deliveries((), 9, 1e9)
    assert [one.url for one in due] == ["https://hooks.example/d"]
    for name in ("mine", "theirs"):
        shared = new_job(name, users=(name.encode().ljust(16),))
        await lane.submit(replace(shared, line=replace(shared.line, key=b"shared")))
    await store.transact(lambda file: file.execute("UPDATE lines SET context = body, body = context"))
    assert await lane.erase(Owner("tenant:acme", b"mine".ljust(16))) == 1
    assert await lane.find("tenant:acme", "theirs") is not None
    await store.close()


async def test_a_file_of_the_first_schema_is_sealed(tmp_path: Path, clock: FakeClock) -> None:
    """Old files are brought up to date first."""
    write_first_schema(tmp_path / "a.db")
    store = make(tmp_path, OLD, clock)
    await store.start()
    await finish(store)
    found = await store.get(key("b"))
    assert found is not None
    assert found.entry.answer.fields == b'"text":"old"'
    assert b'"old"' not in bytes_of(tmp_path)
    await store.close()


def test_a_place_names_table_column_and_row() -> None:
    """Two places are never one."""
    assert len({place("a.b", b"c"), place("a.b", 1), place("a.b", "2"), place("a", b"b\0c")}) == 4
