"""`GET /admin/live`: what the dashboard shows, as server-sent events, about once a second.

One producer looks at the gateway for all viewers, and only while there are any. A viewer that can't keep up is skipped:
nothing is kept for it but its place, and what it is sent next is a whole picture.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from askonce.http.asgi import wait_until_gone
from askonce.observe.live import SLOTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from askonce.http.asgi import Receive, Scope, Send
    from askonce.http.live_view import View
    from askonce.observe.live_history import History

__all__ = ["EventStream", "Feed"]

_INTERVAL_S: Final = 1.0
_HISTORY_EVERY: Final = 5
"""Looks at the gateway for one at the books."""
_VIEWERS: Final = 32
_STALLED_S: Final = 60.0
_TAIL: Final = 3
"""Slots that an update repeats: a slot is complete when the one after the next begins."""
_log = structlog.get_logger("askonce.dashboard")


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the gateway: its number, what has changed since the one before, and everything, as events."""

    number: int
    update: bytes
    whole: bytes


class Feed:
    """Looks at the gateway for all viewers."""

    def __init__(self, view: View, history: History, *, interval_s: float = _INTERVAL_S) -> None:
        self._view = view
        self._history = history
        self._interval_s = interval_s
        self._viewers = 0
        self._latest: _Look | None = None
        self._known: dict[str, bytes] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether nobody else may look."""
        return self._viewers >= _VIEWERS

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """A viewer's place, for as long as it looks."""
        self._viewers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._produce(), name="dashboard")  # noqa: TID251 - ends with the last viewer
        try:
            yield
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._task.cancel()
                self._task = self._latest = None
                self._known.clear()

    async def events(self, welcome: Callable[[], bool]) -> AsyncIterator[bytes]:
        """A viewer's events, for as long as it is `welcome`: first the whole picture, then what changes."""
        seen: int | None = None
        while True:
            if not welcome():
                yield b"event: end\ndata: {}\n\n"
                return
            look = self._latest
            if look is not None and look.number != seen:
                yield look.update if seen is not None and look.number == seen + 1 else look.whole
                seen = look.number
                continue
            await self._news.wait()

    async def _produce(self) -> None:
        """Looks, until the last viewer has left."""
        for number in itertools.count():
            if number % _HISTORY_EVERY == 0 and self._reading is None:
                self._reading = asyncio.create_task(self._history.refresh(), name="history")  # noqa: TID251 - ends by itself
                self._reading.add_done_callback(self._read)
            self._look(number)
            self._news.set()
            self._news = asyncio.Event()
            await asyncio.sleep(self._interval_s)

    def _read(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if not reading.cancelled() and reading.exception() is not None:
            _log.error("history could not be read", exc_info=reading.exception())

    def _look(self, number: int) -> None:
        try:
            parts = {name: orjson.dumps(part) for name, part in self._view.parts().items()}
            tail, series = self._view.series(_TAIL), self._view.series(SLOTS)
        except Exception:  # noqa: BLE001 - one look's bug must not end all of them
            _log.exception("nothing to show")
            return
        changed = {name: part for name, part in parts.items() if self._known.get(name) != part}
        self._known = parts
        self._latest = _Look(
            number,
            _event(b"update", {**changed, "tail": orjson.dumps(tail)}),
            _event(b"whole", {**parts, "series": orjson.dumps(series)}),
        )


class EventStream:
    """The response: an ASGI application that sends a feed's events to one viewer."""

    def __init__(self, feed: Feed, welcome: Callable[[], bool], headers: list[tuple[bytes, bytes]]) -> None:
        self._feed = feed
        self._welcome = welcome
        self._headers = [*headers, (b"content-type", b"text/event-stream; charset=utf-8")]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the viewer leaves, can't be sent anything for a minute, or isn't welcome any more."""
        gone = False

        def leave() -> None:
            nonlocal gone
            gone = True

        watcher = asyncio.create_task(wait_until_gone(receive, leave), name="disconnect")  # noqa: TID251 - ends below
        try:
            with self._feed.viewing():
                await send({"type": "http.response.start", "status": 200, "headers": self._headers})
                async for data in self._feed.events(self._welcome):
                    if gone:
                        return
                    async with asyncio.timeout(_STALLED_S):
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            _log.info("a viewer of the dashboard has stalled")
        finally:
            watcher.cancel()


def _event(name: bytes, parts: dict[str, bytes]) -> bytes:
    inside = b",".join(b'"%s":%s' % (part.encode(), value) for part, value in parts.items())
    return b"event: %s\ndata: {%s}\n\n" % (name, inside)
