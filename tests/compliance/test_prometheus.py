"""`/metrics` of a real process: what Prometheus' conventions ask for, and labels that callers can't multiply."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from askonce import __version__
from servers import Server, gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

KEY = "sk-of-acme"
CONFIG = """\
store: sqlite://{folder}/askonce.db
upstreams:
  - {{name: sim, type: simulated, models: ["sim-*"], ttft_ms: 1, tokens_per_second: 100000}}
  - {{name: dead, base_url: "http://127.0.0.1:9/v1", retries: {{attempts: 0}}, models: ["dead-*"]}}
tenants: [{{name: acme, keys: ["sha256:{digest}"], features: [default, support]}}]
features: {{support: {{ttl: 1h}}}}
defaults: {{semantic: "off"}}
"""
UNITS: Final = ("seconds", "bytes", "ratio", "usd", "info")
TIMES: Final = ("duration", "wait", "overhead", "oldest", "latency", "age")
FOREIGN_UNITS: Final = re.compile(
    r"_(ms|millis|milliseconds|minutes|hours|days|percent|kb|mb|kib|mib|dollars|nanousd)(_|$)"
)
PROMTOOL: Final = shutil.which("promtool")


class Caller:
    """Sends requests over one connection."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(server.root).netloc, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, model: str, text: str, **headers: str) -> int:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **named}
        self._connection.request("POST", "/v1/chat/completions", body, sent)
        response = self._connection.getresponse()
        response.read()
        return response.status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway that has answered, refused and failed."""
    folder = tmp_path_factory.mktemp("prometheus")
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    with gateway(folder, CONFIG.format(folder=folder, digest=digest)) as running:
        with Caller(running) as caller:
            for model, text in (("sim-a", "one"), ("sim-a", "one"), ("nobody's", "x"), ("dead-1", "x")):
                caller.ask(model, text)
        yield running


def families(server: Server) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(server.get("/metrics"))}


def test_names_follow_the_conventions(server: Server) -> None:
    """A prefix, base units at the end, `_total` on counters and on nothing else; a sentence for each."""
    told = families(server)
    assert len(told) > 60
    for name, family in told.items():
        assert name.startswith(("askonce_", "process_", "python_")), name
        if not name.startswith("askonce_"):
            continue
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert not FOREIGN_UNITS.search(name), name
        units = [unit for unit in UNITS if f"_{unit}" in name]
        assert not units or name.endswith(units[0]), name
        if any(word in name.split("_") for word in TIMES):
            assert name.endswith("_seconds"), name
        assert family.documentation[0].isupper() or family.documentation[0].isdigit(), name
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert sample.name.endswith("_total") is (family.type == "counter"), name


def test_what_runs_is_told(server: Server) -> None:
    """The version, and the process itself."""
    told = families(server)
    [build] = told["askonce_build_info"].samples
    assert (build.labels, build.value) == ({"version": __version__}, 1)
    assert told["process_resident_memory_bytes"].samples[0].value > 1e6
    assert "python_gc_collections" in told
    assert "python_info" in told


def test_openmetrics_is_told_to_whoever_asks_for_it(server: Server) -> None:
    """With its own content type, its end mark, and the same families."""
    asked = {"Accept": "application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    _, headers, body = server.send("GET", "/metrics", None, asked)
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    told = list(openmetrics_families(body.decode()))  # type: ignore[no-untyped-call]
    own = {name.removesuffix("_info") for name in families(server) if name.startswith("askonce")}
    assert {family.name for family in told} >= own
    _, headers, _ = server.send("GET", "/metrics", None, {"Accept": "text/html"})
    assert headers["content-type"].startswith("text/plain; version=")


def test_money_and_answers_are_told_by_layer_and_status(server: Server) -> None:
    """One answer was paid for and one saved by the exact cache; a refusal and a failure have their statuses."""
    spent = server.metric("askonce_spent_usd_total", tenant="acme", feature="default", outcome="fresh")
    assert spent > 0
    assert server.metric("askonce_saved_usd_total", layer="exact") == pytest.approx(spent)
    assert server.metric("askonce_requests_total", status="200") == 2
    assert server.metric("askonce_requests_total", status="404", reason="model_not_found") == 1
    assert server.metric("askonce_requests_total", status="502", outcome="refused") == 1


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_promtool_finds_nothing_to_lint(server: Server) -> None:
    """Prometheus' own linter."""
    assert PROMTOOL is not None
    own = "\n".join(line for line in server.get("/metrics").splitlines() if "askonce_" in line)
    linted = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=own + "\n", capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


@pytest.mark.slow
def test_callers_cannot_multiply_labels(server: Server) -> None:
    """Ten thousand model names, features, tags, request ids and traces add a handful of series between them."""
    before = sum(len(family.samples) for family in families(server).values())
    with Caller(server) as caller:
        for number in range(10_000):
            said = [
                {"X_Askonce_Feature": f"feature-{number}"},
                {"X_Askonce_Tags": f"tag-{number}"},
                {"X_Request_Id": f"id-{number}"},
                {"traceparent": f"00-{number + 1:032x}-{number + 1:016x}-01"},
            ][number % 4]
            model = f"sim-{number}" if number % 10 == 0 else f"unknown-{number}"
            caller.ask(model, f"question {number % 100}", **said)
    told = families(server)
    assert sum(len(family.samples) for family in told.values()) < before + 150
    values = Counter(
        value for family in told.values() for sample in family.samples for value in sample.labels.values()
    )
    assert not [value for value in values if re.search(r"(feature|tag|id|unknown|sim)-\d", value)]
    assert told["askonce_requests"].samples
