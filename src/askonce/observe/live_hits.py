"""Semantic hits as the dashboard remembers them: with their texts only where a policy keeps texts."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.model import RetainText

if TYPE_CHECKING:
    from askonce.model import Semantic

__all__ = ["Hit", "Mark"]

_MOST_CHARACTERS: Final = 600
_MARK_BYTES: Final = 4


class Mark:
    """Tells texts apart without telling what they say: equal texts have equal marks as long as the process runs."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def of(self, text: str) -> str:
        """Eight hexadecimal digits."""
        digest = hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=_MARK_BYTES
        )
        return digest.hexdigest()

    def shown(self, text: str | None, retain: RetainText) -> tuple[str | None, str]:
        """A text's beginning as far as a policy lets it be shown: None, and no mark either, where nothing is kept."""
        if text is None or retain is RetainText.NONE:
            return None, ""
        beginning = text[:_MOST_CHARACTERS]
        return (beginning if retain is RetainText.FULL else None), self.of(beginning)


class Hit(NamedTuple):
    """A semantic hit that was served lately.

    Attributes:
        at: Unix seconds.
        request_id: As sent to the caller.
        tenant: The tenant's identity; None where there is none.
        account: Whose costs these are.
        feature: The feature.
        model: The model as asked.
        outcome: What it was answered with.
        text: The question; None unless its policy keeps texts.
        mark: Stands for the question.
    """

    at: float
    request_id: str
    tenant: str | None
    account: str
    feature: str
    model: str
    outcome: Semantic
    text: str | None
    mark: str
