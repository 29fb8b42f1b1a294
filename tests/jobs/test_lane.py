"""Jobs through providers' batches on virtual time: failures, restarts, deadlines, cancellations."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from typing import Any

import orjson
import pytest

from askonce.job import Ended, JobState
from jobs.players import FakeBatchApi, Players, broken
from jobs.waits import ACME, job, until_batches, until_ended
from virtual_time import virtual_time


@virtual_time
async def test_jobs_go_out_together_and_come_back_each_with_its_answer() -> None:
    """Three jobs make a batch at once; a fourth waits for its age; each gets its own answer at half the price."""
    players = Players()
    players.engine.start()
    for name in ("a", "b", "c", "d"):
        await players.submit(name)
    (first,) = await until_batches(players, 1)
    assert players.api.handed_in == ["a", "b", "c"]
    players.api.end(first)
    assert [one.outcome for one in await until_ended(players, "a", "b", "c")] == ["fresh"] * 3
    _, second = await until_batches(players, 2)
    players.api.end(second)
    (last,) = await until_ended(players, "d")
    assert last.answer is not None
    assert b"About d" in last.answer.fields
    assert last.spent_nanousd == 10_000
    assert len(players.answers.entries) == 4
    await asyncio.sleep(1)
    assert players.api.files == {}
    await players.engine.close()


@pytest.mark.parametrize("when", ["upload", "after:upload", "create", "after:create", "retrieve", "results"])
@virtual_time
async def test_a_call_that_breaks_off_is_looked_into_before_it_is_repeated(when: str) -> None:
    """Whether the provider heard of it or not: one batch, each question in it once, every job answered."""
    api = FakeBatchApi(trouble={when: broken()})
    players = Players(api=api)
    players.engine.start()
    for name in ("a", "b", "c"):
        await players.submit(name)
    (batch,) = await until_batches(players, 1)
    await asyncio.sleep(30)
    assert api.handed_in == ["a", "b", "c"]
    api.end(batch)
    await until_ended(players, "a", "b", "c")
    assert len(api.batches) == 1
    await players.engine.close()


@pytest.mark.parametrize("steps", range(14))
@virtual_time
async def test_a_restart_anywhere_asks_nothing_twice(
    steps: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed after any number of the provider's calls: what goes on from the file asks and answers once."""
    path = str(tmp_path_factory.mktemp("lane") / "jobs.db")
    api = FakeBatchApi()
    first = Players(path, api)
    first.engine.start()
    for name in ("a", "b", "c"):
        await first.submit(name)
    for _ in range(2_000):
        if len(api.asked) > steps:
            break
        for identity, (_, batch) in list(api.batches.items()):
            if batch.status == "validating" and len(api.asked) > 5:
                api.end(identity)
        await asyncio.sleep(0.01)
    await first.engine.close()
    second = Players(path, api)
    second.engine.start()
    for _ in range(60):
        await asyncio.sleep(1)
        for identity, (_, batch) in list(api.batches.items()):
            if batch.status == "validating":
                api.end(identity)
    ended = await until_ended(second, "a", "b", "c")
    assert [one.state for one in ended] == [JobState.COMPLETED] * 3
    assert sorted(api.handed_in) == ["a", "b", "c"]
    await second.engine.close()


@virtual_time
async def test_near_its_deadline_a_job_is_sent_on_its_own_and_answered_once() -> None:
    """The batch's late answer is nobody's any more; without any answer the job fails at its deadline."""
    players = Players(wait_s=1.0)
    players.engine.start()
    now = players.clock.now()
    await players.submit("a", fallback_at=now + 50, deadline_at=now + 100)
    (batch,) = await until_batches(players, 1)
    await asyncio.sleep(60)
    assert len(players.sender.taken) == 1
    assert (await job(players, "a")).state is JobState.RUNNING
    await asyncio.sleep(60)
    late = await job(players, "a")
    assert late.state is JobState.FAILED
    assert orjson.loads(late.error)["code"] == "deadline_exceeded"
    await asyncio.sleep(20)
    assert "cancel" in players.api.asked
    assert players.api.batches[batch][1].status == "cancelled"
    assert await job(players, "a") == late
    await players.engine.close()


