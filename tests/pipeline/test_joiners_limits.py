"""What is held back of a budget for callers that join a call, by who pays for it."""

from __future__ import annotations

import asyncio

import pytest

from askonce.config import loads
from askonce.errors import LimitExceeded, Refusal
from askonce.model import Endpoint
from askonce.wiring import open_gateway

SETTINGS = """
upstreams: [{{type: simulated, ttft_ms: 50, tokens_per_second: 1000000}}]
defaults: {{semantic: "off"}}
prices: {{"sim-*": {{input: 1, output: 1}}}}
default_tenant: {{limits: {{usd_per_day: 0.001, tokens_per_minute: 900}}}}
ledger: {{cost_policy: {policy}}}
"""
BODY = b'{"model": "sim-small", "max_tokens": 400, "messages": [{"role": "user", "content": "all together"}]}'


@pytest.mark.parametrize(("policy", "let_through"), [("leader", 6), ("split", 2)])
async def test_who_pays_a_part_is_held_to_the_budget_until_it_is_known(policy: str, let_through: int) -> None:
    """Of six that ask at once, each of whom may cost two fifths of the budget; joiners' tokens are free either way.

    Where the leader pays all, the others cost nothing and are let on board.
    """
    running = await open_gateway(loads(SETTINGS.format(policy=policy), "test", {}))
    gateway = running.gateway
    asked = gateway.understand(Endpoint.CHAT, {b"authorization": b"Bearer k"}, BODY)
    replies = [gateway.answer(asked) for _ in range(6)]
    refused: list[Refusal] = []
    for reply in replies:
        try:
            await reply.start()
        except LimitExceeded as error:
            refused.append(error)
    assert len(replies) - len(refused) == let_through
    assert {error.code for error in refused} <= {"budget_exceeded"}
    await asyncio.sleep(0)
    for reply in replies:
        reply.leave()
    assert gateway.flights.running == 0
    standings = {one.limit: one.used for one in gateway.parts.allowances.standings()}
    answer = replies[0].answer
    assert answer is not None
    assert standings["usd_per_day"] == answer.cost_nanousd
    assert standings["tokens_per_minute"] == answer.usage.prompt_tokens + answer.usage.completion_tokens
    await running.close()
