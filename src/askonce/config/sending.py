"""How much an upstream is sent: what is declared here is kept to, the rest is learned."""

from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import Field

from askonce.config.forms import Count, Seconds
from askonce.config.section import Section

__all__ = ["ModelLimits", "SendingLimits"]

Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class ModelLimits(Section):
    """What a model bears, where it differs from the upstream's others."""

    max_concurrency: Count | None = Field(default=None, ge=1, description="The most calls at a time.")
    min_concurrency: Count | None = Field(
        default=None, ge=1, description="What overload never reduces the calls at a time below."
    )
    target_latency_s: Seconds | None = Field(default=None, description="The target for the first byte.")
    requests_per_minute: Count | None = Field(default=None, ge=1, description="Of each key.")
    tokens_per_minute: Count | None = Field(default=None, ge=1, description="Of each key.")
    max_queue: Count | None = Field(default=None, ge=0, description="The most calls that wait.")


class SendingLimits(Section):
    """What each model of an upstream bears. Without any of it, nothing waits until the upstream says so."""

    max_concurrency: Count = Field(
        default=512, ge=1, description="The most calls at a time. Overload reduces it, quiet raises it again."
    )
    min_concurrency: Count = Field(
        default=4, ge=1, description="What overload never reduces the calls at a time below."
    )
    target_latency_s: Seconds | None = Field(
        default=None,
        description="Fewer calls go at a time while most take longer to their first byte (of plain answers only "
        "embeddings count, since other answers take as long as they are); absent: only while the upstream shows overload.",
    )
    requests_per_minute: Count | None = Field(
        default=None, ge=1, description="Requests per minute of each key; absent: learned from the upstream."
    )
    tokens_per_minute: Count | None = Field(
        default=None,
        ge=1,
        description="Prompt and completion tokens per minute of each key; absent: learned from the upstream.",
    )
    max_queue: Count = Field(
        default=1_000, ge=0, description="The most calls that wait; further ones get status 429."
    )
    models: dict[Pattern, ModelLimits] = Field(
        default={},
        description="Other limits for models (as the upstream calls them), by pattern; the first counts.",
    )

    def of(self, model: str) -> Self:
        """The limits of one model."""
        for pattern, own in self.models.items():
            if fnmatchcase(model, pattern):
                changed = {name: value for name, value in own if value is not None}
                return self.model_copy(update={**changed, "models": {}})
        return self
