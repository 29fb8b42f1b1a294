"""Leave to send one call: a slot and a key, and the way back for what the call teaches."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.errors import UpstreamFailure
    from askonce.model import Call
    from askonce.sending.admission import Admission
    from askonce.sending.key import Key, Shot
    from askonce.sending.pool import Pool

__all__ = ["Grant"]


class Grant:
    """Holds a slot until it is released.

    Attributes:
        key: The key to send with.
        pool: The keys that it was chosen from.
        shot: When it was sent and as which of the key's calls.
        tokens: What was counted for it so far.
        level: Calls under way when it was sent, itself included.
        waited_s: Seconds in the queue.
        waited_for: The reason code of the wait, "" where there was none.
    """

    __slots__ = (
        "_admission", "_measured", "_open", "key", "level", "pool", "shot", "tokens", "waited_for", "waited_s",
    )  # fmt: skip

    def __init__(
        self, admission: Admission, pool: Pool, key: Key, shot: Shot, *, tokens: int, level: int
    ) -> None:
        self._admission = admission
        self._measured = False
        self._open = True
        self.pool = pool
        self.key = key
        self.shot = shot
        self.tokens = tokens
        self.level = level
        self.waited_s = 0.0
        self.waited_for = ""

    def address(self, call: Call) -> Call:
        """The call with the key that it goes out with."""
        return call if self.key.secret is None else replace(call, credential=self.key.secret)

    def charge(self, tokens: int) -> None:
        """Counts the tokens of further calls that share the upstream call."""
        self.tokens += tokens
        self.key.charge(tokens, _now())

    def settle(self, tokens: int) -> None:
        """Puts the true count in place of what was counted so far."""
        if tokens != self.tokens:
            self.charge(tokens - self.tokens)

    def accepted(self, headers: Sequence[tuple[str, str]]) -> None:
        """The upstream has taken the call."""
        self.key.accepted(self.shot, headers)

    def answered(self, *, bounded: bool) -> None:
        """What shows the upstream's speed has come: a stream's first event, or a whole answer. Only the first counts.

        Args:
            bounded: Whether the time doesn't depend on the answer's length, so that a long one shows something.
        """
        if not self._measured:
            self._measured = True
            self._admission.answered(self, _now(), bounded=bounded)

    def failed(self, failure: UpstreamFailure) -> None:
        """The upstream has refused the call, or failed in it."""
        self._measured = True
        self._admission.failed(self, failure, _now())

    def release(self, *, sent: bool = True) -> None:
        """Gives the slot back; safe to call again. What was never sent is counted back too."""
        if self._open:
            self._open = False
            self._admission.released(self, _now(), sent=sent)


def _now() -> float:
    return asyncio.get_running_loop().time()
