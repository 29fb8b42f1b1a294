"""What the gateway may do for a feature's requests."""

from typing import Annotated, Literal

from pydantic import Field

from askonce.config.allowances import AllowanceSettings
from askonce.config.forms import Count, Linger, Number, Seconds, Share, Slug, Switch, one_of
from askonce.config.section import Section

__all__ = ["PolicySettings"]


class PolicySettings(Section):
    """A feature's policy.

    In `Settings.features` and `Settings.defaults` only the fields in `model_fields_set` count, the others say
    nothing; `Settings.policy_settings` gives the whole.
    """

    exact: Switch = Field(default=True, description="Answer repeated requests from the store.")
    inflight: Switch = Field(
        default=True, description="Let identical requests under way share one upstream call."
    )
    inflight_high_temperature: Annotated[Literal["retries", "on", "off"], one_of("retries", "on", "off")] = (
        Field(
            default="retries",
            description="Whether identical requests above `max_temperature` share a call too: `retries` lets only "
            "the same caller's repetitions share.",
        )
    )
    semantic: Annotated[Literal["off", "shadow", "on"], one_of("off", "shadow", "on")] = Field(
        default="shadow",
        description="Answer equivalent requests (other words, same answer) from the store: `shadow` decides and "
        "reports what it would have saved, but asks the upstream.",
    )
    error_budget: Share = Field(
        default=0.01,
        le=0.5,
        description="The share of semantic hits that may be wrong; serving is held below it.",
    )
    audit_share: Share = Field(
        default=0.02,
        description="The share of semantic hits that is checked in the background by asking the upstream after all; "
        "a feature's first hits are checked more often. 0: none.",
    )
    ttl_s: Seconds = Field(
        default=86_400.0, description="How long an answer is kept. A hit doesn't prolong it."
    )
    scope: Annotated[Literal["tenant", "user", "shared"], one_of("tenant", "user", "shared")] = Field(
        default="tenant",
        description="Who may share answers: one tenant's callers, one user's, or those of every tenant in the "
        "same `pool` (needs `tenants`).",
    )
    pool: Slug = Field(
        default="",
        description="Name of the shared pool, only with `scope: shared`; unless given, the feature's name.",
    )
    max_turns: Count = Field(
        default=3, ge=1, description="The most user messages in a conversation that is matched semantically."
    )
    max_temperature: Number = Field(
        default=1.0,
        ge=0,
        description="Requests above this temperature are neither answered from the store nor kept.",
    )
    semantic_tools: Switch = Field(
        default=False,
        description="Match requests that carry tools semantically too; their calls may have side effects.",
    )
    similarity_floor: Number = Field(
        default=0.80,
        ge=0,
        le=1,
        description="Cosine similarity below which a stored question isn't even considered.",
    )
    retain_text: Annotated[Literal["none", "hashed", "full"], one_of("none", "hashed", "full")] = Field(
        default="hashed",
        description="What is kept of questions' texts outside the answer cache, for reports and the dashboard: nothing, "
        "a keyed hash, or the text.",
    )
    lane: Annotated[Literal["interactive", "relaxed", "batch"], one_of("interactive", "relaxed", "batch")] = (
        Field(
            default="interactive",
            description="How soon answers are wanted: where calls have to wait, `interactive` ones go before `relaxed` ones, "
            "and those before `batch`.",
        )
    )
    timeout_s: Seconds = Field(default=600.0, description="How long a caller waits for its answer.")
    linger_s: Linger = Field(
        default=5.0,
        description="How long an upstream call outlives its last caller; `finish` lets it end and be kept.",
    )
    limits: AllowanceSettings | None = Field(
        default=None,
        description="What all tenants together may use of the feature; one without limits of its own has those of `defaults`, "
        "counted for itself.",
    )
    max_flight_age_s: Seconds = Field(
        default=600.0,
        description="How old a shared call may be for newcomers to join it; then another may start.",
    )
