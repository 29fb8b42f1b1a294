"""askonce.observe.spans: what a request's span says, and what it doesn't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from askonce.model import Exact, RetainText
from askonce.observe.conventions import Known, Peer
from askonce.observe.spans import ChosenIds, Spans
from askonce.ports import Record
from fakes import request

if TYPE_CHECKING:
    from askonce.model import Request


@pytest.mark.parametrize(
    ("asked", "told"),
    [(request(), True), (request(retain_text=RetainText.NONE), False), (None, False)],
    ids=["kept", "retain-none", "erased"],
)
def test_an_entry_is_named_only_where_it_may_tell(asked: Request | None, told: bool) -> None:  # noqa: FBT001 - a parameter
    """Its name is a hash of what was asked: not for features that retain nothing, nor for somebody who was erased."""
    exporter, ids = InMemorySpanExporter(), ChosenIds()
    provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = Spans(provider, ids, Known({}, Peer("", "", 0), frozenset()))
    said: dict[str, Any] = dict.fromkeys(Record._fields)
    said |= {
        "endpoint": "chat/completions",
        "tenant": "acme",
        "feature": "default",
        "status": 200,
        "code": "",
    }
    said |= {"request_id": "r", "duration_s": 0.1, "outcome": Exact(b"entry", 0, 1)}
    spans.request(Record(**(said | {"request": asked, "trace": spans.begin({})})))
    (span,) = exporter.get_finished_spans()
    assert ("askonce.entry" in (span.attributes or {})) == told
