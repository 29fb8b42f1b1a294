"""Lines that are asked one by one, on virtual time: failures that pass, failures that don't, and room."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import orjson

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.job import JobState
from askonce.jobs.carrier import Pauses
from askonce.jobs.sender import Sender
from askonce.model import Fresh, Joined, Lane
from jobs.players import ANSWER, Players, broken, new_job
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.job import Job
    from askonce.model import Request

ACME = "tenant:acme"


@dataclass
class FakeReply:
    """An answer that takes its time, or a failure."""

    world: World
    request: Request
    outcome: Any = None
    answer: Any = None
    left: int = 0
    spent_nanousd: int = 0

    async def start(self) -> None:
        world = self.world
        world.running += 1
        world.most = max(world.most, world.running)
        try:
            await asyncio.sleep(world.takes_s)
        finally:
            world.running -= 1
        question = self.request.ask.body["messages"][-1]["content"]
        failure = world.failures.get(question, [None]).pop(0) if world.failures.get(question) else None
        if failure is not None:
            raise failure
        self.outcome, self.answer = world.outcome, ANSWER

    def leave(self) -> None:
        self.left += 1
        self.world.left += 1


@dataclass
class World:
    """A gateway whose upstream does what it is told."""

    failures: dict[str, list[Exception]] = field(default_factory=dict)
    takes_s: float = 1.0
    outcome: Any = field(default_factory=lambda: Fresh("miss"))
    asked: list[Request] = field(default_factory=list)
    running: int = 0
    most: int = 0
    left: int = 0

    def answer(self, request: Request, *, submitted: bool) -> FakeReply:
        assert submitted  # it was counted when its job was handed in
        self.asked.append(request)
        return FakeReply(self, request)


def playing(world: World, batching: tuple[str, ...] = ()) -> tuple[Players, Sender]:
    """A sender in a world."""
    players = Players()
    gateway = cast("Any", players.results)._gateway
    gateway.answer = world.answer
    gateway.served = lambda *_: None
    sender = Sender(
        gateway,
        players.jobs,
        players.results,
        pauses=Pauses(1.0, 30.0, lambda: 0.5),
        clock=players.clock,
        concurrency=2,
        batching=batching,
    )
    return players, sender


async def play(
    world: World, names: list[str], *, seconds: float, batching: tuple[str, ...] = (), **changes: Any
) -> tuple[Players, Callable[[str], Any]]:
    """Hands jobs in and lets the sender work for a while."""
    players, sender = playing(world, batching)
    now = players.clock.now()
    for name in names:
        job = new_job(name, created_at=now, deadline_at=now + 1_000, **changes)
        await players.jobs.submit(replace(job, line=replace(job.line, batched=False)))
    for _ in range(round(seconds * 10)):
        await sender.fill()
        await asyncio.sleep(0.1)
    await sender.close()

    async def found(name: str) -> Job:
        job = await players.jobs.find(ACME, name)
        assert job is not None
        return job

    return players, found


@virtual_time
async def test_a_few_at_a_time() -> None:
    """However many wait; each is answered and its seat given up."""
    world = World()
    _, found = await play(world, [f"job-{index}" for index in range(6)], seconds=5)
    assert world.most == 2
    assert [(await found(f"job-{index}")).state for index in range(6)] == [JobState.COMPLETED] * 6
    assert world.left == len(world.asked) == 6


@virtual_time
async def test_failures_that_pass_are_tried_again() -> None:
    """The upstream's and the gateway's own, with pauses; the others go on meanwhile."""
    full = Refusal(429, "queue_full", "Too much at once.", retry_after_s=1)
    credential = UpstreamFailure(502, "upstream_credential", "Tell the operator.", sharing=Sharing.FATAL)
    world = World({"a": [broken(), full, credential]})
    _, found = await play(world, ["a", "b"], seconds=20)
    assert (await found("a")).state is JobState.COMPLETED
    assert (await found("b")).outcome == "fresh"
    assert len(world.asked) == 5


@virtual_time
async def test_failures_of_the_request_itself_are_told() -> None:
    """Once, in the upstream's own words where it has any; a bug of ours costs its own jobs alone."""
    said = orjson.dumps(
        {"message": "Too long.", "type": "t", "param": None, "code": "context_length_exceeded"}
    )
    fatal = UpstreamFailure(400, "context_length_exceeded", "Too long.", sharing=Sharing.FATAL, body=said)
    world = World({"a": [fatal], "b": [ZeroDivisionError()]})
    _, found = await play(world, ["a", "b", "c"], seconds=5)
    assert orjson.loads((await found("a")).error)["code"] == "context_length_exceeded"
    assert orjson.loads((await found("b")).error)["code"] == "internal_error"
    assert (await found("c")).state is JobState.COMPLETED
    assert len(world.asked) == 3


