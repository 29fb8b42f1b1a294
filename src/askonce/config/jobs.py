"""The batch lane: how jobs are gathered, kept and told of."""

from typing import Annotated

from pydantic import Field

from askonce.config.forms import Count, Seconds, SecondsOrZero, Share, Size, Switch
from askonce.config.section import Section
from askonce.config.upstream import HeaderValue

__all__ = ["JobSettings", "WebhookSettings"]

HostPattern = Annotated[str, Field(min_length=1, max_length=253)]


class WebhookSettings(Section):
    """How callers are told that a job has ended."""

    allow_private: Switch = Field(
        default=False,
        description="Let webhooks go to loopback, private and link-local addresses, and over plain http. Callers could "
        "then reach what the gateway can reach.",
    )
    allowed_hosts: tuple[HostPattern, ...] = Field(
        default=("*",),
        min_length=1,
        description="Patterns (`*`, `?`) of the hosts that webhooks may go to.",
    )
    secret: HeaderValue | None = Field(
        default=None,
        description="What every tenant's signing secret is derived from; absent: the store's own secret, which `memory:` "
        "forgets at restart.",
    )
    timeout_s: Seconds = Field(default=10.0, description="How long one delivery may take.")
    max_attempts: Count = Field(
        default=12, ge=1, description="Deliveries of one webhook before it is given up."
    )
    first_retry_s: Seconds = Field(
        default=5.0,
        description="The pause after the first failed delivery; each further one is twice as long.",
    )
    max_retry_s: Seconds = Field(default=3_600.0, description="The longest pause between two deliveries.")
    concurrency: Count = Field(default=16, ge=1, description="Deliveries at a time.")


class JobSettings(Section):
    """The batch lane: jobs that may wait for hours."""

    max_open_per_tenant: Count = Field(
        default=100_000, ge=1, description="Jobs of one tenant that may wait; further ones are refused."
    )
    max_bytes: Size = Field(
        default=1024**3,
        description="What all jobs and their results may take in the store; further jobs are refused. Counts towards "
        "`cache.disk_bytes`.",
    )
    retention_s: Seconds = Field(
        default=604_800.0, description="How long a job's result can be fetched after its end."
    )
    deadline_s: Seconds = Field(
        default=86_400.0, description="How long a job may take where its caller doesn't say."
    )
    max_deadline_s: Seconds = Field(
        default=604_800.0, description="The longest deadline that a caller may set."
    )
    fallback_before_deadline_s: SecondsOrZero = Field(
        default=1_800.0,
        description="A job that isn't answered so long before its deadline is asked at once, at the full price; at "
        "most half of the job's whole time.",
    )
    price_factor: Share = Field(
        default=0.5, description="What a provider's batch costs, as a share of the usual price."
    )
    batch_requests: Count = Field(
        default=50_000, ge=1, le=50_000, description="A batch is sent once it has so many requests."
    )
    batch_bytes: Size = Field(
        default=100 * 1024**2, le=190 * 1024**2, description="A batch is sent once it has this size."
    )
    batch_wait_s: SecondsOrZero = Field(
        default=60.0, description="A batch is sent once its oldest job has waited so long."
    )
    max_batches: Count = Field(
        default=20, ge=1, description="A provider's batches at a time; further jobs wait for a free one."
    )
    poll_interval_s: Seconds = Field(
        default=5.0, description="The first pause between two looks at a provider's batch."
    )
    max_poll_interval_s: Seconds = Field(
        default=60.0, description="The longest pause between two looks at a provider's batch."
    )
    max_attempts: Count = Field(
        default=3,
        ge=1,
        description="Batches that may fail a job for no fault of its own; then it is asked on its own.",
    )
    concurrency: Count = Field(
        default=4,
        ge=1,
        description="Jobs at a time that are asked one by one, where an upstream has no Batch API or a deadline is near.",
    )
    webhooks: WebhookSettings = Field(
        default=WebhookSettings(), description="How callers are told that a job has ended."
    )
