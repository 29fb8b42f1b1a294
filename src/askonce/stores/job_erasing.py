"""The right to erasure among jobs: an owner's go, and with them what nobody else waits for.

Plain blocking functions, inside a transaction that somebody else begins and commits.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from askonce.stores.rows import users_from
from askonce.stores.sealing import Unreadable, place

if TYPE_CHECKING:
    import sqlite3

    from askonce.model import Json, Owner
    from askonce.stores.job_tables import JobTables

__all__ = ["erase", "owned"]

_NAMES: Final = frozenset({"user", "safety_identifier", "metadata"})
"""Fields of a body that say who asks; no answer depends on them."""


class _Owned(NamedTuple):
    """A job and its line."""

    number: int
    line: int


def owned(connection: sqlite3.Connection, owner: Owner) -> list[_Owned]:
    """An owner's jobs."""
    tenants = [tenant for (tenant,) in connection.execute("SELECT DISTINCT tenant FROM jobs")]
    found = []
    for tenant in tenants:
        for number, line, users in connection.execute(
            "SELECT number, line, users FROM jobs WHERE tenant = ?", (tenant,)
        ):
            if owner.owns(tenant, users_from(users)):
                found.append(_Owned(number, line))
    return found


def erase(tables: JobTables, owner: Owner) -> int:
    """Forgets an owner's jobs, their webhooks, and what is asked or was answered for them alone; returns how many."""
    connection = tables.connection
    found = owned(connection, owner)
    for table, column in (("deliveries", "job"), ("jobs", "number")):
        numbers = [(one.number,) for one in found]
        connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", numbers)  # noqa: S608 - constants
    for line in {one.line for one in found}:
        heir = connection.execute(
            "SELECT tenant, label, feature FROM jobs WHERE line = ? ORDER BY number LIMIT 1", (line,)
        ).fetchone()
        if heir is None:
            connection.execute("DELETE FROM lines WHERE number = ?", (line,))
        else:
            with suppress(Unreadable):  # nobody reads then who the first was
                _hand_over(tables, line, heir)
    tables.room.recount()
    return len(found)


def _hand_over(tables: JobTables, line: int, heir: tuple[str, str, str]) -> None:
    """A line that others wait for too says no longer who was the first to want it."""
    connection, seals = tables.connection, tables.seals
    context, body = connection.execute("SELECT context, body FROM lines WHERE number = ?", (line,)).fetchone()
    said = orjson.loads(seals.unseal(context, place("lines.context", line)))
    tenant, label, feature = heir
    if said["caller"][0] != tenant:
        said["caller"] = [tenant, label, [feature], ""]
    context = seals.seal(orjson.dumps(said), place("lines.context", line))
    if body:
        nameless = _without_names(seals.unseal(body, place("lines.body", line)))
        body = seals.seal(nameless, place("lines.body", line))
    connection.execute(
        "UPDATE lines SET context = ?, body = ?, tenant = ? WHERE number = ?", (context, body, tenant, line)
    )


def _without_names(body: bytes) -> bytes:
    # In the standard library integers beyond 64 bits are exact.
    parsed: Json = json.loads(body)
    nameless = {name: value for name, value in parsed.items() if name not in _NAMES}
    return json.dumps(nameless, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
