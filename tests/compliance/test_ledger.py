"""The ledger against the provider's own books: call by call, to the token and the nano-dollar, whatever is killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from askonce.config import loads
from askonce.model import Usage
from askonce.ports import CallEntry, Span, Sums
from askonce.stores.ledger import open_books
from askonce.wiring.adapters import prices
from compliance.jobs_front import BATCH, find
from compliance.random_day import CONFIG, Asked, Callers, day, undisturbed
from servers import Server, running, simulator, until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from compliance.random_day import Seen

ALL = Span(0, 10**7)
NAMES = ("acme", "other", "third", "admin")
PRICES = prices(loads("upstreams: [{type: simulated}]", "test", {}))


class Shop:
    """A provider that stays, and a gateway on one port and one store that is started again and again."""

    def __init__(self, folder: Path, upstream: Server, policy: str, semantic: str = "off") -> None:
        self.folder = folder
        self.upstream = upstream
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in NAMES}
        config = CONFIG.format(
            folder=folder, upstream=upstream.base_url, policy=policy, semantic=semantic, **keys
        )
        self.file = folder / "askonce.yaml"
        self.file.write_text(f"listen: 127.0.0.1:{self.port}\n{config}")

    def open(self) -> Any:
        return running("serve", "-c", str(self.file), log=self.folder / "gateway.log")

    def check(self) -> tuple[Sums, list[CallEntry]]:
        """Compares the closed ledger with the provider's books; returns its sums and calls."""
        provider = self.upstream.json("/books")
        with open_books(self.folder / "askonce.ledger.db") as books:
            calls = books.calls(ALL, 10**6)
            sums = books.sums(ALL, ())[()]
        assert not list(self.folder.glob("*.journal-*"))
        assert len({(one.call, one.part) for one in calls}) == len(calls)
        by_call: dict[str, list[CallEntry]] = {}
        for one in calls:
            by_call.setdefault(one.call, []).append(one)
        assert set(provider) <= set(by_call)
        for call, entries in by_call.items():
            took = provider.get(call)
            if not all(one.settled for one in entries):
                continue
            assert took is not None or not sum(one.input_tokens for one in entries), call
            if took is not None:
                assert took["calls"] == 1
                assert _tokens(entries) == (took["prompt_tokens"], took["completion_tokens"]), (
                    call,
                    took,
                    entries,
                )
        return sums, calls


def _tokens(entries: Iterable[CallEntry]) -> tuple[int, int]:
    return sum(one.input_tokens for one in entries), sum(one.output_tokens for one in entries)


def _money(calls: Iterable[CallEntry]) -> int:
    """Tokens times prices, call by call."""
    usages = (
        (one.model, Usage(one.input_tokens, one.output_tokens, one.cached_tokens))
        for one in calls
        if one.settled
    )
    return sum(PRICES.cost_nanousd(model, usage) or 0 for model, usage in usages)


def _agree(sums: Sums, calls: list[CallEntry]) -> None:
    settled = [one for one in calls if one.settled]
    assert (sums.billed_input_tokens, sums.billed_output_tokens) == _tokens(settled)
    assert sums.spent_nanousd == _money(calls)
    assert sums.calls == sum(one.part == 0 for one in settled)
    assert sums.unsettled == sum(one.part == 0 for one in calls if not one.settled)


def _idle(upstream: Server, server: Server) -> bool:
    """Whether no call has come to the upstream for a while, and the ledger has all of them."""
    before = upstream.json("/stats")["calls"]
    time.sleep(0.3)
    pending = server.json("/healthz")["ledger"]["pending_calls"]
    stats = upstream.json("/stats")
    return bool(stats["calls"] == before and not stats["running"] and not pending)


def _would_have_cost(answers: Iterable[tuple[str, dict[str, Any]]]) -> int:
    """What answers come to where each is paid for."""
    usages = (
        (model, Usage(usage["prompt_tokens"], usage.get("completion_tokens", 0))) for model, usage in answers
    )
    return sum(PRICES.cost_nanousd(model, usage) or 0 for model, usage in usages)


