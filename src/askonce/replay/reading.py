"""Logs of any known format as arrivals; lines that are no request are counted and shown, not fatal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.replay.arrival import BadRow
from askonce.replay.formats import is_openai, is_own, read_openai, read_own
from askonce.replay.langfuse import is_langfuse, observations_of, read_langfuse
from askonce.replay.litellm import is_litellm, read_litellm
from askonce.replay.rows import UnreadableLog, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from askonce.model import Json
    from askonce.replay.arrival import Arrival

__all__ = ["FORMATS", "BadLine", "Reading"]

_SHOWN: Final = 20


class Format(NamedTuple):
    """How a format's rows are told from others, taken apart where they hold several, and each part read."""

    fits: Callable[[Json], bool]
    read: Callable[[Json], Iterator[Arrival]]
    parts: Callable[[Json], Sequence[Json]] = lambda row: (row,)


FORMATS: Final[Mapping[str, Format]] = {
    "askonce": Format(is_own, read_own),
    "litellm": Format(is_litellm, read_litellm),
    "langfuse": Format(is_langfuse, read_langfuse, observations_of),
    "openai": Format(is_openai, read_openai),
}
"""In the order in which they are tried: the last one fits the most."""


class BadLine(NamedTuple):
    """A line that is no request, and why."""

    path: str
    line: int
    reason: str


class Reading:
    """Reads logs, one after the other.

    Args:
        named: The format of all files; None finds out, file by file, from the first row that is of any.

    Attributes:
        formats: The format of each file.
        bad: How many lines were no request.
        shown: The first of them.
        passed_over: Rows that are well but no calls (spans, calls of other kinds).
        read: Requests.
    """

    def __init__(self, named: str | None = None) -> None:
        self._named = named
        self.formats: dict[str, str] = {}
        self.bad = 0
        self.shown: list[BadLine] = []
        self.reasons: Counter[str] = Counter()
        self.passed_over = 0
        self.read = 0
        self._place: tuple[str, int] = ("", 0)

    def arrivals(
        self, paths: Sequence[Path], advance: Callable[[int], None] = lambda _: None
    ) -> Iterator[Arrival]:
        """The requests of all files, in the files' order.

        Args:
            paths: Files, or `-` for standard input.
            advance: Told how many bytes were read since it was last told.

        Raises:
            UnreadableLog: A file can't be read, or none of its lines is a request.
        """
        for path in paths:
            before, bad_before = self.read, self.bad
            yield from self._of_file(path, advance)
            if self.read == before:
                raise UnreadableLog(path, self._why_nothing(self.bad - bad_before))

    def _of_file(self, path: Path, advance: Callable[[int], None]) -> Iterator[Arrival]:
        name = str(path).encode("utf-8", "replace").decode()  # a file's name may be any bytes

        def bad(line: int, reason: str) -> None:
            self._note(name, line, reason)

        chosen = self._named
        for line, row in rows_of(path, bad, advance):
            chosen = chosen or next((name for name, one in FORMATS.items() if one.fits(row)), None)
            if chosen is None:
                bad(line, "is of no known format")
                continue
            self.formats[name] = chosen
            self._place = name, line
            try:
                parts = FORMATS[chosen].parts(row)
            except BadRow as refused:
                bad(line, str(refused))
                continue
            for part in parts:
                yield from self._of_part(part, chosen)

    def _of_part(self, part: Json, chosen: str) -> Iterator[Arrival]:
        before = self.read
        try:
            for arrival in FORMATS[chosen].read(part):
                self.read += 1
                yield arrival
        except BadRow as refused:
            self.refuse(str(refused))
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
            self.refuse(f"isn't shaped as a row of {chosen}")
        else:
            self.passed_over += self.read == before

    def refuse(self, reason: str) -> None:
        """What was read last is no request, or none that can be asked."""
        self._note(*self._place, reason)

    def _note(self, path: str, line: int, reason: str) -> None:
        self.bad += 1
        self.reasons[reason] += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(BadLine(path, line, reason))

    def _why_nothing(self, bad: int) -> str:
        if bad:
            return f"has no request; {self.shown[-1].reason if self.shown else 'no line is one'} (line {self.shown[-1].line})"
        return "has no request" + (": its rows are no model calls" if self.passed_over else "")
