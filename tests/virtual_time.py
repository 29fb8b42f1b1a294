"""An event loop whose clock is a number: nothing sleeps, the same history runs the same way every time.

Where nothing is ready, time jumps to the next timer. Where there is no timer either, everything waits for ever: that
is a deadlock, and it is raised as one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import selectors
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Deadlock", "VirtualTimeLoop", "virtual_time"]

P = ParamSpec("P")
T = TypeVar("T")

_BEGINNING = 1_000.0
"""Not 0, so that a time that was never set doesn't pass for one that was."""


class Deadlock(RuntimeError):
    """Every task waits for something that no timer and no task will bring."""


class _Clockwork(selectors.SelectSelector):
    """A selector that waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _BEGINNING

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready and timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs tasks in virtual seconds."""

    def __init__(self) -> None:
        self._clockwork = _Clockwork()
        super().__init__(self._clockwork)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._clockwork.now

    def settle(self) -> None:
        """Runs all that can run now; time stands still."""
        while True:
            self.run_until_complete(asyncio.sleep(0))
            if not self._ready and not self._due():  # type: ignore[attr-defined]
                return

    def advance(self, seconds: float) -> None:
        """Lets time pass, every timer in its turn, and settles."""
        self.run_until_complete(asyncio.sleep(seconds))
        self.settle()

    def _due(self) -> bool:
        end = self.time() + self._clock_resolution
        return any(timer.when() < end and not timer.cancelled() for timer in self._scheduled)  # type: ignore[attr-defined]


_STOPWATCHES: Final = tuple(f"askonce.pipeline.{stage}.perf_counter" for stage in ("fetch", "flight", "leg"))
"""Where durations are measured rather than waited for: they run on virtual time too."""


def virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Runs an async test in virtual time; fails it where it leaves a task behind."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        loop = VirtualTimeLoop()
        try:
            with contextlib.ExitStack() as patches:
                for stopwatch in _STOPWATCHES:
                    patches.enter_context(mock.patch(stopwatch, loop.time))
                result = loop.run_until_complete(test(*args, **kwargs))
            loop.settle()
            left = asyncio.all_tasks(loop)
            assert not left, f"tasks left behind: {left}"
            return result
        finally:
            loop.close()

    return run
