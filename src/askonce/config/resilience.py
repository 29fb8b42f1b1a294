"""What happens when an upstream fails: tried again, left alone, or stood in for."""

from typing import Annotated

from pydantic import Field

from askonce.config.forms import Count, Seconds, Share, Slug
from askonce.config.section import Section

__all__ = ["BreakerSettings", "FallbackSettings", "RetrySettings"]


class RetrySettings(Section):
    """How a failed call is sent again: with full jitter, within the callers' deadlines, never after a first byte."""

    attempts: Count = Field(
        default=2,
        ge=0,
        le=10,
        description="Further calls for one request. Calls refused with 429 don't count: they take their turn "
        "again. 0: neither.",
    )
    base_s: Seconds = Field(
        default=0.25,
        description="The first pause is a random part of this; the bound doubles with each retry …",
    )
    cap_s: Seconds = Field(
        default=8.0,
        description="… up to this. Where the upstream asks for a longer pause, or its queue is longer than that, a "
        "request that has a fallback goes there.",
    )
    share: Share = Field(default=0.2, description="Retries per request that the upstream gets, at most …")
    floor: Count = Field(default=10, ge=0, description="… beside so many at once, and so many more a minute.")


class BreakerSettings(Section):
    """When an upstream, or one of its models, is left alone, and how it is tried again."""

    failures: Count = Field(
        default=5, ge=1, description="Failures in a row (5xx, timeouts, no connection) that open it."
    )
    share: Annotated[Share, Field(gt=0)] = Field(
        default=0.5, description="Share of failed calls in a window that opens it …"
    )
    least_calls: Count = Field(default=20, ge=1, description="… where the window has at least so many.")
    window_s: Seconds = Field(default=30.0, description="Length of a window.")
    probe_interval_s: Seconds = Field(
        default=5.0, description="How often one request is sent to see whether it works again."
    )


class FallbackSettings(Section):
    """One stand-in for a model."""

    upstream: Slug = Field(
        description="The upstream to ask. It needs a key of its own, unless it is the one that it stands in for."
    )
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="The model to ask it for; absent: the one that was asked for. Embeddings go to no other model.",
    )
