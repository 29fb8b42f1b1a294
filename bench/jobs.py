"""Kills the gateway at random moments while jobs come in and go through a provider's batches; then counts.

    python bench/jobs.py --jobs 10000 --kills 10

The provider is a process of its own with books of its own. What is shown: every job that was handed in is there and has
its own question's answer, the same however often it is fetched; each webhook came; no request was handed to the provider
twice unless the provider had failed it; and nothing was asked outside of a batch.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TENANTS = ("acme", "globex", "initech")
SAME = 4
"""Every so many-th job asks what its tenant has asked before."""
WEBHOOK = 3
"""Every so many-th job wants to be told."""
AT_ONCE = 32
CONFIG = """\
listen: 127.0.0.1:{port}
store: sqlite://{folder}/jobs.db
upstreams:
  - {{name: provider, base_url: "http://127.0.0.1:{upstream}/v1", api_key: sk-own, batch_api: on}}
tenants:
{tenants}
defaults: {{semantic: "off"}}
log: {{level: warning}}
jobs:
  batch_requests: {lines}
  batch_wait: 500ms
  poll_interval: 100ms
  max_poll_interval: 500ms
  webhooks: {{allow_private: on, first_retry: 100ms, max_retry: 1s, max_attempts: 100}}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played."""

    jobs: int
    kills: int
    seed: int
    rate: float
    faults: float

    def tenant(self, job: int) -> str:
        """Whose job it is."""
        return TENANTS[job % len(TENANTS)]

    def question(self, job: int) -> str:
        """A tenant's own; some ask what was asked before."""
        asked = job // SAME * SAME if job % (SAME * len(TENANTS)) >= SAME * (len(TENANTS) - 1) else job
        return f"What is the meaning of number {asked} to {self.tenant(job)}?"