@virtual_time
async def test_a_batch_is_called_off_once_nothing_of_it_is_wanted() -> None:
    """As long as one job wants one of its lines it goes on."""
    players = Players(wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    await players.submit("b")
    (batch,) = await until_batches(players, 1)
    await players.jobs.cancel(ACME, "a", players.clock.now())
    await asyncio.sleep(30)
    assert "cancel" not in players.api.asked
    await players.jobs.cancel(ACME, "b", players.clock.now())
    await asyncio.sleep(30)
    assert players.api.asked.count("cancel") == 1
    assert players.api.batches[batch][1].status == "cancelled"
    assert (await players.jobs.totals()).batches == {}
    await players.engine.close()


@virtual_time
async def test_a_batch_that_shows_late_is_not_handed_in_again() -> None:
    """The call that made it was cut off, and the provider's list knows of it half a minute later."""
    api = FakeBatchApi(trouble={"after:create": broken()}, shows_after_s=15.0)
    players = Players(api=api, wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    (batch,) = await until_batches(players, 1)
    await asyncio.sleep(60)
    api.end(batch)
    assert (await until_ended(players, "a"))[0].state is JobState.COMPLETED
    assert api.handed_in == ["a"]
    await players.engine.close()


@virtual_time
async def test_an_idle_lane_sleeps() -> None:
    """With nothing open, no transaction is made but the rare one that forgets old jobs."""
    players = Players(wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    (batch,) = await until_batches(players, 1)
    players.api.end(batch)
    await until_ended(players, "a")
    await asyncio.sleep(20)
    made = 0
    transactions = players.jobs._operations._transactions

    def counted(work: Any) -> Any:
        nonlocal made
        made += 1
        return transactions.run(work)

    players.jobs._operations._transactions = replace(transactions, run=counted)
    await asyncio.sleep(3_000)
    assert made <= 12
    await players.submit("b")
    await until_batches(players, 2)
    await players.engine.close()


@virtual_time
async def test_thousands_of_jobs_that_end_together_hold_up_nobody() -> None:
    """One answer may end them all: others have their turn while they are recorded."""
    players = Players()
    ended = [
        Ended(
            number, ACME, f"job {number}", "acme", "default", "sim-small", 0.0, JobState.COMPLETED, "joined", 0, 1, "", "sim-small"
        )
        for number in range(900)
    ]  # fmt: skip
    telling = asyncio.create_task(players.results.announce(ended))
    seen = set[int]()
    while not telling.done():
        seen.add(len(players.observer.records))
        await asyncio.sleep(0)
    assert len(seen) >= 9
    assert len(players.observer.records) == 900


@pytest.mark.parametrize("first", range(0, 16, 3))
@virtual_time
async def test_a_disk_that_fails_for_a_while_loses_and_doubles_nothing(first: int) -> None:
    """Wherever it begins to fail: the steps are taken again once it works, and the provider is asked once."""
    players = Players()
    players.engine.start()
    for name in ("a", "b", "c"):
        await players.submit(name)
    transactions, made = players.jobs._operations._transactions, 0

    def run(work: Any) -> Any:
        nonlocal made
        made += 1
        if first <= made < first + 12:
            return transactions.run(lambda _: (_ for _ in ()).throw(sqlite3.OperationalError("disk full")))
        return transactions.run(work)

    players.jobs._operations._transactions = replace(transactions, run=run)
    for _ in range(240):
        await asyncio.sleep(1)
        for identity, (_, batch) in list(players.api.batches.items()):
            if batch.status == "validating":
                players.api.end(identity)
    assert [one.state for one in await until_ended(players, "a", "b", "c")] == [JobState.COMPLETED] * 3
    assert sorted(players.api.handed_in) == ["a", "b", "c"]
    await players.engine.close()
