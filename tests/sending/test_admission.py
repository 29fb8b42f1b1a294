"""The gate before an upstream: who goes, who waits, who is told at once."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Call, Lane, Usage
from askonce.sending.limits import Limits
from askonce.sending.line import Line
from askonce.sending.ticket import Ticket
from sending.limiters import CALL, Reply
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.model import Json
    from askonce.sending.passage import Passage


@dataclass
class ScriptedUpstream:
    """Takes what comes, at once, and fails where the script says so."""

    script: list[UpstreamFailure | None] = field(default_factory=list)
    headers: tuple[tuple[str, str], ...] = ()
    asked: list[tuple[float, Call]] = field(default_factory=list)
    name: str = "scripted"
    opens_after_s: float = 0.0

    async def open(self, call: Call) -> Reply:
        self.asked.append((asyncio.get_running_loop().time(), call))
        if self.opens_after_s:
            await asyncio.sleep(self.opens_after_s)
        if self.script and (failure := self.script.pop(0)) is not None:
            raise failure
        return Reply(0.0, self.headers)

    async def models(self, credential: str | None) -> list[Json]:
        raise NotImplementedError

    async def close(self) -> None:
        return


def refusal(retry_after_s: float | None = None) -> UpstreamFailure:
    return UpstreamFailure(429, "rate_limit", "slow", sharing=Sharing.TRANSIENT, retry_after_s=retry_after_s)


def ticket(
    tenant: str = "a", lane: Lane = Lane.INTERACTIVE, tokens: int = 10, within_s: float = 600
) -> Ticket:
    return Ticket(tenant, lane, tokens, asyncio.get_running_loop().time() + within_s)


def send(line: Line, call: Call = CALL, **kwargs: Any) -> asyncio.Task[Passage]:
    return asyncio.create_task(line.open(call, ticket(**kwargs)))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def closed(*tasks: asyncio.Task[Passage]) -> None:
    for task in tasks:
        await (await task).aclose()


@virtual_time
async def test_an_idle_line_adds_no_wait_and_makes_nothing_to_wait_for() -> None:
    """Where there is room a call goes in the same turn of the event loop, without a task, a future or a timer."""
    upstream = ScriptedUpstream()
    line = Line(upstream, "m", Limits())
    opening = line.open(CALL, ticket())
    with pytest.raises(StopIteration) as ended:
        opening.send(None)  # would yield a future if it waited
    passage: Passage = ended.value.value
    assert (passage.waited_s, passage.waited_for, passage.batched) == (0.0, "", 1)
    await passage.aclose()
    await passage.aclose()
    assert line.idle


@virtual_time
async def test_a_full_queue_says_how_long_it_takes_to_drain() -> None:
    """429 `queue_full`, and `Retry-After` is what was waiting, divided by what left the queue per second."""
    line = Line(ScriptedUpstream(), "m", Limits(max_concurrency=2, max_queue=8))
    running = [await line.open(CALL, ticket()) for _ in range(2)]
    waiting = [send(line) for _ in range(8)]
    await settle()
    for _ in range(8):  # one leaves each second
        await asyncio.sleep(1)
        await running.pop(0).aclose()
        running.append(await waiting.pop(0))
        waiting.append(send(line))
        await settle()
    with pytest.raises(Refusal) as told:
        await line.open(CALL, ticket())
    assert (told.value.status, told.value.code) == (429, "queue_full")
    assert told.value.retry_after_s == pytest.approx(8, rel=0.35)
    for passage in running:
        await passage.aclose()
    await closed(*waiting)


@virtual_time
async def test_a_full_queue_has_room_for_a_tenant_that_has_nobody_in_it() -> None:
    """One tenant fills the queue: its last call is told so, another tenant's single call is the next to go."""
    line = Line(ScriptedUpstream(), "m", Limits(max_concurrency=1, max_queue=100))
    running = await line.open(CALL, ticket())
    burst = [send(line, tenant="burst") for _ in range(100)]
    await settle()
    single = send(line, tenant="single")
    await settle()
    with pytest.raises(Refusal, match="wait for scripted's m already"):
        await burst.pop()
    await running.aclose()
    await closed(burst.pop(0))
    await asyncio.wait_for(single, 0.001)
    await closed(single, *burst)


