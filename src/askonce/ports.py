"""The plug points: what the pipeline asks of upstreams, stores, indexes, embedders, clocks and observers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from askonce.job import (
        Batch,
        Delivery,
        Ended,
        Group,
        Job,
        JobState,
        JobTotals,
        Line,
        LineResult,
        NewJob,
        Pile,
        Receipt,
        RemoteBatch,
    )
    from askonce.model import (
        Audit,
        Call,
        Entry,
        Json,
        Link,
        Neighbour,
        Outcome,
        Question,
        Stored,
        Tokens,
        Usage,
        Vector,
    )

__all__ = [
    "BatchApi",
    "Clock",
    "Embedder",
    "EmbedderState",
    "Embedding",
    "Index",
    "JobStore",
    "Observer",
    "Postman",
    "Record",
    "Store",
    "StoreHealth",
    "Upstream",
    "UpstreamReply",
]


class Clock(Protocol):
    """Wall-clock time; waiting and deadlines use the event loop's own monotonic clock."""

    def now(self) -> float:
        """Unix seconds."""
        ...


class UpstreamReply(Protocol):
    """A call that an upstream accepted (status 200): either one body or events, as the call asked.

    Attributes:
        no_store: The upstream forbids keeping the answer (`Cache-Control: no-store`).
        max_age_s: Seconds that the upstream allows it to be kept, where it says so.
        headers: The upstream's response headers that its direct caller may see.
        streamed: Whether it comes as events: never where the call asked for none, mostly where it did.
    """

    streamed: bool
    no_store: bool
    max_age_s: float | None
    headers: Sequence[tuple[str, str]]

    async def body(self) -> bytes:
        """The whole JSON body. Raises UpstreamFailure."""
        ...

    async def read(self) -> Sequence[bytes]:
        """The next events' JSON payloads, at least one; empty at the end of the stream.

        Raises UpstreamFailure, also where the stream breaks off.
        """
        ...

    @property
    def finished(self) -> bool:
        """Whether the end mark (`[DONE]`) was seen."""
        ...

    async def aclose(self) -> None:
        """Gives the connection back, or cuts it where the answer wasn't read to its end."""
        ...


class Upstream(Protocol):
    """A provider or server that answers."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        ...

    async def open(self, call: Call) -> UpstreamReply:
        """Sends a call and waits for its status. Raises UpstreamFailure."""
        ...

    async def models(self, credential: str | None) -> list[Json]:
        """The upstream's own list of models (OpenAI's model objects). Raises UpstreamFailure."""
        ...

    async def close(self) -> None:
        """Closes pooled connections."""
        ...


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """What a store says of itself: `durable` is False once it has degraded to memory alone."""

    durable: bool
    detail: str
    entries: int
    memory_bytes: int
    disk_bytes: int
    pending_writes: int
    evictions: int
    lost_writes: int


class Store(Protocol):
    """Answers by exact key, with links, tags and expiry; audits; and small values by name.

    Never raises into the way: a failing disk costs durability, not requests.
    """

    async def start(self) -> None:
        """Opens what is durable; degrades to memory where that can't be done."""
        ...

    def peek(self, key: bytes) -> Stored | None:
        """What memory alone knows under `key`: no wait, expired entries are never returned."""
        ...

    async def get(self, key: bytes) -> Stored | None:
        """What memory or disk knows under `key`; a find on disk moves into memory."""
        ...

    def put(self, entry: Entry, question: Question | None) -> None:
        """Keeps an entry: at once in memory, on disk with the next group commit."""
        ...

    def link(self, link: Link, question: Question | None) -> None:
        """Keeps an approved paraphrase of an entry."""
        ...

    async def links_to(self, target: bytes) -> list[Link]:
        """The links that lead to an entry, in memory and on disk. Looks at everything: for rare occasions."""
        ...

    def remove(self, key: bytes) -> None:
        """Forgets the entry or link under `key` (and its question); a link's target stays."""
        ...

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives the question kept under `key`, if there is one, another answer's class."""
        ...

    async def invalidate(self, tags: Sequence[str]) -> list[bytes]:
        """Forgets every entry that carries any of the tags; returns the keys forgotten."""
        ...

    def questions(self) -> AsyncIterator[Sequence[Question]]:
        """All live questions, in batches, newest last: what the vector index is rebuilt from at start."""
        ...

    def audited(self, audit: Audit) -> None:
        """Keeps an audit: with the next group commit, and the newest 20,000 of each feature."""
        ...

    def audits(self, feature: str | None) -> AsyncIterator[Sequence[Audit]]:
        """What is kept of a feature's audits (None: of all), in batches, newest last.

        Those that come while it is read may be left out.
        """
        ...

    def keep(self, name: str, value: bytes) -> None:
        """Keeps a small value in place of the one of that name: seen at once, and after a restart."""
        ...

    def kept(self, name: str) -> bytes | None:
        """The value of that name, if one is known; until a durable store has been opened, there is none."""
        ...

    async def flush(self) -> None:
        """Waits until everything put so far is durable (or the store has degraded)."""
        ...

    async def secret(self) -> bytes:
        """32 random bytes, the same after every restart of a durable store: keys tenants' hashes."""
        ...

    def health(self) -> StoreHealth:
        """What `/healthz` and the metrics say."""
        ...

    async def close(self) -> None:
        """Commits what is pending and closes."""
        ...


