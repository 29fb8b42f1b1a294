"""Jobs in SQLite: taken, shared, settled, forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest

from askonce.errors import Refusal
from askonce.job import DeliveryState, JobState, LineResult
from askonce.observe.clock import SystemClock
from askonce.stores.job_room import JobLimits
from askonce.stores.jobs import SqliteJobs
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore
from askonce.stores.transactions import Transactions, volatile_transactions
from jobs.players import ANSWER, GROUP, new_job, ready, store

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.job import Delivery, NewJob
    from askonce.stores.job_tables import JobTables
    from askonce.stores.work_tables import WorkTables

ACME = "tenant:acme"
MANY = (1_000, 2**30)


async def test_a_name_stands_for_one_job() -> None:
    """The same request id again is the same job; with another body it is refused; another tenant's is its own."""
    jobs = store()
    first, again = await jobs.submit(new_job("a")), await jobs.submit(new_job("a"))
    assert (first.new, again.new) == (True, False)
    assert first.job.number == again.job.number
    with pytest.raises(Refusal) as refused:
        await jobs.submit(new_job("a", digest=b"other"))
    assert refused.value.status == 409
    other = await jobs.submit(new_job("a", tenant="tenant:other", digest=b"other"))
    assert other.new
    assert await jobs.find("tenant:third", "a") is None


async def test_identical_jobs_share_a_line() -> None:
    """One line is handed in for them; its answer goes to all, and the first one pays."""
    jobs = store()
    for name in ("a", "b", "c"):
        await jobs.submit(new_job(name, key=b"k"))
    batch = await jobs.form(GROUP, "intent", MANY, 200.0)
    assert batch is not None
    (line,) = await jobs.lines(batch.number, 0, 10)
    late = await jobs.submit(new_job("d", key=b"k"))
    assert late.job.state is JobState.RUNNING
    ended = await jobs.settle([LineResult(line.number, ANSWER, spent_nanousd=1_000)], 300.0)
    assert [(one.request_id, one.outcome, one.spent_nanousd, one.saved_nanousd) for one in ended] == [
        ("a", "fresh", 1_000, 0),
        ("b", "joined", 0, 1_000),
        ("c", "joined", 0, 1_000),
        ("d", "joined", 0, 1_000),
    ]
    found = await jobs.find(ACME, "d")
    assert found is not None
    assert found.answer == ANSWER
    assert await jobs.settle([LineResult(line.number, ANSWER)], 301.0) == []


async def test_an_answer_that_came_while_the_caches_were_looked_in_is_taken() -> None:
    """Between the look and the submission a line may be answered: the job takes that answer, and asks nothing again."""
    jobs = store()
    await jobs.submit(new_job("a", key=b"k"))
    batch = await jobs.form(GROUP, "intent", MANY, 200.0)
    assert batch is not None
    (line,) = await jobs.lines(batch.number, 0, 10)
    await jobs.settle([LineResult(line.number, ANSWER)], 300.0)
    looked_before = await jobs.submit(new_job("b", key=b"k", looked_at=299.0))
    looked_after = await jobs.submit(new_job("c", key=b"k", looked_at=301.0))
    assert looked_before.job.state is JobState.COMPLETED
    assert [one.outcome for one in looked_before.ended] == ["exact"]
    assert looked_after.job.state is JobState.QUEUED


async def test_a_stored_answer_completes_a_job_at_once() -> None:
    """With how it was found as its outcome."""
    jobs = store()
    receipt = await jobs.submit(new_job("a", key=b"k", ready=ready("semantic"), webhook="https://x.example"))
    assert receipt.job.state is JobState.COMPLETED
    assert receipt.job.outcome == "semantic"
    assert receipt.job.delivery is not None
    assert receipt.job.delivery.state is DeliveryState.PENDING
    assert await jobs.piles(200.0) == []


