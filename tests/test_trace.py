"""askonce.trace: W3C Trace Context, as it comes in and goes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Call, Endpoint
from askonce.sending.batches.bodies import Bodies
from askonce.trace import Trace, read_trace

GOOD = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"

spans = st.builds(
    Trace,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.just(0),
    st.booleans(),
    st.from_regex(r"\A([a-z]+=[a-zA-Z0-9:;_.-]{1,20})?\Z"),
)


@given(spans)
def test_what_goes_out_can_be_read_by_the_next(trace: Trace) -> None:
    """A call's headers say trace, span, whether it is recorded, and the vendors' state; its parent stays at home."""
    headers = {name.encode(): value.encode() for name, value in trace.headers.items()}
    assert read_trace(headers) == trace


@given(spans)
def test_a_child_belongs_to_its_parent(trace: Trace) -> None:
    """It has the same trace and the parent's decision, and a span of its own."""
    child = trace.child()
    assert (child.trace_id, child.parent_id, child.sampled) == (trace.trace_id, trace.span_id, trace.sampled)
    assert child.span_id not in {0, trace.span_id}


def test_calls_of_several_traces_go_together() -> None:
    """A trace keeps nobody from a batch; the upstream is told the first one's span."""
    traces = [Trace(number, number, 0, sampled=True) for number in (1, 2)]
    calls = [Call(Endpoint.EMBEDDINGS, "m", b"{}", stream=False, trace=trace) for trace in traces]
    parts = [Bodies().read(call) for call in calls]
    assert parts[0].group == parts[1].group
    assert Bodies().join(parts).trace == traces[0]


@given(st.binary(max_size=80))
def test_whatever_comes_is_read_or_left_alone(given: bytes) -> None:
    """No bytes make it fail."""
    read_trace({b"traceparent": given, b"tracestate": given})


@pytest.mark.parametrize(
    "given",
    [
        b"",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + b"-",
        GOOD + b"\n",
        b"ff" + GOOD[2:],
        GOOD.replace(b"a", b"0"),
        GOOD.replace(b"b", b"0"),
        GOOD + b", " + GOOD,
    ],
)
def test_what_breaks_the_standard_begins_a_trace_of_its_own(given: bytes) -> None:
    """Zeros, capitals, another length, the forbidden version, two headers in one."""
    assert read_trace({b"traceparent": given}) is None


def test_later_versions_are_read_as_far_as_they_are_known() -> None:
    """The standard lets them append fields."""
    later = b"01" + GOOD[2:] + b"-more"
    trace = read_trace({b"traceparent": later})
    assert trace is not None
    assert trace.headers["traceparent"] == GOOD.decode()


@pytest.mark.parametrize("state", [b"a=" + b"b" * 511, b"a=\xff", b"a=b\r\nx: y"])
def test_a_state_that_is_too_long_or_no_header_is_dropped(state: bytes) -> None:
    """The trace goes on without it."""
    trace = read_trace({b"traceparent": GOOD, b"tracestate": state})
    assert trace is not None
    assert "tracestate" not in trace.headers
