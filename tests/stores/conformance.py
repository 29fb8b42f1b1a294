"""What every store promises: one suite, run against each implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.model import Stored
from stores.samples import FakeClock, entry, key, link, question

if TYPE_CHECKING:
    from askonce.ports import Store

__all__ = ["StoreConformance"]


class StoreConformance:
    """Subclasses provide the fixtures `store` (started, entries of at most 10,000 bytes) and `clock`."""

    async def test_an_entry_is_found_at_once_and_whole(self, store: Store) -> None:
        """What was put is what peek and get give back, without a wait between."""
        kept = entry("a", tags=("x", "y"))
        store.put(kept, None)
        assert store.peek(key("a")) == Stored(kept)
        assert await store.get(key("a")) == Stored(kept)

    async def test_nothing_is_found_under_an_unknown_key(self, store: Store) -> None:
        """A key that was never put is a miss in every tier."""
        assert store.peek(key("a")) is None
        assert await store.get(key("a")) is None

    async def test_a_later_put_replaces_an_earlier_one(self, store: Store) -> None:
        """The last answer under a key is the one."""
        store.put(entry("a", text="old"), None)
        store.put(entry("a", text="new"), None)
        assert await store.get(key("a")) == Stored(entry("a", text="new"))

    async def test_an_entry_ends_when_its_time_is_over(self, store: Store, clock: FakeClock) -> None:
        """At `expires_at` an entry is gone, a moment earlier it is there."""
        store.put(entry("a", ttl_s=10), None)
        clock.time += 9.9
        assert store.peek(key("a")) is not None
        clock.time += 0.1
        assert store.peek(key("a")) is None
        assert await store.get(key("a")) is None

    async def test_a_clock_set_back_never_stretches_a_life(self, store: Store, clock: FakeClock) -> None:
        """An entry from the future is served, for its TTL from now on and no longer."""
        store.put(entry("a", ttl_s=10), None)
        clock.time -= 5_000
        found = await store.get(key("a"))
        assert found is not None
        assert found.entry.created_at == clock.time
        await store.flush()
        clock.time += 10
        assert await store.get(key("a")) is None

    async def test_a_link_leads_to_its_entry(self, store: Store) -> None:
        """A paraphrase is answered by its target, and says by which link."""
        store.put(entry("a"), None)
        store.link(link("b", "a"), None)
        assert store.peek(key("b")) == Stored(entry("a"), link("b", "a"))
        assert await store.get(key("b")) == Stored(entry("a"), link("b", "a"))

    async def test_cutting_a_link_leaves_the_answer(self, store: Store) -> None:
        """Removing the link's key touches the link alone."""
        store.put(entry("a"), None)
        store.link(link("b", "a"), None)
        store.remove(key("b"))
        assert await store.get(key("b")) is None
        assert await store.get(key("a")) == Stored(entry("a"))

    async def test_a_link_is_dead_without_its_entry_and_alive_with_the_next(self, store: Store) -> None:
        """A link to a forgotten entry finds nothing until that question is answered anew."""
        store.put(entry("a"), None)
        store.link(link("b", "a"), None)
        store.remove(key("a"))
        assert await store.get(key("b")) is None
        store.put(entry("a", text="new"), None)
        assert await store.get(key("b")) == Stored(entry("a", text="new"), link("b", "a"))

    async def test_a_link_ends_with_its_own_time_or_with_its_entry(
        self, store: Store, clock: FakeClock
    ) -> None:
        """Whichever is over first ends the link."""
        store.put(entry("a", ttl_s=10), None)
        store.link(link("short", "a", ttl_s=5), None)
        store.link(link("long", "a", ttl_s=50), None)
        clock.time += 5
        assert await store.get(key("short")) is None
        assert await store.get(key("long")) is not None
        clock.time += 5
        assert await store.get(key("long")) is None

    async def test_links_are_followed_one_step(self, store: Store) -> None:
        """A link to a link, and one to itself, lead nowhere."""
        store.put(entry("a"), None)
        store.link(link("b", "a"), None)
        store.link(link("c", "b"), None)
        store.link(link("a", "a"), None)
        assert await store.get(key("c")) is None
        assert await store.get(key("a")) == Stored(entry("a"))

    async def test_a_key_holds_an_entry_or_a_link(self, store: Store) -> None:
        """A link takes the place of an entry and the other way round."""
        store.put(entry("a"), None)
        store.put(entry("b"), None)
        store.link(link("b", "a"), None)
        assert await store.get(key("b")) == Stored(entry("a"), link("b", "a"))
        store.put(entry("b"), None)
        assert await store.get(key("b")) == Stored(entry("b"))

    async def test_invalidation_forgets_what_carries_a_tag(self, store: Store) -> None:
        """Any of the tags is enough; the keys come back, others stay."""
        for name, tags in {"a": ("x",), "b": ("x", "y"), "c": ("z",), "d": ()}.items():
            store.put(entry(name, tags=tags), None)
        assert set(await store.invalidate(["x", "y"])) == {key("a"), key("b")}
        left = [name for name in "abcd" if await store.get(key(name)) is not None]
        assert left == ["c", "d"]
        assert await store.invalidate(["x"]) == []
        assert await store.invalidate([]) == []

    async def test_an_entry_put_after_an_invalidation_stays(self, store: Store) -> None:
        """Invalidation concerns what was there, not what comes."""
        store.put(entry("a", tags=("x",)), None)
        await store.flush()
        forgotten = await store.invalidate(["x"])
        store.put(entry("a", tags=("x",), text="new"), None)
        await store.flush()
        assert forgotten == [key("a")]
        assert await store.get(key("a")) == Stored(entry("a", tags=("x",), text="new"))

    async def test_a_replaced_entry_has_lost_its_tags(self, store: Store) -> None:
        """Tags belong to the entry that carried them."""
        store.put(entry("a", tags=("x",)), None)
        store.put(entry("a", text="new"), None)
        assert await store.invalidate(["x"]) == []
        assert await store.get(key("a")) is not None

    async def test_an_oversized_entry_is_not_kept(self, store: Store) -> None:
        """It isn't kept, and the older answer that it replaces isn't served either."""
        store.put(entry("a"), None)
        store.put(entry("a", size=20_000), None)
        assert store.peek(key("a")) is None
        await store.flush()
        assert await store.get(key("a")) is None

    async def test_removing_what_is_not_there_is_nothing(self, store: Store) -> None:
        """No error, no trace."""
        store.remove(key("a"))
        await store.flush()
        assert await store.get(key("a")) is None

    async def test_the_secret_is_32_bytes_and_stays(self, store: Store) -> None:
        """Within a run the secret never changes."""
        secret = await store.secret()
        assert len(secret) == 32
        assert await store.secret() == secret

    async def test_health_counts(self, store: Store) -> None:
        """Entries and their bytes show up."""
        store.put(entry("a"), question("a"))
        store.put(entry("b"), None)
        await store.flush()
        health = store.health()
        assert health.entries == 2
        assert health.memory_bytes > 200
        assert (health.pending_writes, health.evictions, health.lost_writes) == (0, 0, 0)
        assert health.detail
