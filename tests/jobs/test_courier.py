"""Webhooks on virtual time: again and again for a while, then given up; never forgotten by a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from askonce.job import DeliveryState
from askonce.jobs.carrier import Pauses
from askonce.jobs.courier import Courier, signature
from jobs.players import LoopClock, new_job, ready, store
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.stores.jobs import SqliteJobs

ACME = "tenant:acme"


@dataclass
class FakePostman:
    """Takes what it is told to take."""

    fails: int = 0
    delay_s: float = 0.1
    posted: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    def refuses(self, url: str) -> str:
        return "" if url else "no"

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[bool, str]:
        self.posted.append((url, dict(headers), json.loads(body)))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.delay_s)
        self.under_way -= 1
        self.fails -= 1
        return (False, "status 500") if self.fails >= 0 else (True, "status 204")

    async def close(self) -> None:
        pass


def courier(jobs: SqliteJobs, postman: FakePostman, counted: list[str]) -> Courier:
    return Courier(
        jobs,
        postman,
        b"secret",
        pauses=Pauses(2.0, 60.0, lambda: 0.5),
        clock=LoopClock(),
        count=counted.append,
        limits=(4, 5),
    )


async def told(jobs: SqliteJobs, count: int) -> None:
    for index in range(count):
        await jobs.submit(new_job(f"job-{index}", ready=ready(), webhook=f"https://x.example/{index}"))


@virtual_time
async def test_a_failed_delivery_is_tried_again_with_longer_pauses() -> None:
    """Under the same id each time, until it is taken; the receiver can tell."""
    jobs, postman, counted = store(), FakePostman(fails=3), list[str]()
    await told(jobs, 1)
    one = courier(jobs, postman, counted)
    running = asyncio.create_task(one.run())
    await asyncio.sleep(60)
    assert counted == ["failed", "failed", "failed", "delivered"]
    assert len({headers["webhook-id"] for _, headers, _ in postman.posted}) == 1
    times = [int(headers["webhook-timestamp"]) for _, headers, _ in postman.posted]
    assert times == sorted(times)
    job = await jobs.find(ACME, "job-0")
    assert job is not None
    assert job.delivery is not None
    assert (job.delivery.state, job.delivery.attempts) == (DeliveryState.DELIVERED, 4)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await one.close()


@virtual_time
async def test_what_nobody_takes_is_given_up() -> None:
    """After so many attempts, and then nothing is sent any more."""
    jobs, postman, counted = store(), FakePostman(fails=100), list[str]()
    await told(jobs, 1)
    one = courier(jobs, postman, counted)
    running = asyncio.create_task(one.run())
    await asyncio.sleep(3_600)
    assert counted == ["failed"] * 4 + ["dead"]
    assert (await jobs.totals()).deliveries == {"dead": 1}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await one.close()


@virtual_time
async def test_a_restart_between_delivery_and_its_note_delivers_again() -> None:
    """Under the same id, so that the receiver can drop the second; and few go out at a time."""
    jobs, postman, counted = store(), FakePostman(), list[str]()
    await told(jobs, 10)
    first = courier(jobs, postman, counted)
    running = asyncio.create_task(first.run())
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await first.close()
    assert (postman.most, counted) == (4, [])
    second = courier(jobs, postman, counted)
    postman.under_way = 0
    running = asyncio.create_task(second.run())
    await asyncio.sleep(60)
    assert counted == ["delivered"] * 10
    assert postman.most == 4
    by_id: dict[str, set[str]] = {}
    for url, headers, _ in postman.posted:
        by_id.setdefault(headers["webhook-id"], set()).add(url)
    assert len(by_id) == 10
    assert all(len(urls) == 1 for urls in by_id.values())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await second.close()


@given(st.binary(), st.integers(0, 2**33))
def test_a_signature_covers_id_time_and_body(body: bytes, timestamp: int) -> None:
    """Any other of them, or another secret, makes another signature; the known answer is the specification's form."""
    secret, other = "whsec_c2VjcmV0", "whsec_b3RoZXI="
    own = signature(secret, "msg_1", timestamp, body)
    assert own.startswith("v1,")
    assert own != signature(other, "msg_1", timestamp, body)
    assert own != signature(secret, "msg_2", timestamp, body)
    assert own != signature(secret, "msg_1", timestamp + 1, body)
    assert own != signature(secret, "msg_1", timestamp, body + b"x")


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the Standard Webhooks specification's own libraries are tested with."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    identity, timestamp = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, identity, timestamp, b'{"test": 2432232314}') == wanted
