"""Rows of every format that `askonce replay` reads, as arrivals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Endpoint, Usage
from askonce.replay.arrival import Arrival, BadRow, said_in, unix_seconds
from askonce.replay.reading import FORMATS, Reading
from askonce.replay.rows import UnreadableLog

if TYPE_CHECKING:
    from pathlib import Path

ASKED = [{"role": "user", "content": "Where is my parcel?"}]
OWN: dict[str, Any] = {
    "at": "2026-03-01T10:00:00Z",
    "tenant": "acme",
    "feature": "support",
    "user": "u1",
    "endpoint": "/v1/chat/completions",
    "body": {"model": "gpt-4o", "messages": ASKED},
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
    "duration_s": 1.5,
    "answer": "On its way.",
}
PAYLOAD: dict[str, Any] = {
    "id": "x",
    "call_type": "acompletion",
    "response_cost": 0.0021,
    "status": "success",
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "startTime": 1772359200.0,
    "endTime": 1772359202.5,
    "model": "gpt-4o",
    "model_group": "gpt-4o",
    "metadata": {"user_api_key_alias": "key-1", "user_api_key_team_alias": "acme"},
    "request_tags": ["feature:support"],
    "end_user": "u1",
    "messages": ASKED,
    "response": {"choices": [{"message": {"role": "assistant", "content": "On its way."}}]},
    "model_parameters": {"temperature": 0.2},
}
SPEND: dict[str, Any] = {
    "request_id": "x",
    "call_type": "acompletion",
    "spend": 0.0021,
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "startTime": "2026-03-01T10:00:00.000Z",
    "endTime": "2026-03-01T10:00:02.500Z",
    "model": "gpt-4o",
    "team_id": "acme",
    "metadata": "{}",
    "cache_hit": "False",
    "messages": "{}",
    "proxy_server_request": json.dumps({"model": "gpt-4o", "messages": ASKED, "temperature": 0.2}),
    "response": json.dumps({"choices": [{"message": {"content": "On its way."}}]}),
}
OBSERVATION: dict[str, Any] = {
    "id": "x",
    "traceId": "t",
    "type": "GENERATION",
    "startTime": "2026-03-01T10:00:00.000Z",
    "endTime": "2026-03-01T10:00:02.500Z",
    "model": "gpt-4o",
    "modelParameters": {"temperature": "0.2", "max_tokens": 100, "invented_by": "a framework"},
    "input": ASKED,
    "output": {"role": "assistant", "content": "On its way."},
    "usageDetails": {"input": 6, "input_cached_tokens": 4, "output": 5, "total": 15},
    "costDetails": {"total": 0.0021},
    "metadata": {"tenant": "acme", "feature": "support"},
    "userId": "u1",
}


def read(name: str, row: dict[str, Any]) -> Arrival:
    (arrival,) = FORMATS[name].read(row)
    return arrival


def recognised(row: dict[str, Any]) -> str | None:
    return next((name for name, one in FORMATS.items() if one.fits(row)), None)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (OWN, "askonce"),
        (PAYLOAD, "litellm"),
        (SPEND, "litellm"),
        (OBSERVATION, "langfuse"),
        ({"observations": [OBSERVATION], "timestamp": "2026-03-01"}, "langfuse"),
        ({"timestamp": 1, "model": "m", "messages": ASKED}, "openai"),
        ({"created_at": 1, "request": {"model": "m", "input": "x"}}, "openai"),
        ({"model": "m", "messages": ASKED}, None),
        ({"level": "info", "msg": "started"}, None),
    ],
)
def test_rows_are_told_apart(row: dict[str, Any], name: str | None) -> None:
    """Each format's rows are recognised as its own; what has no time or asks nothing is of none."""
    assert recognised(row) == name


def test_own_format() -> None:
    """Everything that our own format can say arrives; the user becomes the body's."""
    arrival = read("askonce", OWN)
    assert (arrival.at, arrival.tenant, arrival.feature) == (1772359200.0, "acme", "support")
    assert arrival.endpoint is Endpoint.CHAT
    assert json.loads(arrival.body) == {"model": "gpt-4o", "messages": ASKED, "user": "u1"}
    assert arrival.usage == Usage(10, 5, 4)
    assert (arrival.duration_s, arrival.answer, arrival.failed) == (1.5, "On its way.", False)


