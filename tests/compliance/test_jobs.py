"""The batch lane through the front door: real processes, a provider with a Batch API."""

from __future__ import annotations

import concurrent.futures
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from compliance.jobs_front import ACME, BATCH, OTHER, chat, find
from servers import until

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server


def test_a_job_is_taken_at_once_and_fetched_later(lane: Server, batched: Server, question: str) -> None:
    """202 with where to look; then the answer in the SDK's shape, at half the price, cached for everybody else."""
    calls = batched.json("/stats")["calls"]
    status, headers, body = lane.post(
        "/v1/chat/completions", chat(question), {**BATCH, "X-Request-Id": "one"}
    )
    taken = json.loads(body)
    assert (status, taken["status"], taken["durable"]) == (202, "queued", True)
    assert headers["location"] == taken["links"]["self"] == "/v2/inference/one"
    status, job = find(lane, "one")
    assert (status, job["status"], job["outcome"]) == (200, "completed", "fresh")
    assert question.rstrip("?") in job["response"]["choices"][0]["message"]["content"]
    assert job["response"]["model"] == "cheap"
    assert find(lane, "one") == (200, job)
    with openai.OpenAI(base_url=lane.base_url, api_key="acme", max_retries=0) as client:
        answer = client.chat.completions.with_raw_response.create(**chat(question))
    assert answer.headers["x-askonce-outcome"] == "exact"
    assert batched.json("/stats")["calls"] == calls


def test_the_simulated_provider_speaks_the_batch_api_of_the_sdk(batched: Server, tmp_path: Path) -> None:
    """OpenAI's own client uploads, makes a batch, lists it, and reads the results."""
    file = tmp_path / "requests.jsonl"
    lines = [
        {
            "custom_id": f"line {index}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": chat(f"SDK {index}?"),
        }
        for index in range(3)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with openai.OpenAI(base_url=batched.base_url, api_key="sk", max_retries=0) as client:
        uploaded = client.files.create(file=file, purpose="batch")
        assert client.files.content(uploaded.id).text == file.read_text()
        batch = client.batches.create(
            input_file_id=uploaded.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"a": "b"},
        )
        until(lambda: client.batches.retrieve(batch.id).status == "completed", "a completed batch")
        batch = next(one for one in client.batches.list(limit=1) if one.id == batch.id)
        assert (batch.metadata, batch.request_counts and batch.request_counts.completed) == ({"a": "b"}, 3)
        assert batch.output_file_id is not None
        results = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
        assert {result["custom_id"] for result in results} == {"line 0", "line 1", "line 2"}
        assert client.files.delete(uploaded.id).deleted


def test_the_same_id_is_the_same_job(lane: Server, question: str) -> None:
    """Handed in again it is found, with another body it is refused, and another tenant has an id space of its own."""
    again = {**BATCH, "X-Request-Id": "same"}
    assert lane.post("/v1/chat/completions", chat(question), again)[0] == 202
    assert lane.post("/v1/chat/completions", chat(question), again)[0] == 202
    status, _, body = lane.post("/v1/chat/completions", chat(question, n=2), again)
    assert (status, json.loads(body)["error"]["code"]) == (409, "request_id_taken")
    assert find(lane, "same", OTHER)[0] == 404
    assert lane.send("DELETE", "/v2/inference/same", None, OTHER)[0] == 404
    assert find(lane, "same")[0] == 200


def test_identical_jobs_are_asked_once(lane: Server, batched: Server, question: str) -> None:
    """Ten of them: one line at the provider, ten answers with ids of their own, one of them paid for."""
    before = batched.json("/stats")["batches"]["lines"]
    for index in range(10):
        lane.post("/v1/chat/completions", chat(question), {**BATCH, "X-Request-Id": f"ten-{index}"})
    found = [find(lane, f"ten-{index}")[1] for index in range(10)]
    assert sorted(job["outcome"] for job in found) == ["fresh"] + ["joined"] * 9
    assert len({job["response"]["id"] for job in found}) == 10
    assert len({job["response"]["choices"][0]["message"]["content"] for job in found}) == 1
    assert batched.json("/stats")["batches"]["lines"] == before + 1
    assert batched.json("/stats")["batches"]["repeated_lines"] == 0


