"""What a running `llama-server` says of itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.error import HTTPError, URLError

if TYPE_CHECKING:
    from servers import Server

__all__ = ["SLOTS", "LlamaServer", "Work"]

SLOTS: Final = 4
"""Answers that it generates at a time."""


@dataclass(frozen=True)
class LlamaServer:
    """A process of it."""

    server: Server

    @property
    def base_url(self) -> str:
        return self.server.base_url

    @property
    def ready(self) -> bool:
        try:
            return bool(self.server.get("/health"))
        except (HTTPError, URLError, ConnectionError):
            return False

    @property
    def busy_slots(self) -> int:
        """Answers that it generates now."""
        return sum(slot["is_processing"] for slot in self.server.json("/slots"))

    def rest(self, within_s: float) -> None:
        """Waits until it generates nothing; fails after so long.

        Asks seldom: a server that is asked every moment doesn't look whether its callers have left (it does so after a second
        without any news).
        """
        deadline = time.monotonic() + within_s
        while self.busy_slots:
            assert time.monotonic() < deadline, "the server never came to rest"
            time.sleep(1.5)

    @property
    def work(self) -> Work:
        """All that it has done so far."""
        return Work(
            int(self.server.metric("llamacpp:prompt_tokens_total")),
            int(self.server.metric("llamacpp:tokens_predicted_total")),
        )


@dataclass(frozen=True)
class Work:
    """Tokens read (those not cached) and generated."""

    prompt: int
    predicted: int