@pytest.mark.parametrize(("status", "failed"), [(200, False), (429, True), ("500", True)])
def test_a_status_of_an_error_is_a_failure(status: Any, failed: bool) -> None:  # noqa: FBT001
    """Requests that failed are known as such."""
    assert read("askonce", {**OWN, "status": status}).failed is failed


@pytest.mark.parametrize("tokens", [-1, 1e300, float("inf"), float("nan"), "many", True])
def test_usage_that_cant_be_right_is_none(tokens: Any) -> None:
    """A count that no request can have had is not added up."""
    assert read("askonce", {**OWN, "usage": {"prompt_tokens": tokens}}).usage is None


def test_openai_bodies() -> None:
    """A body with a time inside loses what the log added to it; beside a time it stays as it is."""
    inside = read("openai", {"timestamp": 1700000000, "model": "m", "messages": ASKED, "tenant": "acme"})
    assert json.loads(inside.body) == {"model": "m", "messages": ASKED}
    assert inside.tenant == "acme"
    beside = read("openai", {"created_at": 1700000000123, "request": {"model": "m", "input": ["a"]}})
    assert (beside.at, beside.endpoint) == (1700000000.123, Endpoint.EMBEDDINGS)


def test_litellm_payload() -> None:
    """A logging payload: team as tenant, tag as feature, parameters back in the body."""
    arrival = read("litellm", PAYLOAD)
    assert (arrival.tenant, arrival.feature, arrival.duration_s) == ("acme", "support", 2.5)
    assert json.loads(arrival.body) == {
        "model": "gpt-4o",
        "messages": ASKED,
        "temperature": 0.2,
        "user": "u1",
    }
    assert (arrival.usage, arrival.cost_usd, arrival.answer) == (Usage(10, 5), 0.0021, "On its way.")


def test_litellm_spend_log() -> None:
    """A row of the spend logs, objects written as text: the body is the one that the proxy got."""
    arrival = read("litellm", SPEND)
    assert json.loads(arrival.body) == {"model": "gpt-4o", "messages": ASKED, "temperature": 0.2}
    assert (arrival.tenant, arrival.duration_s, arrival.answer) == ("acme", 2.5, "On its way.")


def test_litellm_hit_of_its_own_cache_says_nothing_of_the_upstream() -> None:
    """An answer from LiteLLM's own cache has neither a price nor a duration to go by."""
    arrival = read("litellm", {**SPEND, "cache_hit": "True", "spend": 0.0})
    assert (arrival.duration_s, arrival.cost_usd) == (None, None)


def test_litellm_without_prompts_says_what_to_do() -> None:
    """Spend logs without prompts are refused with the setting that keeps them."""
    with pytest.raises(BadRow, match="store_prompts_in_spend_logs"):
        read("litellm", {**SPEND, "proxy_server_request": "{}", "messages": "{}"})


@pytest.mark.parametrize(
    "row",
    [
        OBSERVATION,
        {
            "id": "x",
            "trace_id": "t",
            "type": "GENERATION",
            "start_time": "2026-03-01 10:00:00.000000",
            "end_time": "2026-03-01 10:00:02.500000",
            "provided_model_name": "gpt-4o",
            "model_parameters": '{"temperature": "0.2", "max_tokens": 100}',
            "input": json.dumps(ASKED),
            "output": json.dumps({"role": "assistant", "content": "On its way."}),
            "usage_details": '{"input": 6, "input_cached_tokens": 4, "output": 5}',
            "cost_details": '{"total": 0.0021}',
            "metadata": '{"tenant": "acme", "feature": "support"}',
            "user_id": "u1",
        },
    ],
    ids=["api", "blob storage"],
)
def test_langfuse_observation(row: dict[str, Any]) -> None:
    """An observation of the API and one of the blob storage export come to the same request."""
    arrival = read("langfuse", row)
    assert (arrival.at, arrival.tenant, arrival.feature, arrival.duration_s) == (
        1772359200.0,
        "acme",
        "support",
        2.5,
    )
    body = {"model": "gpt-4o", "messages": ASKED, "temperature": 0.2, "max_tokens": 100, "user": "u1"}
    assert json.loads(arrival.body) == body
    assert (arrival.usage, arrival.cost_usd, arrival.answer) == (Usage(10, 5, 4), 0.0021, "On its way.")