def _quiet_day(folder: Path, policy: str, asked: list[Asked], semantic: str = "off") -> tuple[Sums, Seen]:
    with simulator(folder) as upstream:
        shop = Shop(folder, upstream, policy, semantic)
        with shop.open() as server:
            if semantic != "off":
                until(
                    lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is loaded"
                )
            seen = asyncio.run(Callers(server.base_url).send(asked))
            until(lambda: server.metric("askonce_audits_waiting") == 0, "audits are done", 120)
            until(lambda: _idle(upstream, server), "nothing is under way")
            spent_usd = server.metric("askonce_spent_usd_total")
            saved_usd = server.metric("askonce_saved_usd_total")
            requests = server.metric("askonce_requests_total")
            assert server.stop() == 0
        sums, calls = shop.check()
    _agree(sums, calls)
    assert spent_usd == pytest.approx(sums.spent_nanousd * 1e-9)
    saved = sums.saved_exact_nanousd + sums.saved_inflight_nanousd + sums.saved_semantic_nanousd
    assert saved_usd == pytest.approx(saved * 1e-9)
    assert seen.saved_usd <= saved * 1e-9 + 1e-9
    assert {"fresh", "joined", "exact", "gone"} <= set(seen.outcomes)
    assert sums.requests == requests <= len(asked)
    assert any(not one.settled for one in calls)
    assert any(one.part for one in calls)
    return sums, seen


@pytest.mark.parametrize("policy", ["leader", pytest.param("split", marks=pytest.mark.slow)])
def test_a_random_day_reconciles_to_the_token(tmp_path: Path, policy: str) -> None:
    """Streams, joiners, leavers, upstream faults, shared embedding calls: each call that went out is in the ledger once."""
    _quiet_day(tmp_path, policy, list(day(7, 150, 0.8)))


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["leader", "split"])
def test_what_was_spent_and_saved_is_what_all_answers_would_have_cost(tmp_path: Path, policy: str) -> None:
    """To the nano-dollar: each caller's and each job's answer is paid for, or saved by one layer, and by one alone."""
    asked = undisturbed(day(5, 400, 2))
    with simulator(tmp_path, "--batch-delay", "0.2") as upstream:
        shop = Shop(tmp_path, upstream, policy)
        with shop.open() as server:
            seen = asyncio.run(Callers(server.base_url).send(asked))
            for number in range(12):
                body = {"model": "sim-small", "messages": [{"role": "user", "content": f"Job {number % 5}?"}]}
                server.post("/v1/chat/completions", body, {**BATCH, "X-Request-Id": f"job-{number}"})
            jobs = [find(server, f"job-{number}")[1] for number in range(12)]
            until(lambda: _idle(upstream, server), "nothing is under way")
            assert server.stop() == 0
        sums, calls = shop.check()
    with open_books(tmp_path / "askonce.ledger.db") as books:
        batch = books.sums(ALL, (), {"outcome": "batch"})[()]
    assert all(job["status"] == "completed" for job in jobs)
    assert len(seen.answers) == len(asked)
    assert {"fresh", "joined", "exact"} <= set(seen.outcomes)
    of_jobs = [_would_have_cost([(job["model"], job["response"]["usage"])]) for job in jobs]
    saved_by_joining = sum(of_jobs) - sum(of_jobs[:5])
    # Those that joined a batch's line save what it cost there.
    by_all_layers = sums.spent_nanousd + sums.saved_nanousd + saved_by_joining // 2
    assert by_all_layers == _would_have_cost(seen.answers) + sum(of_jobs)
    assert batch.spent_nanousd == batch.saved_batch_nanousd == sum(of_jobs[:5]) // 2
    assert sums.unsettled == 0
    assert len([call for call in calls if call.outcome == "batch"]) == 5


