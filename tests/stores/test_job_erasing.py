"""The right to erasure among jobs: an owner's go, others' are still answered."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from askonce.errors import Refusal
from askonce.job import LineResult
from askonce.model import Owner
from askonce.stores.job_room import JobLimits
from askonce.stores.jobs import SqliteJobs
from askonce.stores.sealing import Seals
from askonce.stores.transactions import volatile_transactions
from jobs.players import ANSWER, new_job

MARK, OTHER = b"m" * 16, b"o" * 16
BODY = b'{"model":"m","user":"zoe","metadata":{"user_id":"zoe"},"seed":123456789012345678901,"messages":[]}'
ACME = "tenant:acme"


@pytest.fixture(params=[Seals(), Seals([b"k" * 32])], ids=["clear", "sealed"])
def jobs(request: pytest.FixtureRequest) -> SqliteJobs:
    return SqliteJobs(replace(volatile_transactions(), seals=request.param), JobLimits(3, 2**20))


async def submit(
    jobs: SqliteJobs, name: str, user: bytes, *, key: bytes | None = None, tenant: str = ACME
) -> None:
    job = new_job(name, tenant=tenant, users=(user,), webhook="https://example.com/hook")
    await jobs.submit(replace(job, line=replace(job.line, key=key, body=BODY, batched=False)))


async def test_an_owners_jobs_go_in_every_state(jobs: SqliteJobs) -> None:
    """Waiting, being sent, answered: with their webhooks, and with room for new ones; another user's stay."""
    for name in ("waiting", "sending", "answered"):
        await submit(jobs, name, MARK)
    with pytest.raises(Refusal):
        await submit(jobs, "one too many", MARK)
    sending, answered = await jobs.take_direct(2, 500.0)
    await jobs.settle([LineResult(answered.number, ANSWER)], 600.0)
    await submit(jobs, "other", OTHER)
    assert await jobs.owned(Owner(ACME, MARK)) == await jobs.erase(Owner(ACME, MARK)) == 3
    assert [job.request_id for job in await jobs.page(ACME, None, 0, 9)] == ["other"]
    assert await jobs.dropped([sending.number]) == [sending.number]
    assert await jobs.settle([LineResult(sending.number, ANSWER)], 700.0) == []
    totals = await jobs.totals()
    assert (totals.jobs, sum(totals.lines.values()), sum(totals.deliveries.values())) == ({"open": 1}, 1, 1)
    for name in ("waiting", "sending"):
        await submit(jobs, name, MARK)


async def test_a_shared_line_no_longer_says_who_asked_first(jobs: SqliteJobs) -> None:
    """Whoever waits for the same answer gets it; the body goes on without the names, its numbers exact."""
    await submit(jobs, "mine", MARK, key=b"k" * 32)
    await submit(jobs, "theirs", OTHER, key=b"k" * 32)
    assert await jobs.erase(Owner(ACME, MARK)) == 1
    (line,) = await jobs.take_direct(9, 500.0)
    assert line.body == b'{"model":"m","seed":123456789012345678901,"messages":[]}'
    (ended,) = await jobs.settle([LineResult(line.number, ANSWER)], 600.0)
    assert ended.request_id == "theirs"


async def test_a_shared_line_passes_to_another_tenant(jobs: SqliteJobs) -> None:
    """Where features share a pool: it is asked in the name of whoever still wants it."""
    await submit(jobs, "mine", MARK, key=b"k" * 32)
    await submit(jobs, "theirs", MARK, key=b"k" * 32, tenant="tenant:zeta")
    assert await jobs.erase(Owner(ACME)) == 1
    (line,) = await jobs.take_direct(9, 500.0)
    assert orjson.loads(line.context)["caller"] == ["tenant:zeta", "acme", ["default"], ""]
    assert await jobs.erase(Owner("tenant:zeta", OTHER)) == 0
