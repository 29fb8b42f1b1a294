"""Threads for one kind of work that takes long: what is slow there holds up nothing else.

The event loop's own pool is left to what everything depends on, such as looking up names.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Threads:
    """At most `count` threads, begun when they are needed; work beyond them waits in line.

    Attributes:
        waiting: Pieces of work that were given and haven't come back.
    """

    def __init__(self, count: int, name: str) -> None:
        self.waiting = 0
        self._pool = ThreadPoolExecutor(count, f"askonce-{name}")

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What `work` returns or raises; work that is cancelled before it has begun is never done."""
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, partial(work, *args, **kwargs)
            )
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Drops what waits; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