async def test_limits_are_checked_before_anything_is_kept() -> None:
    """Open jobs by tenant, bytes in total: 429, and what was refused isn't there."""
    jobs = store(limits=JobLimits(2, 3_600))
    await jobs.submit(new_job("a"))
    await jobs.submit(new_job("b"))
    with pytest.raises(Refusal) as refused:
        await jobs.submit(new_job("c"))
    assert (refused.value.status, refused.value.code) == (429, "too_many_jobs")
    assert await jobs.find(ACME, "c") is None
    await jobs.cancel(ACME, "a", 200.0)
    await jobs.submit(new_job("c"))
    with pytest.raises(Refusal) as full:
        await jobs.submit(new_job("d", tenant="tenant:other"))
    assert (full.value.status, full.value.code) == (429, "jobs_full")


async def test_tenants_take_turns() -> None:
    """One tenant's burst of lines to be sent one by one doesn't hold up another's."""
    jobs = store()
    for number in range(10):
        await jobs.submit(_direct(f"a{number}", "tenant:a"))
    await jobs.submit(_direct("b0", "tenant:b"))
    taken = await jobs.take_direct(4, 200.0)
    assert sum(b"tenant:b" in line.context for line in taken) == 1
    assert len({line.number for line in taken + await jobs.take_direct(20, 200.0)}) == 11


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_tenants_take_turns_where_there_is_room_for_one_at_a_time(order: str) -> None:
    """A burst doesn't hold up another tenant's line or webhook when slots come free one by one."""
    jobs, burst = store(), order[0]
    for number in range(5):
        await jobs.submit(_direct(f"{burst}{number}", f"tenant:{burst}"))
        await jobs.submit(_told(f"told {burst}{number}", f"tenant:{burst}"))
    await jobs.submit(_direct("alone", f"tenant:{order[1]}"))
    await jobs.submit(_told("told alone", f"tenant:{order[1]}"))
    lines = [await jobs.take_direct(1, 200.0) for _ in range(2)]
    assert {orjson.loads(line.context)["caller"][0] for (line,) in lines} == {"tenant:a", "tenant:b"}
    owners, busy = set(), list[int]()
    for _ in range(2):
        (delivery,), _ = await jobs.take_deliveries(busy, 1, 200.0)
        busy.append(delivery.job)
        owners.add(await jobs.owner(delivery.job))
    assert {tenant for tenant, _ in filter(None, owners)} == {"tenant:a", "tenant:b"}


async def test_a_broken_constraint_costs_its_own_operation_alone() -> None:
    """What SQLite says of one statement isn't taken for a failing disk."""
    jobs = store()

    def twice(tables: JobTables, _: WorkTables) -> None:
        tables.connection.execute("INSERT INTO jobs SELECT * FROM jobs LIMIT 1")

    await jobs.submit(new_job("a"))
    bad, good = await asyncio.gather(
        jobs._operations.do(twice), jobs.submit(new_job("b")), return_exceptions=True
    )
    assert isinstance(bad, sqlite3.IntegrityError)
    assert not isinstance(good, BaseException)


async def test_old_results_go_with_all_that_was_theirs() -> None:
    """After the retention nothing is left but what is still wanted; an undelivered webhook keeps its job."""
    jobs = store()
    for name, webhook in (("a", ""), ("b", ""), ("c", "https://x.example"), ("d", "")):
        await jobs.submit(new_job(name, key=b"k", webhook=webhook))
    batch = await jobs.form(GROUP, "intent", MANY, 200.0)
    assert batch is not None
    (line,) = await jobs.lines(batch.number, 0, 10)
    await jobs.cancel(ACME, "a", 250.0)
    await jobs.settle([LineResult(line.number, ANSWER)], 300.0)
    assert await jobs.purge(260.0, 100) == 1
    assert await jobs.purge(301.0, 100) == 2
    left = [job.request_id for job in await jobs.page(ACME, None, 0, 10)]
    assert left == ["c"]
    (delivery,), _ = await jobs.take_deliveries([], 10, 400.0)
    await jobs.attempted(_delivered(delivery))
    assert await jobs.purge(301.0, 100) == 1
    assert (await jobs.totals()).size_bytes == 0
    assert (await jobs.totals()).lines == {}


