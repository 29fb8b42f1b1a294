"""Where jobs are kept: a connection with a thread of its own, or in memory alone."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from askonce.stores.schema import SCHEMA
from askonce.stores.sealing import Seals

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Transactions", "volatile_transactions"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Transactions:
    """Where jobs are kept: a way to do blocking work on a connection, off the event loop.

    Attributes:
        run: Does the work on a connection in a thread of its own; its errors are SQLite's and the disk's.
        durable: Whether what it commits outlives the process.
        close: Ends it.
        seals: What is sealed on its way to the disk.
    """

    run: Callable[[Callable[[sqlite3.Connection], Any]], asyncio.Future[Any]]
    durable: bool
    close: Callable[[], None]
    seals: Seals = field(default_factory=Seals)


def volatile_transactions() -> Transactions:
    """A database in memory: everything works, nothing outlives the process."""
    thread = ThreadPoolExecutor(1, "askonce-jobs")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        SCHEMA.bring_up_to_date(connection)
        return connection

    opened = thread.submit(connect)

    def run(work: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(thread, lambda: work(opened.result()))

    return Transactions(run, durable=False, close=lambda: thread.shutdown(wait=False))
