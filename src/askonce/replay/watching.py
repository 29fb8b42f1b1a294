"""Whoever is shown how far a study is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["Unwatched", "Watcher"]


class Watcher(Protocol):
    """Is told of steps."""

    def step(self, name: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """A step begins, of so many parts (None: nobody knows); what it gives is told how many more are done."""
        ...


class Unwatched:
    """Nobody looks."""

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - nobody looks
        """See `Watcher.step`."""
        yield lambda _: None