def test_jobs_that_accept_different_answers_are_asked_apart(lane: Server, question: str) -> None:
    """As in flight: who wants none older than so and so doesn't depend on what another one accepts."""
    for name, more in (("any", {}), ("young", {"Cache-Control": "max-age=5"})):
        lane.post("/v1/chat/completions", chat(question), {**BATCH, **more, "X-Request-Id": name})
    assert [find(lane, name)[1]["outcome"] for name in ("any", "young")] == ["fresh", "fresh"]


def test_other_endpoints_and_the_native_one_make_jobs_too(lane: Server, question: str) -> None:
    """Completions, embeddings, and a prompt with `lane: batch`, whose job shows its text."""
    lane.post("/v1/completions", {"model": "cheap", "prompt": question}, {**BATCH, "X-Request-Id": "text"})
    lane.post("/v1/embeddings", {"model": "cheap", "input": question}, {**BATCH, "X-Request-Id": "vector"})
    submission = {
        "prompt": question,
        "model_preference": ["none", "cheap"],
        "lane": "batch",
        "request_id": "native",
    }
    assert lane.post("/v2/inference/submit", submission, ACME)[0] == 202
    assert find(lane, "text")[1]["response"]["choices"][0]["text"]
    assert find(lane, "vector")[1]["response"]["data"][0]["embedding"]
    native = find(lane, "native")[1]
    assert question.rstrip("?") in native["output"]
    assert native["usage"] == native["response"]["usage"]


def test_without_a_batch_api_jobs_are_asked_one_by_one(lane: Server, batched: Server, question: str) -> None:
    """A few at a time, as soon as there is room."""
    before = batched.json("/stats")["calls"]
    for index in range(8):
        body = chat(f"{question} {index}", model="direct-1", x_simulate={"ttft_ms": 30})
        lane.post("/v1/chat/completions", body, {**BATCH, "X-Request-Id": f"direct-{index}"})
    assert [find(lane, f"direct-{index}")[1]["status"] for index in range(8)] == ["completed"] * 8
    stats = batched.json("/stats")
    assert stats["calls"] == before + 8
    assert stats["max_running"] <= 4


@pytest.mark.parametrize(
    ("headers", "fields", "status", "code"),
    [
        ({}, {"stream": True}, 400, "job_not_streamed"),
        ({"X-Request-Id": "a/b"}, {}, 400, "invalid_request_id"),
        ({"X-Askonce-Deadline": "soon"}, {}, 400, "invalid_header"),
        ({"X-Askonce-Deadline": "-1"}, {}, 400, "invalid_deadline"),
        ({"X-Askonce-Webhook": "ftp://127.0.0.1/"}, {}, 400, "invalid_webhook"),
        ({"X-Askonce-Webhook": "http://elsewhere.example/"}, {}, 400, "invalid_webhook"),
        ({"X-Askonce-Lane": "relaxed", "X-Askonce-Webhook": "http://127.0.0.1/"}, {}, 400, "not_a_job"),
        ({"Cache-Control": "only-if-cached"}, {}, 400, "invalid_header"),
        ({}, {"model": ""}, 400, "invalid_field"),
    ],
)
def test_what_can_be_no_job_is_refused_at_once(
    lane: Server, question: str, headers: dict[str, str], fields: dict[str, Any], status: int, code: str
) -> None:
    """With the reason in the usual shape."""
    got, _, body = lane.post("/v1/chat/completions", chat(question, **fields), {**BATCH, **headers})
    assert (got, json.loads(body)["error"]["code"]) == (status, code)