@virtual_time
async def test_a_deadline_that_cannot_be_met_is_said_at_once() -> None:
    """An upstream that wants a minute's pause: who has ten seconds is told now, who has two minutes waits."""
    line = Line(ScriptedUpstream([refusal(60)]), "m", Limits())
    with pytest.raises(UpstreamFailure):
        await line.open(CALL, ticket())
    began = asyncio.get_running_loop().time()
    with pytest.raises(Refusal) as told:
        await line.open(CALL, ticket(within_s=10))
    assert told.value.code == "deadline_unreachable"
    assert told.value.retry_after_s == pytest.approx(60, abs=1)
    assert asyncio.get_running_loop().time() == began
    passage = await line.open(CALL, ticket(within_s=120))
    assert passage.waited_s == pytest.approx(60)
    assert passage.waited_for == "upstream-paused"
    await passage.aclose()
    assert line.state().given_up == 1
    assert line.state().avoided_429 == 1


@virtual_time
async def test_who_waits_is_told_when_the_estimate_worsens() -> None:
    """A pause that begins while a call waits: it is told then, not when its deadline passes."""
    upstream = ScriptedUpstream([None, refusal(300)], opens_after_s=1.0)
    line = Line(upstream, "m", Limits(max_concurrency=2))
    running = [send(line), send(line)]
    await asyncio.sleep(0.5)
    waiting = send(line, within_s=100)
    began = asyncio.get_running_loop().time()
    with pytest.raises(Refusal, match="after this request's deadline"):
        await waiting
    assert asyncio.get_running_loop().time() - began < 3
    with pytest.raises(UpstreamFailure):
        await running[1]
    await closed(running[0])


@virtual_time
async def test_who_waits_is_told_when_the_line_slows_down() -> None:
    """Calls that begin to take ten times as long: the last in line hear of it well before their deadline."""
    line = Line(ScriptedUpstream(), "m", Limits(max_concurrency=1))
    loop = asyncio.get_running_loop()
    told: list[float] = []

    async def one(seconds: float, within_s: float) -> None:
        try:
            passage = await line.open(CALL, ticket(within_s=within_s))
        except Refusal:
            told.append(loop.time())
            return
        await asyncio.sleep(seconds)
        await passage.aclose()

    began = loop.time()
    await asyncio.gather(*(one(1 if number < 10 else 10, 60) for number in range(30)))
    assert told
    assert min(told) - began < 50


@virtual_time
async def test_a_cancelled_call_leaves_no_slot_behind_wherever_it_was() -> None:
    """Cancelled while it waited, when its turn had come already, while it was sent: the slot is free each time."""
    line = Line(ScriptedUpstream(opens_after_s=5), "m", Limits(max_concurrency=1, requests_per_minute=6_000))
    first = send(line)
    await asyncio.sleep(6)
    waiting, turned, sent = send(line), send(line), send(line)
    await settle()
    waiting.cancel()
    await settle()
    await (await first).aclose()  # the turn of `turned` has come, but its task has not run
    turned.cancel()
    await asyncio.sleep(1)
    assert line.state().in_use == 1
    sent.cancel()
    await asyncio.gather(waiting, turned, sent, return_exceptions=True)
    assert all(task.cancelled() for task in (waiting, turned, sent))
    assert line.idle
    await closed(send(line))


@virtual_time
async def test_requests_per_minute_are_kept_to_and_the_wait_is_named() -> None:
    """With 600 a minute declared, calls go at most ten a second, and say what they waited for."""
    upstream = ScriptedUpstream()
    line = Line(upstream, "m", Limits(requests_per_minute=600))
    tasks = [send(line) for _ in range(50)]
    passages = await asyncio.gather(*tasks)
    times = [at for at, _ in upstream.asked]
    assert all(after - before > 0.099 for before, after in itertools.pairwise(times))
    assert {passage.waited_for for passage in passages[1:]} == {"requests-per-minute"}
    assert line.state().avoided_429 == 49
    await closed(*tasks)


