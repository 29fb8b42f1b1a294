"""The books: who pays, and how long what is kept."""

from typing import Annotated, Literal

from pydantic import Field

from askonce.config.forms import Seconds, Switch, one_of
from askonce.config.section import Section

__all__ = ["LedgerSettings"]


class LedgerSettings(Section):
    """The books: what was spent and saved, by hour, in a file beside the store's (`askonce.ledger.db`)."""

    record: Switch = Field(
        default=True,
        description="Write down what requests and upstream calls come to. `off` leaves reports, the dashboard's history "
        "and budgets without anything to read.",
    )
    cost_policy: Annotated[Literal["leader", "split"], one_of("leader", "split")] = Field(
        default="leader",
        description="Who pays for a call that several callers wait for: the one it was made for, or all that wait when "
        "its answer comes, in equal parts.",
    )
    keep_s: Seconds = Field(
        default=34_560_000.0,
        ge=86_400,
        description="How long sums by hour, questions and unsettled calls are kept.",
    )
    keep_calls_s: Seconds = Field(
        default=172_800.0,
        ge=3_600,
        description="How long single upstream calls are kept, to be compared with the provider's own books.",
    )
