"""What is told to metrics and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from askonce.model import Answer, Outcome, Request, Usage
    from askonce.trace import Trace

__all__ = ["MATCH", "Charge", "Observer", "Record", "Share", "UpstreamCall"]

MATCH: Final = "match"
"""The semantic tier's reason code for an equivalent answer that may be served."""


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
        request: The request as understood; None where it was refused before, and for jobs.
        answer_model: The model that answered, as its upstream names it; "" where that isn't known.
        trace: The request's span; None where requests aren't traced.
        answered_by: The span of the upstream call that brought the answer, another request's where this one joined it.
        account: Whose costs these are (`Caller.account`), for a job: it has no request any more.
        upstream_model: The upstream's own name of the model, for a job.
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
    request: Request | None = None
    answer_model: str = ""
    trace: Trace | None = None
    answered_by: Trace | None = None
    account: str = ""
    upstream_model: str = ""


class Share(NamedTuple):
    """One account's part of what an upstream call cost.

    Attributes:
        tenant: The account (`Caller.account`).
        feature: The feature.
        outcome: How its caller was answered: `fresh`, `bypass`, `joined`; `abandoned` where nobody was left who waited,
            `audit` where the gateway asked on its own account, `batch` for a provider's batch.
        nanousd: Its part; 0 where the price isn't known.
        label: The tenant's name in metrics.
    """

    tenant: str
    feature: str
    outcome: str
    nanousd: int
    label: str = ""


class Charge(NamedTuple):
    """What an upstream call that went out came to: told once for each, when it is over.

    Where several requests went with one call, it is told for each of them: what its answer's share came to. A call that
    the upstream refused took no tokens and costs nothing.

    Attributes:
        call: Its id, as sent to the upstream (`X-Client-Request-Id`).
        at: Unix seconds at which it ended.
        upstream: Who was asked.
        model: The upstream's own name of the model.
        usage: The tokens that the upstream says it took; None where it didn't get to say so (cut off, cancelled).
        estimate: Tokens that it may have taken, where `usage` is None.
        cost_nanousd: What `usage` (or `estimate`) costs; None where the price isn't known.
        saved_prompt_cache_nanousd: What the provider's prompt cache took off the price.
        saved_batch_nanousd: What the provider's batch price took off.
        shares: Who pays, at least one: their `nanousd` add up to the cost. The tokens are the first one's.
        part: Which of the requests that went with the call; 0 is the first, and stands for the call where these are
            counted.
    """

    call: str
    at: float
    upstream: str
    model: str
    usage: Usage | None
    estimate: Usage
    cost_nanousd: int | None
    saved_prompt_cache_nanousd: int
    saved_batch_nanousd: int
    shares: tuple[Share, ...]
    part: int = 0


class UpstreamCall(NamedTuple):
    """One request's upstream call, or its share of one that several went with: told when it has ended.

    Attributes:
        upstream: Who was asked.
        request: As it was understood for that upstream.
        status: `ok`, a status code, `cancelled`, or a stable reason code.
        duration_s: From being sent to its end.
        queued_s: Seconds that it waited for its turn before.
        first_s: From being sent to the first event that said something; None where it wasn't streamed that far.
        counts: Whether it stands for the upstream call where these are counted: of those that share one, one does.
        batched: Requests that it answered, as far as is known.
        answer: What it brought; None where that wasn't a whole answer.
        trace: Its span; None where requests aren't traced.
    """

    upstream: str
    request: Request
    status: str
    duration_s: float
    queued_s: float
    first_s: float | None
    counts: bool
    batched: int
    answer: Answer | None
    trace: Trace | None


class Observer(Protocol):
    """Told after the fact; must neither wait nor raise.

    Whoever is told of some of it alone is a subclass, and leaves the rest out.
    """

    def request(self, record: Record) -> None:
        """A request has ended."""
        return

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for, or would have to be."""
        return

    def upstream_call(self, call: UpstreamCall) -> None:
        """An upstream call has ended."""
        return

    def waited(self, upstream: str, lane: str, reason: str, wait_s: float) -> None:
        """A request has waited for its turn; `reason` is a stable reason code."""
        return

    def batch(self, upstream: str, size: int) -> None:
        """An upstream call has been accepted that so many requests share."""
        return

    def retry(self, upstream: str, cause: str) -> None:
        """A request's call has failed and is sent again; `cause` is a stable reason code."""
        return

    def fallback(self, upstream: str, stand_in: str, cause: str) -> None:
        """A request goes on from one upstream to another; `cause` is a stable reason code."""
        return

    def semantic(self, feature: str, mode: str, reason: str) -> None:
        """The semantic tier has decided on a request; `reason` is a stable reason code."""
        return

    def audit(self, feature: str, source: str, verdict: str, judge: str) -> None:
        """An audit has ended with a verdict, or without one (`undecided`)."""
        return

    def audit_dropped(self, reason: str) -> None:
        """An audit has ended before its verdict; `reason` is a stable reason code."""
        return