class JobStore(Protocol):
    """Jobs, lines, batches and webhooks: whatever a call has returned from is kept.

    A call either happens as a whole or raises Refusal (503 where the store can't keep anything now). Settling, ending
    and postponing what has come to its end already changes nothing, so that every step can be taken again.
    """

    @property
    def durable(self) -> bool:
        """Whether jobs outlive the process."""
        ...

    async def submit(self, new: NewJob) -> Receipt:
        """Takes a job, or finds the one of that name. Raises Refusal: also 409 and 429."""
        ...

    async def find(self, tenant: str, request_id: str) -> Job | None:
        """A tenant's job, with its answer."""
        ...

    async def page(self, tenant: str, state: JobState | None, after: int, count: int) -> list[Job]:
        """A tenant's jobs without their answers, newest first, those numbered below `after` (0: all)."""
        ...

    async def cancel(self, tenant: str, request_id: str, now: float) -> Ended | None:
        """Ends a tenant's open job; None where there is none of that name."""
        ...

    async def settle(self, results: Sequence[LineResult], now: float) -> list[Ended]:
        """Ends lines and all jobs that want them."""
        ...

    async def due(self, now: float, error: bytes) -> list[Ended]:
        """Lines near their deadline no longer wait for batches; jobs beyond theirs fail with `error`."""
        ...

    async def take_direct(self, count: int, now: float) -> list[Line]:
        """Lines to be sent one by one, of each tenant in turn; they are the taker's until settled or postponed."""
        ...

    async def postpone(self, number: int, due_at: float) -> None:
        """A line that was sent failed for the moment."""
        ...

    async def dropped(self, numbers: Sequence[int]) -> list[int]:
        """Those of these lines that nobody wants any more."""
        ...

    async def recover(self, now: float) -> list[Batch]:
        """After a restart: nothing is being sent; returns the batches that haven't ended."""
        ...

    async def set_back(self, now: float) -> None:
        """The clock was set back to `now`: what waits for a later time is due."""
        ...

    async def purge(self, before: float, count: int) -> int:
        """Forgets up to `count` jobs that ended before then; returns how many."""
        ...

    async def totals(self) -> JobTotals:
        """All jobs at a glance."""
        ...

    async def piles(self, now: float) -> list[Pile]:
        """What waits for a batch, by group."""
        ...

    async def form(self, group: Group, intent: str, most: tuple[int, int], now: float) -> Batch | None:
        """Puts waiting lines of a group into a new batch: at most so many, of so many bytes, but one at least."""
        ...

    async def batch(self, number: int) -> Batch | None:
        """A batch that hasn't ended."""
        ...

    async def submitted(self, number: int, remote_id: str) -> None:
        """The provider has a batch under that id."""
        ...

    async def lines(self, batch: int, after: int, count: int) -> list[Line]:
        """The next lines of a batch, numbered above `after`, that are still to be asked that way."""
        ...

    async def wanted(self, batch: int, numbers: Sequence[int]) -> list[Line]:
        """Those of a batch's lines that nothing has ended yet."""
        ...

    async def end_batch(self, number: int, due_at: float, most_attempts: int | None) -> None:
        """The provider is done with a batch: what it left goes into another one, or is sent one by one.

        `most_attempts` None: this was none, and the lines go into another batch in any case.
        """
        ...

    async def take_deliveries(
        self, busy: Sequence[int], count: int, now: float
    ) -> tuple[list[Delivery], float | None]:
        """Webhooks that are due without those of the `busy` jobs, and when the next of the others will be."""
        ...

    async def attempted(self, delivery: Delivery) -> None:
        """How an attempt at a webhook ended."""
        ...

    async def owner(self, job: int) -> tuple[str, str] | None:
        """The tenant and request id of a job."""
        ...

    async def close(self) -> None:
        """Waits for what was asked, then ends."""
        ...


class BatchApi(Protocol):
    """A provider that takes files of requests. Every call raises UpstreamFailure."""

    async def upload(self, name: str, file: IO[bytes]) -> str:
        """Uploads a file of requests under a name; returns its id. May close the file."""
        ...

    async def find_file(self, name: str) -> str | None:
        """The id of the file of that name among the latest, if there is one."""
        ...

    async def create(self, file_id: str, endpoint: str, intent: str) -> RemoteBatch:
        """Makes a batch of a file, marked with the intent."""
        ...

    async def find(self, intent: str) -> RemoteBatch | None:
        """The batch that is marked with the intent among the latest, if there is one."""
        ...

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        """How a batch stands."""
        ...

    async def cancel(self, batch_id: str) -> None:
        """Asks for a batch to be cancelled."""
        ...

    def results(self, file_id: str) -> AsyncIterator[bytes]:
        """The lines of a result file, without those that are too large to be an answer."""
        ...

    async def delete_file(self, file_id: str) -> None:
        """Deletes a file."""
        ...

    async def close(self) -> None:
        """Closes pooled connections."""
        ...


