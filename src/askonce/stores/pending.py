"""What the disk doesn't know yet: puts and removals between their call and their commit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from askonce.model import Entry
from askonce.stores.audits import anonymised
from askonce.stores.selection import listed
from askonce.stores.worth import entry_bytes, link_bytes, question_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.model import Audit, Link, Owner, Question
    from askonce.ports import Listed

__all__ = ["Batch", "Change", "Pending"]

_REMOVAL_BYTES: Final = 300
_CLASS_BYTES: Final = 300
_AUDIT_BYTES: Final = 1_000
_MOST_AUDITS: Final = 10_000
"""Audits that may wait: their own bound, so that a disk that is away doesn't cost them for the sake of answers."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the disk shall know under a key: `record` (with its question), or nothing where that is None."""

    key: bytes
    record: Entry | Link | None
    question: Question | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One group commit.

    Attributes:
        tags: Entries that were on disk before this batch and carry any of these are forgotten first.
        changes: The last change of each key, in order of their calls.
        classes: Answers' classes by key, for questions that aren't among the changes; applied after these.
        used: Hits by key since the last batch.
        audits: Audits, oldest first.
        kept: Values by name.
        size_bytes: Bytes of the changes, classes and audits.
    """

    tags: set[str] = field(default_factory=set)
    changes: dict[bytes, Change] = field(default_factory=dict)
    classes: dict[bytes, bytes] = field(default_factory=dict)
    used: dict[bytes, int] = field(default_factory=dict)
    audits: deque[Audit] = field(default_factory=deque)
    kept: dict[str, bytes] = field(default_factory=dict)
    size_bytes: int = 0


class Pending:
    """The changes that wait for a commit and those under way; a later change of a key replaces an earlier one.

    Over `max_bytes` further records are refused (they live in memory alone); removals are always taken, so
    that nothing that was forgotten comes back from the disk.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting = Batch()
        self._committing = Batch()
        self._size_bytes = 0

    def __len__(self) -> int:
        """Changes and audits that aren't committed."""
        waiting, committing = self._waiting, self._committing
        return len(waiting.changes) + len(committing.changes) + len(waiting.audits) + len(committing.audits)

    @property
    def size_bytes(self) -> int:
        """Bytes of the changes that wait for the next batch."""
        return self._size_bytes

    @property
    def idle(self) -> bool:
        """Whether there is nothing at all to write."""
        batches = (self._waiting, self._committing)
        return not any(
            batch.changes or batch.used or batch.tags or batch.classes or batch.audits or batch.kept
            for batch in batches
        )

    def find(self, key: bytes) -> Change | None:
        """The uncommitted change under `key`."""
        return self._waiting.changes.get(key) or self._committing.changes.get(key)

    def listed(self) -> list[Listed]:
        """The entries that aren't committed."""
        changes = self._committing.changes | self._waiting.changes
        return [listed(one.record) for one in changes.values() if isinstance(one.record, Entry)]

    def keep(self, record: Entry | Link, question: Question | None) -> bool:
        """Takes a record; False where the bound forbids it (an older one that waits is withdrawn then)."""
        record_bytes = entry_bytes(record) if isinstance(record, Entry) else link_bytes(record)
        size_bytes = record_bytes + question_bytes(question)
        if self._size_bytes + size_bytes > self._max_bytes:
            if self.find(record.key) is not None:
                self.forget(record.key)
            return False
        self._add(Change(record.key, record, question, size_bytes))
        return True

    def forget(self, key: bytes) -> None:
        """Takes a removal."""
        self._add(Change(key, None, None, _REMOVAL_BYTES))

    def reclass(self, key: bytes, answer: bytes) -> bool:
        """Takes the class of the answer to the question under `key`; False where the bound forbids it."""
        change = self._waiting.changes.get(key)
        if change is not None:
            if change.question is not None:
                question = replace(change.question, answer=answer)
                self._waiting.changes[key] = replace(change, question=question)
            return True
        if key not in self._waiting.classes:
            if self._size_bytes + _CLASS_BYTES > self._max_bytes:
                return False
            self._size_bytes += _CLASS_BYTES
        self._waiting.classes[key] = answer
        return True

    def audit(self, audit: Audit) -> bool:
        """Takes an audit; False where that costs the oldest that waits."""
        waiting = self._waiting.audits
        waiting.append(audit)
        if len(waiting) <= _MOST_AUDITS:
            return True
        waiting.popleft()
        return False

    def audits(self, feature: str | None) -> list[Audit]:
        """The uncommitted audits of a feature, or of all (None), newest last."""
        both = (*self._committing.audits, *self._waiting.audits)
        return [audit for audit in both if feature is None or audit.feature == feature]

    def name(self, name: str, value: bytes) -> None:
        """Takes a value to be kept under a name."""
        self._waiting.kept[name] = value

    def named(self, name: str) -> bytes | None:
        """The uncommitted value of a name."""
        value = self._waiting.kept.get(name)
        return self._committing.kept.get(name) if value is None else value

    def invalidate(self, tags: Iterable[str]) -> list[bytes]:
        """Takes an invalidation; returns the keys of uncommitted entries that it forgets."""
        unwanted = set(tags)
        keys = [
            key
            for key, change in (self._committing.changes | self._waiting.changes).items()
            if isinstance(change.record, Entry) and not unwanted.isdisjoint(change.record.tags)
        ]
        self._waiting.tags.update(tags)
        for key in keys:
            self.forget(key)
        return keys

    def forgets(self, entry: Entry) -> bool:
        """Whether an entry read from disk is about to be forgotten by its tags."""
        tags = entry.tags
        return bool(tags) and not (
            self._waiting.tags.isdisjoint(tags) and self._committing.tags.isdisjoint(tags)
        )

    def use(self, used: dict[bytes, int]) -> None:
        """Takes hits to be counted."""
        total = self._waiting.used
        for key, times in used.items():
            total[key] = total.get(key, 0) + times

    def take(self) -> Batch:
        """The next batch; it stays visible until `done` or `undo`."""
        waiting = self._waiting
        self._committing = replace(waiting, size_bytes=self._size_bytes + _AUDIT_BYTES * len(waiting.audits))
        self._waiting = Batch()
        self._size_bytes = 0
        return self._committing

    def done(self) -> None:
        """The batch that was taken is on disk."""
        self._committing = Batch()

    def undo(self) -> None:
        """The batch that was taken isn't on disk: it becomes part of the next one. Its hits are let go."""
        later, failed = self._waiting, self._committing
        self._committing = Batch()
        self._waiting = replace(
            failed,
            tags=failed.tags | later.tags,
            used=later.used,
            audits=deque((*failed.audits, *later.audits)),
            kept=failed.kept | later.kept,
        )
        self._size_bytes = sum(change.size_bytes for change in failed.changes.values())
        self._size_bytes += _CLASS_BYTES * len(failed.classes)
        for change in later.changes.values():
            self._add(change)
        for key, answer in later.classes.items():
            self.reclass(key, answer)

    def drop(self) -> int:
        """The batch that was taken can't be written: only its removals wait for the next one.

        Returns how many records and audits were lost. What the disk has under their keys is older: it is removed too.
        """
        changes = self._committing.changes
        lost = [key for key, change in changes.items() if change.record is not None]
        for key in lost:
            changes[key] = Change(key, None, None, _REMOVAL_BYTES)
        audits = len(self._committing.audits)
        self._committing = Batch(self._committing.tags, changes)
        self.undo()
        return len(lost) + audits

    def erase(self, owner: Owner) -> None:
        """Withdraws what is an owner's; of its audits only the verdicts stay."""
        changes = self._committing.changes | self._waiting.changes
        keys = [key for key, one in changes.items() if one.record is not None and _owned(one.record, owner)]
        for key in keys:
            self.forget(key)
        for batch in (self._committing, self._waiting):
            anonymous = [anonymised(audit, owner, keys) for audit in batch.audits]
            batch.audits.clear()
            batch.audits.extend(anonymous)

    def _add(self, change: Change) -> None:
        before = self._waiting.changes.pop(change.key, None)
        if before is not None:
            self._size_bytes -= before.size_bytes
        if self._waiting.classes.pop(change.key, None) is not None:
            self._size_bytes -= _CLASS_BYTES
        self._waiting.changes[change.key] = change
        self._size_bytes += change.size_bytes


def _owned(record: Entry | Link, owner: Owner) -> bool:
    return owner.owns(record.tenant, record.users)
