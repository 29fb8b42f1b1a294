"""The journal: whatever moment a process dies at, each call is known to the next one, once, with all that was known of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.model import Usage
from askonce.ports import Act, Charge, Share, Span
from askonce.stores.ledger import SqliteLedger, open_books
from askonce.stores.ledger.journal import Journal, read
from fakes import FakeClock

ALL = Span(0, 10**7)
_COUNTS = st.integers(0, 10**9)


def charge(call: str, usage: Usage | None = None, part: int = 0) -> Charge:
    """A call that costs a nano-dollar per token."""
    told = usage or Usage(7, 3)
    cost = told.prompt_tokens + told.completion_tokens
    return Charge(
        call, 7_200.0, "up", "m", usage, Usage(7, 3), cost, 0, 0, (Share("acme", "f", "fresh", cost),), part
    )


def segments(folder: Path) -> list[Path]:
    """The journal's files, the oldest first."""
    return sorted(folder.glob("*.journal-*"))


def journal(folder: Path, segment_bytes: int = 2_000) -> Journal:
    """One that is written to, in small segments."""
    made = Journal(folder / "ledger.db", segment_bytes)
    made.prepare()
    return made


@given(st.lists(st.tuples(_COUNTS, _COUNTS), max_size=12), st.integers(0, 4_000), st.binary(max_size=20))
def test_a_torn_journal_says_what_was_whole(sizes: list[tuple[int, int]], cut: int, rubbish: bytes) -> None:
    """Cut off anywhere, with anything behind: the records before the cut are read, in order, and nothing else."""
    with TemporaryDirectory() as folder:
        made = journal(Path(folder), 16_000)
        ends, told = [0], []
        for number, (prompt, completion) in enumerate(sizes):
            told.append(charge(str(number), Usage(prompt, completion)))
            made.charged(told[-1])
            ends.append(made._current.used_bytes if made._current else 0)
        (path, *_) = segments(Path(folder))
        path.write_bytes(path.read_bytes()[:cut] + rubbish)
        whole = sum(end <= cut for end in ends[1:])
        found = Journal(Path(folder) / "ledger.db").find()
    assert list(found.charged)[:whole] == told[:whole]
    assert list(found.charged) == told[: len(found.charged)]


def test_a_garbled_record_ends_the_segment() -> None:
    """A byte that isn't what was written makes its record, and what is behind it, unreadable: never something else."""
    with TemporaryDirectory() as folder:
        made = journal(Path(folder), 16_000)
        for number in range(4):
            made.charged(charge(str(number)))
        (path, *_) = segments(Path(folder))
        raw = path.read_bytes()
        at = raw.index(b'"2"')
        assert len(list(read(raw[:at] + b"?" + raw[at + 1 :]))) == 2


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 30)),
        st.tuples(st.just("end"), st.integers(0, 30)),
        st.tuples(st.just("commit"), st.just(0)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("kill"), st.just(0)),
    ),
    max_size=60,
)


class _Life:
    """A ledger over many processes, each of which may be killed at any step, and what must come of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self.open: list[str] = []
        self.settled: dict[str, Usage] = {}
        self.lost: set[str] = set()
        self.count = 0

    async def start(self) -> None:
        self.ledger = SqliteLedger(self.path, FakeClock(7_200.0))
        assert self.ledger._journal is not None
        self.ledger._journal._segment_bytes = 20_000
        await self.ledger._file.open(b"secret")

    async def step(self, what: str, number: int) -> None:
        match what:
            case "begin":
                self.count += 1
                self.open.append(f"call {self.count}")
                self.ledger.begun(charge(self.open[-1]))
            case "end" if self.open:
                call = self.open.pop(number % len(self.open))
                self.settled[call] = Usage(number, len(call))
                self.ledger.charged(charge(call, self.settled[call]))
            case "commit":
                await self.ledger.commit()
            case "fail":
                await self._fail()
            case "kill":
                await self.kill()
                await self.start()

    async def kill(self) -> None:
        """The process is gone: what it had in memory, and what it would have tidied up, with it."""
        await self.ledger._file.close(written=False)
        self.lost.update(self.open)
        self.open.clear()

    async def _fail(self) -> None:
        """The file can't be written for a moment."""
        with sqlite3.connect(self.path, timeout=0) as other:
            other.execute("BEGIN IMMEDIATE")
            self.ledger.acted(Act(0.0, "me", "looked", {}))
            await self.ledger._file.transact(lambda connection: connection.execute("PRAGMA busy_timeout = 0"))
            with pytest.raises(sqlite3.OperationalError):
                await self.ledger.commit()


