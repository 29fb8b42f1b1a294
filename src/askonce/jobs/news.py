"""Tells those who wait for a job that it has ended."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from askonce.job import Ended

__all__ = ["News"]

_Name: TypeAlias = tuple[str, str]


class News:
    """Who waits for which job of this process's.

    Attributes:
        closed: Whether this process waits no longer: whoever listens is told at once.
    """

    def __init__(self) -> None:
        self.closed = False
        self._waiting: dict[_Name, set[asyncio.Event]] = {}

    @contextmanager
    def about(self, tenant: str, request_id: str) -> Iterator[asyncio.Event]:
        """An event that is set once the job has ended: begin to listen before you look."""
        name, event = (tenant, request_id), asyncio.Event()
        if self.closed:
            event.set()
        self._waiting.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            listeners = self._waiting.get(name)
            if listeners is not None:
                listeners.discard(event)
                if not listeners:
                    del self._waiting[name]

    def tell(self, ended: Iterable[Ended]) -> None:
        """Jobs have ended."""
        for one in ended:
            for event in self._waiting.get((one.tenant, one.request_id), ()):
                event.set()

    def close(self) -> None:
        """Nobody has anything to wait for any more."""
        self.closed = True
        for listeners in self._waiting.values():
            for event in listeners:
                event.set()