@virtual_time
async def test_tokens_are_estimated_before_and_settled_after() -> None:
    """A call that used less than estimated makes room for the next one; one that used more takes it."""
    line = Line(ScriptedUpstream(), "m", Limits(tokens_per_minute=60_000))
    cheap = await line.open(CALL, ticket(tokens=3_000))
    cheap.settle(Usage(prompt_tokens=50, completion_tokens=50))
    cheap.settle(Usage(prompt_tokens=50, completion_tokens=50))
    dear = await line.open(CALL, ticket(tokens=1_000))
    assert dear.waited_s == 0
    dear.settle(Usage(prompt_tokens=1_000, completion_tokens=1_900))
    late = await line.open(CALL, ticket(tokens=1_950))
    assert late.waited_for == "tokens-per-minute"
    assert late.waited_s == pytest.approx((100 + 2_900 + 1_950 - 3_000) / (57_001 / 60), rel=0.01)
    for passage in (cheap, dear, late):
        await passage.aclose()


@virtual_time
async def test_without_a_count_the_estimate_stands() -> None:
    """An upstream that doesn't say what it took hasn't worked for nothing: its limit is kept to all the same."""
    line = Line(ScriptedUpstream(), "m", Limits(tokens_per_minute=60_000))
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        passage = await line.open(CALL, ticket(tokens=30_000))
        passage.settle(Usage())
        await passage.aclose()
    assert asyncio.get_running_loop().time() - began > 45


@virtual_time
async def test_a_request_that_names_a_huge_answer_keeps_nobody_waiting() -> None:
    """What the upstream refused took no tokens; what it answers is counted as a minute's worth until its true count."""
    refused = UpstreamFailure(400, "too_long", "No.", sharing=Sharing.FATAL)
    line = Line(ScriptedUpstream([refused]), "m", Limits(tokens_per_minute=60_000))
    with pytest.raises(UpstreamFailure):
        await line.open(CALL, ticket(tokens=10**7))
    began = asyncio.get_running_loop().time()
    await closed(asyncio.create_task(line.open(CALL, ticket(tokens=100))))
    assert asyncio.get_running_loop().time() - began < 0.2
    huge = await line.open(CALL, ticket(tokens=10**7))
    passage = await line.open(CALL, ticket(tokens=100))
    assert asyncio.get_running_loop().time() - began < 70
    await passage.aclose()
    await huge.aclose()


@virtual_time
async def test_keys_are_used_by_what_is_left_of_each() -> None:
    """Two keys bear twice what one does, and one that is refused leaves the calls to the other."""
    upstream = ScriptedUpstream()
    line = Line(upstream, "m", Limits(requests_per_minute=600), keys=("first", "second"))
    tasks = [send(line) for _ in range(20)]
    await asyncio.gather(*tasks)
    keys = [call.credential for _, call in upstream.asked]
    assert keys.count("first") == keys.count("second") == 10
    assert upstream.asked[-1][0] - upstream.asked[0][0] < 1.0
    upstream.script = [refusal(30)]
    with pytest.raises(UpstreamFailure):
        await line.open(CALL, ticket())
    refused = upstream.asked[-1][1].credential
    later = [await line.open(CALL, ticket()) for _ in range(5)]
    assert refused not in {call.credential for _, call in upstream.asked[-5:]}
    assert sum(key.refusals for key in line.state().keys) == 1
    assert "first" not in repr(line.state())
    for passage in later:
        await passage.aclose()
    await closed(*tasks)


@virtual_time
async def test_a_callers_own_credential_has_limits_of_its_own() -> None:
    """A pause for one caller's key holds back its calls alone."""
    upstream = ScriptedUpstream([refusal(60)])
    line = Line(upstream, "m", Limits(max_concurrency=2), pass_through=True)
    with pytest.raises(UpstreamFailure):
        await line.open(replace(CALL, credential="a's"), ticket())
    held = send(line, replace(CALL, credential="a's"))
    await settle()
    passage = await asyncio.wait_for(line.open(replace(CALL, credential="b's"), ticket("b")), 0.001)
    await passage.aclose()
    assert not held.done()
    await closed(held)
    assert upstream.asked[-1][1].credential == "a's"


