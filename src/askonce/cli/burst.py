"""Sends planned traffic to a gateway through the official `openai` client, and notes how each request fared."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openai import APIError, AsyncOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.cli.sample import PlannedRequest, Sample

__all__ = ["Observation", "send_all"]

_PATIENCE_S = 60.0
"""For each step of a request, connecting too: the client's own 5 s for that are short on a busy machine."""
_SYSTEM = "You are the help desk of a maker of home routers. Answer in a few sentences."
MODEL = "sim-support"


@dataclass(frozen=True, slots=True)
class Observation:
    """How one request fared.

    Attributes:
        planned: What was asked.
        outcome: The gateway's word for how it was answered; `failed` where it wasn't.
        reason: Its reason code.
        first_s: Seconds to the first content.
        whole_s: Seconds to the end.
        text: The answer.
        right: Whether it is the answer that this question should get.
    """

    planned: PlannedRequest
    outcome: str
    reason: str
    first_s: float
    whole_s: float
    text: str
    right: bool


async def send_all(
    base_url: str,
    sample: Sample,
    plan: Sequence[PlannedRequest],
    seen: Callable[[Observation], None],
) -> list[Observation]:
    """Sends each request at its time; `seen` hears of each as it ends."""
    async with AsyncOpenAI(
        base_url=base_url, api_key="demo-key", max_retries=0, timeout=_PATIENCE_S
    ) as client:
        began = time.monotonic()

        async def at_its_time(planned: PlannedRequest) -> Observation:
            await asyncio.sleep(max(0.0, began + planned.at_s - time.monotonic()))
            observation = await _send(client, sample, planned)
            seen(observation)
            return observation

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(at_its_time(planned)) for planned in plan]
        return [task.result() for task in tasks]


async def _send(client: AsyncOpenAI, sample: Sample, planned: PlannedRequest) -> Observation:
    began = time.monotonic()
    try:
        ask = _stream if planned.stream else _whole
        outcome, reason, first_s, text = await ask(client, planned, began)
    except APIError as error:
        outcome, reason, first_s, text = "failed", type(error).__name__, 0.0, ""
    whole_s = time.monotonic() - began
    right = sample.is_right(planned.intent, text)
    return Observation(planned, outcome, reason, first_s or whole_s, whole_s, text, right)


async def _whole(client: AsyncOpenAI, planned: PlannedRequest, _: float) -> tuple[str, str, float, str]:
    raw = await client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=[{"role": "system", "content": _SYSTEM}, {"role": "user", "content": planned.question}],
    )
    text = raw.parse().choices[0].message.content or ""
    return raw.headers["x-askonce-outcome"], raw.headers["x-askonce-reason"], 0.0, text


async def _stream(client: AsyncOpenAI, planned: PlannedRequest, began: float) -> tuple[str, str, float, str]:
    raw = await client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=[{"role": "system", "content": _SYSTEM}, {"role": "user", "content": planned.question}],
        stream=True,
    )
    first_s, parts = 0.0, []
    async for chunk in raw.parse():
        for choice in chunk.choices:
            if choice.delta.content:
                first_s = first_s or time.monotonic() - began
                parts.append(choice.delta.content)
    return raw.headers["x-askonce-outcome"], raw.headers["x-askonce-reason"], first_s, "".join(parts)
