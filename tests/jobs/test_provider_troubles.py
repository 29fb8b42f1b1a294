"""Providers that fail batches, refuse them, lose them, and answer with noise: on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from askonce.errors import Sharing, UpstreamFailure
from askonce.job import JobState
from askonce.stores.ledger.kinds import Kinds
from askonce.stores.ledger.page import Page
from jobs.players import Players, answered, broken
from jobs.waits import ACME, expired, until_batches, until_ended
from virtual_time import virtual_time


@virtual_time
async def test_what_a_batch_leaves_unanswered_goes_into_another_and_then_on_its_own() -> None:
    """Expired lines and failed batches are tried again, so many times; then the line is sent one by one."""
    players = Players(wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    await players.submit("b")
    (first,) = await until_batches(players, 1)
    players.api.end(first, answer=lambda question: answered(question) if question == "a" else expired())
    await until_ended(players, "a")
    _, second = await until_batches(players, 2)
    assert players.api.handed_in == ["a", "b", "b"]
    players.api.end(second, status="failed")
    await asyncio.sleep(60)
    assert len(players.sender.taken) == 1
    assert len(players.api.batches) == 2
    await players.engine.close()


@virtual_time
async def test_a_line_that_the_provider_refuses_fails_its_jobs_alone() -> None:
    """With the provider's own error object; a server error isn't the request's fault and is tried again."""
    refusal = {
        "status_code": 400,
        "body": {"error": {"message": "Too long.", "code": "context_length_exceeded"}},
    }
    moment = {"status_code": 503, "body": {"error": {"message": "Busy."}}}
    fates: dict[str, dict[str, Any]] = {
        "a": {"response": refusal},
        "b": {"response": moment},
        "c": answered("c"),
    }
    players = Players(wait_s=1.0)
    players.engine.start()
    for name in fates:
        await players.submit(name)
    (first,) = await until_batches(players, 1)
    players.api.end(first, answer=fates.__getitem__)
    failed, fine = await until_ended(players, "a", "c")
    assert (failed.state, fine.state) == (JobState.FAILED, JobState.COMPLETED)
    assert orjson.loads(failed.error) == {
        "message": "Too long.", "type": "invalid_request_error", "param": None, "code": "context_length_exceeded",
    }  # fmt: skip
    await until_batches(players, 2)
    assert players.api.handed_in[3:] == ["b"]
    await players.engine.close()


@virtual_time
async def test_a_batch_that_the_provider_will_not_have_is_not_insisted_on() -> None:
    """Its lines are tried in another, then one by one, where each hears what is wrong with it."""
    players = Players(wait_s=1.0)
    players.engine.start()
    players.api.trouble["create"] = broken(Sharing.FATAL, 400)
    await players.submit("a")
    (batch,) = await until_batches(players, 1)
    assert players.api.asked.count("create chat/completions") == 2
    assert [identity for identity, _ in players.api.files.items()] == [
        players.api.batches[batch][1].input_file
    ], "the refused file is deleted"
    await players.engine.close()


@virtual_time
async def test_a_refused_key_of_the_gateways_own_costs_no_attempt() -> None:
    """It is the operator's to mend: the batch waits and goes on."""
    players = Players(wait_s=1.0)
    players.engine.start()
    players.api.trouble["create"] = UpstreamFailure(502, "upstream_credential", "No.", sharing=Sharing.FATAL)
    await players.submit("a")
    (batch,) = await until_batches(players, 1)
    players.api.end(batch)
    await until_ended(players, "a")
    assert players.api.handed_in == ["a"]
    await players.engine.close()


@virtual_time
async def test_a_provider_without_room_is_waited_for() -> None:
    """Too much of ours waits there already: that is no failed attempt, however often; the deadline still counts."""
    players = Players(wait_s=1.0)
    players.engine.start()
    now = players.clock.now()
    await players.submit("a", fallback_at=now + 2_500, deadline_at=now + 2_600)
    for count in range(1, 4):
        for _ in range(700):
            if len(players.api.batches) >= count:
                break
            await asyncio.sleep(1)
        players.api.end(list(players.api.batches)[-1], status="failed", reason="token_limit_exceeded")
    assert players.sender.taken == []
    await asyncio.sleep(1_500)
    assert len(players.api.batches) == 4
    assert len(players.sender.taken) == 1
    await players.engine.close()


