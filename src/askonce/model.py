"""The values that travel through the gateway: immutable, no behaviour beyond their own shape.

Frozen slotted dataclasses, but for those that every request makes: named tuples are made three times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from askonce.trace import Trace

__all__ = [
    "Answer",
    "Ask",
    "Audit",
    "Bypass",
    "Call",
    "Caller",
    "Chunk",
    "Endpoint",
    "Entry",
    "Exact",
    "Fresh",
    "HighTemperature",
    "JobTerms",
    "Joined",
    "Json",
    "Lane",
    "Link",
    "Neighbour",
    "Outcome",
    "Owner",
    "Policy",
    "Question",
    "Request",
    "RetainText",
    "Route",
    "Scope",
    "Semantic",
    "SemanticMode",
    "Stored",
    "Tokens",
    "Usage",
    "Vector",
]

Json: TypeAlias = dict[str, Any]
"""A parsed JSON object."""
Vector: TypeAlias = "NDArray[np.float32]"
"""A unit vector of shape (dimensions,)."""

_CREDENTIAL: Final = "key:"
_ACCOUNT_LENGTH: Final = 16
"""`key:` and twelve hexadecimal digits."""


class Endpoint(StrEnum):
    """An inference endpoint: the value is its path below `/v1/`."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


class Scope(StrEnum):
    """The isolation boundary: who may ever share an answer with whom."""

    TENANT = "tenant"
    USER = "user"
    SHARED = "shared"


class SemanticMode(StrEnum):
    """What the semantic tier may do for a feature."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"


class HighTemperature(StrEnum):
    """Whether identical requests above the policy's temperature may share a flight."""

    RETRIES = "retries"
    ON = "on"
    OFF = "off"


class Lane(StrEnum):
    """How soon an answer is wanted: the first lanes are sent before the later ones."""

    INTERACTIVE = "interactive"
    RELAXED = "relaxed"
    """May wait a moment for others, where the upstream takes several at a time."""
    BATCH = "batch"
    """May wait for hours, at the provider's price for that."""


class RetainText(StrEnum):
    """What is kept of questions' texts outside the answer cache."""

    NONE = "none"
    HASHED = "hashed"
    """Enough to see that one was asked again, not what it said."""
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, once authenticated.

    Attributes:
        tenant: Isolation identity; None where it can't be established (then no cache is read or written).
        label: The tenant's name in metrics and logs: bounded in number, never derived from a credential.
        features: Features that this caller may name; the first is its default.
        credential: The provider's key to pass through; None where the gateway's own key is used.
        identity: Digest of the credential: tells retries of one caller from others.
    """

    tenant: str | None
    label: str
    features: tuple[str, ...]
    credential: str | None
    identity: bytes

    @property
    def account(self) -> str:
        """Whose costs these are in the ledger: the tenant's name, or the start of a passed-through credential's hash."""
        if self.tenant is None or self.tenant == f"tenant:{self.label}":
            return self.label
        key, _, named = self.tenant.partition("/")
        return f"{key[:_ACCOUNT_LENGTH]}/{named}" if named else key[:_ACCOUNT_LENGTH]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the gateway may do for one request: the feature's settings, tightened by the request's headers."""

    feature: str
    exact: bool
    inflight: bool
    inflight_high_temperature: HighTemperature
    semantic: SemanticMode
    error_budget: float
    ttl_s: float
    scope: Scope
    pool: str
    max_turns: int
    max_temperature: float
    semantic_tools: bool
    similarity_floor: float
    timeout_s: float
    linger_s: float | None
    """Seconds that an upstream call outlives its last caller; None lets it finish."""
    max_flight_age_s: float
    audit_share: float = 0.02
    """The share of semantic hits that is audited, in [0, 1]."""
    retain_text: RetainText = RetainText.HASHED
    lane: Lane = Lane.INTERACTIVE
    read: bool = True
    """False for `Cache-Control: no-cache`: stored and running answers are not used."""
    store: bool = True
    """False for `Cache-Control: no-store`: the answer is not kept."""
    max_age_s: float | None = None
    only_if_cached: bool = False
    tags: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `cached_tokens` is included in `prompt_tokens`."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a streamed answer, without its envelope.

    Attributes:
        fields: Inside of the JSON object (no braces) without `id`, `created`, `model` and `usage`.
        usage: JSON of `usage` (`null` included) where the event had one, else empty.
        bare: No choices: only for callers that asked for the usage.
    """

    fields: bytes
    usage: bytes
    bare: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, without its envelope: what is stored, whatever way it came.

    Attributes:
        fields: Inside of the JSON object (no braces) without `id`, `created`, `model` and `usage`.
        usage_json: JSON of `usage`, empty where there was none.
        model: The answering model as the upstream reports it; "" where it doesn't.
        id_prefix: Prefix of the ids that copies of this answer get (`chatcmpl-`); "" for answers without id.
        usage: The tokens, parsed.
        cost_nanousd: Price of the upstream call in nano-dollars; None where the price or the tokens aren't known.
    """

    fields: bytes
    usage_json: bytes
    model: str
    id_prefix: str
    usage: Usage
    cost_nanousd: int | None

    @property
    def size_bytes(self) -> int:
        """Bytes that the answer takes in memory, its objects included (measured: about 400)."""
        return len(self.fields) + len(self.usage_json) + 400


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer. Times are Unix seconds; `model` is the upstream's name of the asked model.

    It belongs to whoever led its flight: a `tenant`, and the `users` (keyed hashes) that the request named.
    """

    key: bytes
    answer: Answer
    created_at: float
    expires_at: float
    tenant: str
    feature: str
    model: str
    tags: tuple[str, ...] = ()
    users: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """What a text's tokens mean where they stand, small enough to be kept with every question.

    Attributes:
        ids: uint16 of shape (n,): the embedder's token ids, without the marks around the text.
        states: int8 of shape (n, width): each token's contextual state, projected; 127 stands for 1.0.
    """

    ids: NDArray[np.uint16]
    states: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Question:
    """The semantic side of an entry: the text that was asked and where its vector lives.

    Attributes:
        key: Exact key of the entry or link that answers it.
        partition: Where it may be found.
        text: What was asked.
        engine: The embedder that made `vector` and `tokens`, or will.
        vector: None where no vector of `engine` was computed yet.
        tokens: None where there is no vector, or the embedder gives no tokens.
        answer: Its answer's class: the key of the entry whose answer it is known to share, its own where it
            shares none. A class is a name: it holds its members together also when the entry of that key is gone,
            and each member is answered by what is stored under its own key.
    """

    key: bytes
    partition: bytes
    text: str
    engine: str
    vector: Vector | None
    tokens: Tokens | None
    answer: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """An approved paraphrase: `key` is answered by the entry at `target`. Cutting it leaves the answer.

    It belongs to whoever asked: a `tenant`, and the `users` (keyed hashes) that the request named.
    """

    key: bytes
    target: bytes
    confidence: float
    expires_at: float
    tenant: str = ""
    users: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What a judge said of one answer that was served to a question, or would have been.

    Attributes:
        feature: Whose error budget it counts for.
        at: Unix seconds.
        question: Exact key of the question.
        answer: Key of the entry whose answer was judged.
        request_id: As sent to the caller.
        source: How it came to be: `hit`, `shadow`, `miss`, `feedback`.
        judge: Who judged.
        right: Whether the answer was right.
        propensity: Probability with which this case was chosen to be judged, in (0, 1].
        probability: That the answer is right, as estimated when it was decided whether to serve it.
        threshold: What `probability` had to reach then.
        reason: The decision's reason code.
        evidence: float32 of shape (n,): what the estimate weighed; None where nothing was estimated. A store
            keeps three digits of each number.
        engine: Whose evidence it is: that of different engines is never used together.
        tenant: Whose the question is; "" once that is erased.
        users: Keyed hashes of the users that the request named.
    """

    feature: str
    at: float
    question: bytes
    answer: bytes
    request_id: str
    source: str
    judge: str
    right: bool
    propensity: float
    probability: float
    threshold: float
    reason: str
    evidence: NDArray[np.float32] | None
    engine: str
    tenant: str = ""
    users: tuple[bytes, ...] = ()


