"""Sending well, in two plays, each with the same load once without askonce and once through it.

    python bench/sending.py [limit] [outage] [--seconds 20] [--seed 1]

`limit`: a provider takes 60 requests a second and answers 429 above. 300 a second are offered, in random gaps; 82 % of them
repeat one of the two seconds before. Then 400 a second, so that even what is left after sharing is above the limit.

`outage`: a provider is dead for 20 seconds; another one stands in. 50 different questions a second are asked.

The provider is `askonce simulate` (docs/simulation.md). Gateway and providers have a core each; the load shares the provider's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from processes import Process, python, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMIT_PER_S: Final = 60
REPEATED: Final = 0.82
WITHIN_S: Final = 2.0
WARM_S: Final = 3.0
"""Left out of rates: a token bucket begins full."""
DEAD_S: Final = 20.0
BEFORE_S: Final = 5.0
PROBE_INTERVAL_S: Final = 5.0
"""askonce's default."""
CONFIG: Final = """\
listen: 127.0.0.1:0
store: 'memory:'
embedder: {{type: none}}
log: {{level: error}}
defaults: {{semantic: "off"}}
{upstreams}
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, and when it is asked (seconds after the start)."""

    at: float
    question: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: status 0 where the connection broke. `at` is when it was asked."""

    at: float
    took_s: float
    status: int
    reason: str


def offered(rate: float, seconds: float, repeated: float, seed: int) -> list[Ask]:
    """Requests in random gaps; a share of them repeats another one of the two seconds before."""
    chance = random.Random(seed)  # noqa: S311 - a load, no secret
    recent: deque[Ask] = deque()
    asks: list[Ask] = []
    at = 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        while recent and recent[0].at < at - WITHIN_S:
            recent.popleft()
        repeats = recent and chance.random() < repeated
        ask = Ask(at, chance.choice(recent).question if repeats else f"Question {len(asks)} of {seed}?")
        if not repeats:
            recent.append(ask)
        asks.append(ask)
    return asks


async def play(base_url: str, asks: Sequence[Ask]) -> list[Answer]:
    """Asks at the times that are set, however long the answers take."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, headers={"Authorization": "Bearer sk-load"}, timeout=aiohttp.ClientTimeout(120)
    ) as session:
        began = time.perf_counter()

        async def one(ask: Ask) -> Answer:
            messages = [{"role": "user", "content": ask.question}]
            body = {"model": "any", "messages": messages, "max_tokens": 20}
            sent = time.perf_counter()
            try:
                async with session.post(f"{base_url}/chat/completions", json=body) as response:
                    await response.read()
                    status, reason = response.status, response.headers.get("X-Askonce-Reason", "")
            except aiohttp.ClientError as error:
                status, reason = 0, type(error).__name__
            return Answer(sent - began, time.perf_counter() - sent, status, reason)

        running = []
        for ask in asks:
            await asyncio.sleep(ask.at - (time.perf_counter() - began))
            running.append(asyncio.create_task(one(ask)))
        return await asyncio.gather(*running)


async def call(process: Process, method: str, path: str, body: Any = None) -> Any:
    """What a simulated provider says beside its API."""
    async with aiohttp.request(method, process.root + path, json=body) as response:
        return await response.json()


@contextlib.contextmanager
def gateway(upstreams: str) -> Iterator[Process]:
    """A gateway with these upstreams (YAML)."""
    with tempfile.TemporaryDirectory(prefix="askonce-bench-") as directory:
        config = Path(directory) / "askonce.yaml"
        config.write_text(CONFIG.format(upstreams=upstreams))
        with python("-m", "askonce", "serve", "-c", str(config), core=0) as process:
            yield process


def percentile_ms(answers: Sequence[Answer], share: float) -> float:
    """Of the answered ones."""
    took = sorted(answer.took_s for answer in answers if answer.status == 200)
    return took[min(len(took) - 1, int(share * len(took)))] * 1000 if took else float("nan")


async def under_limit(provider: Process, base_url: str, asks: Sequence[Ask], name: str) -> None:
    """One row: a load against the limited provider, directly or through a gateway."""
    await call(provider, "POST", "/stats/reset")
    seconds = asks[-1].at
    playing = asyncio.create_task(play(base_url, asks))
    await asyncio.sleep(WARM_S)
    warm, since = await call(provider, "GET", "/stats"), time.perf_counter()
    await asyncio.sleep(seconds - WARM_S)
    loaded, until = await call(provider, "GET", "/stats"), time.perf_counter()
    answers = await playing
    stats = await call(provider, "GET", "/stats")
    statuses = Counter(answer.status for answer in answers)
    taken = (loaded["by_outcome"].get("ok", 0) - warm["by_outcome"].get("ok", 0)) / (until - since)
    refused = stats["by_outcome"].get("429", 0)
    print(
        f"{name:<26}{len(answers) / seconds:8.0f}{statuses[200] / seconds:10.0f}{statuses[429]:8d}"
        f"{len(answers) - statuses[200] - statuses[429]:7d}{stats['calls']:8d}{refused:7d}"
        f"{refused / max(1, stats['calls']):8.2%}{taken:9.1f}{taken / LIMIT_PER_S:7.0%}"
        f"{percentile_ms(answers, 0.5):9.0f}{percentile_ms(answers, 0.99):9.0f}"
    )


