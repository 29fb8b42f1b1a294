"""A seeded day of many callers, sent to a gateway whatever becomes of it."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TENANTS = ("acme", "other", "third")
FEATURES = ("default", "search", "support")
MODELS = ("sim-small", "sim-large", "unpriced-model")
CONFIG = """\
store: sqlite://{folder}/askonce.db
upstreams:
  - name: provider
    base_url: "{upstream}"
    api_key: sk-own
    retries: {{attempts: 2, base: 5ms, cap: 50ms}}
    breaker: {{failures: 100000, least_calls: 100000}}
    first_byte_timeout: 2s
    batching: {{max_in_flight: 1, linger: {{interactive: 10ms}}}}
    batch_api: on
jobs: {{batch_wait: 100ms}}
tenants:
  - {{name: acme, keys: ["sha256:{acme}"], features: [default, search, support]}}
  - {{name: other, keys: ["sha256:{other}"], features: [default, search, support]}}
  - {{name: third, keys: ["sha256:{third}"], features: [default, search, support]}}
features:
  search: {{semantic: "off", linger: 50ms}}
  support: {{semantic: "{semantic}", error_budget: 30%, audit_share: 50%, linger: finish}}
defaults: {{semantic: "off"}}
ledger: {{cost_policy: {policy}}}
admin: {{keys: ["sha256:{admin}"]}}
log: {{level: error}}
"""
_PATIENCE_S = 90.0
_STEMS = (
    "How do I reset my password",
    "What does the blue plan cost",
    "Where is my parcel",
    "Who wrote this",
)
_ENDINGS = ("?", "", ", please?", " today?", " now?")


@dataclass(frozen=True)
class Asked:
    """One request: when it comes, whose it is, what it says, and when its caller loses patience."""

    at_s: float
    tenant: str
    feature: str
    path: str
    body: dict[str, Any]
    patience_s: float | None


@dataclass
class Seen:
    """What callers saw of a day."""

    outcomes: list[str] = field(default_factory=list)
    saved_usd: float = 0.0
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """The model and the usage of each whole answer that said them."""


def day(seed: int, requests: int, seconds: float) -> Iterator[Asked]:
    """Requests in the order in which they come: streams, repeats, embeddings, impatient callers, upstream faults."""
    dice = random.Random(seed)  # noqa: S311 - reproducible, no secret
    before: list[Asked] = []
    for at_s in sorted(dice.uniform(0, seconds) for _ in range(requests)):
        patience_s = dice.uniform(0.005, 0.08) if dice.random() < 0.12 else None
        again = dice.random()
        if before and again < 0.5:
            # What was asked a moment ago is joined, what was asked before that is stored.
            earlier = dice.choice(before[-6:] if again < 0.3 else before)
            body = _politely(earlier.body) if again > 0.4 else earlier.body
            one = replace(earlier, at_s=at_s, patience_s=patience_s, body=body)
        else:
            path, body = _body(dice)
            one = Asked(at_s, dice.choice(TENANTS), dice.choice(FEATURES), path, body, patience_s)
        before.append(one)
        yield one


def undisturbed(asked: Iterable[Asked]) -> list[Asked]:
    """The same requests of patient callers, to an upstream without faults; streams tell their usage."""
    calm = []
    for one in asked:
        body = dict(one.body)
        if "x_simulate" in body:
            fate = body["x_simulate"]
            body["x_simulate"] = {"ttft_ms": fate["ttft_ms"], "tokens": fate["tokens"]}
        if body.get("stream"):
            body["stream_options"] = {"include_usage": True}
        calm.append(replace(one, body=body, patience_s=None))
    return calm


def _answers(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the body, or the events, of an answer say of its usage."""
    for line in text.splitlines():
        if line.startswith(("{", "data: {")):
            body = json.loads(line.removeprefix("data: "))
            if body.get("usage"):
                yield body["model"], body["usage"]


def _politely(body: dict[str, Any]) -> dict[str, Any]:
    """The same question in other words, where it is one."""
    if "messages" not in body:
        return body
    question = body["messages"][0]["content"].partition("?")[0].partition(",")[0]
    return body | {"messages": [{"role": "user", "content": f"{question}, please?"}]}


def _body(dice: random.Random) -> tuple[str, dict[str, Any]]:
    question = f"{dice.choice(_STEMS)} {dice.randrange(10**6)}{dice.choice(_ENDINGS)}"
    model = dice.choice(MODELS)
    if dice.random() < 0.25:
        return "embeddings", {"model": model, "input": [question] * dice.randrange(1, 4)}
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}]}
    if dice.random() < 0.4:
        body["stream"] = True
    if dice.random() < 0.1:
        body["temperature"] = 1.7
    fate: dict[str, Any] = {"ttft_ms": dice.choice((0, 20, 60)), "tokens": dice.randrange(3, 30)}
    trouble = dice.random()
    if trouble < 0.05:
        fate |= {"status": dice.choice((400, 500, 503)), "attempts": dice.choice((1, 5))}
    elif trouble < 0.10:
        fate |= {"break_after_events": dice.randrange(1, 5), "attempts": 1}
    elif trouble < 0.13:
        fate |= {dice.choice(("garbage", "html")): True, "attempts": 1}
    return "chat/completions", body | {"x_simulate": fate}


class Callers:
    """Sends a day, each request in its time, to whatever listens on the address then."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.seen = Seen()

    async def send(self, asked: list[Asked]) -> Seen:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(self._ask(session, one, began) for one in asked))
        return self.seen

    async def _ask(self, session: aiohttp.ClientSession, one: Asked, began: float) -> None:
        await asyncio.sleep(max(0.0, began + one.at_s - asyncio.get_running_loop().time()))
        headers = {
            "Authorization": f"Bearer {one.tenant}",
            "X-Askonce-Feature": one.feature,
            "Content-Type": "application/json",
        }
        try:
            async with asyncio.timeout(one.patience_s or _PATIENCE_S):
                for pause_s in repeat(0.05):
                    if await self._sent(session, one, headers):
                        return
                    await asyncio.sleep(pause_s)
        except (TimeoutError, aiohttp.ClientError, OSError):
            self.seen.outcomes.append("gone")

    async def _sent(self, session: aiohttp.ClientSession, one: Asked, headers: dict[str, str]) -> bool:
        """False where nobody listens."""
        try:
            async with session.post(
                f"{self.base_url}/{one.path}", data=json.dumps(one.body), headers=headers
            ) as response:
                self.seen.answers += _answers(await response.text())
                self.seen.outcomes.append(response.headers.get("X-Askonce-Outcome", str(response.status)))
                self.seen.saved_usd += float(response.headers.get("X-Askonce-Saved-Usd", 0))
        except aiohttp.ClientConnectorError:
            return False
        return True
