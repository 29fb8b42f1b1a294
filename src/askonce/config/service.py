"""The gateway itself: what requests may take, how much is kept, what embeds, what is logged."""

from typing import Annotated, Literal

from pydantic import Field

from askonce.config.forms import Count, Seconds, SecondsOrZero, Size, Switch, one_of
from askonce.config.section import Section

__all__ = ["CacheSettings", "EmbedderSettings", "LimitSettings", "LogSettings"]


class LimitSettings(Section):
    """What one request and all of them together may take."""

    max_body_bytes: Size = Field(default=10 * 1024**2, description="The largest request body.")
    body_timeout_s: Seconds = Field(default=30.0, description="The longest wait for a whole request body.")
    max_response_bytes: Size = Field(
        default=64 * 1024**2, description="The largest answer taken from an upstream."
    )
    flight_log_bytes: Size = Field(
        default=8 * 1024**2,
        description="Events kept of one shared call for those who join late; over it nobody joins.",
    )
    total_log_bytes: Size = Field(
        default=256 * 1024**2, description="The same for all shared calls together."
    )
    drain_timeout_s: SecondsOrZero = Field(
        default=30.0,
        description="How long running requests may take to end once the gateway is told to stop.",
    )


class CacheSettings(Section):
    """How much is kept."""

    memory_bytes: Size = Field(
        default=256 * 1024**2,
        description="Answers and the vector index in memory, half each where questions are matched semantically. "
        "What saves least per byte goes first.",
    )
    disk_bytes: Size = Field(default=4 * 1024**3, description="Answers in the store's file.")
    max_entry_bytes: Size = Field(default=4 * 1024**2, description="The largest answer that is kept.")
    commit_interval_s: Seconds = Field(
        default=0.05, description="How long answers are gathered before they are written together."
    )


class EmbedderSettings(Section):
    """What turns questions into vectors for semantic matching."""

    type: Annotated[Literal["minilm", "none"], one_of("minilm", "none")] = Field(
        default="minilm",
        description="`minilm` runs inside the gateway; `none` turns semantic matching off everywhere.",
    )
    workers: Count = Field(default=1, ge=1, description="Threads that embed.")
    memo_bytes: Size = Field(default=8 * 1024**2, description="Memory for the vectors of recent texts.")
    max_queue: Count = Field(
        default=32,
        ge=1,
        description="Texts that may wait; further requests go without matching. No request waits longer than 0.5 s, "
        "so a longer queue would only embed what nobody waits for.",
    )


class LogSettings(Section):
    """What is logged to standard error: never a prompt, an answer or a key."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], one_of("debug", "info", "warning", "error")
    ] = Field(default="info", description="The least severity that is logged.")
    format: Annotated[Literal["json", "console"], one_of("json", "console")] = Field(
        default="json", description="`json` writes one object per line, `console` is for reading."
    )
    requests: Switch = Field(default=False, description="Log one line per request.")
