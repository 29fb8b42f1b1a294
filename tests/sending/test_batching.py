"""Group commit: who goes together, when, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from askonce.errors import Refusal, UpstreamFailure
from askonce.model import Lane, Usage
from askonce.sending.batches.pile import Load
from askonce.sending.batches.size import BatchSize
from askonce.sending.limits import Limits
from sending.engine import FATAL, TRANSIENT, Engine, ask, embedding, items, line, ticket, vectors
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.sending.line import Line


def now() -> float:
    return asyncio.get_running_loop().time()


async def at_rest(sent: Line) -> None:
    """Checks that nothing is left of what went."""
    await asyncio.sleep(0.001)
    assert sent.idle
    assert sent.state().in_use == 0
    assert sent._batches is not None
    assert not sent._batches._groups


@virtual_time
async def test_an_idle_line_sends_at_once_and_byte_for_byte() -> None:
    """One request at a time waits for nobody, and its body isn't touched."""
    engine = Engine()
    sent = line(engine, linger_s={Lane.RELAXED: 0.05})
    for text in ("a", "b"):
        began = now()
        call = embedding(text)
        passage = await ask(sent, call)
        assert now() - began == pytest.approx(0.011)
        assert engine.calls[-1] == replace(call, id=engine.calls[-1].id)
        assert (passage.batched, passage.waited_s, passage.waited_for) == (1, 0, "")
    await at_rest(sent)


def test_a_carriers_own_way_is_no_wait() -> None:
    """On a clock that never stands still too, a call that nothing kept back has waited for nothing."""

    async def once() -> tuple[float, str]:
        passage = await ask(line(Engine(fixed_s=0, per_item_s=0)), embedding("a"))
        return passage.waited_s, passage.waited_for

    assert asyncio.run(once()) == (0, "")


@virtual_time
async def test_what_waits_anyway_goes_together() -> None:
    """While one call is under way all others pile up, and leave as one; everybody gets their own."""
    engine = Engine()
    sent = line(engine)
    texts = [f"text {number}" for number in range(30)]
    answers = await asyncio.gather(*(vectors(sent, text) for text in texts))
    assert answers == [[text] for text in texts]
    assert engine.batches == [30]
    late = asyncio.gather(*(vectors(sent, text) for text in texts))
    await asyncio.sleep(0.001)
    passage, *_ = await asyncio.gather(
        ask(sent, embedding("later")), *(vectors(sent, text) for text in texts)
    )
    await late
    assert engine.batches == [30, 30, 31]
    assert passage.batched == 31
    assert (passage.waited_for, passage.waited_s) == ("concurrency", pytest.approx(0.039))


@virtual_time
async def test_batches_hold_no_more_than_their_caps() -> None:
    """Items, tokens and bytes are capped; what is larger than a cap on its own goes alone."""
    for most, expected in (
        (Load(4, 100_000, 2**20), [4, 4, 2]),
        (Load(64, 30, 2**20), [3, 3, 3, 1]),
        (Load(64, 100_000, 3 * len(embedding("text 0").body)), [3, 3, 3, 1]),
    ):
        engine = Engine()
        sent = line(engine, most=most)
        await asyncio.gather(*(vectors(sent, f"text {number}") for number in range(10)))
        assert engine.batches == expected
    assert await vectors(sent, ["x" * 400, "y"]) == ["x" * 400, "y"]


@virtual_time
async def test_different_parameters_go_apart() -> None:
    """Groups don't mix, and don't wait for one another."""
    engine = Engine(serial=False)
    sent = line(engine)
    await asyncio.gather(*(vectors(sent, str(number), dimensions=number % 2) for number in range(10)))
    assert sorted(engine.batches) == [5, 5]
    assert {json.loads(call.body)["dimensions"] for call in engine.calls} == {0, 1}


