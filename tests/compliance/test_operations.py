"""What operators see: health, readiness, metrics; and the native endpoint."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import openai

from servers import CallCounter, Server, gateway, running

if TYPE_CHECKING:
    from pathlib import Path

AUTH = {"Authorization": "Bearer sk-native"}


def test_health_says_what_each_part_is_doing(plain: Server) -> None:
    """`/healthz` names store, semantic tier, flights and upstreams; `/readyz` is a plain yes."""
    health = plain.json("/healthz")
    assert health["status"] == "ok"
    assert health["semantic"] == {"embedder": "none"}
    assert health["upstreams"] == {"provider": "closed"}
    assert {"durable", "entries", "memory_bytes"} <= set(health["store"])
    assert plain.json("/readyz") == {"ready": True}


def test_metrics_count_requests_by_outcome(tmp_path: Path, provider: Server, question: str) -> None:
    """Requests by outcome and reason, tokens, dollars, upstream calls, latencies, flights and store are all there."""
    config = f"upstreams: [{{name: p, base_url: '{provider.base_url}'}}]\ndefaults: {{semantic: 'off'}}\n"
    with (
        gateway(tmp_path, config) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        messages: Any = [{"role": "user", "content": question}]
        for _ in range(3):
            client.chat.completions.create(model="sim-small", messages=messages)
        server.post("/v1/chat/completions", b"{", {"Authorization": "Bearer k"})
        requests = "askonce_requests_total"
        common = {"endpoint": "chat/completions", "tenant": "pass-through", "feature": "default"}
        assert server.metric(requests, **common, outcome="fresh", reason="miss") == 1
        assert server.metric(requests, **common, outcome="exact", reason="stored") == 2
        assert server.metric(requests, outcome="refused", reason="invalid_json") == 1
        assert server.metric("askonce_upstream_calls_total", upstream="p", status="ok") == 1
        assert server.metric("askonce_spent_usd_total", outcome="fresh") > 0
        saved, spent = (server.metric(f"askonce_{word}_usd_total") for word in ("saved", "spent"))
        assert abs(saved - 2 * spent) < 1e-12
        assert server.metric("askonce_tokens_total", outcome="exact", kind="output") > 0
        assert server.metric("askonce_overhead_seconds_count", outcome="fresh") == 1
        assert server.metric("askonce_upstream_duration_seconds_count", upstream="p") == 1
        assert server.metric("askonce_flights_running") == 0
        assert server.metric("askonce_log_bytes") == 0
        assert server.metric("askonce_store_entries") == 1


def test_native_submit(plain: Server, question: str, calls: CallCounter) -> None:
    """A prompt is answered, shares its answer with the same chat request, and keeps its request id."""
    body = {"tenant_id": "t1", "prompt": question, "model_preference": "sim-small", "request_id": "job-7"}
    status, headers, answer = plain.post("/v2/inference/submit", body, AUTH)
    assert status == 200
    told = json.loads(answer)
    assert told["request_id"] == "job-7"
    assert told["status"] == "completed"
    assert told["output"]
    assert headers["x-askonce-outcome"] == "fresh"
    assert plain.post("/v2/inference/submit", body, AUTH)[1]["x-askonce-outcome"] == "exact"
    other = {**body, "tenant_id": "t2"}
    assert plain.post("/v2/inference/submit", other, AUTH)[1]["x-askonce-outcome"] == "fresh"
    assert calls.new == 2


def test_native_submit_refuses_what_it_does_not_know(plain: Server, calls: CallCounter) -> None:
    """Unknown and missing fields are a 400 that names them."""
    for body in (
        {"prompt": "x"},
        {"model_preference": "m"},
        {"prompt": "x", "model_preference": "m", "lane": "batch"},
    ):
        status, _, answer = plain.post("/v2/inference/submit", body, AUTH)
        assert status == 400
        assert b"invalid_request_error" in answer
    assert calls.new == 0


def test_native_tenant_must_be_the_keys(tmp_path: Path, provider: Server, question: str) -> None:
    """With tenants configured, a submission can't name another one."""
    digest = hashlib.sha256(b"acme-key").hexdigest()
    config = (
        f"upstreams: [{{name: p, base_url: '{provider.base_url}', api_key: x}}]\n"
        f"tenants: [{{name: acme, keys: ['sha256:{digest}']}}]\ndefaults: {{semantic: 'off'}}\n"
    )
    auth = {"Authorization": "Bearer acme-key"}
    with gateway(tmp_path, config) as server:
        body = {"prompt": question, "model_preference": ["none", "sim-small"]}
        assert server.post("/v2/inference/submit", {**body, "tenant_id": "acme"}, auth)[0] == 200
        assert server.post("/v2/inference/submit", {**body, "tenant_id": "zeta"}, auth)[0] == 403


def test_serve_without_a_file_needs_only_a_key(tmp_path: Path, provider: Server, question: str) -> None:
    """`OPENAI_API_KEY` alone makes a gateway; without it the error says what to do."""
    environment = {
        "OPENAI_API_KEY": "sk-own",
        "OPENAI_BASE_URL": provider.base_url,
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    with (
        running("serve", "--listen", "127.0.0.1:0", log=tmp_path / "log", environment=environment) as server,
        openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client,
    ):
        messages: Any = [{"role": "user", "content": question}]
        assert client.chat.completions.create(model="sim-small", messages=messages).choices[0].message.content
        assert server.json("/healthz")["store"]["durable"]
    bare = subprocess.run(
        [sys.executable, "-m", "askonce", "serve"],
        capture_output=True,
        text=True,
        env={"PATH": ""},
        check=False,
    )
    assert bare.returncode == 1
    assert "OPENAI_API_KEY" in bare.stderr


def test_a_taken_port_is_a_clear_error(plain: Server, tmp_path: Path) -> None:
    """One sentence, no traceback."""
    file = tmp_path / "c.yaml"
    file.write_text(
        f"listen: {plain.root.removeprefix('http://')}\nupstreams: [{{name: p, base_url: 'http://127.0.0.1:9/v1'}}]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "askonce", "serve", "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Can't listen on" in done.stderr
    assert "Traceback" not in done.stderr
