"""`askonce replay`: what the gateway would save on a log of requests, before it is switched on."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from askonce.cli.printing import print_bytes, print_text, refuse_html_without_extra, write_file
from askonce.cli.replay_live import base_url, keys_of, send_live
from askonce.config import ConfigError, load
from askonce.embedders.minilm import MiniLMEmbedder
from askonce.embedders.packaged import packaged_projection, packaged_verifier
from askonce.errors import EmbedderUnavailable
from askonce.replay.assumptions import Circumstances, assumptions
from askonce.replay.data import as_json
from askonce.replay.latency import LatencyModel
from askonce.replay.live import Plan
from askonce.replay.reading import FORMATS, Reading
from askonce.replay.rows import STDIN, UnreadableLog
from askonce.replay.rules import Rules, without_configuration
from askonce.replay.study import prepare, study
from askonce.replay.text import write_text
from askonce.replay.understanding import understand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.config import Settings
    from askonce.replay.study import Study
    from askonce.replay.traffic import Traffic
    from askonce.replay.watching import Watcher

__all__ = ["replay"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_QUESTIONS: Final = 50_000
_PATIENCE_S: Final = 600.0


@click.command(short_help="Estimate from a log of requests what would be saved.")
@click.argument(
    "logs", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), nargs=-1, required=True
)
@click.option(
    "-c", "--config", type=_FILE, help="Policies, tenants, models and prices of this configuration."
)
@click.option("--input-format", type=click.Choice(list(FORMATS)), help="Of all logs; found out if not given.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.option("--html", type=_FILE, help="Also write a page that needs nothing but itself.")
@click.option(
    "--ttft-ms", type=click.FloatRange(0), help="Time to the first token where the log has no durations."
)
@click.option(
    "--tps", type=click.FloatRange(0, min_open=True), help="Tokens per second where the log has no durations."
)
@click.option(
    "--semantic/--no-semantic",
    default=True,
    help="Whether to play the semantic tier, which takes most of the time.",
)
@click.option(
    "--questions",
    type=click.IntRange(1),
    default=_QUESTIONS,
    show_default=True,
    help="Different questions for which the semantic tier is played; a sample of whole partitions beyond.",
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Threads that embed.")
@click.option("--live", metavar="URL", help="Send the logs to the gateway at this address instead.")
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="With --live: how many times as fast as recorded.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    envvar="ASKONCE_REPLAY_KEYS",
    help="With --live: a credential, or TENANT=KEY; repeatable.",
)
@click.option(
    "--concurrency-limit",
    type=click.IntRange(1),
    default=1_000,
    show_default=True,
    help="With --live: requests under way at most.",
)
@click.option("--limit", type=click.IntRange(1), help="With --live: send only the first so many.")
@click.option("--yes", is_flag=True, help="With --live: also to another machine.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def replay(
    *,
    logs: tuple[Path, ...],
    config: Path | None,
    input_format: str | None,
    as_json_: bool,
    html: Path | None,
    ttft_ms: float | None,
    tps: float | None,
    semantic: bool,
    questions: int,
    workers: int,
    live: str | None,
    speed: float,
    keys: tuple[str, ...],
    concurrency_limit: int,
    limit: int | None,
    yes: bool,
    quiet: bool,
) -> None:
    """Play LOGS of requests against the layers, with no upstream call, and estimate what they would save.

    A log is askonce's own format, OpenAI request bodies with a time, LiteLLM's spend logs or logging payloads, or Langfuse's
    exports; JSON lines, JSON or CSV, gzipped or not; `-` is standard input. See docs/replay.md.

    With --live, the logs are sent to a running gateway at the recorded times: real requests, which may cost money.
    """
    if html is not None:
        if live is not None:
            raise click.UsageError("--html is for estimates: with --live there is no page")
        refuse_html_without_extra()
        if not html.parent.is_dir():
            raise click.UsageError(f"--html: there is no folder {html.parent}")
    reading = Reading(input_format)
    try:
        if live is not None:
            plan = Plan(base_url(live, anywhere=yes), speed, concurrency_limit, _PATIENCE_S, keys_of(keys))
            send_live(logs, reading, plan, limit=limit, as_json=as_json_, quiet=quiet)
            return
        settings = without_configuration() if config is None else load(config, os.environ)
        rules = Rules(settings, any_feature=config is None)
        size = _Size(questions, workers) if semantic else None
        watcher = _Bars(Console(stderr=True, quiet=quiet))
        found, around = _estimate(logs, reading, rules, _declared(ttft_ms, tps), size=size, watcher=watcher)
    except (UnreadableLog, ConfigError, EmbedderUnavailable) as error:
        raise click.ClickException(str(error)) from None
    assumed = assumptions(found, reading, around._replace(configuration=str(config or "")))
    if as_json_:
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        print_bytes(orjson.dumps(as_json(found, reading, assumed), option=options))
    else:
        print_text(lambda console: write_text(console, found, reading, assumed))
    if html is not None:
        from askonce.replay.page import as_html  # noqa: PLC0415 - an extra that the gateway does without

        write_file(html, as_html(found, reading, assumed).encode())


class _Size(NamedTuple):
    """Different questions that the semantic tier is played for at most, and threads that embed them."""

    questions: int
    workers: int


class _Bars:
    """Progress bars on standard error."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """See `Watcher.step`."""
        columns = (
            TextColumn("{task.description:22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as progress:
            task = progress.add_task(name, total=total)
            yield lambda count: progress.advance(task, count)


def _estimate(
    logs: Sequence[Path],
    reading: Reading,
    rules: Rules,
    declared: LatencyModel | None,
    *,
    size: _Size | None,
    watcher: Watcher,
) -> tuple[Study, Circumstances]:
    traffic = _understood(logs, rules, reading, declared, watcher)
    reason = "--no-semantic was given." if size is None else _why_not(rules.settings)
    found = asyncio.run(_study(traffic, rules, watcher, None if reason else size))
    return found, Circumstances("", rules.shadowed, reason)


def _declared(ttft_ms: float | None, tps: float | None) -> LatencyModel | None:
    if ttft_ms is None and tps is None:
        return None
    return LatencyModel((ttft_ms or 0.0) / 1e3, tps or float("inf"), "declared")


def _understood(
    logs: Sequence[Path], rules: Rules, reading: Reading, declared: LatencyModel | None, watcher: Watcher
) -> Traffic:
    if any(str(log) != STDIN and not log.exists() for log in logs):
        missing = next(log for log in logs if str(log) != STDIN and not log.exists())
        raise UnreadableLog(missing, "is not there")
    size = None if STDIN in map(str, logs) else sum(log.stat().st_size for log in logs)
    with watcher.step("Reading", size) as advance:
        traffic = understand(reading.arrivals(logs, advance), rules, reading.refuse, declared)
    if not len(traffic):
        reason, count = reading.reasons.most_common(1)[0]
        raise UnreadableLog(logs[0], f"has no request that the gateway would take; {count:,} times: {reason}")
    return traffic


def _why_not(settings: Settings) -> str:
    """Why the configuration has no semantic tier, as a sentence; "" where it has one."""
    if settings.embedder.type == "none":
        return "the configuration has no embedder."
    off = all(settings.policy_settings(name).semantic == "off" for name in settings.feature_names)
    return "every feature has it off." if off else ""


async def _study(traffic: Traffic, rules: Rules, watcher: Watcher, size: _Size | None) -> Study:
    verifier = packaged_verifier()
    if size is None or not traffic.questions:
        return study(traffic, rules, verifier, None, watcher)
    embedder = MiniLMEmbedder(project=packaged_projection(), workers=size.workers, memo_bytes=0)
    embedder.start()
    try:
        prepared = await prepare(traffic, rules, embedder, verifier, most=size.questions, watcher=watcher)
    finally:
        await embedder.close()
    return study(traffic, rules, verifier, prepared, watcher)
