"""The simulated provider's batches: worked off after a while, with faults and books."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from askonce.errors import UpstreamFailure
from askonce.observe.clock import SystemClock
from askonce.upstreams.simulated import BatchRules, SimulatedBatches, SimulatedUpstream, Simulation
from virtual_time import virtual_time


def batches(**rules: float) -> SimulatedBatches:
    clock = SystemClock()
    return SimulatedBatches(SimulatedUpstream(Simulation(), clock), BatchRules(**rules), clock, 0)


def line(name: str, question: str, **fields: Any) -> dict[str, Any]:
    body = {"model": "sim", "messages": [{"role": "user", "content": question}], **fields}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def hand_in(provider: SimulatedBatches, *lines: dict[str, Any]) -> dict[str, Any]:
    content = "\n".join(json.dumps(one) for one in lines).encode()
    file = provider.upload("x.jsonl", "batch", content)
    return provider.create(
        {
            "input_file_id": file["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"a": "b"},
        }
    )


def lines_of(provider: SimulatedBatches, batch: dict[str, Any], kind: str) -> dict[str, Any]:
    if batch[kind] is None:
        return {}
    rows = provider.file(batch[kind])[1].splitlines()
    return {row["custom_id"]: row for row in map(json.loads, rows)}


@virtual_time
async def test_a_batch_goes_through_its_states() -> None:
    """And ends with an output file for what was answered and an error file for what wasn't."""
    provider = batches(delay_s=8.0)
    bad = {"x_simulate": {"status": 400, "code": "context_length_exceeded"}}
    batch = hand_in(provider, line("a", "One?"), line("b", "Two?", **bad))
    seen = [batch["status"]]
    for _ in range(20):
        await asyncio.sleep(0.5)
        status = provider.batch(batch["id"])["status"]
        if status != seen[-1]:
            seen.append(status)
    assert seen == ["validating", "in_progress", "finalizing", "completed"]
    answered = lines_of(provider, batch, "output_file_id")
    failed = lines_of(provider, batch, "error_file_id")
    assert "One" in answered["a"]["response"]["body"]["choices"][0]["message"]["content"]
    assert failed["b"]["response"]["status_code"] == 400
    assert batch["request_counts"] == {"total": 2, "completed": 1, "failed": 1}


@virtual_time
async def test_the_books_tell_what_is_handed_in_twice() -> None:
    """Under whatever name; but not what the provider itself has failed."""
    provider = batches(delay_s=1.0)
    hand_in(provider, line("a", "One?"))
    hand_in(provider, line("z", "One?"), line("b", "Two?"))
    await asyncio.sleep(2)
    assert provider.books["repeated_lines"] == 1
    failing = batches(delay_s=1.0, fail_rate=1.0)
    hand_in(failing, line("a", "One?"))
    await asyncio.sleep(2)
    hand_in(failing, line("a", "One?"))
    await asyncio.sleep(2)
    assert failing.books["repeated_lines"] == 0
    assert failing.books["failed"] == 2


@virtual_time
async def test_a_cancelled_batch_answers_nothing_more() -> None:
    """Its lines are in the error file; once it has ended it can't be cancelled."""
    provider = batches(delay_s=4.0)
    batch = hand_in(provider, line("a", "One?"))
    await asyncio.sleep(1.5)
    assert provider.cancel(batch["id"])["status"] == "cancelling"
    await asyncio.sleep(5)
    assert batch["status"] == "cancelled"
    assert lines_of(provider, batch, "error_file_id")["a"]["error"]["code"] == "batch_cancelled"
    with pytest.raises(UpstreamFailure):
        provider.cancel(batch["id"])


@pytest.mark.parametrize(
    "lines",
    [
        [line("a", "One?"), line("a", "Two?")],
        [line("a", "One?"), {**line("b", "Two?"), "body": {"model": "other", "messages": []}}],
        [{**line("a", "One?"), "url": "/v1/embeddings"}],
        [{"custom_id": "a"}],
    ],
)
@virtual_time
async def test_a_file_that_is_wrong_fails_the_whole_batch(lines: list[dict[str, Any]]) -> None:
    """Doubled names, several models, another endpoint, no body: with the reason."""
    provider = batches(delay_s=1.0)
    batch = hand_in(provider, *lines)
    await asyncio.sleep(2)
    assert batch["status"] == "failed"
    assert batch["errors"]["data"][0]["code"] in {"mismatched_lines", "invalid_json_line"}
    assert provider.books["lines"] == 0