async def limit(seconds: float, seed: int, options: Sequence[str]) -> None:
    """A provider with a rate limit."""
    print(
        f"A provider that takes {LIMIT_PER_S} requests/s {' '.join(options)}; {REPEATED:.0%} repeat within {WITHIN_S:g} s"
    )
    print(
        f"{'':<26}{'offered':>8}{'answered':>10}{'callers':>8}{'other':>7}{'upstr.':>8}{'of them':>7}"
        f"{'':>8}{'taken':>9}{'of the':>7}{'p50':>9}{'p99':>9}"
    )
    print(
        f"{'':<26}{'/s':>8}{'/s':>10}{'429':>8}{'errors':>7}{'calls':>8}{'429':>7}"
        f"{'':>8}{'/s':>9}{'limit':>7}{'ms':>9}{'ms':>9}"
    )
    for rate in (300, 400):
        for name, declared in (
            ("directly", None),
            ("askonce, limit learned", ""),
            ("askonce, limit declared", _declared()),
        ):
            asks = offered(rate, seconds, REPEATED, seed)
            with simulator("--requests-per-second", str(LIMIT_PER_S), "--ttft", "50", *options) as provider:
                if declared is None:
                    await under_limit(provider, provider.base_url, asks, name)
                    continue
                one = f"upstreams: [{{name: limited, base_url: '{provider.base_url}', api_key: sk-own{declared}}}]"
                with gateway(one) as between:
                    await under_limit(provider, between.base_url, asks, name)


def _declared() -> str:
    return f", limits: {{requests_per_minute: {60 * LIMIT_PER_S}}}"


async def through_outage(primary: Process, base_url: str, kind: str, seed: int, name: str) -> None:
    """One row: a provider dies in the middle of a load."""
    asks = offered(50, BEFORE_S + DEAD_S + 2 * PROBE_INTERVAL_S, 0.0, seed)
    await call(primary, "POST", "/outage", {"kind": kind, "seconds": DEAD_S, "after_s": BEFORE_S})
    died = BEFORE_S
    answers = await play(base_url, asks)
    stats = await call(primary, "GET", "/stats")
    alive = died + DEAD_S
    failed = [answer for answer in answers if answer.status != 200]
    stood_in = [answer for answer in answers if "fallback" in answer.reason]
    last = max((answer.at for answer in stood_in), default=alive)
    print(
        f"{name:<10}{kind:>8}{len(answers):10d}{len(failed):8d}"
        f"{sum(answer.at > died + 1 for answer in failed):14d}{len(stood_in):10d}{stats['in_outage']:12d}"
        f"{max(0.0, last - alive):12.1f}{percentile_ms(answers, 0.5):9.0f}{percentile_ms(answers, 0.99):9.0f}"
        f"{max(answer.took_s for answer in answers):9.1f}"
    )


async def outage(seed: int) -> None:
    """A provider that dies, and another one that stands in."""
    print(f"A provider that is dead for {DEAD_S:g} s, with a fallback; 50 different questions a second")
    print(
        f"{'':<10}{'outage':>8}{'requests':>10}{'failed':>8}{'after 1st s':>14}{'fallback':>10}{'asked dead':>12}"
        f"{'back after':>12}{'p50':>9}{'p99':>9}{'worst':>9}"
    )
    print(f"{'':<10}{'':>8}{'':>10}{'':>8}{'':>14}{'':>10}{'':>12}{'s':>12}{'ms':>9}{'ms':>9}{'s':>9}")
    for kind in ("refuse", "500", "reset", "hang"):
        with simulator("--ttft", "20") as primary, simulator("--ttft", "20", "--seed", "1") as standby:
            await through_outage(primary, primary.base_url, kind, seed, "directly")
        with simulator("--ttft", "20") as primary, simulator("--ttft", "20", "--seed", "1") as standby:
            both = (
                "upstreams:\n"
                f"  - {{name: primary, base_url: '{primary.base_url}', api_key: sk-own, first_byte_timeout: 2s}}\n"
                f"  - {{name: standby, base_url: '{standby.base_url}', api_key: sk-own}}\n"
                "fallbacks: {'*': [{upstream: standby}]}"
            )
            with gateway(both) as between:
                await through_outage(primary, between.base_url, kind, seed, "askonce")


async def main() -> None:
    """Plays what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plays", nargs="*", choices=("limit", "outage"))
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each load against the limit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit-kind", default="token-bucket", help="as of `askonce simulate`")
    parser.add_argument(
        "--no-limit-headers", action="store_true", help="the provider doesn't say what is left"
    )
    told = parser.parse_args()
    options = ["--limit-kind", told.limit_kind, *(["--no-limit-headers"] if told.no_limit_headers else [])]
    plays = told.plays or ("limit", "outage")
    if "limit" in plays:
        await limit(told.seconds, told.seed, options)
    if "outage" in plays:
        await outage(told.seed)


if __name__ == "__main__":
    asyncio.run(main())
