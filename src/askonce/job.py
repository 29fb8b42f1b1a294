"""The values of the batch lane: jobs that callers hand in, the lines that answer them, the provider's batches.

A *job* is one caller's request. A *line* is one thing to ask: identical jobs share it. A *batch* is a provider's file
of lines. Times are Unix seconds, since all of them outlive the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from askonce.model import Answer, Usage

__all__ = [
    "Batch",
    "Delivery",
    "DeliveryState",
    "Ended",
    "Group",
    "Job",
    "JobState",
    "JobTotals",
    "Line",
    "LineResult",
    "NewJob",
    "NewLine",
    "Pile",
    "Ready",
    "Receipt",
    "RemoteBatch",
    "RemoteState",
]


class JobState(StrEnum):
    """Where a job stands, as its caller sees it."""

    QUEUED = "queued"
    RUNNING = "running"
    """In a provider's batch, or being asked."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self in {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}


class DeliveryState(StrEnum):
    """Where a job's webhook stands."""

    IDLE = "idle"
    """The job has not ended yet."""
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up."""


class Group(NamedTuple):
    """Lines that may share a batch: a provider takes one endpoint and one model a file."""

    upstream: str
    endpoint: str
    model: str


@dataclass(frozen=True, slots=True)
class NewLine:
    """What there is to ask.

    Attributes:
        key: Exact key under which identical jobs share the line; None where nothing is shared.
        group: Where it goes; `model` is the upstream's own name.
        context: JSON of who asks with which headers: with it the request can be understood again.
        body: The request's body as it came.
        batched: Whether it waits for a provider's batch; else it is sent as soon as there is room.
    """

    key: bytes | None
    group: Group
    context: bytes
    body: bytes
    batched: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer that was stored already, and what serving it is called."""

    answer: Answer
    outcome: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A submission.

    Attributes:
        tenant: Who owns it: nobody else ever sees it.
        request_id: Its name within the tenant.
        digest: SHA-256 of what is asked: the same name for something else is refused.
        label: The tenant's name in metrics.
        feature: The feature.
        model: The model as the caller named it.
        native: Whether it came through `/v2/inference/submit`.
        created_at: When it came.
        looked_at: When the caches were looked in: answers that came later count as stored.
        deadline_at: When it fails, if it isn't answered by then.
        fallback_at: When it no longer waits for a batch.
        webhook: Where its end is told; "" for nowhere.
        line: What to ask.
        ready: The answer, where it is stored already.
        users: Keyed hashes of the users that the request names.
    """

    tenant: str
    request_id: str
    digest: bytes
    label: str
    feature: str
    model: str
    native: bool
    created_at: float
    looked_at: float
    deadline_at: float
    fallback_at: float
    webhook: str
    line: NewLine
    ready: Ready | None
    users: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook: `detail` says how the last attempt ended, `due_at` when the next one is."""

    job: int
    url: str
    state: DeliveryState
    attempts: int
    due_at: float
    detail: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands.

    Attributes:
        number: Its place in the order of submission.
        upstream_model: The upstream's own name of the model.
        outcome: How it was answered (`fresh`, `joined`, `exact`, `semantic`); "" where it wasn't.
        spent_nanousd: What it cost; None where that isn't known.
        saved_nanousd: What it didn't cost, because others paid; None where that isn't known.
        error: JSON of the error object; b"" where there is none.
        answer: The answer, once completed; None also where only the state was asked for.
        delivery: Its webhook, if it has one.
    """

    number: int
    tenant: str
    request_id: str
    state: JobState
    label: str
    feature: str
    endpoint: str
    model: str
    upstream_model: str
    native: bool
    created_at: float
    deadline_at: float
    ended_at: float | None
    outcome: str
    spent_nanousd: int | None
    saved_nanousd: int | None
    error: bytes
    answer: Answer | None
    delivery: Delivery | None


class Ended(NamedTuple):
    """A job that has just ended; `usage` is its answer's, None where it has none."""

    number: int
    tenant: str
    request_id: str
    label: str
    feature: str
    model: str
    created_at: float
    state: JobState
    outcome: str
    spent_nanousd: int | None
    saved_nanousd: int | None
    code: str
    upstream_model: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A submission that was taken: the job, whether it is a new one, and what has ended with it at once."""

    job: Job
    new: bool
    ended: tuple[Ended, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be asked; `attempts` are those that failed."""

    number: int
    group: Group
    context: bytes
    body: bytes
    attempts: int
    deadline_at: float


@dataclass(frozen=True, slots=True)
class LineResult:
    """What became of a line: an answer, or the error's status, code and JSON.

    `outcome` is how whoever led the line was answered, and `spent_nanousd` what that cost; None where it isn't known.
    """

    number: int
    answer: Answer | None
    outcome: str = "fresh"
    spent_nanousd: int | None = 0
    error: bytes = b""
    code: str = ""


class Pile(NamedTuple):
    """Lines of a group that wait for a batch."""

    group: Group
    lines: int
    size_bytes: int
    oldest_at: float


@dataclass(frozen=True, slots=True)
class Batch:
    """A provider's batch.

    Attributes:
        number: Ours.
        intent: A unique id, written down before the provider hears of the batch and carried in its metadata.
        group: What its lines have in common.
        remote_id: The provider's id; "" until it is known.
        unwanted: Whether none of its lines is wanted any more.
    """

    number: int
    intent: str
    group: Group
    remote_id: str
    unwanted: bool


class RemoteState(StrEnum):
    """A batch's state at the provider, as far as it matters here."""

    RUNNING = "running"
    ENDED = "ended"
    """Completed, expired or cancelled: whatever was answered is in its files."""
    FAILED = "failed"
    """Nothing of it was asked."""


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch at the provider: its state, the provider's word for it, its files, and why it failed."""

    id: str
    state: RemoteState
    status: str
    input_file: str
    output_files: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class JobTotals:
    """All jobs at a glance.

    Attributes:
        jobs: Count by state (`open`, `completed`, `failed`, `cancelled`).
        lines: Count by state of what is to be asked.
        batches: Count of open batches by state.
        deliveries: Count of webhooks by state.
        oldest_at: When the oldest open job was submitted; None without one.
        size_bytes: What all of it takes on disk, about.
    """

    jobs: dict[str, int]
    lines: dict[str, int]
    batches: dict[str, int]
    deliveries: dict[str, int]
    oldest_at: float | None
    size_bytes: int
