"""Settings → what tells a collector; OpenTelemetry is imported where it is turned on, and nowhere else."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from askonce.config import OpenAIUpstream
from askonce.observe.conventions import Known, Peer, provider_of

if TYPE_CHECKING:
    from askonce.config import Settings, UpstreamSettings
    from askonce.observe.telemetry import Telemetry
    from askonce.pipeline.prices import Prices

__all__ = ["open_telemetry"]


def open_telemetry(settings: Settings, prices: Prices) -> Telemetry | None:
    """What sends traces and metrics; None where neither is turned on.

    Raises:
        ValueError: they are, and OpenTelemetry isn't installed.
    """
    chosen = settings.telemetry
    if not (chosen.traces or chosen.metrics):
        return None
    if importlib.util.find_spec("opentelemetry") is None or not _installed():
        raise ValueError("telemetry needs OpenTelemetry: pip install 'askonce[otel]'")
    from askonce.observe.telemetry import Target, Telemetry  # noqa: PLC0415 - an extra, and slow to import

    target = Target(
        traces=chosen.traces,
        metrics=chosen.metrics,
        endpoint=chosen.endpoint,
        headers={name: value.get_secret_value() for name, value in chosen.headers.items()},
        service_name=chosen.service_name,
        sample_ratio=chosen.sample_ratio,
        names=chosen.names,
    )
    return Telemetry(target, _known(settings, prices))


def _installed() -> bool:
    """Whether the SDK and its exporter are there: other packages bring the interface alone."""
    return all(importlib.util.find_spec(f"opentelemetry.{name}") is not None for name in ("sdk", "exporter"))


def _known(settings: Settings, prices: Prices) -> Known:
    named = [
        model for one in settings.upstreams for model in (*one.models, *one.aliases, *one.aliases.values())
    ]
    models = {model for model in named if not set(model) & set("*?[")}
    return Known(
        peers={one.name: _peer(one) for one in settings.upstreams},
        own=Peer("", settings.listen.host, settings.listen.port),
        models=frozenset(models) | prices.names,
    )


def _peer(upstream: UpstreamSettings) -> Peer:
    if isinstance(upstream, OpenAIUpstream):
        return provider_of(upstream.name, upstream.base_url)
    return Peer(upstream.name, "", 0)