async def test_a_mistake_in_one_operation_costs_it_alone() -> None:
    """Others that share its transaction are committed; a text that SQLite can't express is such a mistake."""
    jobs = store()
    good, bad, fine = await asyncio.gather(
        jobs.submit(new_job("a")),
        jobs.submit(new_job("b", label="\ud800")),
        jobs.submit(new_job("c")),
        return_exceptions=True,
    )
    assert not isinstance(good, BaseException)
    assert isinstance(bad, BaseException)
    assert not isinstance(fine, BaseException)
    assert [job.request_id for job in await jobs.page(ACME, None, 0, 10)] == ["c", "a"]
    assert (await jobs.totals()).jobs == {"open": 2}


async def test_jobs_outlive_the_process_with_the_answers_file(tmp_path: Path) -> None:
    """What a submission returned from is in the file when another store opens it, with nothing closed in order."""
    answers = SqliteStore(tmp_path / "a.db", MemoryStore(SystemClock(), 2**20, 2**16), SystemClock())
    await answers.start()
    jobs = SqliteJobs(Transactions(answers.transact, durable=True, close=lambda: None), JobLimits(10, 2**20))
    await jobs.submit(new_job("a", key=b"k"))
    with closing(sqlite3.connect(tmp_path / "a.db")) as reading:
        assert reading.execute("SELECT request_id, state FROM jobs").fetchall() == [("a", "open")]
    await jobs.close()
    await answers.close()


async def test_a_locked_file_refuses_submissions(tmp_path: Path) -> None:
    """503, nothing is promised; once the lock is gone the next one is taken."""
    answers = SqliteStore(tmp_path / "a.db", MemoryStore(SystemClock(), 2**20, 2**16), SystemClock())
    await answers.start()
    jobs = SqliteJobs(Transactions(answers.transact, durable=True, close=lambda: None), JobLimits(10, 2**20))
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refusal) as refused:
            await jobs.submit(new_job("a"))
        other.execute("ROLLBACK")
    assert (refused.value.status, refused.value.code) == (503, "jobs_unavailable")
    assert (await jobs.submit(new_job("a"))).new
    await jobs.close()
    await answers.close()


async def test_a_full_disk_refuses_submissions(tmp_path: Path) -> None:
    """503 while there is no room, and nothing of the refused job is left."""
    answers = SqliteStore(tmp_path / "a.db", MemoryStore(SystemClock(), 2**20, 2**16), SystemClock())
    await answers.start()
    jobs = SqliteJobs(Transactions(answers.transact, durable=True, close=lambda: None), JobLimits(10, 2**30))
    pages = await answers.transact(lambda file: file.execute("PRAGMA page_count").fetchone()[0])
    await answers.transact(lambda file: file.execute(f"PRAGMA max_page_count = {pages + 4}"))
    with pytest.raises(Refusal) as refused:
        await jobs.submit(_large("a"))
    assert refused.value.status == 503
    assert await jobs.find(ACME, "a") is None
    await answers.transact(lambda file: file.execute("PRAGMA max_page_count = 1000000"))
    assert (await jobs.submit(_large("a"))).new
    await jobs.close()
    await answers.close()


async def test_jobs_in_memory_work_and_say_so() -> None:
    """Without a file everything works, and `durable` is false."""
    jobs = SqliteJobs(volatile_transactions(), JobLimits(10, 2**20))
    assert (await jobs.submit(new_job("a"))).new
    assert not jobs.durable
    await jobs.close()


def _direct(name: str, tenant: str) -> NewJob:
    job = new_job(name, tenant=tenant)
    return replace(job, line=replace(job.line, batched=False))


def _told(name: str, tenant: str) -> NewJob:
    return new_job(name, tenant=tenant, ready=ready(), webhook="https://x.example")


def _large(name: str) -> NewJob:
    job = new_job(name)
    return replace(job, line=replace(job.line, body=b"x" * 200_000))


def _delivered(delivery: Delivery) -> Delivery:
    return replace(delivery, state=DeliveryState.DELIVERED, attempts=1)