class Owner(NamedTuple):
    """Whose data is meant: all of a tenant's, or one of its users'.

    Attributes:
        tenant: A tenant's identity. Of a credential (`key:…`) the first digits are enough; with all that are named
            under it, unless `/name` says which.
        user: The keyed hash of a user's name; None for all of the tenant's.
    """

    tenant: str
    user: bytes | None = None

    def owns(self, tenant: str | None, users: tuple[bytes, ...] = ()) -> bool:
        """Whether something of that tenant and these users is meant."""
        if tenant is None or (self.user is not None and self.user not in users):
            return False
        if not self.tenant.startswith(_CREDENTIAL):
            return tenant == self.tenant
        key, _, named = self.tenant.partition("/")
        its_key, _, its_name = tenant.partition("/")
        return its_key.startswith(key) and (not named or named == its_name)

    def pays(self, account: str) -> bool:
        """Whether an account (`Caller.account`) is that of the tenant."""
        if not self.tenant.startswith(_CREDENTIAL):
            return self.tenant == f"tenant:{account}"
        key, _, named = self.tenant.partition("/")
        its_key, _, its_name = account.partition("/")
        return its_key == key[:_ACCOUNT_LENGTH] and (not named or named == its_name)

    def asked(self, request: Request) -> bool:
        """Whether a request is meant."""
        return self.owns(request.caller.tenant, request.users)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a look-up by exact key found: an entry, and the link that led there, if one did."""

    entry: Entry
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A row of the vector index near an asked text; `similarity` is the cosine, the rest is its `Question`'s."""

    key: bytes
    text: str
    similarity: float
    tokens: Tokens | None
    answer: bytes


@dataclass(frozen=True, slots=True)
class Fresh:
    """The upstream was asked for this caller."""

    reason: str
    name: ClassVar[str] = "fresh"


@dataclass(frozen=True, slots=True)
class Joined:
    """An identical request was already being answered: one upstream call served both."""

    name: ClassVar[str] = "joined"
    reason: ClassVar[str] = "in-flight"


@dataclass(frozen=True, slots=True)
class Exact:
    """A stored answer to the identical request."""

    entry: bytes
    age_s: float
    ttl_s: float
    name: ClassVar[str] = "exact"
    reason: ClassVar[str] = "stored"


@dataclass(frozen=True, slots=True)
class Semantic:
    """An answer to an equivalent request: stored, or (`joined`) still under way."""

    entry: bytes
    confidence: float
    joined: bool
    age_s: float
    ttl_s: float
    reason: str

    @property
    def name(self) -> str:
        """The word for it in headers, metrics and logs."""
        return "semantic-joined" if self.joined else "semantic"


@dataclass(frozen=True, slots=True)
class Bypass:
    """The upstream was asked for this caller alone, and nothing was read or shared."""

    reason: str
    name: ClassVar[str] = "bypass"


Outcome: TypeAlias = Fresh | Joined | Exact | Semantic | Bypass
"""How a caller was answered: `name` and `reason` are its words in headers, metrics and logs."""