@dataclass(slots=True)
class Seen:
    """What came of it."""

    accepted: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    told: dict[str, Counter[str]] = field(default_factory=dict)
    kills: list[float] = field(default_factory=list)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """An askonce command that can be killed and started again."""

    def __init__(self, *arguments: str, port: int, log: Path) -> None:
        self._arguments, self._log = arguments, log
        self.port = port
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it and waits until it listens."""
        with self._log.open("ab") as errors:
            self._running = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "askonce", *self._arguments, stdout=errors, stderr=errors
            )
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            assert self._running.returncode is None, self._log.read_text()
            await asyncio.sleep(0.02)

    async def end(self, how: signal.Signals) -> None:
        """Ends it with a signal."""
        if self._running is not None and self._running.returncode is None:
            self._running.send_signal(how)
            await self._running.wait()


class Played:
    """One run: a provider, a gateway that is killed, callers and a receiver of webhooks."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.seen = Seen()
        self._random = random.Random(plan.seed)  # noqa: S311 - a reproducible play
        self._receiver = free_port()
        upstream, port = free_port(), free_port()
        faults = str(plan.faults)
        self.provider = Process(
            *("simulate", "--port", str(upstream), "--batch-delay", "1.5", "--seed", str(plan.seed)),
            *("--batch-fail-rate", faults, "--batch-expire-rate", faults, "--batch-error-rate", faults),
            port=upstream,
            log=folder / "provider.log",
        )
        tenants = "\n".join(
            f'  - {{name: {name}, keys: ["sha256:{hashlib.sha256(name.encode()).hexdigest()}"]}}'
            for name in TENANTS
        )
        lines = max(20, plan.jobs // 20)
        file = folder / "askonce.yaml"
        file.write_text(
            CONFIG.format(port=port, folder=folder, upstream=upstream, tenants=tenants, lines=lines)
        )
        self.gateway = Process("serve", "-c", str(file), port=port, log=folder / "gateway.log")
        self._url = f"http://127.0.0.1:{port}"

    async def play(self) -> dict[str, Any]:
        """Plays it all; what came of it, and whether that is as promised."""
        began = time.monotonic()
        async with (
            self._processes(),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=AT_ONCE), timeout=aiohttp.ClientTimeout(total=30)
            ) as session,
        ):
            submitting = asyncio.create_task(self._submit_all(session))
            await self._kill()
            await submitting
            submitted_s = time.monotonic() - began
            results = await self._fetch_all(session)
            again = await self._fetch_all(session)
            ended_s = time.monotonic() - began
            await self._until_told()
            listed = {name: await self._listed(session, name) for name in TENANTS}
            async with session.get(f"http://127.0.0.1:{self.provider.port}/stats") as response:
                stats = await response.json()
        return self._judge(results, again, listed, stats) | {
            "submitted_s": round(submitted_s, 1),
            "ended_s": round(ended_s, 1),
        }

    @contextlib.asynccontextmanager
    async def _processes(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/hook", self._told)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._receiver).start()
        try:
            await self.provider.start()
            await self.gateway.start()
            yield
        finally:
            await self.gateway.end(signal.SIGTERM)
            await self.provider.end(signal.SIGKILL)
            await runner.cleanup()

    async def _told(self, request: web.Request) -> web.Response:
        data = (await request.json())["data"]
        self.seen.told.setdefault(request.headers["webhook-id"], Counter())[data["id"]] += 1
        return web.Response()

    async def _submit_all(self, session: aiohttp.ClientSession) -> None:
        plan, loop = self.plan, asyncio.get_running_loop()
        room, began = asyncio.Semaphore(AT_ONCE), loop.time()

        async def submit(job: int) -> None:
            async with room:
                await self._submit(session, job)

        async with asyncio.TaskGroup() as group:
            for job in range(plan.jobs):
                if plan.rate:
                    await asyncio.sleep(max(0.0, began + job / plan.rate - loop.time()))
                group.create_task(submit(job))

    async def _submit(self, session: aiohttp.ClientSession, job: int) -> None:
        """Hands a job in until it is told that it was taken, as a careful caller does."""
        headers = {
            "Authorization": f"Bearer {self.plan.tenant(job)}",
            "X-Askonce-Lane": "batch",
            "X-Request-Id": f"job-{job}",
        }
        if job % WEBHOOK == 0:
            headers["X-Askonce-Webhook"] = f"http://127.0.0.1:{self._receiver}/hook"
        body = {"model": "sim-small", "messages": [{"role": "user", "content": self.plan.question(job)}]}
        while True:
            try:
                url = f"{self._url}/v1/chat/completions"
                async with session.post(url, json=body, headers=headers) as response:
                    if response.status == 202:
                        self.seen.accepted[job] += 1
                        return
                    self.seen.refused[response.status] += 1
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(0.05)

    async def _kill(self) -> None:
        for _ in range(self.plan.kills):
            await asyncio.sleep(self._random.uniform(0.2, 3.0))
            self.seen.kills.append(time.monotonic())
            await self.gateway.end(signal.SIGKILL)
            await self.gateway.start()

    async def _fetch_all(self, session: aiohttp.ClientSession) -> list[dict[str, Any]]:
        room = asyncio.Semaphore(AT_ONCE)

        async def fetch(job: int) -> dict[str, Any]:
            async with room:
                return await self._fetch(session, job)

        return await asyncio.gather(*(fetch(job) for job in range(self.plan.jobs)))

    async def _fetch(self, session: aiohttp.ClientSession, job: int) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.plan.tenant(job)}"}
        while True:
            async with session.get(
                f"{self._url}/v2/inference/job-{job}?wait=20", headers=headers
            ) as response:
                found: dict[str, Any] = await response.json()
                if response.status != 202:
                    found.pop("webhook", None)
                    return found

    async def _until_told(self) -> None:
        wanted = len(range(0, self.plan.jobs, WEBHOOK))
        for _ in range(300):
            if len(self.seen.told) >= wanted:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # for those that come twice

    async def _listed(self, session: aiohttp.ClientSession, tenant: str) -> int:
        count, after = 0, ""
        while True:
            url = f"{self._url}/v2/inference?limit=1000&status=completed" + (
                f"&after={after}" if after else ""
            )
            async with session.get(url, headers={"Authorization": f"Bearer {tenant}"}) as response:
                page = await response.json()
            count += len(page["data"])
            if not page["has_more"]:
                return count
            after = page["data"][-1]["id"]

    def _judge(
        self,
        results: list[dict[str, Any]],
        again: list[dict[str, Any]],
        listed: dict[str, int],
        stats: dict[str, Any],
    ) -> dict[str, Any]:
        plan, told = self.plan, self.seen.told
        right = [self._right(job, result) for job, result in enumerate(results)]
        distinct = len({plan.question(job) for job in range(plan.jobs)})
        batches = stats["batches"]
        wanted = {f"job-{job}" for job in range(0, plan.jobs, WEBHOOK)}
        heard = [next(iter(names)) for names in told.values() if len(names) == 1]
        checks = {
            "every job was taken once": set(self.seen.accepted.values()) == {1}
            and len(self.seen.accepted) == plan.jobs,
            "every job has its own question's answer": all(right),
            "an answer is the same whenever it is fetched": results == again,
            "no job is there twice": sum(listed.values()) == plan.jobs,
            "each wanted webhook came, under one id": sorted(heard) == sorted(wanted),
            "nothing was handed to the provider twice": batches["repeated_lines"] == 0,
            "nothing was asked outside of batches": stats["calls"] == 0 or plan.faults > 0,
            # What the provider's batches have failed too often is asked one by one, again after a kill.
            "each distinct request was asked": distinct <= batches["taken_lines"] + stats["calls"],
            "the provider took no more than that": batches["taken_lines"] <= distinct,
        }
        return {
            "jobs": plan.jobs,
            "kills": len(self.seen.kills),
            "distinct_requests": distinct,
            "outcomes": dict(Counter(str(result.get("outcome")) for result in results)),
            "refusals_while_submitting": dict(self.seen.refused),
            "webhooks": len(wanted),
            "webhook_deliveries": sum(sum(names.values()) for names in told.values()),
            "provider": batches | {"calls": stats["calls"]},
            "wrong": [results[job] for job, fine in enumerate(right) if not fine][:3],
            "checks": checks,
            "passed": all(checks.values()),
        }

    def _right(self, job: int, result: dict[str, Any]) -> bool:
        if result.get("status") != "completed":
            return False
        content: str = result["response"]["choices"][0]["message"]["content"]
        return self.plan.question(job).rstrip("?") in content


def main() -> None:
    """Plays once and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--rate", type=float, default=400.0, help="jobs handed in per second; 0: as fast as possible"
    )
    parser.add_argument(
        "--faults", type=float, default=0.0, help="share of batches and lines that the provider fails"
    )
    parser.add_argument("--keep", type=Path, help="keep logs and store here")
    options = parser.parse_args()
    plan = Plan(options.jobs, options.kills, options.seed, options.rate, options.faults)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(Played(plan, folder).play())
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
