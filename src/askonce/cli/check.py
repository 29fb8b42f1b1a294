"""`askonce check`: what a configuration file comes to, or everything that is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from askonce.config import ConfigError, OpenAIUpstream, PolicySettings, PythonUpstream, load, warnings
from askonce.config.forms import written
from askonce.config.section import yaml_key
from askonce.wiring.batching import check_functions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.config import AllowanceSettings, Settings, UpstreamSettings

__all__ = ["check"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check the configuration FILE and show what it comes to.

    Errors go to standard error, one a line, and the exit status is 1. Keys are never shown.
    """
    try:
        settings = load(file, os.environ)
        check_functions(settings, str(file))
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(1) from None
    click.echo("\n".join(["ok", "", *_summary(settings)]))
    for warning in warnings(settings):
        click.echo(f"warning: {warning}")


def _summary(settings: Settings) -> Iterator[str]:
    yield f"listen  {settings.listen}"
    keys = len(settings.cache_encryption_key)
    yield f"store   {settings.store}" + (f", encrypted ({keys} key(s))" if keys else "")
    yield from ("", "upstreams")
    yield from _table([_upstream_row(upstream) for upstream in settings.upstreams])
    yield from ("", "tenants")
    if settings.tenants is None:
        yield "  none: callers are told apart by the credential that they present"
    else:
        yield from _table(
            [
                [tenant.name, f"{len(tenant.keys)} key(s)", f"features {', '.join(tenant.features)}"]
                for tenant in settings.tenants
            ]
        )
    yield from ("", "policies")
    yield from _table(_policy_rows(settings))
    limits = _limit_rows(settings)
    if limits:
        yield from ("", "limits", *_table(limits))
    yield ""


def _upstream_row(upstream: UpstreamSettings) -> list[str]:
    models = f"models {', '.join((*upstream.models, *upstream.aliases))}"
    if isinstance(upstream, OpenAIUpstream):
        credential = "own key" if upstream.presents_own_key else "no key of its own"
        return [upstream.name, upstream.base_url, credential, models]
    where = upstream.function if isinstance(upstream, PythonUpstream) else "simulated"
    return [upstream.name, where, "", models]


def _policy_rows(settings: Settings) -> list[list[str]]:
    """A row for each policy setting, a column for each feature."""
    policies = [settings.policy_settings(name) for name in settings.feature_names]
    rows = [["", *settings.feature_names]]
    for name, field in PolicySettings.model_fields.items():
        if name == "limits":  # shown with the tenants'
            continue
        rows.append([yaml_key(name), *(written(field, getattr(policy, name)) or "-" for policy in policies)])
    return rows


def _limit_rows(settings: Settings) -> list[list[str]]:
    """A row for everybody who is held to limits: whose they are, and what they are."""
    general = settings.default_tenant
    each = "each credential" if settings.tenants is None else "each tenant"
    found = [(each, "", general.limits), *((each, *one) for one in general.feature_limits.items())]
    for tenant in settings.tenants or ():
        found += [(tenant.name, "", tenant.limits)]
        found += [(tenant.name, *one) for one in tenant.feature_limits.items()]
    named = ((name, settings.policy_settings(name).limits) for name in settings.feature_names)
    found += [("all tenants", *one) for one in named]
    return [[who, feature or "all features", _limits(one)] for who, feature, one in found if one is not None]


def _limits(settings: AllowanceSettings) -> str:
    """`requests_per_minute 60, usd_per_day soft 5 hard 6`."""
    said = []
    for name in ("requests_per_minute", "tokens_per_minute", "usd_per_day", "usd_per_month"):
        bound = getattr(settings, name)
        if bound is not None:
            soft = "" if bound.soft is None else f" soft {bound.soft:g}"
            hard = "" if bound.hard is None else f" hard {bound.hard:g}" if soft else f" {bound.hard:g}"
            said.append(f"{name}{soft}{hard}")
    return ", ".join([*said, *(["count_hits"] if settings.count_hits else [])]) or "none"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, two spaces in."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
