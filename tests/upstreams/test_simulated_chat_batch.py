"""The simulated provider answers several chats in a call, as vLLM does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from askonce.errors import UpstreamFailure
from askonce.model import Call, Endpoint
from askonce.upstreams.simulated import CHAT_BATCH, SimulatedUpstream, Simulation
from fakes import FakeClock
from virtual_time import virtual_time


async def ask(messages: Any, path: str | None = CHAT_BATCH, **fields: Any) -> Any:
    upstream = SimulatedUpstream(Simulation(), FakeClock())
    body = json.dumps({"model": "sim", "messages": messages, **fields}).encode()
    reply = await upstream.open(Call(Endpoint.CHAT, "sim", body, stream=False, path=path))
    try:
        return json.loads(await reply.body())
    finally:
        await reply.aclose()


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@virtual_time
async def test_one_choice_for_each_conversation() -> None:
    """Choices are numbered as the conversations are; the tokens are everybody's."""
    together = await ask([[user("one")], [user("two"), user("three")]])
    assert [choice["index"] for choice in together["choices"]] == [0, 1]
    apart = [await ask([user("one")], path=None), await ask([user("two"), user("three")], path=None)]
    for name in ("prompt_tokens", "total_tokens"):
        least = sum(answer["usage"]["prompt_tokens"] for answer in apart)
        assert together["usage"][name] >= least
    assert together["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        ([user("not a list of lists")], {}),
        ([], {}),
        ([[user("fine")], [{"role": "nobody"}]], {}),
        ([[user("fine")]], {"n": 2}),
        ([[user("fine")]], {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        ([[user("fine")]], {"stream": True}),
    ],
)
def test_what_vllm_refuses_is_refused(messages: Any, fields: Any) -> None:
    """Streams, tools and several choices aren't taken; one conversation that is invalid fails all."""

    @virtual_time
    async def check() -> None:
        with pytest.raises(UpstreamFailure) as refused:
            await ask(messages, **fields)
        assert refused.value.status == 400

    check()
