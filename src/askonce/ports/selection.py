"""Which stored answers are meant: what administrators forget, count and carry elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from askonce.model import Entry, Link, Question

__all__ = ["Kept", "Listed", "Selection"]

_CONFIGURED: Final = "tenant:"
_ACCOUNT_LENGTH: Final = 16


class Listed(NamedTuple):
    """What is known of an entry without its answer. Times are Unix seconds; some may have expired."""

    key: bytes
    created_at: float
    expires_at: float
    tenant: str
    feature: str
    model: str
    tags: tuple[str, ...]
    size_bytes: int

    @property
    def account(self) -> str:
        """The tenant as administrators name it: `model.Caller.account` of whoever asked."""
        if self.tenant.startswith(_CONFIGURED):
            return self.tenant.removeprefix(_CONFIGURED)
        key, _, named = self.tenant.partition("/")
        return f"{key[:_ACCOUNT_LENGTH]}/{named}" if named else key[:_ACCOUNT_LENGTH]


@dataclass(frozen=True, slots=True)
class Selection:
    """Entries by what is known of them: each kind that says something must agree, any one value of it is enough.

    Attributes:
        entries: Keys; None says nothing, an empty set means none at all.
        tags: Tags.
        features: Features that asked.
        models: The upstream's names of the models.
        tenants: Accounts, or tenants as the entries name them.
        created_before: Unix seconds; older entries are meant.
    """

    entries: frozenset[bytes] | None = None
    tags: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    created_before: float | None = None

    def admits(self, one: Listed) -> bool:
        """Whether an entry is meant."""
        return (
            (self.entries is None or one.key in self.entries)
            and (not self.tags or not self.tags.isdisjoint(one.tags))
            and (not self.features or one.feature in self.features)
            and (not self.models or one.model in self.models)
            and (not self.tenants or one.tenant in self.tenants or one.account in self.tenants)
            and (self.created_before is None or one.created_at < self.created_before)
        )


class Kept(NamedTuple):
    """An entry with all that goes with it.

    Attributes:
        entry: The answer.
        question: What was asked, where the store keeps questions and the entry has one.
        links: The links that lead to it, each with its question, where it has one.
    """

    entry: Entry
    question: Question | None
    links: tuple[tuple[Link, Question | None], ...]
