"""What may go together, and how many of them: as the operator declares it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.model import Endpoint, Lane
    from askonce.sending.batches.form import Form
    from askonce.sending.batches.pile import Load

__all__ = ["BatchingRules"]


@dataclass(frozen=True, slots=True)
class BatchingRules:
    """What may go together.

    Attributes:
        forms: How calls are joined, by endpoint; others go alone.
        most: The largest batch.
        in_flight: Batches of one group that may ever be under way at a time; see `Width`.
        target_s: Seconds that a batch may take before smaller ones are tried.
        linger_s: Seconds that calls of a lane wait for others; missing: none.
        linger_items: Items beyond which nobody waits for more.
        max_waiting: Calls that may wait, beside the one whose turn it is.
    """

    forms: Mapping[Endpoint, Form]
    most: Load
    in_flight: int = 4
    target_s: float = 1.0
    linger_s: Mapping[Lane, float] = field(default_factory=dict)
    linger_items: int = 16
    max_waiting: int = 1_000