def _killed_day(folder: Path, asked: list[Asked], kills: int, seed: int) -> tuple[Sums, list[CallEntry]]:
    """A day on which the gateway is killed at random moments, and started again on the same files."""
    dice = random.Random(seed)  # noqa: S311 - reproducible, no secret

    async def live(shop: Shop) -> None:
        callers = asyncio.create_task(Callers(f"http://127.0.0.1:{shop.port}/v1").send(asked))
        for _ in range(kills):
            server = await asyncio.to_thread(_start, shop)
            await asyncio.to_thread(_until_more, upstream.json("/stats")["calls"] + dice.randrange(1, 80))
            server.process.kill()
            await asyncio.to_thread(server.process.wait)
        server = await asyncio.to_thread(_start, shop)
        await callers
        await asyncio.to_thread(_settle, server)

    def _until_more(calls: int) -> None:
        """Until so many calls have come to the upstream, or none come any more."""
        with contextlib.suppress(AssertionError):
            until(lambda: upstream.json("/stats")["calls"] >= calls, "so many calls", 3.0)

    def _settle(server: Server) -> None:
        until(lambda: upstream.json("/stats")["running"] == 0, "the upstream is idle")
        assert server.json("/healthz")["ledger"]["durable"]
        assert server.stop(signal.SIGTERM) == 0

    def _start(shop: Shop) -> Server:
        opened = shop.open()
        servers.append(opened)
        server: Server = opened.__enter__()
        return server

    servers: list[Any] = []
    with simulator(folder) as upstream:
        shop = Shop(folder, upstream, "split")
        try:
            asyncio.run(live(shop))
        finally:
            for opened in servers:
                opened.__exit__(None, None, None)
        return shop.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_random_moments_no_call_is_lost_or_counted_twice(tmp_path: Path, seed: int) -> None:
    """Every call that the provider heard of is settled with exactly its tokens, or listed as unsettled; none twice."""
    sums, calls = _killed_day(tmp_path, list(day(seed, 1_500, 14)), kills=6, seed=seed)
    _agree(sums, calls)
    assert any(not one.settled for one in calls)
    assert len([one for one in calls if one.settled]) > 30


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_large_day_reconciles_to_the_token(tmp_path: Path) -> None:
    """The same as the small day, with thousands of requests, semantic hits, and audits on the gateway's own account."""
    sums, seen = _quiet_day(tmp_path, "split", list(day(11, 3_000, 25)), semantic="on")
    assert sums.saved_semantic_nanousd > 0
    assert "semantic" in seen.outcomes
    with open_books(tmp_path / "askonce.ledger.db") as books:
        by_outcome = books.sums(ALL, ("outcome",))
    assert by_outcome["audit",].spent_nanousd > 0
    assert by_outcome["joined",].spent_nanousd > 0


@pytest.mark.slow
def test_killed_while_calls_are_under_way(tmp_path: Path) -> None:
    """Twenty calls have ended, twenty are in the air when the gateway is killed: so many are settled, so many unsettled."""

    def ask(number: int) -> Asked:
        fate = {"ttft_ms": 30_000 if number % 2 else 0, "tokens": 9}
        body = {
            "model": "sim-small",
            "messages": [{"role": "user", "content": f"Number {number}?"}],
            "x_simulate": fate,
        }
        return Asked(0.0, "acme", "default", "chat/completions", body, None)

    async def live(server: Server) -> None:
        callers = asyncio.create_task(Callers(server.base_url).send([ask(number) for number in range(40)]))
        await asyncio.to_thread(until, lambda: upstream.json("/stats")["calls"] == 40, "all are asked")
        await asyncio.to_thread(until, lambda: upstream.json("/stats")["running"] == 20, "half are answered")
        server.process.kill()
        await callers

    with simulator(tmp_path) as upstream:
        shop = Shop(tmp_path, upstream, "leader")
        with shop.open() as server:
            asyncio.run(live(server))
        with shop.open() as server:
            assert server.json("/healthz")["ledger"]["unsettled_calls"] >= 20
            server.stop()
        sums, calls = shop.check()
    _agree(sums, calls)
    settled = [one for one in calls if one.settled]
    assert len(calls) == 40
    # The kill may come between an answer and the gateway's reading of it.
    assert 15 <= len(settled) <= 20
    assert all(one.output_tokens == 9 for one in settled)
