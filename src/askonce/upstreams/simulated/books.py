"""What each call took, by the id that its caller gave it: a provider's own books, to be compared with a gateway's."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from askonce.model import Json

__all__ = ["CallBooks"]

_MOST: Final = 200_000


@dataclass(slots=True)
class _Entry:
    """One id's calls; more than one where a caller gave it twice."""

    calls: int = 0
    state: str = "running"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class CallBooks:
    """The latest calls that had an id (`X-Client-Request-Id`)."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def begin(self, call: str) -> None:
        """A call has come in."""
        if not call:
            return
        entry = self._entries.setdefault(call, _Entry())
        entry.calls += 1
        entry.state = "running"
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def end(self, call: str, state: str, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """A call has ended; states are the words of `Counters.by_outcome`."""
        entry = self._entries.get(call)
        if entry is not None:
            entry.state = state
            entry.prompt_tokens += prompt_tokens
            entry.completion_tokens += completion_tokens

    def as_json(self) -> Json:
        """All entries, by id."""
        return {call: asdict(entry) for call, entry in self._entries.items()}
