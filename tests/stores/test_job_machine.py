"""Jobs in SQLite through random histories."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from askonce.job import JobState, LineResult
from askonce.stores.job_room import JobLimits
from askonce.stores.job_tables import JobTables
from askonce.stores.schema import SCHEMA
from askonce.stores.sealing import Seals
from askonce.stores.work_tables import WorkTables
from jobs.players import ANSWER, GROUP, new_job

if TYPE_CHECKING:
    from askonce.job import Ended

ACME = "tenant:acme"
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
KEYS = st.sampled_from([b"k", b"l", None])


class Lane(RuleBasedStateMachine):
    """Jobs through random histories: whatever happens in whatever order, each ends once, with its own line's answer."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        SCHEMA.bring_up_to_date(self.connection)
        self.connection.execute("BEGIN")
        self.limits = JobLimits(1_000, 2**30)
        self.restart()
        self.now = 100.0
        self.open: dict[str, bytes | None] = {}
        self.ended: dict[str, JobState] = {}

    def teardown(self) -> None:
        self.connection.close()

    @rule()
    def restart(self) -> None:
        """The process was killed: all that is known is in the file."""
        self.jobs, self.work = (
            JobTables(self.connection, self.limits, Seals()),
            WorkTables(self.connection, Seals()),
        )
        self.work.recover()

    @rule(name=NAMES, key=KEYS)
    def submit(self, name: str, key: bytes | None) -> None:
        self.now += 1
        given = new_job(
            name, key=key, digest=b"", looked_at=self.now, created_at=self.now,
            fallback_at=self.now + 10, deadline_at=self.now + 20,
        )  # fmt: skip
        receipt = self.jobs.submit(given)
        assert receipt.new == (name not in self.open and name not in self.ended)
        if receipt.new:
            self.open[name] = key

    @rule(name=NAMES)
    def cancel(self, name: str) -> None:
        ended = self.jobs.cancel(ACME, name, self.now)
        assert (ended is not None) == (name in self.open)
        if ended is not None:
            self._note([ended])

    @rule(most=st.integers(1, 3))
    def form(self, most: int) -> None:
        self.work.form(GROUP, f"intent-{self.now}", (most, 2**30), self.now)

    @rule(seconds=st.floats(1, 15))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._note(self.jobs.due(self.now, b"{}"))

    @rule(data=st.data(), fine=st.booleans())
    def settle_batched(self, *, data: st.DataObject, fine: bool) -> None:
        """Results of any line that ever was in a batch, late and doubled ones too."""
        rows = self.connection.execute("SELECT number FROM lines WHERE batch IS NOT NULL").fetchall()
        if rows:
            self._settle(data.draw(st.sampled_from(rows))[0], fine=fine)

    @rule(fine=st.booleans(), later=st.booleans())
    def send(self, *, fine: bool, later: bool) -> None:
        for line in self.work.take_direct(2, self.now):
            if later:
                self.work.postpone(line.number, self.now + 1)
            else:
                self._settle(line.number, fine=fine)

    @rule(data=st.data())
    def end_batch(self, data: st.DataObject) -> None:
        found = self.work.batches()
        if found:
            self.work.end_batch(data.draw(st.sampled_from(found)).number, self.now, 2)

    @invariant()
    def counts_agree(self) -> None:
        """The counts that limits are checked against are those of the tables."""
        fresh = JobTables(self.connection, self.limits, Seals())
        assert {tenant: count for tenant, count in self.jobs.room.open.items() if count} == fresh.room.open
        assert self.jobs.room.size_bytes == fresh.room.size_bytes

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every open job has a line that somebody will come to; every job that ended stays as it was."""
        stranded = self.connection.execute(
            "SELECT request_id FROM jobs JOIN lines ON lines.number = jobs.line WHERE jobs.state = 'open' "
            "AND (lines.state NOT IN ('waiting', 'batched', 'direct', 'sending') OR (lines.state = 'batched' "
            "AND NOT EXISTS (SELECT 1 FROM batches WHERE number = lines.batch AND batches.state <> 'ended')))"
        ).fetchall()
        assert not stranded
        for name, state in self.ended.items():
            job = self.jobs.find(ACME, name)
            assert job is not None
            assert job.state is state
            assert (job.answer is not None) == (state is JobState.COMPLETED)

    @invariant()
    def equal_questions_are_asked_once(self) -> None:
        """No two lines of one key are under way."""
        doubled = self.connection.execute(
            "SELECT key FROM lines WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1"
        ).fetchall()
        assert not doubled

    def _settle(self, line: int, *, fine: bool) -> None:
        result = LineResult(line, ANSWER) if fine else LineResult(line, None, error=b"{}", code="bad")
        self._note(self.jobs.settle([result], self.now))

    def _note(self, ended: list[Ended]) -> None:
        for one in ended:
            del self.open[one.request_id]
            self.ended[one.request_id] = one.state


TestLane = Lane.TestCase
TestLane.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