@virtual_time
async def test_only_the_bad_input_is_told() -> None:
    """A batch that is refused is halved until the one at fault is alone: it gets its own error, the others answers."""
    engine = Engine()
    sent = line(engine)
    texts = [
        *(f"text {number}" for number in range(20)),
        "bad one",
        *(f"more {number}" for number in range(10)),
    ]
    answers = await asyncio.gather(*(vectors(sent, text) for text in texts), return_exceptions=True)
    failed = answers.pop(20)
    assert isinstance(failed, UpstreamFailure)
    assert (failed.status, failed.message) == (400, "bad one")
    assert answers == [[text] for text in texts if not text.startswith("bad")]
    assert len(engine.calls) <= 1 + 2 * 5
    await at_rest(sent)


@virtual_time
async def test_what_all_share_is_not_looked_for_in_one() -> None:
    """A refusal that names another field than the input concerns all of a batch, and isn't asked again."""
    error = b'{"message": "no such size", "param": "dimensions"}'
    engine = Engine(failures=[UpstreamFailure(400, "invalid", "no such size", sharing=FATAL, body=error)])
    sent = line(engine)
    answers = await asyncio.gather(*(vectors(sent, str(at)) for at in range(8)), return_exceptions=True)
    assert {str(answer) for answer in answers} == {"no such size"}
    assert len(engine.calls) == 1


@virtual_time
async def test_a_transient_failure_is_everybodys() -> None:
    """What is the moment's fault is told to all at once: each decides for itself whether to try again."""
    engine = Engine(failures=[UpstreamFailure(503, "busy", "Busy.", sharing=TRANSIENT)])
    sent = line(engine)
    answers = await asyncio.gather(*(vectors(sent, str(at)) for at in range(8)), return_exceptions=True)
    assert all(isinstance(answer, UpstreamFailure) and answer.status == 503 for answer in answers)
    assert await asyncio.gather(*(vectors(sent, str(at)) for at in range(8))) == [
        [str(at)] for at in range(8)
    ]
    assert engine.batches == [8, 8]


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("tenants", [("a", "b", "c"), ("", "", "")])
def test_no_tenant_reads_of_anothers_input_in_an_error(status: int, tenants: tuple[str, ...]) -> None:
    """What fails a batch of several tenants is told without the upstream's words, which may quote one of them.

    Callers of whom nothing is known are nobody's own either.
    """

    @virtual_time
    async def check() -> None:
        body = b'{"message": "can\'t embed: the secret", "param": "dimensions", "code": "odd"}'
        sharing = FATAL if status == 400 else TRANSIENT
        error = UpstreamFailure(
            status, "odd", "can't embed: the secret", sharing=sharing, retry_after_s=2, body=body
        )
        engine = Engine(failures=[error])
        sent = line(engine)
        told = await asyncio.gather(
            *(vectors(sent, tenant, ticket(tenant)) for tenant in tenants), return_exceptions=True
        )
        assert engine.batches == [3]
        for failure in told:
            assert isinstance(failure, UpstreamFailure)
            assert (failure.status, failure.code, failure.retry_after_s) == (status, "odd", 2)
            assert (failure.sharing, failure.body) == (sharing, None)
            assert "secret" not in str(failure)
            assert "`dimensions`" in str(failure)

    check()


@virtual_time
async def test_an_answer_that_does_not_fit_is_nobodys() -> None:
    """Three results for four inputs: all are told that it was garbage, and nobody gets another's vector."""
    engine = Engine(answer=b'{"data": [{"embedding": 1}, {"embedding": 2}, {"embedding": 3}]}')
    sent = line(engine)
    answers = await asyncio.gather(*(vectors(sent, str(at)) for at in range(4)), return_exceptions=True)
    assert all(
        isinstance(answer, UpstreamFailure) and answer.code == "upstream_garbage" for answer in answers
    )


@virtual_time
async def test_a_server_that_takes_fewer_is_asked_for_fewer() -> None:
    """A size that was refused, though its halves were taken, is never sent again."""
    engine = Engine(most_items=10)
    sent = line(engine)
    for _ in range(10):
        answers = await asyncio.gather(*(vectors(sent, str(at)) for at in range(40)))
        assert answers == [[str(at)] for at in range(40)]
    refused = [size for size in engine.batches if size > 10]
    assert len(refused) <= 6
    assert max(engine.batches[-20:]) <= 10


