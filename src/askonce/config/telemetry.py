"""What is sent to an OpenTelemetry collector: nothing, unless it is turned on."""

from typing import Annotated, Literal

from pydantic import Field

from askonce.config.forms import BaseUrl, Share, Switch, one_of
from askonce.config.section import Section
from askonce.config.upstream import HeaderName, HeaderValue

__all__ = ["TelemetrySettings"]


class TelemetrySettings(Section):
    """Traces and metrics by OpenTelemetry's GenAI conventions, over OTLP/HTTP; needs `askonce[otel]`.

    What isn't said here is taken from OpenTelemetry's own environment variables (`OTEL_…`).
    """

    traces: Switch = Field(
        default=False, description="Send a span for each request and for each upstream call; never any text."
    )
    metrics: Switch = Field(default=False, description="Send metrics, beside what `/metrics` shows.")
    endpoint: BaseUrl | None = Field(
        default=None,
        description="The collector's address, to which `/v1/traces` and `/v1/metrics` are appended; absent: "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`, or `http://localhost:4318`.",
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, repr=False, description="Headers that the collector wants, such as a key."
    )
    service_name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="`service.name`; absent: `OTEL_SERVICE_NAME`, or `askonce`."
    )
    sample_ratio: Share | None = Field(
        default=None,
        description="The share of traces begun here that are recorded; traces that callers began are recorded as they "
        "say. Absent: `OTEL_TRACES_SAMPLER`, or all.",
    )
    names: Annotated[Literal["old", "new", "both"], one_of("old", "new", "both")] = Field(
        default="both",
        description="Which of OpenTelemetry's names metrics have: `old` (semantic conventions 1.41), `new` "
        "(the GenAI conventions' own repository, from August 2026), or `both` at once.",
    )