def test_only_who_asks_for_a_job_gets_one(lane: Server, question: str) -> None:
    """A feature whose lane is `batch` still answers: its callers expect answers."""
    with openai.OpenAI(base_url=lane.base_url, api_key="acme", max_retries=0) as client:
        answer = client.chat.completions.create(**chat(question), extra_headers={"X-Askonce-Feature": "slow"})
    assert answer.choices[0].message.content


def test_a_failed_job_says_why(lane: Server, question: str) -> None:
    """The provider's own error object; the others of its batch are answered."""
    doomed = chat(question, x_simulate={"status": 400, "code": "context_length_exceeded"})
    lane.post("/v1/chat/completions", doomed, {**BATCH, "X-Request-Id": "doomed"})
    lane.post("/v1/chat/completions", chat(f"{question}!"), {**BATCH, "X-Request-Id": "spared"})
    status, job = find(lane, "doomed")
    assert (status, job["status"]) == (200, "failed")
    assert job["error"]["code"] == "context_length_exceeded"
    assert find(lane, "spared")[1]["status"] == "completed"


def test_jobs_can_be_called_off_and_listed(lane: Server, question: str) -> None:
    """A cancelled job stays so; the list is the tenant's own, newest first, by pages and by state."""
    names = [f"listed-{index}" for index in range(3)]
    for name in names:
        lane.post("/v1/chat/completions", chat(f"{question} {name}"), {**BATCH, "X-Request-Id": name})
    status, _, body = lane.send("POST", "/v2/inference/listed-0/cancel", b"", ACME)
    assert (status, json.loads(body)["status"]) == (200, "cancelled")
    assert [find(lane, name)[1]["status"] for name in names] == ["cancelled", "completed", "completed"]
    _, _, body = lane.send("GET", "/v2/inference?limit=2", None, ACME)
    page = json.loads(body)
    assert ([job["id"] for job in page["data"]], page["has_more"]) == (["listed-2", "listed-1"], True)
    _, _, body = lane.send("GET", "/v2/inference?status=cancelled&after=listed-1&limit=1", None, ACME)
    assert [job["id"] for job in json.loads(body)["data"]] == ["listed-0"]
    _, _, body = lane.send("GET", "/v2/inference", None, OTHER)
    assert json.loads(body)["data"] == []
    assert lane.send("GET", "/v2/inference?status=lost", None, ACME)[0] == 400
    assert lane.send("GET", "/v2/inference?limit=" + "9" * 5_000, None, ACME)[0] == 400


def test_events_tell_how_a_job_goes(lane: Server, question: str) -> None:
    """Server-sent events on the job's own path: its states, then the result."""
    lane.post("/v1/chat/completions", chat(question), {**BATCH, "X-Request-Id": "watched"})
    status, headers, body = lane.send(
        "GET", "/v2/inference/watched", None, {**ACME, "Accept": "text/event-stream"}
    )
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    events = [event.split("\n") for event in body.decode().split("\n\n") if event.startswith("event")]
    assert [lines[0] for lines in events][-1] == "event: result"
    assert json.loads(events[-1][1].removeprefix("data: "))["status"] == "completed"


def test_too_many_jobs_are_refused(lane: Server, question: str) -> None:
    """429 with when to come again; the other tenant isn't concerned."""

    def submit(index: int) -> tuple[int, dict[str, str]]:
        body = chat(f"{question} {index}", model="direct-1", x_simulate={"ttft_ms": 200})
        status, headers, _ = lane.post("/v1/chat/completions", body, {**OTHER, "X-Askonce-Lane": "batch"})
        return status, headers

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(submit, range(24)))
    refused = [headers for status, headers in found if status == 429]
    assert refused
    assert all(int(headers["retry-after"]) > 0 for headers in refused)
    assert lane.post("/v1/chat/completions", chat(question), BATCH)[0] == 202
    until(lambda: not listed(lane, "queued") and not listed(lane, "running"), "an empty queue")


def listed(lane: Server, status: str) -> list[Any]:
    data: list[Any] = json.loads(lane.send("GET", f"/v2/inference?status={status}", None, OTHER)[2])["data"]
    return data