@virtual_time
async def test_batches_that_break_the_upstream_become_smaller() -> None:
    """A server that fails with 5xx on large batches gets smaller ones until it answers."""
    failures = [UpstreamFailure(500, "oops", "Oops.", sharing=TRANSIENT) for _ in range(3)]
    engine = Engine(failures=failures)
    sent = line(engine)
    for _ in range(4):
        await asyncio.gather(*(vectors(sent, str(at)) for at in range(40)), return_exceptions=True)
    assert engine.batches[:4] == [40, 40, 20, 10]


@virtual_time
async def test_a_bad_input_whose_caller_left_makes_no_batch_smaller() -> None:
    """Who sends what is refused and leaves at once doesn't teach the gateway that batches are too large."""
    engine = Engine()
    sent = line(engine)
    for _ in range(20):
        bad = asyncio.create_task(vectors(sent, "bad"))
        others = [asyncio.create_task(vectors(sent, str(at))) for at in range(3)]
        await asyncio.sleep(0.012)
        bad.cancel()
        await asyncio.wait([bad, *others])
        assert [task.result() for task in others] == [["0"], ["1"], ["2"]]
    await asyncio.gather(*(vectors(sent, str(at)) for at in range(64)))
    assert engine.batches[-1] == 64


def test_a_refused_size_is_tried_again_after_a_long_while() -> None:
    """A server that takes more than it did is found out, at one call in a thousand."""
    size = BatchSize(64, 1.0)
    size.refused(40)
    assert size.items == 20
    for _ in range(500):
        size.answered(size.items, 0.0, 0.1)
    assert size.items == 39
    for _ in range(1_000):
        size.answered(size.items, 0.0, 0.1)
    assert size.items == 40


@virtual_time
async def test_large_batches_that_are_slow_become_smaller() -> None:
    """Above the target latency the size is halved, and grows back by one: it stays near what the target allows."""
    engine = Engine(per_item_s=0.05)
    sent = line(engine, target_s=1.0)
    for _ in range(20):
        await asyncio.gather(*(vectors(sent, str(at)) for at in range(40)))
    assert engine.batches[0] == 40
    assert all(9 <= size <= 21 for size in engine.batches[40:-1] if size > 3)


@virtual_time
async def test_a_slow_upstream_is_not_blamed_on_the_size() -> None:
    """Where one item takes longer than the target, smaller batches would only be more of them."""
    engine = Engine(fixed_s=5.0)
    sent = line(engine, target_s=1.0)
    for _ in range(5):
        await asyncio.gather(*(vectors(sent, str(at)) for at in range(60)))
    assert set(engine.batches) == {60}


@virtual_time
async def test_who_leaves_harms_nobody() -> None:
    """Callers that leave before their turn aren't sent; those that leave later don't take the others' answer along."""
    engine = Engine()
    sent = line(engine)
    under_way = [asyncio.create_task(vectors(sent, f"first {at}")) for at in range(3)]
    await asyncio.sleep(0.001)
    waiting = [asyncio.create_task(vectors(sent, f"second {at}")) for at in range(4)]
    await asyncio.sleep(0.001)
    under_way[0].cancel()
    waiting[1].cancel()
    await asyncio.wait([*under_way, *waiting])
    assert [task.result() for task in under_way[1:]] == [["first 1"], ["first 2"]]
    assert [items(call) for call in engine.calls][1] == ["second 0", "second 2", "second 3"]
    assert engine.cancelled == 0
    await at_rest(sent)


@virtual_time
async def test_a_call_that_nobody_waits_for_is_cancelled() -> None:
    """Once all of a batch have left, the upstream need not go on; nothing is left behind."""
    engine = Engine(fixed_s=10)
    sent = line(engine)
    tasks = [asyncio.create_task(vectors(sent, str(at))) for at in range(3)]
    await asyncio.sleep(0.001)
    waiting = asyncio.create_task(vectors(sent, "more"))
    await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    waiting.cancel()
    await asyncio.wait([*tasks, waiting])
    await asyncio.sleep(0.001)
    assert (engine.cancelled, len(engine.calls)) == (1, 1)
    await at_rest(sent)


