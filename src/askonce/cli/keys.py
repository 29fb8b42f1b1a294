"""`askonce keys`: keys for tenants, in the configuration or live."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from askonce.administration import keys as issuing
from askonce.cli.asking import takes_gateway

if TYPE_CHECKING:
    from askonce.cli.asking import AdminApi

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Make keys for tenants, and change those of a running gateway."""


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


@keys.command("list")
@takes_gateway
def list_keys(api: AdminApi) -> None:
    """List the keys of a running gateway: issued ones and those of its configuration."""
    for key in api.call("GET", "/admin/keys")["keys"]:
        issued = key["source"] == "issued"
        since = f"since {_day(key['created_at'])}" if issued else "from the configuration"
        ended = f", ended {_day(key['revoked_at'])}" if issued and key["revoked_at"] is not None else ""
        state = "valid" if key["usable"] else "not valid"
        click.echo(f"{key['id']}  {key['tenant']}  {state}, {since}{ended}  {key.get('note', '')}".rstrip())


@keys.command("issue")
@takes_gateway
@click.argument("tenant")
@click.option("--note", default="", help="What to remember it by.")
def issue_key(api: AdminApi, tenant: str, note: str) -> None:
    """Issue a key for TENANT at a running gateway: it works at once. Prints the key, which is kept nowhere."""
    click.echo(api.call("POST", "/admin/keys", {"tenant": tenant, "note": note})["key"])


@keys.command("revoke")
@takes_gateway
@click.argument("key_id")
def revoke_key(api: AdminApi, key_id: str) -> None:
    """End the issued key KEY_ID at a running gateway, at once."""
    ended = api.call("DELETE", f"/admin/keys/{_checked(key_id)}")
    click.echo(f"{ended['id']}  {ended['tenant']}  ended {_day(ended['revoked_at'])}")


@keys.command("rotate")
@takes_gateway
@click.argument("key_id")
@click.option("--overlap", default="0s", show_default=True, help="How long the old key goes on: 30m, 7d.")
def rotate_key(api: AdminApi, key_id: str, overlap: str) -> None:
    """Issue a successor of the key KEY_ID at a running gateway. Prints the new key, which is kept nowhere."""
    click.echo(api.call("POST", f"/admin/keys/{_checked(key_id)}/rotate", {"overlap": overlap})["key"])


def _checked(key_id: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{8,64}", key_id):
        raise click.BadParameter(
            "must be hexadecimal digits, as `askonce keys list` shows them", param_hint="KEY_ID"
        )
    return key_id


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