class Postman(Protocol):
    """Delivers webhooks."""

    def refuses(self, url: str) -> str:
        """Why nothing is ever delivered to a URL, as a sentence; "" where nothing speaks against it yet."""
        ...

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[bool, str]:
        """Posts a body; whether the receiver took it, and how it went in a few words. Never raises."""
        ...

    async def close(self) -> None:
        """Closes pooled connections."""
        ...


class Index(Protocol):
    """Vectors by partition. Called from the event loop's thread alone, but for `search`."""

    def add(self, question: Question) -> None:
        """Adds a row, or replaces the one of the same key. Raises ValueError for a question without vector."""
        ...

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives the row of `key`, if there is one, another answer's class."""
        ...

    def remove(self, key: bytes) -> None:
        """Removes the row of `key`, if there is one."""
        ...

    async def search(self, partition: bytes, vector: Vector, count: int) -> list[Neighbour]:
        """The nearest rows, most similar first; scans of large partitions run in a thread."""
        ...

    @property
    def rows(self) -> int:
        """Rows in all partitions."""
        ...

    @property
    def size_bytes(self) -> int:
        """Memory that the rows take, an estimate from above."""
        ...


class EmbedderState(StrEnum):
    """Where an embedder stands."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an embedder makes of a text; `tokens` is None where it gives none."""

    vector: Vector
    tokens: Tokens | None


class Embedder(Protocol):
    """Turns a text into a unit vector, and into tokens where it can."""

    @property
    def engine(self) -> str:
        """Identity of the vectors and tokens: those of different engines are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    @property
    def state(self) -> EmbedderState:
        """Where it stands."""
        ...

    @property
    def detail(self) -> str:
        """A sentence for `/healthz`."""
        ...

    def start(self) -> None:
        """Begins to load in the background and returns at once."""
        ...

    async def ready(self) -> bool:
        """Waits until it is READY (True) or FAILED (False)."""
        ...

    async def embed(self, text: str) -> Embedding:
        """The text's vector and tokens. Raises EmbedderUnavailable."""
        ...

    async def close(self) -> None:
        """Ends its threads."""
        ...


class Record(NamedTuple):
    """What there is to say of one finished request.

    Attributes:
        request_id: As sent to the caller.
        endpoint: Path below `/v1/`.
        tenant: The tenant's label.
        feature: The feature.
        model: The model as asked.
        outcome: How it was answered; None where it was refused.
        status: HTTP status.
        code: The error's code, "" for answers.
        duration_s: From the request's first byte to the answer's last.
        first_byte_s: From the request's first byte to the answer's first.
        overhead_s: The part of it that wasn't the upstream's; None for callers that waited on others.
        usage: Tokens of the answer, where known.
        spent_nanousd: What this request cost; None where the price isn't known.
        saved_nanousd: What it didn't cost; None where the price isn't known.
    """

    request_id: str
    endpoint: str
    tenant: str
    feature: str
    model: str
    outcome: Outcome | None
    status: int
    code: str
    duration_s: float
    first_byte_s: float
    overhead_s: float | None
    usage: Usage | None
    spent_nanousd: int | None
    saved_nanousd: int | None


class Observer(Protocol):
    """Told after the fact; must neither wait nor raise."""

    def request(self, record: Record) -> None:
        """A request has ended."""
        ...

    def upstream_call(self, upstream: str, status: str, duration_s: float) -> None:
        """An upstream call has ended; `status` is `ok`, a status code, `timeout`, `cancelled`."""
        ...

    def waited(self, upstream: str, lane: str, reason: str, wait_s: float) -> None:
        """A request has waited for its turn; `reason` is a stable reason code."""
        ...

    def batch(self, upstream: str, size: int) -> None:
        """An upstream call has been accepted that so many requests share."""
        ...

    def retry(self, upstream: str, cause: str) -> None:
        """A request's call has failed and is sent again; `cause` is a stable reason code."""
        ...

    def fallback(self, upstream: str, stand_in: str, cause: str) -> None:
        """A request goes on from one upstream to another; `cause` is a stable reason code."""
        ...

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided on a request; `reason` is a stable reason code."""
        ...

    def audit(self, feature: str, source: str, verdict: str, judge: str) -> None:
        """An audit has ended with a verdict, or without one (`undecided`)."""
        ...

    def audit_dropped(self, reason: str) -> None:
        """An audit has ended before its verdict; `reason` is a stable reason code."""
        ...
