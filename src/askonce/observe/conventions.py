"""OpenTelemetry's names for what the gateway measures: the one table of both generations of the GenAI conventions.

`old` is what the semantic conventions 1.41 name, `new` what the GenAI conventions name since they have a repository of
their own. They agree on the attributes of spans, as far as the gateway has any of them, and on a server's metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from askonce.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DURATIONS_S",
    "METRICS",
    "OPERATIONS",
    "TOKENS",
    "Known",
    "Named",
    "Peer",
    "provider_of",
]

OPERATIONS: Final = {
    Endpoint.CHAT: "chat",
    Endpoint.COMPLETIONS: "text_completion",
    Endpoint.EMBEDDINGS: "embeddings",
}
"""`gen_ai.operation.name` by endpoint."""

DURATIONS_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The boundaries that the conventions ask for; what takes less than 10 ms is not told apart."""
TOKENS: Final = tuple(4.0**power for power in range(14))
"""1, 4, 16, … 67,108,864 tokens, as the conventions ask."""


class Named(NamedTuple):
    """What one measurement is called.

    Attributes:
        old: In 1.41; "" where it has no name.
        new: Of an inference, in the GenAI conventions' own repository; "" where it has no name.
        new_of_embeddings: The same of an embeddings call.
        unit: In UCUM.
        text: What it is.
    """

    old: str
    new: str
    new_of_embeddings: str
    unit: str
    text: str


_CLIENT: Final = "gen_ai.client"
METRICS: Final = {
    "call_duration": Named(
        f"{_CLIENT}.operation.duration",
        f"{_CLIENT}.inference.duration",
        f"{_CLIENT}.embeddings.duration",
        "s",
        "Upstream calls, from being sent to their end.",
    ),
    "first_chunk": Named(
        f"{_CLIENT}.operation.time_to_first_chunk",
        f"{_CLIENT}.inference.time_to_first_chunk",
        "",
        "s",
        "Streamed upstream calls, from being sent to the first event.",
    ),
    "input_tokens": Named(
        f"{_CLIENT}.token.usage",
        f"{_CLIENT}.inference.operation.input_tokens",
        f"{_CLIENT}.embeddings.operation.input_tokens",
        "{token}",
        "Input tokens of upstream calls, those of the provider's prompt cache included.",
    ),
    "output_tokens": Named(
        f"{_CLIENT}.token.usage",
        f"{_CLIENT}.inference.operation.output_tokens",
        "",
        "{token}",
        "Output tokens of upstream calls.",
    ),
    "input_usage": Named(
        "",
        f"{_CLIENT}.inference.usage.input_tokens",
        "",
        "{token}",
        "Input tokens that were used, those of the provider's prompt cache included.",
    ),
    "output_usage": Named(
        "", f"{_CLIENT}.inference.usage.output_tokens", "", "{token}", "Output tokens that were used."
    ),
    "cached_usage": Named(
        "",
        f"{_CLIENT}.inference.usage.cache_read.input_tokens",
        "",
        "{token}",
        "Input tokens that came from the provider's prompt cache.",
    ),
    "request_duration": Named(
        "gen_ai.server.request.duration",
        "gen_ai.server.request.duration",
        "gen_ai.server.request.duration",
        "s",
        "Requests to the gateway, to the last byte of the answer.",
    ),
    "first_token": Named(
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_to_first_token",
        "",
        "s",
        "Requests to the gateway that were answered, to the first byte of the answer.",
    ),
}
"""What is measured, by a name of our own."""

_PROVIDERS: Final = {
    "api.openai.com": "openai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.moonshot.ai": "moonshot_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
}
_AZURE: Final = ".openai.azure.com"


class Peer(NamedTuple):
    """Who is on the other side of a call: `provider` as the conventions name it, address and port (0: unknown)."""

    provider: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Known:
    """What spans and metrics may name.

    Attributes:
        peers: Who the upstreams are, by name.
        own: The gateway itself, as its callers see it.
        models: Models that the configuration or a price list names.
    """

    peers: Mapping[str, Peer]
    own: Peer
    models: frozenset[str]


def provider_of(name: str, base_url: str) -> Peer:
    """An upstream by its address; its own name is the provider's where the conventions know no other."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    provider = "azure.ai.openai" if host.endswith(_AZURE) else _PROVIDERS.get(host, name)
    return Peer(provider, host, url.port or (443 if url.scheme == "https" else 80))
