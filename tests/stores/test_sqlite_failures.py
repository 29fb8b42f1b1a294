"""A disk that fails, in every way that it can: requests never notice, health says so, and it heals."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from askonce.model import Owner
from askonce.stores import database, reader, writer
from askonce.stores.contents import Contents
from askonce.stores.memory import MemoryStore
from askonce.stores.schema import SCHEMA
from askonce.stores.sqlite import SqliteStore
from stores.conformance import all_audits
from stores.first_schema import write_first_schema
from stores.samples import FakeClock, audit, entry, key, link, question, unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.model import Entry, Question
    from askonce.stores.sealing import Seals

TESTS = Path(__file__).parents[1]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come after milliseconds, so that tests of healing take no longer."""
    monkeypatch.setattr(writer, "_FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(writer, "_LAST_RETRY_S", 0.02)


def make(path: Path, clock: FakeClock, memory_bytes: int = 2**20, disk_bytes: int = 2**30) -> SqliteStore:
    memory = MemoryStore(clock, memory_bytes, 2**20)
    return SqliteStore(path, memory, clock, disk_bytes=disk_bytes, commit_interval_s=0.001, read_wait_s=30)


async def until(reached: Callable[[], bool]) -> None:
    """Waits for something that happens in the background; pytest's own timeout is the limit."""
    while not reached():  # noqa: ASYNC110 - what happens there has no event of its own
        await asyncio.sleep(0.005)


async def works_in_memory(store: SqliteStore, word: str) -> None:
    """Whatever the disk does: puts, reads, links and removals work, and health names the reason."""
    await store.flush()
    store.put(entry("m"), question("m"))
    store.link(link("n", "m"), None)
    assert await store.get(key("m")) is not None
    assert await store.get(key("n")) is not None
    assert await store.get(key("unknown")) is None
    store.remove(key("n"))
    assert await store.get(key("n")) is None
    assert [batch async for batch in store.questions()] == []
    assert len(await store.secret()) == 32
    await store.flush()
    health = store.health()
    assert not health.durable
    assert word in health.detail


async def test_a_missing_directory(tmp_path: Path, clock: FakeClock) -> None:
    """One error is logged, without anything that was asked; once the directory is there, all is written."""
    with capture_logs() as logs:
        store = make(tmp_path / "none" / "a.db", clock)
        await store.start()
        await works_in_memory(store, "does not exist")
    assert [(log["event"], log["log_level"]) for log in logs] == [("store_degraded", "error")]
    (tmp_path / "none").mkdir()
    await until(lambda: store.health().durable)
    await store.flush()
    assert store.health().entries == 1
    assert store.health().lost_writes == 0
    await store.close()


async def test_another_programs_file_is_left_alone(tmp_path: Path, clock: FakeClock) -> None:
    """A SQLite file that isn't ours is neither changed nor moved."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as foreign:
        foreign.execute("CREATE TABLE theirs (a)")
        foreign.commit()
    before = (tmp_path / "a.db").read_bytes()
    store = make(tmp_path / "a.db", clock)
    await store.start()
    await works_in_memory(store, "another program's")
    await store.close()
    assert (tmp_path / "a.db").read_bytes() == before


async def test_a_newer_schema_is_left_alone(tmp_path: Path, clock: FakeClock) -> None:
    """After a downgrade the file of the newer version isn't touched."""
    first = make(tmp_path / "a.db", clock)
    await first.start()
    await first.close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    store = make(tmp_path / "a.db", clock)
    await store.start()
    await works_in_memory(store, "schema 99")
    await store.close()


@pytest.mark.parametrize("damage", [b"not a database" * 1_000, b"SQLite format 3\0" + b"\xff" * 8_192])
async def test_a_corrupt_file_is_set_aside_at_start(tmp_path: Path, clock: FakeClock, damage: bytes) -> None:
    """The damaged file is kept under another name, and a new one is durable at once."""
    (tmp_path / "a.db").write_bytes(damage)
    with capture_logs() as logs:
        store = make(tmp_path / "a.db", clock)
        await store.start()
    assert [log["event"] for log in logs] == ["store_was_corrupt"]
    assert store.health().durable
    assert (tmp_path / "a.db.corrupt-1000000").read_bytes() == damage
    store.put(entry("a"), None)
    await store.close()
    again = make(tmp_path / "a.db", clock, memory_bytes=0)
    await again.start()
    assert await again.get(key("a")) is not None
    await again.close()


async def test_a_file_that_turns_out_corrupt_is_replaced(tmp_path: Path, clock: FakeClock) -> None:
    """Damage found while running, by a read or a write, ends in a new file; requests see misses."""
    first = make(tmp_path / "a.db", clock)
    await first.start()
    for number in range(2_000):
        first.put(entry(number), None)
    await first.close()
    with (tmp_path / "a.db").open("r+b") as file:
        file.seek(8 * 4_096)
        file.write(b"\xa5" * 400_000)
    store = make(tmp_path / "a.db", clock, memory_bytes=0)
    await store.start()
    for number in range(2_000):
        await store.get(key(number))
    store.put(entry("new"), None)
    await until(lambda: bool(list(tmp_path.glob("a.db.corrupt-*"))))
    await until(lambda: store.health().durable and store.health().pending_writes == 0)
    assert await store.get(key("new")) is not None
    await store.close()


async def test_a_full_disk_heals_without_loss(tmp_path: Path, clock: FakeClock) -> None:
    """While it is full what is on disk is still read and what is new waits; then it is written."""
    store = make(tmp_path / "a.db", clock, memory_bytes=0)
    await store.start()
    store.put(entry("before"), None)
    await store.flush()
    connection = store._writer._database._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with capture_logs() as logs:
        for number in range(20):
            store.put(entry(number, size=10_000), None)
        await store.flush()
        await asyncio.sleep(0.1)
    assert [log["event"] for log in logs] == ["store_degraded"]
    health = store.health()
    assert not health.durable
    assert "full" in health.detail
    assert health.pending_writes == 20
    assert await store.get(key("before")) is not None
    assert await store.get(key(3)) is not None
    connection.execute("PRAGMA max_page_count = 1000000")
    await until(lambda: store.health().durable)
    assert store.health().entries == 21
    assert store.health().lost_writes == 0
    await store.close()


async def test_writes_beyond_the_bound_are_lost_and_counted(tmp_path: Path, clock: FakeClock) -> None:
    """A disk that stays away costs bounded memory: what is over lives in the memory tier alone."""
    store = make(tmp_path / "none" / "a.db", clock, memory_bytes=2**24, disk_bytes=2**20)
    await store.start()
    for number in range(100):
        store.put(entry(number, size=10_000), None)
    health = store.health()
    assert 0 < health.pending_writes < 30
    assert health.pending_writes + health.lost_writes == 100
    assert all([await store.get(key(number)) for number in range(100)])
    with capture_logs() as logs:
        await store.close()
    assert logs[-1]["event"] == "store_closed_with_unwritten_answers"
    assert store.health().lost_writes == 100


async def test_what_was_forgotten_while_the_disk_was_away_stays_forgotten(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Removals and invalidations wait for the disk, so nothing comes back when it does."""
    store = make(tmp_path / "a.db", clock, memory_bytes=0)
    await store.start()
    store.put(entry("removed"), None)
    store.put(entry("tagged", tags=("x",)), None)
    store.put(entry("kept"), None)
    await store.flush()
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store._writer._database._connection.execute("PRAGMA busy_timeout = 1")  # type: ignore[union-attr]
        store.remove(key("removed"))
        assert await store.invalidate(["x"]) == []
        assert "locked" in store.health().detail
        assert await store.get(key("removed")) is None
        assert await store.get(key("tagged")) is None
        other.execute("ROLLBACK")
    await until(lambda: store.health().durable)
    assert await store.get(key("removed")) is None
    assert await store.get(key("tagged")) is None
    assert await store.get(key("kept")) is not None
    await store.close()


async def test_a_disk_that_hangs_is_waited_for_once(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look-up takes its bounded wait, the next are misses at once, until the disk answers."""
    hang = threading.Event()
    plain = reader._find

    def hanging(connection: sqlite3.Connection, wanted: bytes, seals: Seals) -> reader.Found | None:
        hang.wait()
        return plain(connection, wanted, seals)

    memory = MemoryStore(clock, 0)
    store = SqliteStore(tmp_path / "a.db", memory, clock, commit_interval_s=0.001, read_wait_s=0.01)
    await store.start()
    store.put(entry("a"), None)
    await store.flush()
    monkeypatch.setattr(reader, "_find", hanging)
    assert await store.get(key("a")) is None
    assert "take too long" in store.health().detail
    assert await store.get(key("a")) is None
    hang.set()
    await until(lambda: "take too long" not in store.health().detail)
    monkeypatch.setattr(store._reader, "_wait_s", 30)
    assert await store.get(key("a")) is not None
    await store.close()


@pytest.mark.parametrize(
    ("poison", "asked"),
    [
        (entry("a", tags=("\ud800",)), None),
        (entry("a", cost=2**70), question("a")),
        (entry("a"), replace(question("a"), text="\ud800")),
    ],
    ids=["surrogate", "huge", "question"],
)
async def test_what_sqlite_cannot_express_stays_in_memory(
    tmp_path: Path, clock: FakeClock, poison: Entry, asked: Question | None
) -> None:
    """One such answer costs itself alone: the others of its group are on disk, and later ones follow."""
    store = make(tmp_path / "a.db", clock)
    await store.start()
    store.put(entry("before", tags=("x",)), question("before"))
    store.put(poison, asked)
    store.put(entry("after"), None)
    await store.flush()
    health = store.health()
    assert (health.durable, health.entries, health.lost_writes) == (True, 2, 1)
    assert await store.get(key("a")) is not None
    assert set(await store.invalidate(["\ud800", "x"])) >= {key("before")}
    store.put(entry("later"), None)
    await store.flush()
    assert store.health().entries == 2
    await store.close()


async def test_a_mistake_of_ours_costs_one_group(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody thought of neither ends the writing nor quotes what was asked."""
    store = make(tmp_path / "a.db", clock)
    await store.start()

    def fail(*_: object) -> None:
        raise KeyError("What is a?")

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(Contents, "_insert", fail)
        store.put(entry("a"), question("a"))
        await store.flush()
    assert "What is" not in str(logs)
    assert store.health().lost_writes == 1
    store.put(entry("b"), None)
    await store.flush()
    assert (store.health().durable, store.health().entries) == (True, 1)
    await store.close()


async def test_a_damaged_row_is_a_miss(tmp_path: Path, clock: FakeClock) -> None:
    """A row that makes no sense is neither served nor raised, and health tells until a look-up works again."""
    store = make(tmp_path / "a.db", clock, memory_bytes=0)
    await store.start()
    store.put(entry("a"), question("a", vector=unit(1)))
    store.put(entry("b"), None)
    await store.flush()
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("UPDATE entries SET tags = '[' WHERE key = ?", (key("a"),))
        other.execute("UPDATE questions SET vector = x'00'")
    assert await store.get(key("a")) is None
    assert "look-ups on disk fail" in store.health().detail
    assert [batch async for batch in store.questions()] == []
    assert await store.get(key("b")) is not None
    assert "look-ups" not in store.health().detail
    await store.close()


async def test_a_commit_that_hangs_degrades(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flushes don't wait for a disk that doesn't answer; when it does, the store is durable again."""
    monkeypatch.setattr(writer, "_SLOW_COMMIT_S", 0.01)
    hang = threading.Event()
    plain = Contents.pragma

    def hanging(self: Contents, name: str) -> int:
        hang.wait()
        return plain(self, name)

    store = make(tmp_path / "a.db", clock)
    await store.start()
    monkeypatch.setattr(Contents, "pragma", hanging)
    store.put(entry("a"), None)
    await store.flush()
    assert "takes longer" in store.health().detail
    hang.set()
    await until(lambda: store.health().durable)
    assert store.health().entries == 1
    await store.close()


async def test_a_deleted_file_is_noticed_and_replaced(tmp_path: Path, clock: FakeClock) -> None:
    """The next commit fails loudly instead of writing into nowhere; then a new file takes what memory still has."""
    store = make(tmp_path / "a.db", clock)
    await store.start()
    store.put(entry("a"), None)
    await store.flush()
    (tmp_path / "a.db").unlink()
    with capture_logs() as logs:
        store.put(entry("b"), None)
        await until(lambda: (tmp_path / "a.db").exists() and store.health().durable)
        await store.flush()
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["store_degraded"]
    await store.close()
    again = make(tmp_path / "a.db", clock)
    await again.start()
    assert await again.get(key("b")) is not None
    await again.close()


async def test_audits_and_values_wait_for_the_disk(tmp_path: Path, clock: FakeClock) -> None:
    """While the disk is away they are seen all the same; once it is back they are on it, once each."""
    store = make(tmp_path / "none" / "a.db", clock)
    await store.start()
    for number in range(3):
        store.audited(audit(number))
        store.keep("budget", b"%d" % number)
        await store.flush()
    assert not store.health().durable
    assert store.health().pending_writes == 3
    assert [one.request_id for one in await all_audits(store)] == ["request-0", "request-1", "request-2"]
    assert store.kept("budget") == b"2"
    (tmp_path / "none").mkdir()
    await until(lambda: store.health().durable)
    await store.close()
    again = make(tmp_path / "none" / "a.db", clock)
    await again.start()
    assert [one.request_id for one in await all_audits(again)] == ["request-0", "request-1", "request-2"]
    assert again.kept("budget") == b"2"
    assert again.health().lost_writes == 0
    await again.close()


async def test_values_move_into_the_file_that_replaces_a_corrupt_one(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A breached budget stays breached though the file that said so is gone."""
    store = make(tmp_path / "a.db", clock)
    await store.start()
    store.keep("budget", b"breached")
    await store.flush()
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with capture_logs() as logs:
        store._read_failed(malformed)
        await until(lambda: store.health().durable)
    assert "store_was_corrupt" in [log["event"] for log in logs]
    await store.close()
    again = make(tmp_path / "a.db", clock)
    await again.start()
    assert again.kept("budget") == b"breached"
    await again.close()


async def test_tidying_that_fails_takes_its_batch_along(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is written with its tidying or not at all: tried again, no audit is there twice."""
    failures = iter([sqlite3.OperationalError("disk I/O error"), None])
    plain = Contents._tidy

    def failing(self: Contents, now: float) -> None:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        plain(self, now)

    store = make(tmp_path / "a.db", clock)
    await store.start()
    monkeypatch.setattr(Contents, "_tidy", failing)
    store._writer.tidy()
    store.audited(audit(1))
    await store.flush()
    await until(lambda: store.health().durable and not store.health().pending_writes)
    assert len(await all_audits(store)) == 1
    await store.close()


async def test_an_upgrade_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops half-way: the old file stays whole, and is upgraded once that works."""
    write_first_schema(tmp_path / "a.db")
    steps = (*SCHEMA.steps[:-1], SCHEMA.steps[-1] + "DROP TABLE nothing")
    with monkeypatch.context() as failing:
        failing.setattr(database, "SCHEMA", SCHEMA._replace(steps=steps))
        store = make(tmp_path / "a.db", clock)
        await store.start()
        await works_in_memory(store, "nothing")
        with closing(sqlite3.connect(tmp_path / "a.db")) as reading:
            assert reading.execute("PRAGMA user_version").fetchone() == (1,)
            assert reading.execute("SELECT count(*) FROM entries").fetchone() == (1,)
            assert len(reading.execute("SELECT * FROM questions").fetchone()) == 5
    await until(lambda: store.health().durable)
    assert await store.get(key("b")) is not None
    await store.close()


async def test_a_damaged_text_is_told_without_quoting_it(tmp_path: Path, clock: FakeClock) -> None:
    """Python's driver quotes a text that isn't UTF-8: neither health nor the log repeats that."""
    store = make(tmp_path / "a.db", clock)
    await store.start()
    store.put(entry("a"), question("a"))
    await store.flush()
    damage = "UPDATE questions SET text = cast(CAST('secret' AS BLOB) || x'ff' AS TEXT)"
    await store.transact(lambda file: file.execute(damage))
    with capture_logs() as logs:
        assert [batch async for batch in store.questions()] == []
    detail = store.health().detail
    assert "OperationalError" in detail
    assert "OperationalError" in str(logs)
    assert "secret" not in detail + str(logs)
    await store.close()


async def test_nothing_is_written_under_another_secret(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that appears after the start knows users by other hashes: it isn't used, nor anything said to be erased."""
    monkeypatch.setattr(writer, "_FIRST_RETRY_S", 0.01)
    folder, away = tmp_path / "disk", tmp_path / "away"
    folder.mkdir()
    first = make(folder / "a.db", clock)
    await first.start()
    first.put(entry("a"), question("a"))
    secret = await first.secret()
    await first.close()
    folder.rename(away)
    store = make(folder / "a.db", clock)
    await store.start()
    assert await store.secret() != secret
    away.rename(folder)
    store.put(entry("b"), question("b"))
    await until(lambda: "restart" in store.health().detail)
    assert not store.health().durable
    assert await store.get(key("b")) is not None
    assert await store.get(key("a")) is None
    with pytest.raises(OSError, match="restart"):
        await store.erase(Owner("tenant:acme"))
    await store.close()
    again = make(folder / "a.db", clock)
    await again.start()
    assert await again.secret() == secret
    assert await again.get(key("a")) is not None
    assert await again.get(key("b")) is None
    await again.close()
