"""`askonce report`: what was spent and saved, by whom and by which layer, from the ledger's file."""

from __future__ import annotations

import importlib.resources
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import orjson

from askonce.cli.printing import on_paper, print_bytes, print_text, refuse_html_without_extra, write_file
from askonce.config import ConfigError, SqliteStore, load
from askonce.evaluation.live_store import read_audits
from askonce.evaluation.sets import BadFile
from askonce.reporting.data import as_json
from askonce.reporting.figures import draw_up
from askonce.reporting.quality import qualities
from askonce.reporting.suggestions import suggest
from askonce.reporting.table import as_csv
from askonce.reporting.terms import Terms, columns_of, filters_of, span_of
from askonce.reporting.text import write_text
from askonce.reporting.wording import spell
from askonce.stores.ledger import ledger_path, open_books

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from askonce.ports import Span
    from askonce.reporting.figures import Figures
    from askonce.reporting.quality import Quality
    from askonce.reporting.suggestions import Suggestion

__all__ = ["report"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_FORMATS: Final = ("text", "csv", "html", "json")
_CONFIG: Final = Path("askonce.yaml")


class _Files(NamedTuple):
    """Where the books and the answers are, and what a configuration says of features.

    Attributes:
        ledger: The books.
        answers: The store.
        budgets: Promised shares of wrong hits by feature.
        serving: Features with `semantic: on`.
    """

    ledger: Path
    answers: Path
    budgets: Mapping[str, float]
    serving: frozenset[str] = frozenset()


@click.command(short_help="Show what was spent and saved, by whom and by which layer.")
@click.option(
    "-c",
    "--config",
    type=_FILE,
    help="The gateway's configuration; unless given, askonce.yaml if there is one.",
)
@click.option(
    "--ledger", type=_FILE, help="The ledger's file, such as askonce.ledger.db, without a configuration."
)
@click.option(
    "--since", metavar="WHEN", help="A duration before the end (7d, 12h) or a date (UTC). [default: 7d]"
)
@click.option("--until", metavar="WHEN", help="A date or time (UTC), itself not included. [default: now]")
@click.option(
    "--by", "columns", default="feature", show_default=True, help="Rows by any of tenant,feature,model,day."
)
@click.option("--where", multiple=True, metavar="NAME=VALUE", help="Only this tenant, feature or model.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write into this file.",
)
def report(
    *,
    config: Path | None,
    ledger: Path | None,
    since: str | None,
    until: str | None,
    columns: str,
    where: tuple[str, ...],
    form: str,
    output: Path | None,
) -> None:
    """Show what was spent and saved by tenant, feature, model and layer, how fast, and how reliably.

    Reads the ledger's file beside the store's, also while a gateway writes it, and the audits in the store's. Times are UTC.
    """
    if form == "html":
        refuse_html_without_extra()
    terms = _terms(since, until, columns, where)
    try:
        files = _files(config, ledger)
        figures = _figures(files, terms)
    except (BadFile, ConfigError) as error:
        raise click.ClickException(str(error)) from None
    if figures.empty:
        raise click.ClickException(_nothing(figures))
    to_file = output not in (None, Path("-"))
    content = _rendered(figures, suggest(figures, files.serving), form, to_file=to_file)
    if output is not None and to_file:
        write_file(output, content)
    elif content:
        print_bytes(content)


def _terms(since: str | None, until: str | None, columns: str, where: Sequence[str]) -> Terms:
    try:
        return Terms(span_of(since, until, time.time()), columns_of(columns), filters_of(where))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _files(config: Path | None, ledger: Path | None) -> _Files:
    if config is not None and ledger is not None:
        raise click.UsageError("give a configuration or a ledger, not both")
    if ledger is not None:
        answers = ledger.with_name(ledger.name.replace(".ledger", "", 1))
        return _Files(ledger, answers, {})
    if config is None and not _CONFIG.is_file():
        raise click.UsageError("give -c with the gateway's configuration, or --ledger with the ledger's file")
    settings = load(config or _CONFIG, os.environ)
    if not isinstance(settings.store, SqliteStore):
        raise click.ClickException(
            f"{config or _CONFIG}: its store is memory: only the running gateway has the books"
        )
    policies = {name: settings.policy_settings(name) for name in settings.feature_names}
    budgets = {name: policy.error_budget for name, policy in policies.items()}
    serving = frozenset(name for name, policy in policies.items() if policy.semantic == "on")
    return _Files(ledger_path(settings.store.path), settings.store.path, budgets, serving)


def _figures(files: _Files, terms: Terms) -> Figures:
    try:
        with open_books(files.ledger) as books:
            return draw_up(books, terms, _qualities(files, terms.span))
    except FileNotFoundError:
        raise click.ClickException(f"{files.ledger}: there is no ledger; a gateway makes it") from None
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"{files.ledger}: {error}") from None


def _qualities(files: _Files, span: Span) -> tuple[Quality, ...] | None:
    if files.answers == files.ledger or not files.answers.is_file():
        return None
    return qualities(read_audits(files.answers), files.budgets, span)


def _nothing(figures: Figures) -> str:
    asked = spell(figures.terms.span)
    if figures.covered is None:
        return "the ledger is empty: nothing was asked yet"
    only = "".join(f" of {name} {value!r}" for name, value in figures.terms.where.items())
    return f"nothing{only} was recorded from {asked}; the ledger has entries from {spell(figures.covered)}"


def _rendered(figures: Figures, suggestions: Sequence[Suggestion], form: str, *, to_file: bool) -> bytes:
    """The report's bytes; none where it was printed."""
    as_of = _prices_as_of()
    if form == "csv":
        return as_csv(figures).encode()
    if form == "json":
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(as_json(figures, suggestions, as_of), option=options)
    if form == "html":
        from askonce.reporting.page import as_html  # noqa: PLC0415 - an extra that the gateway does without

        return as_html(figures, suggestions, as_of).encode()

    def write(console: Console) -> None:
        write_text(console, figures, suggestions, as_of)

    if to_file:
        return on_paper(write).encode()
    print_text(write)
    return b""


def _prices_as_of() -> str:
    table = orjson.loads(importlib.resources.files("askonce.data").joinpath("prices.json").read_bytes())
    return str(table["as_of"])
