"""Forgetting while others put."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from askonce.administration.invalidation import forget
from askonce.ports import Selection
from askonce.stores.memory import MemoryStore
from fakes import FakeClock
from stores.samples import entry, key, link

if TYPE_CHECKING:
    from collections.abc import Collection

    from askonce.gateway import Gateway
    from askonce.ports import Clock


class Busy(MemoryStore):
    """A store in which somebody puts an answer again while it is being forgotten."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, 2**20)
        self._now = clock.now()

    async def discard(self, keys: Collection[bytes]) -> list[bytes]:
        gone = await super().discard(keys)
        self.put(entry("a", at=self._now), None)
        return gone


async def test_what_is_put_again_meanwhile_can_still_be_found() -> None:
    """Its question stays in the index, those of what is gone leave it."""
    clock = FakeClock()
    store, forgotten = Busy(clock), list[bytes]()
    for name in ("a", "b"):
        store.put(entry(name, at=clock.now()), None)
    store.link(link("c", "b", at=clock.now()), None)
    semantic: Any = SimpleNamespace(forget=forgotten.append)
    gateway = cast(
        "Gateway", SimpleNamespace(parts=SimpleNamespace(store=store, clock=clock, semantic=semantic))
    )
    found = await forget(gateway, Selection(), dry_run=False)
    assert (found.entries, found.links) == (2, 1)
    assert set(forgotten) == {key("b"), key("c")}
