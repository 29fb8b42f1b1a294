"""How jobs end and are told of, and how a gateway that has some ends: in order or by a kill."""

from __future__ import annotations

import base64
import concurrent.futures
import hmac
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from compliance.jobs_front import ACME, BATCH, OTHER, chat, find
from servers import gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

BENCH = Path(__file__).parents[2] / "bench" / "jobs.py"


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks that fails as often as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.failures = 0
        self.got: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.server.failures -= 1
        self.send_response(500 if self.server.failures >= 0 else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_is_signed_and_tried_again_under_the_same_id(
    lane: Server, receiver: Receiver, question: str
) -> None:
    """The signature is that of the Standard Webhooks specification, under the tenant's own secret."""
    receiver.failures = 1
    hook = {"url": receiver.url}
    submission = {"prompt": question, "model_preference": "cheap", "lane": "batch", "webhook": hook}
    assert lane.post("/v2/inference/submit", {**submission, "request_id": "told"}, ACME)[0] == 202
    until(lambda: len(receiver.got) == 2, "a second delivery")
    secret = json.loads(lane.send("GET", "/v2/webhooks/secret", None, ACME)[2])["secret"]
    other = json.loads(lane.send("GET", "/v2/webhooks/secret", None, OTHER)[2])["secret"]
    assert secret != other
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    for headers, body in receiver.got:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        wanted = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{wanted}"
    data = json.loads(receiver.got[-1][1])
    assert (data["type"], data["data"]["id"]) == ("inference.job.completed", "told")
    until(lambda: find(lane, "told")[1]["webhook"]["state"] == "delivered", "a note of the delivery")
    assert data["data"]["response"] == find(lane, "told")[1]["response"]


def test_a_webhook_that_nobody_takes_is_given_up_visibly(
    lane: Server, receiver: Receiver, question: str
) -> None:
    """After so many attempts it is dead, which the job and the metrics say; the result can still be fetched."""
    receiver.failures = 100
    headers = {**BATCH, "X-Request-Id": "untold", "X-Askonce-Webhook": receiver.url}
    assert lane.post("/v1/chat/completions", chat(question), headers)[0] == 202
    until(lambda: find(lane, "untold")[1]["webhook"]["state"] == "dead", "giving up")
    job = find(lane, "untold")[1]
    assert (job["webhook"]["attempts"], job["webhook"]["last_attempt"]) == (3, "status 500")
    assert job["status"] == "completed"
    assert lane.metric("askonce_job_webhook_attempts_total", result="dead") == 1
    assert len(receiver.got) == 3


def test_without_tenants_and_file_only_safe_jobs_are_taken(tmp_path: Path, batched: Server) -> None:
    """In memory jobs work and say that they aren't durable; a passed-through key is never kept for later.

    What a job was answered with is found in other words too, by another job.
    """
    config = (
        f'upstreams:\n  - {{name: theirs, base_url: "{batched.base_url}", batch_api: on, models: ["theirs-*"]}}\n'
        f'  - {{name: own, base_url: "{batched.base_url}", api_key: sk, batch_api: on}}\n'
        'jobs: {batch_wait: 50ms, poll_interval: 50ms}\ndefaults: {semantic: "on", error_budget: 30%}\n'
    )
    body = chat("How do I reset it, please?") | {"model": "sim-small"}
    with gateway(tmp_path, config) as server:
        status, _, taken = server.post("/v1/chat/completions", body, {**BATCH, "X-Request-Id": "one"})
        assert (status, json.loads(taken)["durable"]) == (202, False)
        status, _, refused = server.post("/v1/chat/completions", body | {"model": "theirs-1"}, BATCH)
        assert (status, json.loads(refused)["error"]["code"]) == (400, "batch_lane_unavailable")
        status, _, refused = server.post("/v1/chat/completions", body, {"X-Askonce-Lane": "batch"})
        assert (status, json.loads(refused)["error"]["code"]) == (401, "missing_api_key")
        assert find(server, "one")[1]["status"] == "completed"
        assert find(server, "one", OTHER)[0] == 404
        until(lambda: server.json("/healthz")["semantic"].get("questions"), "a question that can be found")
        body = chat("how do I reset it") | {"model": "sim-small"}
        status, _, taken = server.post("/v1/chat/completions", body, {**BATCH, "X-Request-Id": "two"})
        assert (status, json.loads(taken)["status"], json.loads(taken)["outcome"]) == (
            202,
            "completed",
            "semantic",
        )


def test_nobody_is_left_waiting_by_a_gateway_that_ends(tmp_path: Path, question: str) -> None:
    """Whoever waits for a job hears at once how it stands, an event stream that it ends; the job outlives it all."""
    config = (
        f"store: sqlite://{tmp_path}/jobs.db\nupstreams: [{{type: simulated, ttft_ms: 60000}}]\n"
        "embedder: {type: none}\nlimits: {drain_timeout: 30s}\n"
    )
    watched = {**ACME, "Accept": "text/event-stream"}
    with gateway(tmp_path, config) as server, concurrent.futures.ThreadPoolExecutor(2) as pool:
        body = chat(question) | {"model": "sim"}
        assert server.post("/v1/chat/completions", body, {**BATCH, "X-Request-Id": "long"})[0] == 202
        polled = pool.submit(server.send, "GET", "/v2/inference/long?wait=60", None, ACME)
        streamed = pool.submit(server.send, "GET", "/v2/inference/long", None, watched)
        until(
            lambda: not polled.running() or find(server, "long", wait=0)[1]["status"] == "running", "a call"
        )
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        status, headers, polled_body = polled.result(8)
        assert (status, json.loads(polled_body)["status"], headers["retry-after"]) == (202, "running", "5")
        events = [line for line in streamed.result(8)[2].decode().split("\n") if line.startswith("event")]
        assert events == ["event: status", "event: closing"]
        server.stop(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("faults", ["0", "0.1"])
def test_no_kill_loses_or_doubles_a_job(faults: str) -> None:
    """300 jobs, three kills at random moments, with a provider that fails nothing or a tenth."""
    options = ["--jobs", "300", "--kills", "3", "--rate", "60", "--faults", faults]
    played = subprocess.run(
        [sys.executable, str(BENCH), *options], capture_output=True, text=True, timeout=280, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr
