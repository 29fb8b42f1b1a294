"""Ways to ask a simulated upstream, shared by its tests."""

from __future__ import annotations

from typing import Any

import orjson

from askonce.errors import UpstreamFailure
from askonce.model import Call, Endpoint
from askonce.upstreams.simulated import (
    SimulatedReply,
    SimulatedUpstream,
    Simulation,
)

Json = dict[str, Any]


class FixedClock:
    def now(self) -> float:
        return 1_700_000_000.0


def make(**options: Any) -> SimulatedUpstream:
    return SimulatedUpstream(Simulation(**options), FixedClock())


def chat(question: str = "How do I reset my password?", **fields: Any) -> Json:
    return {"model": "model-a", "messages": [{"role": "user", "content": question}], **fields}


def call(body: Json, endpoint: Endpoint = Endpoint.CHAT, credential: str | None = None) -> Call:
    return Call(endpoint, body["model"], orjson.dumps(body), body.get("stream") is True, credential)


async def ask(upstream: SimulatedUpstream, body: Json, endpoint: Endpoint = Endpoint.CHAT) -> Any:
    reply = await upstream.open(call(body, endpoint))
    return orjson.loads(await reply.body())


async def read_into(events: list[bytes], reply: SimulatedReply) -> None:
    while more := await reply.read():
        events += more


async def read_all(reply: SimulatedReply) -> list[bytes]:
    events: list[bytes] = []
    await read_into(events, reply)
    return events


async def events_of(
    upstream: SimulatedUpstream, body: Json, endpoint: Endpoint = Endpoint.CHAT
) -> list[Json]:
    reply = await upstream.open(call({**body, "stream": True}, endpoint))
    return [orjson.loads(event) for event in await read_all(reply)]


async def outcome(upstream: SimulatedUpstream, body: Json) -> str:
    """What became of a call, in a word."""
    try:
        reply = await upstream.open(call(body))
    except UpstreamFailure as failure:
        return str(failure.status)
    await reply.body()
    return reply.fault.value


def said(answer: Json) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text
