"""Functions that stand for engines in the gateway's own process, good and bad ones."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from askonce.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Call

NOT_A_FUNCTION = 5


def plain(calls: list[Call]) -> list[Any]:
    """Not asynchronous, so no upstream."""
    return list(calls)


def answer(call: Call) -> dict[str, Any]:
    """Says what was asked, in OpenAI's shape."""
    body = json.loads(call.body)
    asked = body["messages"][-1]["content"]
    return {
        "id": "chatcmpl-engine",
        "object": "chat.completion",
        "created": 1,
        "model": call.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"You said: {asked}"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


async def echo(calls: list[Call]) -> list[Any]:
    """Answers each by itself; what is asked may be to fail."""
    await asyncio.sleep(0.01)
    return [one(call) for call in calls]


def one(call: Call) -> dict[str, Any] | Exception:
    asked = json.loads(call.body)["messages"][-1]["content"]
    if asked == "refuse":
        return Refusal(422, "no_thanks", "This one isn't for me.")
    if asked == "crash":
        return ZeroDivisionError("the prompt was: crash")
    return answer(call)


class Engine:
    """An engine with a method, and one that can be called itself."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def generate(self, calls: list[Call]) -> Sequence[Any]:
        self.asked.append(len(calls))
        return await echo(calls)

    async def __call__(self, calls: list[Call]) -> Sequence[Any]:
        return await self.generate(calls)


ENGINE = Engine()
