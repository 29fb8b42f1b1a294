"""Who answers: providers and servers."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from askonce.config.batching import BatchingSettings
from askonce.config.forms import BaseUrl, Count, Number, Seconds, Share, Slug, Switch, one_of
from askonce.config.resilience import BreakerSettings, RetrySettings
from askonce.config.section import Section
from askonce.config.sending import SendingLimits

__all__ = ["OpenAIUpstream", "PythonUpstream", "SimulatedUpstream", "UpstreamSettings"]

Limits = Annotated[
    SendingLimits, Field(description="How much it is sent: requests, tokens, calls at a time.")
]
Retries = Annotated[RetrySettings, Field(description="How failed calls are sent again.")]
Breaker = Annotated[BreakerSettings, Field(description="When it is left alone, and how it is tried again.")]
Batching = Annotated[BatchingSettings, Field(description="Which requests go together in one call.")]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _check_header_name(value: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value):
        raise ValueError("must be a header name")
    if value.lower() in {"host", "content-length", "content-type", "transfer-encoding", "connection"}:
        raise ValueError("is a header that the gateway sets itself")
    return value


def _check_function_path(value: str) -> str:
    module, colon, attribute = value.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise ValueError("must name a function as package.module:attribute")
    return value


def _check_printable(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", value.get_secret_value()):
        raise ValueError("must be printable ASCII on one line and not empty")
    return value


FunctionPath = Annotated[str, AfterValidator(_check_function_path)]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_check_printable)]


class OpenAIUpstream(Section):
    """A provider or server that speaks OpenAI's protocol."""

    type: Literal["openai"] = Field(default="openai", description="The protocol.")
    name: Slug = Field(description="Its name in metrics, logs and errors.")
    base_url: BaseUrl = Field(description="The address that endpoint paths are appended to, `/v1` included.")
    api_key: HeaderValue | None = Field(
        default=None, description="The key to present; absent: the caller's own credential is passed through."
    )
    api_keys: tuple[HeaderValue, ...] = Field(
        default=(),
        description="Several keys instead of `api_key`: each call goes out with the one that may send most; one that is "
        "refused is set aside for a while.",
    )
    models: tuple[Name, ...] = Field(
        default=("*",),
        min_length=1,
        description="Patterns (`*`, `?`) of the models that it answers. The first upstream that matches is asked.",
    )
    aliases: dict[Name, Name] = Field(
        default={}, description="Further model names that callers may use, and what each is called upstream."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description="Headers to add to every request; never shown."
    )
    connect_timeout_s: Seconds = Field(default=5.0, description="The longest wait for a connection.")
    first_byte_timeout_s: Seconds = Field(
        default=600.0,
        description="The longest wait for the answer's first byte, which for a plain answer is all of it.",
    )
    idle_timeout_s: Seconds = Field(
        default=60.0, description="The longest pause between two reads of an answer."
    )
    max_connections: Count = Field(default=512, ge=1, description="The most connections at a time.")
    stream_usage: Switch = Field(
        default=True,
        description="Ask for token counts at the end of streams (`stream_options.include_usage`); turn it off for "
        "servers that refuse the option.",
    )
    batch_api: Switch = Field(
        default=False,
        description="Whether it has OpenAI's Batch API (`/files` and `/batches`): jobs are then gathered into its batches.",
    )
    cache_control: Annotated[Literal["respect", "ignore"], one_of("respect", "ignore")] = Field(
        default="respect",
        description="Whether the upstream's `Cache-Control` header may forbid or shorten keeping.",
    )
    limits: Limits = SendingLimits()
    retries: Retries = RetrySettings()
    breaker: Breaker = BreakerSettings()
    batching: Batching = BatchingSettings()

    @field_validator("api_keys", mode="after")
    @classmethod
    def _no_key_twice(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len({key.get_secret_value() for key in keys}) < len(keys):
            raise ValueError("must not name a key twice")
        return keys

    @model_validator(mode="after")
    def _one_way_to_name_keys(self) -> Self:
        if self.api_keys and self.api_key is not None:
            raise ValueError("give either api_key or api_keys")
        return self

    @property
    def keys(self) -> tuple[SecretStr, ...]:
        """The gateway's own keys, in the order given."""
        return self.api_keys or (() if self.api_key is None else (self.api_key,))

    @property
    def presents_own_key(self) -> bool:
        """Whether calls go out with a key of the gateway's own rather than the caller's."""
        named = {name.lower() for name in self.headers}
        return bool(self.keys) or bool(named & {"authorization", "api-key", "x-api-key"})


class SimulatedUpstream(Section):
    """A model that is simulated inside the gateway: for trials, demonstrations and load tests."""

    type: Literal["simulated"] = Field(default="simulated", description="Marks the upstream as simulated.")
    name: Slug = Field(default="simulated", description="Its name in metrics, logs and errors.")
    models: tuple[Name, ...] = Field(
        default=("*",), min_length=1, description="Patterns (`*`, `?`) of the models that it answers."
    )
    aliases: dict[Name, Name] = Field(
        default={}, description="Further model names, and what each is called upstream."
    )
    seed: Count = Field(
        default=0, description="The same seed and request give the same answer and the same failures."
    )
    ttft_ms: Number = Field(default=200.0, ge=0, description="Milliseconds until the first token.")
    tokens_per_second: Number = Field(default=200.0, gt=0, description="Tokens per second of one answer.")
    concurrency_knee: Count | None = Field(
        default=None, ge=1, description="Calls at a time above which all become slower; absent: never."
    )
    error_rate: Share = Field(default=0.0, description="Share of calls that fail with status 500.")
    rate_limit_rate: Share = Field(
        default=0.0, description="Share of calls that are refused with status 429."
    )
    garbage_rate: Share = Field(
        default=0.0, description="Share of calls that are answered with something malformed."
    )
    half_stream_rate: Share = Field(default=0.0, description="Share of streams that break off half-way.")
    slots: Count | None = Field(
        default=None,
        ge=1,
        description="Calls that are worked on at a time, the others wait; absent: any number.",
    )
    call_ms: Number = Field(
        default=0.0, ge=0, description="Milliseconds that a call takes before its first token."
    )
    item_ms: Number = Field(
        default=0.0,
        ge=0,
        description="Milliseconds that each conversation, prompt or text of a call takes before its first token.",
    )
    requests_per_second: Number | None = Field(
        default=None, ge=1, description="Calls in a second above which it answers 429; absent: never."
    )
    requests_per_minute: Number | None = Field(default=None, ge=1, description="The same for a minute.")
    tokens_per_minute: Number | None = Field(
        default=None, ge=1, description="Tokens in a minute above which it answers 429; absent: never."
    )
    answers: Path | None = Field(
        default=None,
        description="A JSON Lines file of `question` and `answer` texts to answer from; absent: made-up text.",
    )
    limits: Limits = SendingLimits()
    retries: Retries = RetrySettings()
    breaker: Breaker = BreakerSettings()
    batching: Batching = BatchingSettings()

    @property
    def presents_own_key(self) -> bool:
        """It needs none."""
        return True


class PythonUpstream(Section):
    """A Python function in the gateway's own process: for engines that are a library."""

    type: Literal["python"] = Field(default="python", description="Marks the upstream as a function.")
    name: Slug = Field(description="Its name in metrics, logs and errors.")
    function: FunctionPath = Field(
        description="An `async def` that answers a list of calls, as `package.module:attribute`. It is imported when the "
        "gateway starts."
    )
    models: tuple[Name, ...] = Field(
        default=("*",),
        min_length=1,
        description="Patterns (`*`, `?`) of the models that it answers. The first upstream that matches is asked.",
    )
    aliases: dict[Name, Name] = Field(
        default={}, description="Further model names that callers may use, and what each is called there."
    )
    timeout_s: Seconds = Field(default=600.0, description="How long it may take to answer.")
    limits: Limits = SendingLimits()
    retries: Retries = RetrySettings()
    breaker: Breaker = BreakerSettings()
    batching: BatchingSettings = Field(
        default=BatchingSettings(),
        description="How many requests it is given at a time. All endpoints are batched: `embeddings`, `completions` and "
        "`chat` don't matter here.",
    )

    @property
    def presents_own_key(self) -> bool:
        """It needs none."""
        return True


def _fill_in_type(value: Any) -> Any:
    """Makes `openai` the type where none is given; says which ones there are otherwise."""
    if not isinstance(value, dict):
        return value
    kind = value.get("type") or "openai"
    if kind == "anthropic":
        raise PydanticCustomError(
            "upstream_type",
            "anthropic is not available in this version; use an OpenAI-compatible endpoint",
        )
    if kind not in ("openai", "simulated", "python"):
        raise PydanticCustomError("upstream_type", "must be openai, simulated or python")
    return {**value, "type": kind}


UpstreamSettings = Annotated[
    OpenAIUpstream | SimulatedUpstream | PythonUpstream,
    Field(discriminator="type"),
    BeforeValidator(_fill_in_type),
]
"""Any upstream, told apart by `type`."""
