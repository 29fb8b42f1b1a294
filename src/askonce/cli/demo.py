"""`askonce demo`: the gateway at work on a packaged sample, without a key or a network."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from askonce.administration.keys import new_key
from askonce.cli.sample import load_sample, traffic, write_answers
from askonce.cli.scoreboard import OWN, outcome_table, read_totals, score, summary_lines, wrong_hits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.cli.burst import Observation
    from askonce.cli.sample import PlannedRequest, Sample
    from askonce.cli.scoreboard import Score

__all__ = ["demo"]

_CONFIG = """\
listen: 127.0.0.1:{port}
store: sqlite://{directory}/askonce.db
upstreams:
  - {{type: simulated, name: simulated, ttft_ms: 350, tokens_per_second: 120, answers: "{directory}/answers.jsonl"}}
defaults: {{semantic: "on", audit_share: 0, retain_text: full}}  # the sample knows the truth; audits would only add calls
admin: {{keys: ["sha256:{admin}"]}}
log: {{level: warning, format: console}}
"""
_PATIENCE_S = 60.0


@click.command(short_help="See it at work, without a key or a network.")
@click.option("--once", is_flag=True, help="Exit after the burst instead of staying up.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON on standard output.")
@click.option("--requests", type=click.IntRange(1, 20_000), default=600, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Other seeds give other traffic.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the gateway; 0 takes a free one."
)
def demo(*, once: bool, as_json: bool, requests: int, seed: int, port: int) -> None:
    """Starts a gateway before a simulated upstream and sends it a burst of support questions.

    The sample has paraphrases, look-alikes that must not match, concurrent duplicates and streams, and it knows
    the right answer to each question.
    """
    console = Console(stderr=as_json)
    sample, admin_key = load_sample(), new_key("admin")
    plan = traffic(sample, seed, requests)
    with tempfile.TemporaryDirectory(prefix="askonce-demo-") as directory:
        write_answers(sample, plan, Path(directory) / "answers.jsonl")
        with _gateway(directory, port, admin_key) as base_url:
            console.print(f"Gateway: {base_url}\nEmbedded store, simulated upstream: no key, no network.")
            console.print(f"Dashboard: {_dashboard(base_url, admin_key)}", soft_wrap=True, highlight=False)
            _wait_for_embedder(base_url, console)
            result, seen = asyncio.run(_burst(base_url, sample, plan, console))
            _show(result, seen, console)
            if as_json:
                click.echo(json.dumps(result.as_json(), indent=2))
            if not once:
                console.print(
                    f"\nDashboard: {_dashboard(base_url, admin_key)}", soft_wrap=True, highlight=False
                )
                _stay(base_url, console)


@contextlib.contextmanager
def _gateway(directory: str, port: int, admin_key: str) -> Iterator[str]:
    """A gateway process of its own; yields its base_url."""
    config = Path(directory) / "askonce.yaml"
    admin = hashlib.sha256(admin_key.encode()).hexdigest()
    config.write_text(_CONFIG.format(port=port, directory=directory, admin=admin))
    command = [sys.executable, "-m", "askonce", "serve", "-c", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "base_url: " not in line:
                raise click.ClickException("The gateway did not start.")
            yield line.partition("base_url: ")[2].strip()
        finally:
            process.send_signal(signal.SIGTERM)


def _dashboard(base_url: str, admin_key: str) -> str:
    """Where the dashboard is, signed in: what comes after `#` is sent to nobody and stands in no log."""
    return f"{base_url.removesuffix('/v1')}/login#{admin_key}"


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own gateway's address
        text: str = response.read().decode()
        return text


def _health(base_url: str) -> dict[str, Any]:
    with contextlib.suppress(OSError):
        health: dict[str, Any] = json.loads(_get(base_url.removesuffix("/v1") + "/healthz"))
        return health
    return {}


def _wait_for_embedder(base_url: str, console: Console) -> None:
    """Requests could go through at once; the demonstration waits, so that all layers have their part in it."""
    deadline = time.monotonic() + _PATIENCE_S
    with console.status("Loading the embedder (requests could already go through)..."):
        while time.monotonic() < deadline:
            state = _health(base_url).get("semantic", {}).get("state")
            if state == "ready":
                return
            if state == "failed":
                break
            time.sleep(0.1)
    raise click.ClickException("The embedder did not get ready.")


async def _burst(
    base_url: str, sample: Sample, plan: list[PlannedRequest], console: Console
) -> tuple[Score, list[Observation]]:
    from askonce.cli.burst import send_all  # noqa: PLC0415 - the `openai` client is an extra

    counts: Counter[str] = Counter()
    began = time.monotonic()
    columns = (TextColumn("Burst"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[counts]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("burst", total=len(plan), counts="")

        def seen_one(observation: Observation) -> None:
            counts[observation.outcome] += 1
            calls = sum(counts[name] for name in OWN)
            shown = f"{calls} asked upstream, {counts.total() - calls} shared"
            progress.update(task, advance=1, counts=shown)

        seen = await send_all(base_url, sample, plan, seen_one)
    seconds = time.monotonic() - began
    totals = read_totals(await asyncio.to_thread(_get, base_url.removesuffix("/v1") + "/metrics"))
    return score(seen, totals, seconds), seen


def _show(result: Score, seen: list[Observation], console: Console) -> None:
    console.print()
    console.print(outcome_table(result))
    for line in summary_lines(result):
        console.print(line, highlight=False)
    for one in wrong_hits(seen)[:10]:
        console.print(f"  wrong: {one.planned.question!r} got {one.text[:80]!r}", highlight=False)


def _stay(base_url: str, console: Console) -> None:
    console.print(f"\nStill up. base_url: {base_url}   (Ctrl-C ends it)\nTry it, twice, then in other words:")
    body = json.dumps(
        {"model": "sim-support", "messages": [{"role": "user", "content": "How do I turn on dark mode?"}]}
    )
    click.echo(
        f"\n  curl -i {base_url}/chat/completions -H 'Authorization: Bearer demo-key' \\\n"
        f"    -H 'Content-Type: application/json' -d '{body}'\n",
        err=console.stderr,
    )
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