@settings(max_examples=40, deadline=None)
@given(_STEPS)
async def test_killed_at_any_step_no_call_is_lost_or_counted_twice(steps: list[tuple[str, int]]) -> None:
    """Calls that ended are settled with their tokens, those that didn't are unsettled; each once, over any history."""
    with TemporaryDirectory() as folder:
        life = _Life(Path(folder))
        await life.start()
        for what, number in steps:
            await life.step(what, number)
        missed = life.ledger.health().missed_records
        await life.kill()
        await life.start()
        await life.ledger.close()
        with open_books(life.path) as books:
            calls = books.calls(ALL, 1_000)
            sums = books.sums(ALL, ()).get(())
        assert not segments(Path(folder))
    counted = Counter(call.call for call in calls)
    assert not missed
    assert set(counted.values()) <= {1}
    assert {
        one.call: Usage(one.input_tokens, one.output_tokens) for one in calls if one.settled
    } == life.settled
    assert {one.call for one in calls if not one.settled} == life.lost
    if sums is not None:
        tokens = sum(usage.prompt_tokens + usage.completion_tokens for usage in life.settled.values())
        assert (sums.calls, sums.unsettled) == (len(life.settled), len(life.lost))
        assert sums.billed_input_tokens + sums.billed_output_tokens == sums.spent_nanousd == tokens


async def test_calls_under_way_move_on_to_the_next_segment(tmp_path: Path) -> None:
    """A call that began long before a kill is known, though the segment that it began in is deleted."""
    life = _Life(tmp_path)
    await life.start()
    await life.step("begin", 0)
    for _ in range(100):
        await life.step("begin", 0)
        await life.step("end", 1)
        await life.step("commit", 0)
    assert len(segments(tmp_path)) <= 3
    await life.kill()
    await life.start()
    await life.ledger.close()
    with open_books(life.path) as books:
        assert [call.call for call in books.calls(ALL, 10, settled=False)] == ["call 1"]


async def test_a_file_whose_name_is_a_pattern_has_a_journal_too(tmp_path: Path) -> None:
    """What a killed process left beside `books[1].db` is found, as beside any other."""
    path = tmp_path / "books[1].db"
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger._file.open(b"secret")
    ledger.charged(charge("1", Usage(5, 5)))
    await ledger._file.close(written=False)
    again = SqliteLedger(path, FakeClock(7_200.0))
    await again.start(b"secret")
    assert (await again.read(lambda books: books.sums(ALL, ())))[()].calls == 1
    await again.close()
    assert not segments(tmp_path)


def test_a_segment_that_cannot_be_deleted_says_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that has become read-only its file stays: long after, when single calls are forgotten, none is new."""
    made = journal(tmp_path)
    made.charged(charge("1", Usage(5, 5)))
    made.turn(at_bytes=0)
    (retired,) = made.take_retired()

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patches:
        patches.setattr(Path, "unlink", read_only)
        for _ in range(2):
            with pytest.raises(OSError, match="Read-only"):
                retired.delete()
    assert retired.path.exists()
    assert not Journal(tmp_path / "ledger.db").find().charged


async def test_without_room_for_a_journal_the_ledger_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk has no room for the journal, charges are still counted and written; health says what a kill would cost."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("askonce.stores.ledger.journal.Segment", full)
    ledger = SqliteLedger(tmp_path / "ledger.db", FakeClock(7_200.0))
    await ledger.start(b"secret")
    ledger.begun(charge("1"))
    ledger.charged(charge("1", Usage(5, 5)))
    health = ledger.health()
    assert not health.durable
    assert "journal" in health.detail
    assert health.missed_records == 2
    await ledger.close()
    with open_books(tmp_path / "ledger.db") as books:
        assert books.sums(ALL, ())[()].spent_nanousd == 10
