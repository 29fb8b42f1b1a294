"""The server process: one uvicorn on one socket, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from askonce.http.app import App
from askonce.http.protocol import BoundedProtocol

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.config import Settings

__all__ = ["bind", "server"]

_BACKLOG = 4096


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        OSError: the address is taken or isn't ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(_BACKLOG)
    listener.settimeout(0)
    return listener


class _Server(uvicorn.Server):
    """A server that tells its application when it begins to end."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to take requests; from then on SIGHUP reads the configuration again."""
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._app.reload)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more connections and waits for requests; the configuration isn't read any more."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._app.drain()
        await super().shutdown(sockets)


def server(settings: Settings, source: Path | None = None) -> uvicorn.Server:
    """The server, to be run on a bound socket; `source` is the file that the settings are from.

    On SIGTERM or SIGINT it takes no more connections and lets running requests end, for three quarters of
    `limits.drain_timeout`; the last quarter is for flights that outlive their callers. Then it commits what is to be
    stored.
    """
    app = App(settings, source)
    return _Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=BoundedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.limits.drain_timeout_s * 3 / 4)),
        ),
        app,
    )
