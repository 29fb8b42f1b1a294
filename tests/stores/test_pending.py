"""What waits for its commit: the order of changes holds whatever happens to a batch."""

from __future__ import annotations

from askonce.stores.pending import Pending
from stores.samples import entry, key, question


def test_a_batch_stays_visible_until_it_is_done() -> None:
    """Taken isn't committed: look-ups still find it."""
    pending = Pending(2**20)
    assert pending.keep(entry("a"), question("a"))
    batch = pending.take()
    assert list(batch.changes) == [key("a")]
    assert pending.find(key("a")) is not None
    assert not pending.idle
    pending.done()
    assert pending.find(key("a")) is None
    assert pending.idle


def test_a_failed_batch_joins_the_next_and_later_changes_win() -> None:
    """After `undo` nothing is lost and nothing newer is overwritten."""
    pending = Pending(2**20)
    pending.keep(entry("a", text="old"), None)
    pending.keep(entry("b"), None)
    pending.invalidate(["x"])
    pending.use({key("b"): 3})
    pending.take()
    pending.keep(entry("a", text="new"), None)
    pending.invalidate(["y"])
    pending.use({key("a"): 2})
    pending.undo()
    batch = pending.take()
    assert batch.changes[key("a")].record == entry("a", text="new")
    assert batch.changes[key("b")].record == entry("b")
    assert batch.tags == {"x", "y"}
    assert batch.used == {key("a"): 2}
    assert batch.size_bytes == sum(change.size_bytes for change in batch.changes.values())


def test_a_batch_that_cannot_be_written_leaves_its_removals() -> None:
    """Its records are lost and counted; what was to be forgotten, older answers included, still is."""
    pending = Pending(2**20)
    pending.keep(entry("a"), None)
    pending.forget(key("b"))
    pending.invalidate(["x"])
    pending.take()
    pending.keep(entry("c"), None)
    assert pending.drop() == 1
    batch = pending.take()
    assert [(one.key, one.record) for one in batch.changes.values()] == [
        (key("a"), None),
        (key("b"), None),
        (key("c"), entry("c")),
    ]
    assert batch.tags == {"x"}


def test_over_the_bound_records_are_refused_and_removals_taken() -> None:
    """A refused record withdraws its older version, which would come back from disk otherwise."""
    pending = Pending(2_000)
    assert pending.keep(entry("a"), None)
    assert not pending.keep(entry("b"), None)
    assert pending.find(key("b")) is None
    assert not pending.keep(entry("a", size=3_000), None)
    change = pending.find(key("a"))
    assert change is not None
    assert change.record is None
    pending.forget(key("c"))
    assert len(pending) == 2


def test_an_invalidation_reaches_batches_under_way() -> None:
    """Entries with the tag are withdrawn wherever they wait; entries put later stay."""
    pending = Pending(2**20)
    pending.keep(entry("a", tags=("x",)), None)
    pending.take()
    pending.keep(entry("b", tags=("x",)), None)
    pending.keep(entry("c", tags=("y",)), None)
    assert sorted(pending.invalidate(["x"])) == sorted([key("a"), key("b")])
    pending.keep(entry("d", tags=("x",)), None)
    pending.done()
    batch = pending.take()
    records = {name: batch.changes[key(name)].record for name in "abcd"}
    assert records == {"a": None, "b": None, "c": entry("c", tags=("y",)), "d": entry("d", tags=("x",))}
    assert pending.forgets(entry("z", tags=("x", "q")))
    assert not pending.forgets(entry("z", tags=("q",)))