@virtual_time
async def test_who_leaves_in_the_very_moment_leaves_nothing_behind() -> None:
    """A caller that is cancelled before its carrier has run a step doesn't block those that come later."""
    engine = Engine()
    sent = line(engine)
    task = asyncio.create_task(vectors(sent, "gone"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await vectors(sent, "here") == ["here"]
    await at_rest(sent)


@virtual_time
async def test_tenants_take_turns_within_a_batch() -> None:
    """One tenant's burst doesn't keep another's single call waiting for longer than a batch."""
    engine = Engine()
    sent = line(engine, most=Load(8, 100_000, 2**20))
    burst = [asyncio.create_task(vectors(sent, f"burst {at}", ticket("big"))) for at in range(40)]
    await asyncio.sleep(0.001)
    small = asyncio.create_task(vectors(sent, "small", ticket("small")))
    await asyncio.wait([*burst, small])
    assert "small" in items(engine.calls[1])


@virtual_time
async def test_earlier_lanes_go_first_and_the_longest_waiting_always() -> None:
    """Interactive calls fill a batch, but its first place is for whoever has waited longest."""
    engine = Engine()
    sent = line(engine, most=Load(4, 100_000, 2**20))
    first = asyncio.create_task(vectors(sent, "first"))
    await asyncio.sleep(0.001)
    relaxed = [
        asyncio.create_task(vectors(sent, f"relaxed {at}", ticket(lane=Lane.RELAXED))) for at in range(4)
    ]
    await asyncio.sleep(0)
    hurried = [asyncio.create_task(vectors(sent, f"hurried {at}")) for at in range(5)]
    await asyncio.wait([first, *relaxed, *hurried])
    assert items(engine.calls[1]) == ["relaxed 0", "hurried 0", "hurried 1", "hurried 2"]


@virtual_time
async def test_relaxed_calls_linger_until_their_window_or_number_is_full() -> None:
    """A lane that lingers waits for its window from the first call on, or until enough have come."""
    engine = Engine()
    sent = line(engine, linger_s={Lane.RELAXED: 0.05}, linger_items=5)
    began = now()
    passages = await asyncio.gather(
        *(ask(sent, embedding(str(at)), ticket(lane=Lane.RELAXED)) for at in range(3))
    )
    assert now() - began == pytest.approx(0.063)
    assert {passage.waited_for for passage in passages} == {"linger"}
    began = now()
    await asyncio.gather(*(ask(sent, embedding(str(at)), ticket(lane=Lane.RELAXED)) for at in range(5)))
    assert now() - began == pytest.approx(0.015)
    assert engine.batches == [3, 5]


@virtual_time
async def test_an_interactive_call_takes_the_lingering_ones_along() -> None:
    """Somebody who doesn't wait ends the others' wait; so does a caller in a hurry who joins one of them."""
    engine = Engine()
    sent = line(engine, linger_s={Lane.RELAXED: 0.05})
    began = now()
    relaxed = asyncio.create_task(vectors(sent, "relaxed", ticket(lane=Lane.RELAXED)))
    await asyncio.sleep(0.01)
    await vectors(sent, "now")
    await relaxed
    assert now() - began == pytest.approx(0.022)
    held = ticket(lane=Lane.RELAXED)
    began = now()
    relaxed = asyncio.create_task(vectors(sent, "relaxed", held))
    await asyncio.sleep(0.01)
    sent.hurry(held, Lane.INTERACTIVE)
    await relaxed
    assert now() - began == pytest.approx(0.021)
    assert engine.batches == [2, 1]


@virtual_time
async def test_nobody_lingers_past_half_of_its_time() -> None:
    """A call whose answer is wanted soon waits for others for less than the window."""
    engine = Engine()
    sent = line(engine, linger_s={Lane.RELAXED: 10.0})
    began = now()
    await vectors(sent, "soon", ticket(lane=Lane.RELAXED, patience_s=1.0))
    assert now() - began == pytest.approx(0.511)


@virtual_time
async def test_what_is_piled_up_counts_as_waiting() -> None:
    """Queue depth is what callers wait for: calls in the pile, each once, in their lanes."""
    engine = Engine(fixed_s=1.0)
    sent = line(engine, Limits(max_concurrency=1, min_concurrency=1))
    tasks = [asyncio.create_task(vectors(sent, "under way"))]
    await asyncio.sleep(0.1)
    tasks += [asyncio.create_task(vectors(sent, str(at))) for at in range(5)]
    tasks += [asyncio.create_task(vectors(sent, str(at), ticket(lane=Lane.RELAXED))) for at in range(3)]
    tasks += [asyncio.create_task(vectors(sent, str(at), dimensions=2)) for at in range(2)]
    await asyncio.sleep(0.1)
    assert sent.state().queued == {Lane.INTERACTIVE: 7, Lane.RELAXED: 3, Lane.BATCH: 0}
    await asyncio.gather(*tasks)
    assert set(sent.state().queued.values()) == {0}
    await at_rest(sent)


@virtual_time
async def test_a_full_pile_refuses_with_a_time_to_come_back() -> None:
    """What waits is bounded: further calls are told at once, and nothing of them stays."""
    engine = Engine(fixed_s=2.0)
    sent = line(engine, max_waiting=9, most=Load(5, 100_000, 2**20))
    tasks = [asyncio.create_task(vectors(sent, str(at))) for at in range(5)]
    await asyncio.sleep(0.1)
    tasks += [asyncio.create_task(vectors(sent, str(at))) for at in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await vectors(sent, "one more", dimensions=7)
    assert (refused.value.status, refused.value.code) == (429, "queue_full")
    assert refused.value.retry_after_s is not None
    await asyncio.gather(*tasks)
    await at_rest(sent)


@virtual_time
async def test_a_full_pile_has_room_for_a_tenant_that_has_nobody_in_it() -> None:
    """One tenant's burst fills the pile: its newest call is told so, whatever it asks, and another tenant's goes along."""
    engine = Engine(fixed_s=2.0)
    sent = line(engine, Limits(max_concurrency=1, min_concurrency=1), max_waiting=20)
    first = asyncio.create_task(vectors(sent, "first", ticket("burst")))
    await asyncio.sleep(0.1)
    burst = [
        asyncio.create_task(vectors(sent, str(at), ticket("burst"), dimensions=at % 2 or None))
        for at in range(22)
    ]
    await asyncio.sleep(0)
    single = asyncio.create_task(vectors(sent, "single", ticket("single")))
    urgent = asyncio.create_task(vectors(sent, "late", ticket("late", Lane.RELAXED)))
    ended = await asyncio.gather(first, *burst, return_exceptions=True)
    told = [one.code for one in ended if isinstance(one, Refusal)]
    assert told == ["queue_full"] * (sent.state().turned_away - 1)
    assert len(told) >= 2
    assert await single == ["single"]
    with pytest.raises(Refusal, match="wait for engine already"):
        await urgent
    await at_rest(sent)


@virtual_time
async def test_who_would_join_a_wait_that_is_too_long_is_told_at_once() -> None:
    """Those that wait for a paused upstream, or behind many batches, tell newcomers how long it takes."""
    pause = UpstreamFailure(429, "slow", "Slow.", sharing=TRANSIENT, retry_after_s=30)
    engine = Engine(failures=[pause])
    sent = line(engine)
    with pytest.raises(UpstreamFailure):
        await vectors(sent, "refused")
    patient = asyncio.create_task(vectors(sent, "patient"))
    await asyncio.sleep(0.1)
    began = now()
    with pytest.raises(Refusal) as told:
        await vectors(sent, "hasty", ticket(patience_s=10))
    assert (told.value.code, now()) == ("deadline_unreachable", began)
    assert told.value.retry_after_s == pytest.approx(30, rel=0.05)
    assert sent.state().given_up == 1
    assert await vectors(sent, "joins", ticket(patience_s=40)) == ["joins"]
    assert await patient == ["patient"]
    slow = Engine(fixed_s=2.0)
    sent = line(slow, most=Load(5, 100_000, 2**20))
    await vectors(sent, "so that the line knows how long calls take")
    tasks = [asyncio.create_task(vectors(sent, str(at))) for at in range(31)]
    await asyncio.sleep(0.1)
    with pytest.raises(Refusal):
        await vectors(sent, "hasty", ticket(patience_s=5))
    assert await vectors(sent, "patient", ticket(patience_s=20)) == ["patient"]
    await asyncio.gather(*tasks)
    await at_rest(sent)


@virtual_time
async def test_what_comes_too_late_is_not_sent() -> None:
    """A call whose deadline passed while it waited is told so, and the others go without it."""
    engine = Engine(fixed_s=2.0)
    sent = line(engine)
    first = asyncio.create_task(vectors(sent, "first"))
    await asyncio.sleep(0.1)
    late = asyncio.create_task(vectors(sent, "late", ticket(patience_s=1.0)))
    later = asyncio.create_task(vectors(sent, "later"))
    await asyncio.wait([first, late, later])
    assert later.result() == ["later"]
    error = late.exception()
    assert isinstance(error, Refusal)
    assert error.code == "deadline_unreachable"
    assert engine.batches == [1, 1]


@virtual_time
async def test_a_refused_turn_is_told_to_those_that_it_concerns() -> None:
    """Where the line turns a carrier away, its tenant's calls are told; another's with more time goes on waiting."""
    engine = Engine(fixed_s=1.0)
    sent = line(engine, Limits(max_concurrency=1, min_concurrency=1))
    for _ in range(5):
        await vectors(sent, "so that the line knows how long calls take")
    other = asyncio.create_task(vectors(sent, "other parameters", dimensions=3))
    await asyncio.sleep(0.1)
    hasty = asyncio.create_task(vectors(sent, "hasty", ticket("hasty", patience_s=0.01)))
    patient = asyncio.create_task(vectors(sent, "patient", ticket("patient")))
    await asyncio.wait([other, hasty, patient])
    error = hasty.exception()
    assert isinstance(error, Refusal)
    assert error.code == "deadline_unreachable"
    assert patient.result() == ["patient"]
    await at_rest(sent)


@virtual_time
async def test_who_is_dismissed_is_told_at_once_and_what_is_under_way_goes_on() -> None:
    """A line whose upstream is left alone tells all that wait for others, lingering ones too, and keeps nothing."""
    engine = Engine(fixed_s=1.0)
    sent = line(engine, linger_s={Lane.RELAXED: 5.0})
    first = asyncio.create_task(vectors(sent, "first"))
    await asyncio.sleep(0.1)
    relaxed = ticket(lane=Lane.RELAXED)
    waiting = [asyncio.create_task(vectors(sent, str(at))) for at in range(5)]
    waiting.append(asyncio.create_task(vectors(sent, "lingers", relaxed, dimensions=3)))
    await asyncio.sleep(0.1)
    began = now()
    sent.dismiss(lambda: Refusal(503, "upstream_unavailable", "Later."))
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [one.code for one in told if isinstance(one, Refusal)] == ["upstream_unavailable"] * 6
    assert now() == began
    assert await first == ["first"]
    assert await vectors(sent, "next") == ["next"]
    await at_rest(sent)


@virtual_time
async def test_the_true_count_of_tokens_is_settled_for_all() -> None:
    """Each caller's usage replaces its own estimate in what the line was told; those that say nothing stay estimated."""
    engine = Engine()
    sent = line(engine)
    passages = await asyncio.gather(*(ask(sent, embedding(str(at))) for at in range(4)))
    key = sent._admission._ring.own.keys[0]
    assert key._tokens_sent == 40
    passages[0].settle(Usage(prompt_tokens=3))
    assert key._tokens_sent == 33
    passages[1].settle(Usage(prompt_tokens=3, completion_tokens=4))
    assert key._tokens_sent == 30
    passages[2].settle(Usage())
    assert key._tokens_sent == 30


@virtual_time
async def test_a_bug_is_told_rather_than_waited_for() -> None:
    """Whatever goes wrong on the way, nobody waits for ever."""

    class Broken(Engine):
        async def open(self, call: object) -> object:  # type: ignore[override] # noqa: ARG002 - the port's shape
            raise ZeroDivisionError

    sent = line(Broken())
    answers = await asyncio.gather(*(vectors(sent, str(at)) for at in range(3)), return_exceptions=True)
    assert all(isinstance(answer, ZeroDivisionError) for answer in answers)
    await at_rest(sent)
