"""OpenTelemetry spans: one for each request, and one for each upstream call, made when they are over.

Their ids are chosen when they begin, as the upstream is told them. A request's span is the caller's child, a call's the
child of the request that it is made for; a request that joined another's call is linked to that call's span.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from askonce import __version__
from askonce.model import Exact, RetainText, Semantic
from askonce.observe.conventions import OPERATIONS, Peer
from askonce.trace import Trace, new_span_id, new_trace_id, read_trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

    from askonce.model import Request, Usage
    from askonce.observe.conventions import Known
    from askonce.ports import Record, UpstreamCall

__all__ = ["ChosenIds", "Spans"]

_SERVER_ERROR: Final = 500
_NANOUSD: Final = 1e9
_NOWHERE: Final = Peer("", "", 0)
_Attributes = dict[str, "AttributeValue"]


class ChosenIds(IdGenerator):
    """Gives the next span the ids that its request or call went by."""

    def __init__(self) -> None:
        self.next = Trace(new_trace_id(), new_span_id(), 0, sampled=True)

    def generate_trace_id(self) -> int:
        """The trace that begins with the next span."""
        return self.next.trace_id

    def generate_span_id(self) -> int:
        """The next span's."""
        return self.next.span_id


class Spans:
    """Makes spans of what has ended. Belongs to the event loop's thread; the SDK sends them in one of its own.

    Args:
        provider: The SDK's, whose ids are `ids`.
        ids: Where it takes them from.
        known: Who is on either side.
    """

    def __init__(self, provider: TracerProvider, ids: ChosenIds, known: Known) -> None:
        self._tracer = provider.get_tracer("askonce", __version__)
        self._sampler = provider.sampler
        self._ids = ids
        self._peers = known.peers
        self._own = known.own

    def begin(self, headers: Mapping[bytes, bytes]) -> Trace:
        """A request's span: the caller's child where it sends a `traceparent`, else the first of a trace."""
        caller = read_trace(headers)
        trace = Trace(new_trace_id(), new_span_id(), 0, sampled=True) if caller is None else caller.child()
        parent = _parent(trace._replace(sampled=caller is not None and caller.sampled), remote=True)
        result = self._sampler.should_sample(parent, trace.trace_id, "askonce", SpanKind.SERVER)
        return trace._replace(sampled=result.decision is Decision.RECORD_AND_SAMPLE)

    def request(self, record: Record) -> None:
        """A request has ended."""
        trace, request = record.trace, record.request
        if trace is None or not trace.sampled:
            return
        attributes = _of_record(record)
        attributes |= _of_address(self._own)
        name = record.endpoint
        if request is not None:
            attributes |= self._of_request(request, request.ask.route.upstream, request.ask.model)
            name = f"{OPERATIONS[request.ask.endpoint]} {request.ask.model}"
        ended_ns = time.time_ns()
        span = self._open(trace, name, SpanKind.SERVER, ended_ns - _ns(record.duration_s), attributes)
        joined = record.answered_by
        if joined is not None and joined.parent_id != trace.span_id:
            span.add_link(_context(joined, joined.span_id, remote=False))
        if record.status >= _SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended_ns)

    def call(self, call: UpstreamCall) -> None:
        """An upstream call has ended."""
        trace, request, answer = call.trace, call.request, call.answer
        if trace is None or not trace.sampled:
            return
        model = request.ask.route.model
        attributes = self._of_request(request, call.upstream, model)
        attributes |= _of_address(self._peers.get(call.upstream, _NOWHERE))
        attributes["askonce.upstream"] = call.upstream
        attributes["askonce.queue.wait"] = call.queued_s
        attributes["askonce.batch.size"] = call.batched
        if call.status.isdigit():
            attributes["http.response.status_code"] = int(call.status)
        if call.first_s is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = call.first_s
        if answer is not None:
            attributes |= _of_usage(answer.usage)
            attributes["gen_ai.response.model"] = answer.model or model
        name = f"{OPERATIONS[request.ask.endpoint]} {model}"
        ended_ns = time.time_ns()
        span = self._open(trace, name, SpanKind.CLIENT, ended_ns - _ns(call.duration_s), attributes)
        if call.status != "ok":
            span.set_attribute("error.type", call.status)
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended_ns)

    def _of_request(self, request: Request, upstream: str, model: str) -> _Attributes:
        return {
            "gen_ai.operation.name": OPERATIONS[request.ask.endpoint],
            "gen_ai.provider.name": self._peers.get(upstream, _NOWHERE).provider,
            "gen_ai.request.model": model,
            "gen_ai.request.stream": request.ask.stream,
        }

    def _open(
        self, trace: Trace, name: str, kind: SpanKind, started_ns: int, attributes: _Attributes
    ) -> Span:
        self._ids.next = trace
        parent = _parent(trace, remote=kind is SpanKind.SERVER)
        return self._tracer.start_span(name, parent, kind, attributes, start_time=started_ns)


def _context(trace: Trace, span_id: int, *, remote: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT)
    return SpanContext(trace.trace_id, span_id, is_remote=remote, trace_flags=flags)


def _parent(trace: Trace, *, remote: bool) -> Context:
    """What the SDK makes a span's parent; empty where it has none."""
    if not trace.parent_id:
        return Context()
    return set_span_in_context(NonRecordingSpan(_context(trace, trace.parent_id, remote=remote)), Context())


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _of_record(record: Record) -> _Attributes:
    """How a request was answered. Messages stay out: they may quote a prompt."""
    outcome = record.outcome
    attributes: _Attributes = {
        "http.response.status_code": record.status,
        "askonce.request_id": record.request_id,
        "askonce.endpoint": record.endpoint,
        "askonce.tenant": record.tenant,
        "askonce.feature": record.feature,
        "askonce.outcome": "refused" if outcome is None else outcome.name,
        "askonce.reason": record.code if outcome is None else outcome.reason,
    }
    if record.code:
        attributes["error.type"] = record.code
    if record.answer_model:
        attributes["gen_ai.response.model"] = record.answer_model
    if record.usage is not None:
        attributes |= _of_usage(record.usage)
    if record.saved_nanousd is not None:
        attributes["askonce.saved_usd"] = record.saved_nanousd / _NANOUSD
    if record.spent_nanousd is not None:
        attributes["askonce.spent_usd"] = record.spent_nanousd / _NANOUSD
    if isinstance(outcome, Semantic):
        attributes["askonce.confidence"] = outcome.confidence
    if isinstance(outcome, Exact | Semantic) and not _is_secret(record.request):
        attributes["askonce.entry"] = outcome.entry.hex()
    return attributes


def _is_secret(request: Request | None) -> bool:
    """Whether nothing may tell that one question was asked twice: an entry is named by what was asked.

    Nor where its owner has been erased meanwhile, so that nobody is told of the request itself.
    """
    return request is None or request.policy.retain_text is RetainText.NONE


def _of_usage(usage: Usage) -> _Attributes:
    """Tokens; those of the provider's prompt cache are among the input's, as the conventions ask."""
    attributes: _Attributes = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
    }
    if usage.cached_tokens:
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    return attributes


def _of_address(peer: Peer) -> _Attributes:
    if not peer.address:
        return {}
    attributes: _Attributes = {"server.address": peer.address}
    if peer.port:
        attributes["server.port"] = peer.port
    return attributes
