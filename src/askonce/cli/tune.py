"""`askonce tune`: which error budget each feature could have, from its audits or from a log of requests."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from askonce.config import ConfigError, SqliteStore, load
from askonce.errors import EmbedderUnavailable
from askonce.evaluation.comparison import BUDGETS
from askonce.evaluation.embeddings import Embeddings
from askonce.evaluation.engines import EMBEDDERS, VERIFIERS
from askonce.evaluation.live_store import read_store
from askonce.evaluation.request_log import read_log, replay
from askonce.evaluation.sets import BadFile
from askonce.evaluation.traffic import Tier
from askonce.evaluation.tuning import advise
from askonce.evaluation.tuning_report import advice_json, advice_text, replay_json, replay_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.config import Settings
    from askonce.evaluation.request_log import FeatureLog, Replay
    from askonce.matching.calibration import Calibration

__all__ = ["tune"]

_SQLITE: Final = b"SQLite format 3\x00"
_Said: TypeAlias = "tuple[dict[str, Any], Iterator[str]]"
"""What there is to say of a feature, as JSON and as lines of text."""
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Propose error budgets from audits, or from a log of requests.")
@click.argument("source", type=_FILE, required=False)
@click.option("--log", type=_FILE, help="JSON lines of {feature, text, answer or intent, cost} to replay.")
@click.option(
    "--verifier", type=click.Choice(list(VERIFIERS)), default=next(iter(VERIFIERS)), show_default=True
)
@click.option(
    "--embedder", type=click.Choice(list(EMBEDDERS)), default=next(iter(EMBEDDERS)), show_default=True
)
@click.option("--cache", type=_FILE, help="Keep the log's embeddings in this file between runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tune(
    *,
    source: Path | None,
    log: Path | None,
    verifier: str,
    embedder: str,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Propose an error budget for each feature: hits, savings and errors to expect, with intervals.

    SOURCE is a gateway's configuration or its store's file, which a running gateway may be using: it is only read.
    With --log, a log of requests is replayed instead, under the policies of the configuration SOURCE if one is given.
    Nothing is changed.
    """
    try:
        if log is not None:
            found = _from_log(log, source, (embedder, verifier), cache)
        elif source is not None:
            found = _from_audits(source, VERIFIERS[verifier]().verifier.calibration)
        else:
            raise click.UsageError("give a configuration or a store, or --log")
    except (BadFile, ConfigError, EmbedderUnavailable) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        features = {feature: content for feature, (content, _) in found.items()}
        click.echo(orjson.dumps({"features": features}, option=orjson.OPT_INDENT_2).decode())
        return
    for _, lines in found.values():
        click.echo("\n".join(lines))
    if not found:
        click.echo("There are no audits: let features run with `semantic: shadow` for a while.")


def _from_audits(source: Path, shipped: Calibration) -> dict[str, _Said]:
    path, present = _store(source)
    advice = [advise(record, shipped, _asked(present, record.feature)) for record in read_store(path)]
    return {each.feature: (advice_json(each, present), advice_text(each, present)) for each in advice}


def _from_log(log: Path, source: Path | None, names: tuple[str, str], cache: Path | None) -> dict[str, _Said]:
    settings = None if source is None else load(source, os.environ)
    replays = asyncio.run(_replays(read_log(log), settings, names, cache))
    present = _budgets(settings)
    return {each.feature: (replay_json(each, present), replay_text(each, present)) for each in replays}


def _store(source: Path) -> tuple[Path, Mapping[str, float]]:
    """The store's file, and the features' budgets where a configuration names them."""
    try:
        with source.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                return source, {}
    except OSError as error:
        raise BadFile(source, None, error.strerror or "unreadable") from None
    settings = load(source, os.environ)
    if not isinstance(settings.store, SqliteStore):
        raise BadFile(source, None, "its store is memory: audits of a running gateway can't be read")
    return settings.store.path, _budgets(settings)


def _budgets(settings: Settings | None) -> dict[str, float]:
    """Configured budgets by feature."""
    if settings is None:
        return {}
    return {name: settings.policy_settings(name).error_budget for name in settings.feature_names}


def _asked(present: Mapping[str, float], feature: str) -> list[float]:
    """The budgets to try: the usual ones, and the feature's own."""
    return sorted({*BUDGETS, present.get(feature, BUDGETS[0])})


async def _replays(
    logs: Sequence[FeatureLog], settings: Settings | None, names: tuple[str, str], cache: Path | None
) -> list[Replay]:
    chosen = VERIFIERS[names[1]]()
    embedder = EMBEDDERS[names[0]](chosen.projection)
    embedder.start()
    present = _budgets(settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    replays = []
    try:
        embeddings = Embeddings(embedder, cache)
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            for log in logs:
                floor = -1.0
                if settings is not None and log.feature in settings.feature_names:
                    floor = settings.policy_settings(log.feature).similarity_floor
                tier = Tier(chosen.verifier, _asked(present, log.feature), floor, 0)
                advance = partial(progress.advance, progress.add_task(log.feature, total=len(log.texts)))
                replays.append(await replay(log, embeddings, tier, advance))
                embeddings.save()
    finally:
        await embedder.close()
    return replays
