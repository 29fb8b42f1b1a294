"""What goes together: upstream calls that take several requests at a time."""

from typing import Annotated, Literal

from pydantic import Field

from askonce.config.forms import Count, Seconds, SecondsOrZero, Size, Switch, one_of
from askonce.config.section import Section

__all__ = ["BatchingSettings", "LingerSettings"]


class LingerSettings(Section):
    """How long requests wait for others to come along, though nothing keeps them from going."""

    interactive_s: SecondsOrZero = Field(default=0.0, description="Of the lane `interactive`.")
    relaxed_s: SecondsOrZero = Field(default=0.05, description="Of the lane `relaxed`.")
    batch_s: SecondsOrZero = Field(default=0.05, description="Of the lane `batch`, where it is sent singly.")
    items: Count = Field(default=16, ge=1, description="So many items wait for no more.")


class BatchingSettings(Section):
    """Requests that have to wait anyway go together, where the upstream takes several in one call."""

    embeddings: Switch = Field(default=True, description="Whether inputs of `/v1/embeddings` go together.")
    completions: Switch = Field(
        default=False,
        description="Whether prompts of `/v1/completions` go together. Some servers count only the first one's tokens.",
    )
    chat: Annotated[Literal["off", "vllm"], one_of("off", "vllm")] = Field(
        default="off",
        description="`vllm`: chats without tools or streaming go together to `/v1/chat/completions/batch`, "
        "as vLLM offers it.",
    )
    max_items: Count = Field(
        default=64, ge=1, description="The most texts, prompts or chats in a call; 1: nothing goes together."
    )
    max_tokens: Count = Field(default=100_000, ge=1, description="The most estimated tokens in a call.")
    max_bytes: Size = Field(
        default=1024**2, description="The most bytes in a call; larger requests go alone, untouched."
    )
    max_in_flight: Count = Field(
        default=4,
        ge=1,
        description="The most calls under way with the same parameters. There is one at first, and more only while the "
        "upstream answers several as quickly as one.",
    )
    target_latency_s: Seconds = Field(
        default=1.0, description="Calls that take longer become smaller, where that makes them quicker."
    )
    linger: LingerSettings = Field(
        default=LingerSettings(),
        description="Waiting for others to come along, for upstreams that charge by the call.",
    )
