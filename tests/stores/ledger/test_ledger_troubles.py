"""The books in hostile conditions: nothing that was told is lost, and nothing grows without bound."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from askonce.model import Bypass, Fresh, RetainText, Usage
from askonce.ports import Act, Record, Span
from askonce.stores.files import acquire
from askonce.stores.ledger import Keep, SqliteLedger, open_books
from askonce.stores.ledger.kinds import OTHER, Kinds, Whose
from askonce.stores.ledger.page import Page
from fakes import FakeClock, request
from stores.ledger.test_journal import charge

if TYPE_CHECKING:
    from pathlib import Path

ALL = Span(0, 10**7)
HOUR = 3_600.0


def contents(folder: Path, pattern: str) -> bytes:
    """All bytes of some files."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob(pattern)))


def record(
    key: bytes = b"key", retain: RetainText = RetainText.FULL, text: str = "What?", saved: int = 5
) -> Record:
    """A request that was answered anew."""
    asked = request(key, retain_text=retain)
    return Record(
        request_id="req",
        endpoint="chat/completions",
        tenant="acme",
        feature="default",
        model="gpt",
        outcome=Fresh("miss"),
        status=200,
        code="",
        duration_s=0.1,
        first_byte_s=0.1,
        overhead_s=0.01,
        usage=Usage(10, 5),
        spent_nanousd=7,
        saved_nanousd=saved,
        request=asked._replace(ask=asked.ask._replace(text=text)),
    )


async def test_what_cannot_be_written_now_is_written_later(tmp_path: Path) -> None:
    """While somebody else holds the file, requests and charges wait in memory; then all of them are in it, once."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    await ledger._file.transact(lambda connection: connection.execute("PRAGMA busy_timeout = 0"))
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            ledger.request(record())
            ledger.charged(charge(str(number), Usage(1, 1)))
            ledger.acted(Act(1.0, "me", "looked", {}))
            with pytest.raises(sqlite3.OperationalError):
                await ledger.commit()
        assert not ledger.health().durable
        assert ledger.health().pending_calls == 3
        other.execute("ROLLBACK")
    await ledger.close()
    with open_books(path) as books:
        sums = books.sums(ALL, ())[()]
        acts = books.acts(10)
        questions = books.questions(ALL, 10)
    assert (sums.requests, sums.calls, sums.spent_nanousd) == (3, 3, 6)
    assert len(acts) == 3
    assert [one.requests for one in questions] == [3]


async def test_what_is_being_written_is_not_in_the_file_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health doesn't call a call written down that is on its way."""
    ledger = SqliteLedger(tmp_path / "ledger.db", FakeClock(7_200.0))
    await ledger.start(b"secret")
    write, seen = ledger._file.write, []

    async def watched(*args: Any, **named: Any) -> None:
        seen.append(ledger.health().pending_calls)
        await write(*args, **named)

    monkeypatch.setattr(ledger._file, "write", watched)
    ledger.charged(charge("1", Usage(1, 1)))
    await ledger.commit()
    assert (seen, ledger.health().pending_calls) == ([1], 0)
    await ledger.close()


async def test_another_process_has_the_file(tmp_path: Path) -> None:
    """A gateway that starts while another still has the books keeps its own in memory, and writes them once it may."""
    path = tmp_path / "ledger.db"
    lock = acquire(path)
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    ledger.charged(charge("1", Usage(1, 1)))
    assert "another process" in ledger.health().detail
    with pytest.raises(OSError, match="another process"):
        await ledger.read(lambda books: books.sums(ALL, ()))
    os.close(lock)
    sums = await ledger.read(lambda books: books.sums(ALL, ()))
    assert ledger.health().durable
    await ledger.close()
    assert sums[()].calls == 1


@pytest.mark.parametrize("rubbish", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4_000])
async def test_a_corrupt_file_is_moved_aside(tmp_path: Path, rubbish: bytes) -> None:
    """The file is kept under another name, and what is told from then on goes into a new one."""
    path = tmp_path / "ledger.db"
    path.write_bytes(rubbish)
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    ledger.charged(charge("1", Usage(1, 1)))
    await ledger.commit()
    assert ledger.health().durable
    await ledger.close()
    assert contents(tmp_path, "ledger.db.corrupt-*") == rubbish
    with open_books(path) as books:
        assert books.sums(ALL, ())[()].calls == 1


