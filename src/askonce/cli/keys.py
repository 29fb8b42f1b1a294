"""`askonce keys`: keys for tenants."""

from __future__ import annotations

import hashlib
import re

import click

from askonce.administration import keys as issuing

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Make keys for tenants."""


@keys.command("new")
@click.argument("tenant")
def new_key(tenant: str) -> None:
    """Make a key for TENANT.

    Prints the key, which is kept nowhere, and what goes into the configuration: its SHA-256 hash.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", tenant):
        raise click.BadParameter(
            "must be lower-case letters, digits, - and _ (at most 63, a letter or digit first)",
            param_hint="TENANT",
        )
    key = issuing.new_key(tenant)
    digest = f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    click.echo(
        f"The key, shown this once and kept nowhere; hand it to {tenant}:\n\n"
        f"{key}\n\n"
        "Its hash, for the configuration:\n\n"
        f"{digest}\n\n"
        "For example:\n\n"
        "tenants:\n"
        f"  - name: {tenant}\n"
        f'    keys: ["{digest}"]\n'
        "    features: [default]"
    )