@virtual_time
async def test_a_hurried_caller_takes_the_waiting_call_along() -> None:
    """A batch call that an interactive caller joins goes before those that were relaxed, and never falls back."""
    line = Line(ScriptedUpstream(), "m", Limits(max_concurrency=1))
    running = await line.open(CALL, ticket())
    order: list[str] = []

    async def one(name: str, own: Ticket) -> None:
        passage = await line.open(CALL, own)
        order.append(name)
        await passage.aclose()

    batch = ticket(lane=Lane.BATCH)
    tasks = [
        asyncio.create_task(one("relaxed", ticket(lane=Lane.RELAXED))),
        asyncio.create_task(one("hurried", batch)),
    ]
    await settle()
    line.hurry(batch, Lane.INTERACTIVE)
    line.hurry(batch, Lane.RELAXED)
    await running.aclose()
    await asyncio.gather(*tasks)
    assert order == ["hurried", "relaxed"]
    early = ticket(lane=Lane.BATCH)
    line.hurry(early, Lane.RELAXED)
    assert early.lane is Lane.RELAXED


@virtual_time
async def test_an_overloaded_upstream_is_asked_less_at_a_time() -> None:
    """503 shrinks the limit, its `Retry-After` is kept to; a garbled answer or a bad request says nothing of load."""
    busy = UpstreamFailure(503, "upstream_503", "busy", sharing=Sharing.TRANSIENT, retry_after_s=2)
    garbled = UpstreamFailure(502, "upstream_garbage", "?", sharing=Sharing.TRANSIENT)
    line = Line(ScriptedUpstream([garbled, busy]), "m", Limits(max_concurrency=100))
    with pytest.raises(UpstreamFailure):
        await line.open(CALL, ticket())
    assert line.state().limit == 100
    with pytest.raises(UpstreamFailure):
        await line.open(CALL, ticket())
    assert line.state().limit < 100
    passage = await line.open(CALL, ticket())
    assert passage.waited_s == pytest.approx(2)
    await passage.aclose()


@virtual_time
async def test_a_slow_long_answer_does_not_shrink_the_limit_and_a_slow_first_byte_does() -> None:
    """With a target: plain answers may take as long as they are, streams must begin in time."""
    line = Line(ScriptedUpstream(opens_after_s=30), "m", Limits(max_concurrency=8, target_latency_s=1))
    for _ in range(5):
        plain = [send(line, replace(CALL, stream=False)) for _ in range(8)]
        for task in plain:
            await (await task).reply.body()
        await closed(*plain)
    assert line.state().limit == 8
    streams = [send(line) for _ in range(8)]
    for stream in streams:
        await (await stream).reply.read()
    await closed(*streams)
    assert line.state().limit < 8


@virtual_time
async def test_the_provider_s_headers_are_kept_to() -> None:
    """What the headers say is left is what is sent; the rest waits for the reset, without a refusal."""
    headers = (
        ("x-ratelimit-limit-requests", "10"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "20s"),
    )
    upstream = ScriptedUpstream(headers=headers)
    line = Line(upstream, "m", Limits())
    await (await line.open(CALL, ticket())).aclose()
    passage = await line.open(CALL, ticket())
    assert passage.waited_s == pytest.approx(2, rel=0.1)  # ten in twenty seconds: one comes back in two
    assert passage.waited_for == "requests-per-minute"
    await passage.aclose()
    assert line.state().keys[0].requests_left == pytest.approx(0, abs=1)


@virtual_time
async def test_an_old_jam_says_nothing_of_the_next_one() -> None:
    """After a minute of quiet, calls wait again though the queue drained slowly when it last did."""
    line = Line(ScriptedUpstream(), "m", Limits(max_concurrency=1))

    async def one(seconds: float) -> None:
        passage = await line.open(CALL, ticket(within_s=60))
        await asyncio.sleep(seconds)
        await passage.aclose()

    await asyncio.gather(*(one(15) for _ in range(4)))
    await asyncio.sleep(90)
    for _ in range(60):
        await one(0.1)
    await asyncio.gather(*(one(0.1) for _ in range(50)))
    assert line.state().given_up == 0
