"""What is asked, and the call that asks it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from os import urandom
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from askonce.model.callers import Caller
    from askonce.model.policies import Policy
    from askonce.trace import Trace

__all__ = ["Ask", "Call", "Endpoint", "JobTerms", "Json", "Request", "Route"]

Json: TypeAlias = dict[str, Any]
"""A parsed JSON object."""


class Endpoint(StrEnum):
    """An inference endpoint: the value is its path below `/v1/`."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model's requests go: `model` is the upstream's own name, after aliases."""

    upstream: str
    model: str


class Ask(NamedTuple):
    """One request, understood: what is asked, and under which keys it may be shared.

    Attributes:
        endpoint: The inference endpoint.
        route: Where it goes.
        model: The model as the caller named it.
        raw: The body's bytes as they came.
        body: The same, parsed.
        stream: Whether the caller wants events.
        include_usage: Whether a streaming caller asked for the usage event.
        exact_key: SHA-256 (32 bytes) of everything that makes the answer; None where nothing may be shared.
        partition: SHA-256 (32 bytes) of the exact key's ingredients without the asked text; None where the
            semantic tier doesn't apply.
        text: The asked text (last user message); None where the semantic tier doesn't apply.
        turns: User messages in the conversation, the asked one included.
        unshared: Why `exact_key` is None or caching is off, as a reason code; "" otherwise.
        unmatched: Why `text` is None, as a reason code; "" otherwise.
        hot: Whether the temperature is above the policy's limit: exact and semantic tiers are left out.
        joinable: Whether this request may join a running flight (it may always lead one that others join).
    """

    endpoint: Endpoint
    route: Route
    model: str
    raw: bytes
    body: Json
    stream: bool
    include_usage: bool
    exact_key: bytes | None
    partition: bytes | None
    text: str | None
    turns: int
    unshared: str
    unmatched: str
    hot: bool
    joinable: bool = True


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What a caller says of the job that it wants made of its request.

    Attributes:
        deadline_s: Seconds within which an answer is wanted; None leaves it to the configuration.
        webhook: Where to tell of its end; "" for nowhere.
        native: Whether it came through `/v2/inference/submit`.
    """

    deadline_s: float | None
    webhook: str
    native: bool


class Request(NamedTuple):
    """One caller's request with all that was decided about it: what a flight carries, and may be led by.

    `headers` are the caller's request headers that travel to the upstream; `submitted_as` is the request id that a
    native submission carries in its body. With `terms`, the caller wants a job rather than an answer. `trace` is where it
    stands in its caller's trace, where requests are traced; no key knows of it. `users` are the keyed hashes of the users
    that the body names (`pipeline.users`): whose it is, within its tenant.
    """

    ask: Ask
    caller: Caller
    policy: Policy
    headers: tuple[tuple[str, str], ...] = ()
    submitted_as: str | None = None
    terms: JobTerms | None = None
    trace: Trace | None = None
    users: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One upstream call, ready to send.

    Attributes:
        endpoint: The inference endpoint.
        model: The upstream's own name of the model.
        body: JSON bytes to send.
        stream: Whether events are asked for.
        credential: The caller's key, where it is passed through.
        headers: Further request headers to pass on.
        path: Path below `/v1/` where it isn't the endpoint's own.
        trace: The call's own span, which the upstream may go on from; calls that go together share the first one's.
        id: Names this very call, no other try of it: what the ledger and the upstream know it by. "" before it goes out.
    """

    endpoint: Endpoint
    model: str
    body: bytes
    stream: bool
    credential: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    path: str | None = None
    trace: Trace | None = None
    id: str = ""

    def named(self) -> Call:
        """The same with a new id."""
        return replace(self, id="call_" + urandom(12).hex())
