"""How many batches go side by side: as many as the upstream works on at a time, and one where it works on one."""

from __future__ import annotations

import asyncio
import random

import pytest

from askonce.sending.batches.width import Width
from sending.engine import Engine, line, vectors
from virtual_time import virtual_time


async def mean_latency(engine: Engine, rate: float, seconds: float, most: int) -> float:
    """Of requests that come at random times, the first tenth of the time left out."""
    sent, dice, loop = line(engine, in_flight=most), random.Random(7), asyncio.get_running_loop()  # noqa: S311
    began, took = loop.time(), []

    async def one(number: int) -> None:
        came = loop.time()
        await vectors(sent, f"text {number}")
        if came - began > seconds / 10:
            took.append(loop.time() - came)

    tasks: list[asyncio.Task[None]] = []
    while loop.time() < began + seconds:
        await asyncio.sleep(dice.expovariate(rate))
        tasks.append(asyncio.create_task(one(len(tasks))))
    await asyncio.gather(*tasks)
    return sum(took) / len(took)


@virtual_time
async def test_an_upstream_that_works_side_by_side_is_let() -> None:
    """Where a second batch costs the first nothing, nobody waits for the first to come back."""
    one = await mean_latency(Engine(fixed_s=0.2, serial=False), 20, 30, most=1)
    found = await mean_latency(Engine(fixed_s=0.2, serial=False), 20, 30, most=4)
    assert found < 0.9 * one


@pytest.mark.parametrize(
    ("rate", "requests"),
    [(600, 1_500), *(pytest.param(rate, 6_000, marks=pytest.mark.slow) for rate in (5, 50, 300, 600))],
)
def test_an_upstream_that_works_in_turn_is_given_one_at_a_time(rate: float, requests: int) -> None:
    """Trials are so rare that they cost next to nothing."""

    @virtual_time
    async def check() -> None:
        one = await mean_latency(Engine(), rate, requests / rate, most=1)
        found = await mean_latency(Engine(), rate, requests / rate, most=4)
        assert found < 1.05 * one

    check()


def test_trials_become_rarer_where_they_fail() -> None:
    """Each failed trial makes the next one come later; calls have to wait for there to be any."""
    width = Width(4)
    for _ in range(1_000):
        width.returned(width.sent(), 1, 1.0)
    assert width.limit == 1
    trials = 0
    for _ in range(5_000):
        width.wanted()
        first = width.sent()
        if width.limit > 1:
            beside = width.sent()
            width.returned(first, 1, 1.0)
            width.returned(beside, 1, 2.0)
            trials += 1
        else:
            width.returned(first, 1, 1.0)
    assert 3 <= trials <= 15


def test_batches_that_fail_say_nothing() -> None:
    """What was never answered is no measure of how long answers take."""
    width = Width(4)
    for _ in range(100):
        width.wanted()
        width.returned(width.sent(), 1, None)
    assert width.limit == 1
