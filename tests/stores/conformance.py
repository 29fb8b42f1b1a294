"""What every store promises: one suite, run against each implementation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from askonce.model import Owner, Stored
from askonce.stores import audits
from stores.samples import FakeClock, audit, entry, key, link, question

if TYPE_CHECKING:
    import pytest

    from askonce.model import Audit
    from askonce.ports import Store

__all__ = ["StoreConformance", "all_audits", "unequal"]

MARK, OTHER = b"m" * 16, b"o" * 16
"""Keyed hashes of two users."""


async def all_audits(store: Store, feature: str | None = None) -> list[Audit]:
    return [one async for batch in store.audits(feature) for one in batch]


def unequal(one: Audit, other: Audit) -> list[str]:
    """The attributes in which two audits differ; evidence may differ by what float16 costs."""
    differing = [
        name for name in one.__slots__ if name != "evidence" and getattr(one, name) != getattr(other, name)
    ]
    if (one.evidence is None) != (other.evidence is None):
        return [*differing, "evidence"]
    if one.evidence is not None and other.evidence is not None:
        assert one.evidence.dtype == other.evidence.dtype == np.float32
        assert np.allclose(one.evidence, other.evidence, rtol=1e-3), "evidence"
    return differing


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
        """A link to a forgotten entry finds nothing until that question is answered anew, and that is committed."""
        store.put(entry("a"), None)
        store.link(link("b", "a"), None)
        store.remove(key("a"))
        assert await store.get(key("b")) is None
        store.put(entry("a", text="new"), None)
        await store.flush()
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

    async def test_all_links_to_an_entry_are_known(self, store: Store) -> None:
        """Those that lead to it and no others, however they are spread over memory and disk; not those cut."""
        for name in "ab":
            store.put(entry(name), None)
        for name, target in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "a")):
            store.link(link(name, target), None)
        store.remove(key("4"))
        for _ in range(2):
            assert {one.key for one in await store.links_to(key("a"))} == {key("1"), key("2")}
            await store.flush()
        assert await store.links_to(key("nothing")) == []

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

    async def test_members_of_a_class_outlive_the_entry_that_named_it(self, store: Store) -> None:
        """A question with an answer of its own is served by it, whatever becomes of its class's entry.

        Only what is answered by that entry (a link) finds nothing meanwhile.
        """
        store.put(entry("a"), question("a"))
        store.put(entry("own"), question("own", answer="a"))
        store.link(link("linked", "a"), question("linked", answer="a"))
        store.remove(key("a"))
        await store.flush()
        assert await store.get(key("own")) == Stored(entry("own"))
        assert await store.get(key("linked")) is None
        store.put(entry("a", text="new"), question("a"))
        await store.flush()
        assert await store.get(key("linked")) == Stored(entry("a", text="new"), link("linked", "a"))

    async def test_reclassing_touches_no_answer(self, store: Store) -> None:
        """Neither a question's own answer, nor a link, nor a key that nothing is under."""
        store.put(entry("a"), question("a"))
        store.link(link("b", "a"), question("b", answer="a"))
        for name in "abc":
            store.reclass(key(name), key("elsewhere"))
        await store.flush()
        assert await store.get(key("a")) == Stored(entry("a"))
        assert await store.get(key("b")) == Stored(entry("a"), link("b", "a"))
        assert await store.get(key("c")) is None

    async def test_audits_come_back_whole_and_in_order(self, store: Store) -> None:
        """Everything that an audit says, newest last, by feature or all; with and without evidence."""
        assert await all_audits(store) == []
        put = [
            audit(number, "ab"[number % 2], evidence=None if number % 5 == 0 else (number, -0.25, 1e-3))
            for number in range(20)
        ]
        for one in put[:10]:
            store.audited(one)
        await store.flush()
        for one in put[10:]:
            store.audited(one)
        for feature, expected in ((None, put), ("a", put[::2]), ("b", put[1::2]), ("c", [])):
            found = await all_audits(store, feature)
            assert [one.request_id for one in found] == [one.request_id for one in expected]
            assert [unequal(*pair) for pair in zip(found, expected, strict=True)] == [[]] * len(expected)

    async def test_a_features_oldest_audits_go(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """The bound holds for each feature by itself: a busy one costs a quiet one nothing."""
        monkeypatch.setattr(audits, "KEPT_PER_FEATURE", 5)
        store.audited(audit(0, "quiet"))
        for number in range(1, 31):
            store.audited(audit(number, "busy"))
            if number % 7 == 0:
                await store.flush()
        kept = [f"request-{number}" for number in (0, *range(26, 31))]
        assert [one.request_id for one in await all_audits(store)] == kept

    async def test_audits_outlive_their_entries(self, store: Store, clock: FakeClock) -> None:
        """What was judged stays judged when the answer is forgotten or too old."""
        store.put(entry("a0", ttl_s=5), question("a0"))
        store.audited(audit(0))
        store.remove(key("a0"))
        clock.time += 1_000
        await store.flush()
        assert len(await all_audits(store, "support")) == 1

    async def test_values_are_kept_by_name(self, store: Store) -> None:
        """The last value of a name is the one, before and after it is on disk; other names have none."""
        assert store.kept("budget:support") is None
        store.keep("budget:support", b"1")
        assert store.kept("budget:support") == b"1"
        await store.flush()
        store.keep("budget:support", b"")
        store.keep("secret", b"not the store's own")
        assert store.kept("budget:support") == b""
        await store.flush()
        assert store.kept("budget:support") == b""
        assert store.kept("budget:other") is None
        assert await store.secret() != store.kept("secret")

    async def test_whose_something_is_outlives_the_memory(self, store: Store) -> None:
        """Entries and links come back with their users, audits with whose they are."""
        mine = replace(entry("a", tags=("x",)), users=(MARK, OTHER))
        asked = replace(link("b", "a"), tenant="acme", users=(OTHER,))
        judged = replace(audit(0), tenant="acme", users=(MARK, OTHER))
        store.put(mine, question("a"))
        store.link(asked, question("b"))
        store.audited(judged)
        await store.flush()
        found = await store.get(key("b"))
        assert found is not None
        assert sorted(found.entry.users) == sorted(mine.users)
        assert found.link == asked
        assert await store.links_to(key("a")) == [asked]
        assert unequal((await all_audits(store))[0], judged) == []

    async def test_a_users_data_is_forgotten_and_nobody_elses(self, store: Store) -> None:
        """Her entries, all links to them, her links to others' entries; other users' and other tenants' stay."""
        store.put(replace(entry("mine"), users=(MARK,)), question("mine"))
        store.link(replace(link("to-mine", "mine"), tenant="acme", users=(OTHER,)), None)
        store.put(replace(entry("theirs"), users=(OTHER,)), question("theirs"))
        store.link(replace(link("my-words", "theirs"), tenant="acme", users=(MARK,)), question("my-words"))
        store.put(replace(entry("namesake"), tenant="zeta", users=(MARK,)), None)
        store.audited(replace(audit(0), tenant="acme", users=(MARK,)))
        store.audited(replace(audit(1), answer=key("mine")))
        await store.flush()
        planned = await store.owned(Owner("acme", MARK))
        erased = await store.erase(Owner("acme", MARK))
        assert set(planned.keys) == set(erased.keys) == {key("mine"), key("to-mine"), key("my-words")}
        assert (planned.entries, planned.links) == (1, 2)
        for name in ("mine", "to-mine", "my-words"):
            assert await store.get(key(name)) is None
        for name in ("theirs", "namesake"):
            assert await store.get(key(name)) is not None
        first, second = await all_audits(store)
        assert (first.question, first.request_id, first.tenant, first.users) == (b"", "", "", ())
        assert first.right == audit(0).right
        assert (second.question, second.answer) == (key("q1"), b"")
        assert (await store.owned(Owner("acme", MARK))).keys == ()

    async def test_a_tenants_data_is_forgotten_before_it_is_committed_too(self, store: Store) -> None:
        """What waits for the disk is erased as well, and the disk never hears of it."""
        store.put(entry("a"), question("a"))
        store.put(replace(entry("b"), tenant="zeta"), question("b"))
        assert (await store.erase(Owner("acme"))).keys == (key("a"),)
        assert store.peek(key("a")) is None
        await store.flush()
        assert await store.get(key("a")) is None
        assert await store.get(key("b")) is not None
        assert await store.scrub() == []
        assert await store.get(key("b")) is not None

    async def test_a_credentials_data_is_found_by_its_first_digits(self, store: Store) -> None:
        """With all that is named under it; or, where a name is given, that alone."""
        whole = "key:" + "ab12" * 16
        for name, tenant in (
            ("a", whole),
            ("b", f"{whole}/north"),
            ("c", f"{whole}/south"),
            ("d", "key:cd" + "0" * 62),
        ):
            store.put(replace(entry(name), tenant=tenant), None)
        await store.flush()
        assert set((await store.owned(Owner("key:ab12ab12ab12"))).keys) == {key(name) for name in "abc"}
        assert (await store.erase(Owner("key:ab12ab12ab12/north"))).keys == (key("b"),)
        assert (await store.erase(Owner(whole))).entries == 2
        assert await store.get(key("d")) is not None