@virtual_time
async def test_a_batch_that_is_denied_once_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that doesn't know its new batch for a moment is not handed another one; one that has lost it is."""
    players = Players(wait_s=1.0)
    players.engine.start()
    players.api.trouble["retrieve"] = broken(Sharing.FATAL, 404)
    await players.submit("a")
    (batch,) = await until_batches(players, 1)
    await asyncio.sleep(30)
    assert len(players.api.batches) == 1

    async def lost(_: str) -> Any:
        raise broken(Sharing.FATAL, 404)

    retrieve = players.api.retrieve
    monkeypatch.setattr(players.api, "retrieve", lost)
    for _ in range(100):
        if len(players.api.batches) == 2:
            break
        await asyncio.sleep(1)
    monkeypatch.setattr(players.api, "retrieve", retrieve)
    players.api.end(list(players.api.batches)[-1])
    assert (await until_ended(players, "a"))[0].state is JobState.COMPLETED
    assert batch in players.api.batches
    await players.engine.close()


NOISE = [
    b"\xff\xfe", b"[]", b"null", b"{", b'{"custom_id": null}', b'{"custom_id": 7}', b'{"custom_id": "line-1_0"}',
    b'{"custom_id": "line-999999999999999999999999"}', b'{"custom_id": "line-' + b"9" * 5_000 + b'"}',
    b'{"custom_id": "line-77", "response": {"status_code": 200, "body": {}}}', b'{"custom_id": "theirs"}',
]  # fmt: skip


@virtual_time
async def test_noise_in_a_result_file_costs_nobody_else() -> None:
    """Lines that are garbage, of nobody, or of somebody again: the first answer counts, the others go on."""
    players = Players()
    players.engine.start()
    for name in ("a", "b", "c"):
        await players.submit(name)
    (batch,) = await until_batches(players, 1)
    players.api.end(batch, answer=lambda question: answered(question) if question != "c" else {"response": 5})
    lines = players.api.results_of[f"out-{batch}"]
    again = [orjson.dumps({**orjson.loads(lines[0]), **expired()})]
    players.api.results_of[f"out-{batch}"] = [*NOISE, *lines, *again, *NOISE]
    for one in await until_ended(players, "a", "b"):
        assert one.answer is not None
        assert f"About {one.request_id}".encode() in one.answer.fields
    _, second = await until_batches(players, 2)
    players.api.end(second)
    await until_ended(players, "c")
    assert players.api.handed_in == ["a", "b", "c", "c"]
    await players.engine.close()