async def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """It is neither read nor written; the gateway goes on and says what is wrong."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    await ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    ledger.charged(charge("1", Usage(1, 1)))
    await ledger.close()
    assert "schema 99" in ledger.health().detail
    assert path.read_bytes() == before


async def test_old_hours_are_forgotten_but_not_when_the_clock_leaps(tmp_path: Path) -> None:
    """What is older than `keep` goes; a clock that is a year ahead for some hours costs nothing."""
    clock = FakeClock(1_000 * HOUR)
    ledger = SqliteLedger(tmp_path / "ledger.db", clock, Keep(100 * HOUR, 10 * HOUR))
    await ledger.start(b"secret")
    ledger.request(record())
    ledger.charged(charge("1", Usage(1, 1))._replace(at=clock.now()))
    ledger.charged(charge("2")._replace(at=clock.now()))

    async def hours_later(hours: float) -> tuple[int, int, int]:
        clock.time += hours * HOUR
        ledger._prune_at = 0.0
        await ledger.commit()
        return await ledger.read(
            lambda books: (
                sum(one.requests for one in books.sums(ALL, ("hour",)).values()),
                len(books.calls(ALL, 10, settled=True)),
                len(books.calls(ALL, 10, settled=False)),
            )
        )

    assert await hours_later(0) == (1, 1, 1)
    assert await hours_later(9_000) == (1, 1, 1)
    assert await hours_later(1) == (1, 1, 1)
    assert await hours_later(22) == (1, 1, 1)
    assert await hours_later(-9_023) == (1, 1, 1)
    assert await hours_later(23) == (1, 1, 1)
    assert await hours_later(1) == (1, 0, 1)
    assert await hours_later(40) == (1, 0, 1)
    assert await hours_later(40) == (0, 0, 0)
    await ledger.close()


async def test_no_call_is_forgotten_that_the_journal_still_has(tmp_path: Path) -> None:
    """Where there was no room for a new segment: a kill would make the call new again. It goes an instant later."""
    clock = FakeClock(1_000 * HOUR)
    ledger = SqliteLedger(tmp_path / "ledger.db", clock, Keep(100 * HOUR, 10 * HOUR))
    await ledger.start(b"secret")
    assert ledger._journal is not None
    await ledger.commit()
    ledger.charged(charge("1", Usage(1, 1))._replace(at=clock.now()))
    await ledger.commit()
    clock.time += 30 * HOUR
    left = []
    ledger._journal._spare, ledger._prune_at = None, 0.0
    for _ in range(2):
        await ledger.commit()
        left.append(len(await ledger._file.read(lambda books: books.calls(ALL, 10))))
    assert left == [1, 0]
    await ledger.close()


def test_kinds_of_an_hour_are_bounded() -> None:
    """Beyond what is told apart, sums go on under `(other)`: first the model, then the tenant; nothing isn't counted."""
    page = Page(Kinds(10))
    for number in range(100):
        page.line(Whose(1, f"tenant {number}", "f", f"model {number}", "fresh")).requests += 1
    assert len(page.lines) <= 21
    assert sum(line.requests for line in page.lines.values()) == 100
    assert page.lines[Whose(1, OTHER, "f", OTHER, "fresh")].requests == 80
    assert page.line(Whose(2, "tenant 99", "f", "model 99", "fresh")).requests == 0


def test_kinds_of_past_hours_are_forgotten() -> None:
    """A hundred thousand credentials an hour take no more memory a day later: the hours before don't count any more."""
    kinds = Kinds(10)
    late = Whose(0, "late", "f", "m", "fresh")
    for hour in range(10):
        for number in range(100):
            kinds.place(Whose(hour, f"key:{number}", "f", "m", "fresh"))
        if hour == 1:
            assert kinds.place(late).tenant == OTHER
    assert kinds.place(late) == late


def test_what_a_shared_answer_saved_its_leader_is_counted_whatever_it_is_called() -> None:
    """Where costs are split, also by who asked at a high temperature, whose answer wouldn't be stored."""
    page = Page(Kinds())
    page.request(record(saved=30)._replace(outcome=Bypass("high-temperature")), 7_200.0)
    (line,) = page.lines.values()
    assert (line.saved_inflight_nanousd, line.unpriced) == (30, 0)


async def test_memory_stays_bounded_while_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls beyond what is kept one by one are added up: the money is right, whatever happens."""
    monkeypatch.setattr("askonce.stores.ledger.page._MOST_CHARGES", 5)
    ledger = SqliteLedger(tmp_path / "ledger.db", FakeClock(7_200.0))
    await ledger.start(b"secret")
    for number in range(50):
        ledger.charged(charge(str(number), Usage(1, 1)))
    assert ledger.health().pending_calls == 5
    await ledger.close()
    with open_books(tmp_path / "ledger.db") as books:
        assert books.sums(ALL, ())[()].spent_nanousd == 100
        assert len(books.calls(ALL, 100)) == 5