@pytest.mark.parametrize("end", ["2026-03-01T09:59:59Z", "soon", "", None, 1e300])
def test_an_end_that_cant_be_right_is_none(end: object) -> None:
    """A clock that was set back, or an end that says nothing: a duration that isn't known, and no call of no time."""
    assert read("litellm", {**SPEND, "endTime": end}).duration_s is None
    assert read("langfuse", {**OBSERVATION, "endTime": end}).duration_s is None
    assert read("langfuse", {**OBSERVATION, "endTime": end, "latency": 1.5}).duration_s == 1.5


def test_langfuse_trace(tmp_path: Path) -> None:
    """A trace brings its generations, with its user; spans are passed over, and one that is no request costs no other."""
    span = {"type": "SPAN", "startTime": "2026-03-01T10:00:00Z", "input": "x"}
    asked = {name: value for name, value in OBSERVATION.items() if name != "userId"}
    file = tmp_path / "traces.jsonl"
    inside = [span, {**asked, "input": None}, asked, {**asked, "model": None}, asked]
    file.write_text(json.dumps({"id": "t", "userId": "u2", "observations": inside}) + "\n")
    reading = Reading()
    found = [json.loads(arrival.body)["user"] for arrival in reading.arrivals([file])]
    assert found == ["u2", "u2"]
    assert (reading.passed_over, reading.bad) == (1, 2)
    assert [one.line for one in reading.shown] == [1, 1]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1700000000, 1700000000.0),
        ("1700000000.5", 1700000000.5),
        (1700000000123, 1700000000.123),
        ("2023-11-14T22:13:20+00:00", 1700000000.0),
        ("2023-11-14 22:13:20.000000", 1700000000.0),
        ("2023-11-14T23:13:20+01:00", 1700000000.0),
    ],
)
def test_times(value: Any, seconds: float) -> None:
    """Seconds, milliseconds and ISO 8601; without a zone it is UTC."""
    assert unix_seconds(value) == seconds


@pytest.mark.parametrize("value", [None, True, "", "yesterday", -5, "nan", float("inf"), [], 1e18])
def test_no_times(value: Any) -> None:
    """What is no time is refused, not taken as zero."""
    with pytest.raises(BadRow):
        unix_seconds(value)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([OWN, PAYLOAD, SPEND, OBSERVATION]), st.data())
def test_any_row_is_read_or_refused(row: dict[str, Any], data: st.DataObject) -> None:
    """Whatever stands in a field, a log is read to its end: the row is an arrival or a counted line."""
    broken = {**row, data.draw(st.sampled_from(sorted(row))): data.draw(JSONS)}
    name = recognised(row) or ""
    try:
        for arrival in FORMATS[name].read(broken):
            assert arrival.body
    except (BadRow, TypeError, ValueError, KeyError, AttributeError, RecursionError):
        pass  # `Reading` counts these


@given(JSONS)
def test_any_answer(value: Any) -> None:
    """What an answer says is a text or nothing, whatever was logged."""
    said = said_in(value)
    assert said is None or isinstance(said, str)


def log_of(folder: Path, *lines: Any, name: str = "log.jsonl") -> Path:
    file = folder / name
    parts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    file.write_bytes(b"\n".join(parts) + b"\n")
    return file


def test_bad_lines_are_counted_with_their_numbers(tmp_path: Path) -> None:
    """Hostile lines are shown by number and cost nothing but themselves."""
    log = log_of(
        tmp_path,
        OWN,
        b"{",
        b"",
        b"\xff\xfe\x00",
        {**OWN, "at": "soon"},
        {**OWN, "body": "text"},
        b"[1]",
        b"7",
        OWN,
    )
    reading = Reading()
    assert len(list(reading.arrivals([log]))) == 2
    assert [one.line for one in reading.shown] == [2, 4, 5, 6, 7, 8]
    assert reading.bad == 6


def test_a_log_of_nothing_but_bad_lines_is_an_error(tmp_path: Path) -> None:
    """Where no line is a request, the file and a reason are named."""
    with pytest.raises(UnreadableLog, match=r"log.jsonl: has no request; is of no known format \(line 1\)"):
        list(Reading().arrivals([log_of(tmp_path, {"msg": "hello"})]))


def test_formats_are_told_per_file(tmp_path: Path) -> None:
    """Several logs of different formats make one."""
    logs = [
        log_of(tmp_path, OWN, name="a"),
        log_of(tmp_path, PAYLOAD, name="b"),
        log_of(tmp_path, OBSERVATION, name="c"),
    ]
    reading = Reading()
    assert len(list(reading.arrivals(logs))) == 3
    assert list(reading.formats.values()) == ["askonce", "litellm", "langfuse"]
