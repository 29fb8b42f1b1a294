"""Calls under way and what became of them, written down at once: what a process that is killed leaves behind.

A segment is a file of fixed size whose blocks are taken beforehand, mapped into memory: writing to it is copying a few
hundred bytes, never waits for a disk, and what is copied is there for the next process whatever becomes of this one. (What
a power cut costs is what the system hadn't written yet.) Each record is a charge; a call's first one says what it counts as
should nothing more be heard of it. Records are found by their lengths, each with a checksum: what was being written when
the process died ends a segment.

When a segment is full, or once an hour, another takes its place, beginning with the calls that are still under way; the
old one is deleted once the ledger's file has all that it says.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from contextlib import suppress
from glob import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.ports import Charge
from askonce.stores.ledger.records import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Found", "Journal", "Segment"]

SEGMENT_BYTES: Final = 4 * 2**20
_MAGIC: Final = b"askonce journal\n"
_HEAD: Final = struct.Struct("<II")
"""A record's length and checksum, before the record; a length of 0 ends the segment."""
_BEGUN, _CHARGED = b"b", b"c"


class Found(NamedTuple):
    """What a former process left: calls that it knew the end of, and calls that it didn't."""

    charged: Sequence[Charge]
    begun: Sequence[Charge]


class Segment:
    """One file. Made, filled and deleted; never appended to by another process than the one that made it."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Takes all blocks beforehand, so that writing can't fail for want of them. Raises OSError."""
        self.path = path
        try:
            with open(path, "x+b", opener=_privately) as file:
                file.write(_MAGIC.ljust(size_bytes, b"\0"))
                file.flush()
                self._map = mmap.mmap(file.fileno(), size_bytes)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self.used_bytes = len(_MAGIC)

    def append(self, record: bytes) -> bool:
        """Writes a record, if there is room for it."""
        start = self.used_bytes + _HEAD.size
        end = start + len(record)
        if end > len(self._map):
            return False
        # The head comes last: a record without one isn't there.
        self._map[start:end] = record
        self._map[self.used_bytes : start] = _HEAD.pack(len(record), zlib.crc32(record))
        self.used_bytes = end
        return True

    def delete(self) -> None:
        """Empties, unmaps and removes it. Raises OSError where the file stays: nothing is found in it any more."""
        if not self._map.closed:
            self._map[: len(_MAGIC)] = bytes(len(_MAGIC))
            self._map.close()
        self.path.unlink(missing_ok=True)


class Journal:
    """The segments of one ledger. `begun`, `charged`, `turn` and `retired` are for the event loop, the rest for the thread.

    Attributes:
        missed: Records that couldn't be written down: a kill before the next commit would have lost them.
    """

    def __init__(self, ledger: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.missed = 0
        self._ledger = ledger
        self._segment_bytes = segment_bytes
        self._number = 0
        self._current: Segment | None = None
        self._spare: Segment | None = None
        self._retired: list[Segment] = []
        self._open: dict[tuple[str, int], bytes] = {}

    @property
    def ready(self) -> bool:
        """Whether records are written down."""
        return self._current is not None

    def begun(self, charge: Charge) -> None:
        """A call is about to go out."""
        record = _BEGUN + pack(charge)
        self._open[charge.call, charge.part] = record
        self._append(record)

    def charged(self, charge: Charge) -> None:
        """A call is over."""
        self._open.pop((charge.call, charge.part), None)
        self._append(_CHARGED + pack(charge))

    def turn(self, *, at_bytes: int) -> bool:
        """Begins the next segment, if the present one has so many bytes; False where there is no spare one to go on in."""
        return self._current is None or self._current.used_bytes < at_bytes or self._turn()

    @property
    def full_bytes(self) -> int:
        """Bytes from which a segment is better replaced before the next commit than in the middle of a burst."""
        return self._segment_bytes // 2

    def take_retired(self) -> list[Segment]:
        """Segments whose calls are all told of, to be deleted once that is in the ledger's file."""
        retired, self._retired = self._retired, []
        return retired

    def put_back(self, retired: Sequence[Segment]) -> None:
        """The ledger's file couldn't be written: they are needed still."""
        self._retired = [*retired, *self._retired]

    def prepare(self) -> None:
        """Makes the segment that is written to, and a spare one, where they are missing. Raises OSError."""
        if self._current is None and self._spare is not None:
            self._current, self._spare = self._spare, None
        if self._current is None:
            self._current = self._make()
        if self._spare is None:
            self._spare = self._make()

    def find(self) -> Found:
        """What former processes left. Raises OSError."""
        charged, begun = dict[tuple[str, int], Charge](), dict[tuple[str, int], Charge]()
        for path in self._left():
            for record in read(path.read_bytes()):
                charge = unpack(record[1:])
                if charge is not None:
                    (begun if record[:1] == _BEGUN else charged)[charge.call, charge.part] = charge
        return Found(list(charged.values()), [charge for key, charge in begun.items() if key not in charged])

    def forget_found(self) -> None:
        """Deletes what former processes left: the ledger's file has it. Raises OSError."""
        for path in self._left():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends, once the ledger's file has everything. Without it all segments stay for the next process."""
        for segment in filter(None, (self._current, self._spare, *self._retired)):
            with suppress(OSError):
                segment.delete()
        self._current = self._spare = None
        self._retired = []

    def _left(self) -> list[Path]:
        own = {
            segment.path for segment in (self._current, self._spare, *self._retired) if segment is not None
        }
        paths = self._ledger.parent.glob(f"{escape(self._ledger.name)}.journal-*")
        return sorted(path for path in paths if path not in own)

    def _make(self) -> Segment:
        while True:
            self._number += 1
            path = self._ledger.with_name(f"{self._ledger.name}.journal-{self._number:08d}")
            if not path.exists():
                return Segment(path, self._segment_bytes)

    def _append(self, record: bytes) -> None:
        current = self._current
        if current is not None and (current.append(record) or (self._turn() and self._append_again(record))):
            return
        self.missed += 1

    def _append_again(self, record: bytes) -> bool:
        return self._current is not None and self._current.append(record)

    def _turn(self) -> bool:
        """Goes on in the spare segment, with the calls that are under way; False where there is none."""
        current, spare = self._current, self._spare
        if current is None or spare is None:
            return False
        self._current, self._spare = spare, None
        self._retired.append(current)
        for record in self._open.values():
            self.missed += not spare.append(record)
        return True


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def read(raw: bytes) -> Iterator[bytes]:
    """The records of a segment, up to where it ends or stops making sense."""
    if not raw.startswith(_MAGIC):
        return
    at = len(_MAGIC)
    while at + _HEAD.size <= len(raw):
        length, checksum = _HEAD.unpack_from(raw, at)
        record = raw[at + _HEAD.size : at + _HEAD.size + length]
        if not length or len(record) < length or zlib.crc32(record) != checksum:
            return
        yield record
        at += _HEAD.size + length