@virtual_time
async def test_what_others_paid_for_costs_a_job_nothing() -> None:
    """It may join a flight of somebody who waits for the same answer."""
    _, found = await play(World(outcome=Joined()), ["a"], seconds=2)
    job = await found("a")
    assert (job.outcome, job.spent_nanousd, job.saved_nanousd) == ("joined", 0, 1_000)


@virtual_time
async def test_jobs_go_behind_all_others_unless_their_deadline_is_near() -> None:
    """Lines of an upstream with a Batch API are sent one by one only in a hurry; no call outlasts the deadline."""
    world = World()
    await play(world, ["a"], seconds=2)
    await play(world, ["b"], seconds=2, batching=("provider",))
    assert [request.policy.lane for request in world.asked] == [Lane.BATCH, Lane.RELAXED]
    late = World()
    _, _ = await play(late, ["a"], seconds=2)
    assert all(request.policy.timeout_s <= 1_000 for request in late.asked)


@virtual_time
async def test_a_restart_takes_up_what_was_being_asked() -> None:
    """Nothing stays with a sender that is gone."""
    world = World(takes_s=100.0)
    players, found = await play(world, ["a"], seconds=2)
    assert (await found("a")).state is JobState.RUNNING
    await players.jobs.recover(players.clock.now())
    assert (await found("a")).state is JobState.QUEUED
    assert len(await players.jobs.take_direct(5, players.clock.now())) == 1


@virtual_time
async def test_a_call_that_nobody_wants_any_more_is_let_go() -> None:
    """The last job called off ends the call; one that others still want goes on."""
    world = World(takes_s=5.0)
    players, sender = playing(world)
    now = players.clock.now()
    for name in ("a", "b", "c"):
        job = new_job(name, key=b"b" if name != "a" else None, created_at=now, deadline_at=now + 1_000)
        await players.jobs.submit(replace(job, line=replace(job.line, batched=False)))
    await sender.fill()
    await asyncio.sleep(0.5)
    await players.jobs.cancel(ACME, "a", now)
    await players.jobs.cancel(ACME, "b", now)
    await sender.fill()
    await asyncio.sleep(0.5)
    assert (world.running, world.left) == (1, 1)
    await asyncio.sleep(5)
    found = await players.jobs.find(ACME, "c")
    assert found is not None
    assert found.state is JobState.COMPLETED
    await sender.close()


@virtual_time
async def test_an_orderly_end_waits_for_answers_that_are_paid_for() -> None:
    """So long as it is given; nothing more is begun meanwhile, and what takes longer is taken up again."""
    world = World(takes_s=5.0)
    players, sender = playing(world)
    now = players.clock.now()
    for name in ("a", "b", "c"):
        job = new_job(name, created_at=now, deadline_at=now + 1_000)
        await players.jobs.submit(replace(job, line=replace(job.line, batched=False)))
    await sender.fill()
    await asyncio.sleep(0.5)
    sender.drain()
    await sender.close(10.0)
    await sender.fill()
    found = [await players.jobs.find(ACME, name) for name in ("a", "b", "c")]
    assert [one.state for one in found if one] == [JobState.COMPLETED, JobState.COMPLETED, JobState.QUEUED]
    assert len(world.asked) == 2


@virtual_time
async def test_a_clock_set_back_delays_nothing() -> None:
    """What was to be tried again at a time that is far away now is due at once."""
    players, _ = await play(World({"a": [broken()] * 9}), ["a"], seconds=1.5)
    now = players.clock.now() - 3_600
    assert await players.jobs.take_direct(5, now) == []
    await players.jobs.set_back(now)
    assert len(await players.jobs.take_direct(5, now)) == 1
