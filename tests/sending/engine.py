"""An upstream that takes lists: one call at a time, so long for a call and so long for each item in it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Call, Endpoint, Lane
from askonce.sending.batches.lists import COMPLETIONS, EMBEDDINGS
from askonce.sending.batches.pile import Load
from askonce.sending.batches.rules import BatchingRules
from askonce.sending.limits import Limits
from askonce.sending.line import Line
from askonce.sending.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json
    from askonce.sending.passage import Passage

MOST = Load(items=64, tokens=100_000, size_bytes=2**20)
FORMS = {Endpoint.EMBEDDINGS: EMBEDDINGS, Endpoint.COMPLETIONS: COMPLETIONS}
FATAL, TRANSIENT = Sharing.FATAL, Sharing.TRANSIENT


@dataclass
class Reply:
    """A whole answer."""

    content: bytes
    streamed: bool = False
    no_store: bool = False
    max_age_s: float | None = None
    headers: Sequence[tuple[str, str]] = ()
    finished: bool = True
    closed: int = 0

    async def body(self) -> bytes:
        return self.content

    async def read(self) -> Sequence[bytes]:
        return ()

    async def aclose(self) -> None:
        self.closed += 1


@dataclass
class Engine:
    """Embeds each text as itself; refuses texts that begin with "bad", and lists that are too long."""

    fixed_s: float = 0.010
    per_item_s: float = 0.001
    most_items: int = 10_000
    answer: bytes | None = None
    failures: list[UpstreamFailure] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    cancelled: int = 0
    running: int = 0
    most_running: int = 0
    serial: bool = True
    name: str = "engine"
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def batches(self) -> list[int]:
        """Items of each call so far."""
        return [len(items(call)) for call in self.calls]

    async def open(self, call: Call) -> Reply:
        self.calls.append(call)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.serial:
                async with self._turn:
                    return await self._work(call)
            return await self._work(call)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def models(self, credential: str | None) -> list[Json]:  # noqa: ARG002 - the port's shape
        return []

    async def close(self) -> None:
        return

    async def _work(self, call: Call) -> Reply:
        await asyncio.sleep(self.fixed_s + self.per_item_s * len(items(call)))
        if self.failures:
            raise self.failures.pop(0)
        bad = next((item for item in items(call) if str(item).startswith("bad")), None)
        if bad is not None or len(items(call)) > self.most_items:
            error = {"message": f"{bad or 'too many'}", "param": "input", "code": "invalid"}
            raise UpstreamFailure(400, "invalid", str(bad), sharing=FATAL, body=json.dumps(error).encode())
        return Reply(self.answer or embedded(items(call)))


def items(call: Call) -> list[Any]:
    asked = json.loads(call.body)["input"]
    return asked if isinstance(asked, list) else [asked]


def embedded(asked: Sequence[Any]) -> bytes:
    data = [{"object": "embedding", "index": at, "embedding": item} for at, item in enumerate(asked)]
    usage = {"prompt_tokens": 10 * len(asked), "total_tokens": 10 * len(asked)}
    return json.dumps({"object": "list", "data": data, "usage": usage}).encode()


def line(engine: Engine, limits: Limits | None = None, **rules: Any) -> Line:
    """A line that batches; `rules` are BatchingRules'."""
    chosen = BatchingRules(**{"forms": FORMS, "most": MOST, **rules})
    return Line(engine, "m", limits or Limits(), batching=chosen)


def embedding(asked: Any, **fields: Any) -> Call:
    body = json.dumps({"model": "m", "input": asked, **fields})
    return Call(Endpoint.EMBEDDINGS, "m", body.encode(), stream=False)


def ticket(tenant: str = "acme", lane: Lane = Lane.INTERACTIVE, patience_s: float = 60.0) -> Ticket:
    return Ticket(tenant, lane, 10, asyncio.get_running_loop().time() + patience_s)


async def ask(sent: Line, call: Call, held: Ticket | None = None) -> Passage:
    passage = await sent.open(call, held or ticket())
    await passage.aclose()
    return passage


async def vectors(sent: Line, asked: Any, held: Ticket | None = None, **fields: Any) -> list[Any]:
    """Sends an input; what came back for it."""
    passage = await ask(sent, embedding(asked, **fields), held)
    return [one["embedding"] for one in json.loads(await passage.reply.body())["data"]]
