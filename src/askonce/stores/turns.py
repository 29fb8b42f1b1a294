"""Tenants take turns, over many small takes as well as in one."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

__all__ = ["Turns"]

_T = TypeVar("_T")


class Turns:
    """Whose turn it is among the tenants that have rows of one state in a table.

    Who was served last comes last the next time. That is remembered by the process alone: a restart begins anew.

    Args:
        connection: Where the table is.
        table: Its name; it has an index that begins with `state, tenant`.
        state: The state of rows that wait.
    """

    def __init__(self, connection: sqlite3.Connection, table: str, state: str) -> None:
        self._connection = connection
        self._following = (
            f"SELECT tenant FROM {table} WHERE state = '{state}' AND tenant > ? ORDER BY tenant LIMIT 1"  # noqa: S608 - constants
        )
        self._last = ""

    def take(self, count: int, take_one: Callable[[str], _T | None]) -> list[_T]:
        """Up to `count` things: `take_one` gives the next of a tenant, None where there is no further one."""
        waiting, taken = deque(self._tenants()), list[_T]()
        while waiting and len(taken) < count:
            tenant = waiting.popleft()
            one = take_one(tenant)
            if one is not None:
                taken.append(one)
                waiting.append(tenant)
                self._last = tenant
        return taken

    def _tenants(self) -> list[str]:
        """Those that wait, in turn: found by the index rather than by walking all rows."""
        found = list[str]()
        row = self._connection.execute(self._following, ("",)).fetchone()
        while row is not None:
            found.append(row[0])
            row = self._connection.execute(self._following, row).fetchone()
        served = bisect_right(found, self._last)
        return found[served:] + found[:served]
