"""What waits for its commit: the order of changes holds whatever happens to a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.stores import pending as waiting
from askonce.stores.pending import Pending
from stores.samples import audit, entry, key, question

if TYPE_CHECKING:
    import pytest


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


def test_audits_and_values_of_a_failed_batch_come_first_in_the_next() -> None:
    """Order holds, the later value of a name wins, and both are visible all the while."""
    pending = Pending(2**20)
    pending.audit(audit(1))
    pending.name("a", b"old")
    pending.name("b", b"kept")
    pending.take()
    pending.audit(audit(2, "other"))
    pending.name("a", b"new")
    assert (pending.named("a"), pending.named("b"), len(pending)) == (b"new", b"kept", 2)
    pending.undo()
    assert [one.request_id for one in pending.audits(None)] == ["request-1", "request-2"]
    assert [one.request_id for one in pending.audits("other")] == ["request-2"]
    batch = pending.take()
    assert [one.request_id for one in batch.audits] == ["request-1", "request-2"]
    assert batch.kept == {"a": b"new", "b": b"kept"}
    assert batch.size_bytes > 0
    pending.done()
    assert pending.idle
    assert pending.audits(None) == []


def test_audits_wait_up_to_their_own_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """However full it is of answers, audits are taken; beyond their own bound the oldest is the price."""
    monkeypatch.setattr(waiting, "_MOST_AUDITS", 3)
    pending = Pending(0)
    assert not pending.keep(entry("a"), None)
    assert [pending.audit(audit(number)) for number in range(5)] == [True, True, True, False, False]
    assert [one.request_id for one in pending.audits(None)] == ["request-2", "request-3", "request-4"]


def test_a_class_waits_with_its_question() -> None:
    """It goes into the question that waits, or by itself where that is on disk; a removal takes it along."""
    pending = Pending(2**20)
    pending.keep(entry("a"), question("a"))
    pending.keep(entry("plain"), None)
    for name in ("a", "plain", "disk", "gone"):
        assert pending.reclass(key(name), key("class"))
    pending.forget(key("gone"))
    batch = pending.take()
    changed = batch.changes[key("a")].question
    assert changed is not None
    assert changed.answer == key("class")
    assert batch.classes == {key("disk"): key("class")}
    pending.reclass(key("a"), key("later"))
    pending.reclass(key("disk"), key("later"))
    pending.undo()
    again = pending.take()
    changed = again.changes[key("a")].question
    assert changed is not None
    assert changed.answer == key("later")
    assert again.classes == {key("disk"): key("later")}
    pending.done()
    assert (pending.idle, pending.size_bytes) == (True, 0)


def test_classes_are_bounded() -> None:
    """Over the bound they are refused; one that waits already can still be changed."""
    pending = Pending(1_000)
    taken = [pending.reclass(key(number), key("class")) for number in range(10)]
    assert 0 < sum(taken) < 10
    assert pending.reclass(key(0), key("other"))
    pending.forget(key(0))
    assert pending.take().classes == {key(number): key("class") for number in range(1, sum(taken))}