@pytest.mark.parametrize("status", [401, 403, 302, 0])
@virtual_time
async def test_what_is_not_the_requests_fault_fails_no_job(status: int) -> None:
    """The gateway's own key, or a status that says nothing: asked again, and the provider's words aren't shown."""
    players = Players(wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    (first,) = await until_batches(players, 1)
    body = {"error": {"message": "Incorrect API key provided: sk-ow**."}}
    players.api.end(first, answer=lambda _: {"response": {"status_code": status, "body": body}})
    _, second = await until_batches(players, 2)
    players.api.end(second)
    assert (await until_ended(players, "a"))[0].state is JobState.COMPLETED
    await players.engine.close()


@virtual_time
async def test_a_bug_in_reading_one_result_costs_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of its batch are answered, and the batch comes to its end."""
    players = Players(wait_s=1.0)
    read = players.results._answered

    def failing(batch: Any, line: Any, body: bytes, charges: Any) -> Any:
        if b"About a" in body:
            raise ZeroDivisionError
        return read(batch, line, body, charges)

    monkeypatch.setattr(players.results, "_answered", failing)
    players.engine.start()
    await players.submit("a")
    await players.submit("b")
    (first,) = await until_batches(players, 1)
    players.api.end(first)
    assert (await until_ended(players, "b"))[0].state is JobState.COMPLETED
    await until_batches(players, 2)
    assert players.api.handed_in == ["a", "b", "a"]
    await players.engine.close()


@virtual_time
async def test_results_that_nobody_wants_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be read keeps a batch open only as long as somebody waits for it."""
    players = Players(wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    (batch,) = await until_batches(players, 1)

    async def unreadable(_: str) -> Any:
        players.api.asked.append("results")
        raise broken()
        yield b""

    monkeypatch.setattr(players.api, "results", unreadable)
    players.api.end(batch)
    await asyncio.sleep(30)
    assert (await players.jobs.totals()).batches == {"submitted": 1}
    await players.jobs.cancel(ACME, "a", players.clock.now())
    await asyncio.sleep(30)
    assert (await players.jobs.totals()).batches == {}
    assert players.api.files == {}
    await players.engine.close()


@virtual_time
async def test_a_bug_costs_a_pause_and_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong on a batch's way, it is taken up again, and nothing is asked twice."""
    players = Players(wait_s=1.0)
    take, failures = players.results.take, [ZeroDivisionError(), KeyError()]

    async def failing(*args: Any) -> None:
        if failures:
            raise failures.pop()
        await take(*args)

    monkeypatch.setattr(players.results, "take", failing)
    players.engine.start()
    await players.submit("a")
    (batch,) = await until_batches(players, 1)
    players.api.end(batch)
    await asyncio.sleep(60)
    assert (await until_ended(players, "a"))[0].state is JobState.COMPLETED
    assert players.api.handed_in == ["a"]
    await players.engine.close()


@virtual_time
async def test_what_a_batch_cost_is_known_before_its_jobs_end_and_told_after() -> None:
    """A result's charge is written down first, under a name that is the same should it be read again; half is saved."""
    players = Players(wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    (first,) = await until_batches(players, 1)
    players.api.end(first)
    (job,) = await until_ended(players, "a")
    (charge,) = players.observer.charges
    assert players.observer.begun == [charge]
    assert charge.usage is not None
    assert (charge.cost_nanousd, charge.saved_batch_nanousd) == (job.spent_nanousd, job.spent_nanousd)
    assert [(one.outcome, one.nanousd) for one in charge.shares] == [("batch", job.spent_nanousd)]
    await players.engine.close()


@virtual_time
async def test_the_books_know_what_jobs_got_and_saved() -> None:
    """Jobs are in the ledger as requests are: under their account, with tokens, and what the second of two saved."""
    players = Players(wait_s=1.0)
    players.engine.start()
    for name in ("a", "again"):
        await players.submit(
            name, key=b"one question", tenant="key:0123456789abcdef0123", label="pass-through"
        )
    (batch,) = await until_batches(players, 1)
    players.api.end(batch)
    await asyncio.sleep(60)
    await players.engine.close()
    (charge,) = players.observer.charges
    page = Page(Kinds())
    page.add_up(charge)
    for record in players.observer.records:
        page.request(record._replace(model="an alias"), players.clock.now())
    sums = {(kind.tenant, kind.model, kind.outcome): line.sums() for kind, line in page.lines.items()}
    whose = ("key:0123456789ab", "sim-small")
    assert charge.usage is not None
    assert {key: one.input_tokens for key, one in sums.items()} == {
        (*whose, "batch"): 0,
        (*whose, "fresh"): charge.usage.prompt_tokens,
        (*whose, "joined"): charge.usage.prompt_tokens,
    }
    assert sums[*whose, "batch"].spent_nanousd == sums[*whose, "batch"].saved_batch_nanousd > 0
    assert sums[*whose, "joined"].saved_inflight_nanousd == charge.cost_nanousd


@virtual_time
async def test_an_answer_that_nobody_wants_any_more_is_paid_for() -> None:
    """A job is cancelled while its batch runs: the provider answers all the same, and its bill is the tenant's."""
    players = Players(wait_s=1.0)
    players.engine.start()
    await players.submit("a")
    await players.submit("b")
    (batch,) = await until_batches(players, 1)
    await players.jobs.cancel(ACME, "a", players.clock.now())
    players.api.end(batch)
    await until_ended(players, "b")
    await asyncio.sleep(1)
    charges = {charge.shares[0].outcome: charge for charge in players.observer.charges}
    assert charges.keys() == {"batch", "abandoned"}
    assert charges["abandoned"].cost_nanousd == charges["batch"].cost_nanousd
    (share,) = charges["abandoned"].shares
    assert (share.tenant, share.feature, share.label) == ("acme", "default", "acme")
    await players.engine.close()
