"""What is known of stored entries, and whether their texts may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.model import RetainText
from askonce.ports import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.gateway import Gateway
    from askonce.ports import Listed

__all__ = ["listed", "shows_text"]


async def listed(gateway: Gateway, keys: Iterable[bytes]) -> Mapping[bytes, Listed]:
    """What is known of entries, by their keys; links have none. Raises OSError."""
    meant = Selection(entries=frozenset(keys))
    return {one.key: one async for batch in gateway.parts.store.select(meant) for one in batch}


def shows_text(gateway: Gateway, entry: Listed | None) -> bool:
    """Whether the feature that asked retains texts in full, as far as it is known."""
    policy = None if entry is None else gateway.parts.policies.named(entry.feature)
    return policy is not None and policy.retain_text is RetainText.FULL
