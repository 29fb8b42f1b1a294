"""Keys that stand for one another, and who uses which."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from askonce.sending.key import GO, Key, Wait

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Sequence

    from askonce.sending.limits import Limits

__all__ = ["KeyRing", "Pool"]

_CREDENTIALS: Final = 1_000
"""Passed-through credentials whose meters are remembered."""


class Pool:
    """Keys of which any may be taken.

    Attributes:
        keys: The keys.
        waiting: Calls that wait for one of them.
        held: What those that wait for a key wait for; None while the next one may go as soon as there is a slot.
        held_for: The reason why it was last held back.
        held_at: When it last was: event-loop time.
    """

    __slots__ = ("_timer", "held", "held_at", "held_for", "keys", "waiting")

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self.waiting = 0
        self.held: Wait | None = None
        self.held_for = ""
        self.held_at = float("-inf")
        self._timer: TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing waits."""
        return not self.waiting and not any(key.in_use for key in self.keys)

    def hold(self, wait: Wait, now: float, timer: TimerHandle) -> None:
        """No key may send now; the timer ends that."""
        self.held, self.held_for, self.held_at, self._timer = wait, wait.reason, now, timer

    def free(self, now: float) -> None:
        """A key may send again, or the next call may fit where the one before it didn't."""
        if self.held is not None:
            self.held_at = now
        if self._timer is not None:
            self._timer.cancel()
        self.held = self._timer = None

    def choose(self, tokens: int, now: float) -> tuple[Key, Wait]:
        """The key with the most headroom and how long it has to wait: the shortest wait of all."""
        if len(self.keys) == 1:
            return self.keys[0], self.keys[0].wait(tokens, now)
        able = [key for key in self.keys if key.wait(tokens, now) is GO]
        if able:
            return max(able, key=lambda key: (key.headroom(now), -key.in_use)), GO
        waits = ((key, key.wait(tokens, now)) for key in self.keys)
        return min(waits, key=lambda one: one[1].seconds)

    def rate(self, tokens: float, now: float) -> float:
        """Calls per second that the keys' limits allow together."""
        return sum(key.rate(tokens, now) for key in self.keys)


class KeyRing:
    """Who uses which keys: all the gateway's own, or each passed-through credential its own alone.

    Of credentials, the last used ones are remembered, by their digests. One that is in use is never forgotten.
    """

    def __init__(self, limits: Limits, secrets: Sequence[str], *, pass_through: bool) -> None:
        self._limits = limits
        named = [Key(limits, secret, index) for index, secret in enumerate(secrets)]
        self._own = Pool(named or [Key(limits)])
        self._pass_through = pass_through
        self._others: OrderedDict[bytes, Pool] = OrderedDict()

    def pool(self, credential: str | None) -> Pool:
        """The keys that a call with this credential may go out with."""
        if not self._pass_through or credential is None:
            return self._own
        digest = sha256(credential.encode()).digest()
        found = self._others.get(digest)
        if found is None:
            found = Pool([Key(self._limits)])
            self._forget()
            self._others[digest] = found
        else:
            self._others.move_to_end(digest)
        return found

    @property
    def own(self) -> Pool:
        """The gateway's own keys."""
        return self._own

    def _forget(self) -> None:
        if len(self._others) >= _CREDENTIALS:
            idle = next((digest for digest, pool in self._others.items() if pool.idle), None)
            if idle is not None:
                del self._others[idle]
