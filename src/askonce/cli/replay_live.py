"""`askonce replay --live`: a log sent to a running gateway."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from askonce.cli.printing import print_bytes, print_text
from askonce.replay.live import Plan, Shooting, authorisation, is_loopback
from askonce.replay.live_report import live_json, write_live_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from askonce.replay.arrival import Arrival
    from askonce.replay.live import Answered
    from askonce.replay.reading import Reading

__all__ = ["base_url", "keys_of", "send_live"]


def base_url(url: str, *, anywhere: bool) -> str:
    """The gateway's address with `/v1`.

    Raises:
        click.UsageError: It is no address, or another machine's and nobody has said that this is meant.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError("--live takes the gateway's address, such as http://127.0.0.1:8080/v1")
    if not anywhere and not is_loopback(url):
        raise click.UsageError(
            "--live sends every request of the log, and calls that the gateway makes cost money: for a gateway that isn't on "
            "this machine, say --yes"
        )
    root = url.rstrip("/")
    return root if root.endswith("/v1") else f"{root}/v1"


def keys_of(given: Sequence[str]) -> dict[str, str]:
    """Credentials by tenant, of `TENANT=KEY` or `KEY` (for all others)."""
    keys = {}
    for one in given:
        tenant, marked, key = one.partition("=")
        keys[tenant if marked else ""] = key if marked else one
    return keys


def send_live(
    logs: Sequence[Path], reading: Reading, plan: Plan, *, limit: int | None, as_json: bool, quiet: bool
) -> None:
    """Reads the logs, sends them and prints how they fared; what was sent until Ctrl-C is printed too."""
    arrivals = sorted(reading.arrivals(logs), key=lambda arrival: arrival.at)[:limit]
    _check_keys(plan.keys, arrivals)
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("Sending"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[counts]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("sending", total=len(arrivals), counts="")
        counts: dict[str, int] = {}

        def seen(answered: Answered) -> None:
            name = answered.error or answered.outcome
            counts[name] = counts.get(name, 0) + 1
            progress.update(
                task, advance=1, counts="  ".join(f"{one} {count}" for one, count in counts.items())
            )

        shooting = Shooting(plan, seen)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(shooting.send(arrivals))
    if as_json:
        found = {**live_json(shooting, plan), "bad_lines": reading.bad}
        print_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    else:
        print_text(lambda console: write_live_text(console, shooting, plan))


def _check_keys(keys: Mapping[str, str], arrivals: Sequence[Arrival]) -> None:
    """With keys by tenant, each tenant of the log needs one: another's key would answer from another's cache."""
    missing = sorted({one.tenant for one in arrivals if keys and not authorisation(keys, one.tenant)})
    if missing:
        named = ", ".join(repr(tenant) for tenant in missing[:10])
        raise click.UsageError(
            f"no --key for the tenants {named}; give TENANT=KEY for each, or one KEY for all others"
        )
