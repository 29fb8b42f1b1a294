"""How semantic hits are checked, and what that may cost."""

from typing import Annotated

from pydantic import Field

from askonce.config.forms import Count, Number, Seconds, Switch
from askonce.config.section import Section

__all__ = ["AuditSettings", "JudgeSettings"]


class JudgeSettings(Section):
    """The model that compares two answers where nothing cheaper can."""

    model: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="A model that one of the upstreams serves; its calls count towards `daily_limit_usd`."
    )


class AuditSettings(Section):
    """Background checks of semantic hits; how many is each policy's `audit_share`."""

    daily_limit_usd: Number = Field(
        default=1.0,
        ge=0,
        description="Dollars that audits may cost per day (UTC), judge included; comparing with answers that were "
        "asked for anyway costs nothing and goes on.",
    )
    unknown_price_usd: Number = Field(
        default=0.01, ge=0, description="What a call counts for whose model's price isn't known, in dollars."
    )
    max_queue: Count = Field(
        default=256, ge=1, description="Audits that may wait; further ones are dropped and counted."
    )
    concurrency: Count = Field(default=2, ge=1, description="Audits at a time.")
    timeout_s: Seconds = Field(default=120.0, description="How long one audit may take, its calls included.")
    pass_through: Switch = Field(
        default=False,
        description="Audit hits also where the upstream has no `api_key`: the extra call is then made with, and "
        "billed to, the credential of the caller that was served.",
    )
    judge: JudgeSettings | None = Field(
        default=None,
        description="The model to ask where wording alone doesn't tell whether two answers agree; absent: such "
        "audits give no label.",
    )
