"""`askonce tune`: which error budget each feature could have, from its audits or from a log of requests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import orjson

from askonce.config import ConfigError, SqliteStore, load
from askonce.evaluation.comparison import BUDGETS
from askonce.evaluation.engines import VERIFIERS
from askonce.evaluation.live_store import read_store
from askonce.evaluation.sets import BadFile
from askonce.evaluation.tuning import advise
from askonce.evaluation.tuning_report import advice_json, advice_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["tune"]

_SQLITE: Final = b"SQLite format 3\x00"


@click.command(short_help="Propose error budgets from audits.")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--verifier", type=click.Choice(list(VERIFIERS)), default=next(iter(VERIFIERS)), show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tune(source: Path, verifier: str, *, as_json: bool) -> None:
    """Propose an error budget for each feature: hits, savings and errors to expect, with intervals.

    SOURCE is a gateway's configuration or its store's file, which a running gateway may be using: it is only read.
    Nothing is changed.
    """
    try:
        path, present = _store(source)
        records = read_store(path)
    except (BadFile, ConfigError) as error:
        raise click.ClickException(str(error)) from None
    shipped = VERIFIERS[verifier]().verifier.calibration
    advice = [
        advise(record, shipped, sorted({*BUDGETS, *_own(present, record.feature)})) for record in records
    ]
    if as_json:
        content = {"features": {each.feature: advice_json(each, present) for each in advice}}
        click.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
        return
    for each in advice:
        click.echo("\n".join(advice_text(each, present)))
    if not advice:
        click.echo(f"{path} has no audits: let features run with `semantic: shadow` for a while.")


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
    present = {name: settings.policy_settings(name).error_budget for name in settings.feature_names}
    return settings.store.path, present


def _own(present: Mapping[str, float], feature: str) -> list[float]:
    return [present[feature]] if feature in present else []
