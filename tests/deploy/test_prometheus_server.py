"""deploy/prometheus and deploy/grafana before a real Prometheus that scrapes a real gateway."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from servers import Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
PROMETHEUS: Final = shutil.which("prometheus")
CONFIG: Final = """\
store: sqlite://{folder}/askonce.db
upstreams:
  - {{name: sim, type: simulated, models: ["sim-*"], ttft_ms: 1, tokens_per_second: 100000}}
  - {{name: dead, base_url: "http://127.0.0.1:9/v1", retries: {{attempts: 0}}, breaker: {{failures: 1}}}}
features: {{support: {{semantic: "on"}}}}
defaults: {{semantic: "off"}}
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is missing: apt-get install prometheus"),
]


class Prometheus:
    """One that scrapes a gateway every half second."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **said: str) -> Any:
        url = f"{self._address}/api/v1/{path}?{urllib.parse.urlencode(said)}"
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expr: str) -> list[Any]:
        """The series that an expression has now."""
        found: list[Any] = self.get("query", query=expr)["result"]
        return found

    def ready(self) -> bool:
        try:
            return bool(self.query('up{job="askonce"} == 1'))
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def scraping(server: Server, folder: Path) -> Iterator[Prometheus]:
    """The scrape and the rules of `deploy/`, at another address and more often."""
    assert PROMETHEUS is not None
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms", "scrape_timeout": "400ms"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / "alerts.yml")]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [server.root.removeprefix("http://")]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        PROMETHEUS, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        prometheus = Prometheus(f"http://127.0.0.1:{port}")
        until(prometheus.ready, "a scrape")
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)


def ask(server: Server, model: str, text: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    server.post("/v1/chat/completions", body, {"Authorization": "Bearer k"})


def test_every_rule_and_query_works_on_what_a_gateway_tells(tmp_path: Path) -> None:
    """No rule is in error, every query of the dashboard can be evaluated, those of what happened have values.

    And the alert of an upstream that is left alone is raised where one is.
    """
    with (
        gateway(tmp_path, CONFIG.format(folder=tmp_path)) as server,
        scraping(server, tmp_path) as prometheus,
    ):
        rules = {rule["alert"]: rule["expr"] for rule in _rules()}
        assert prometheus.query(rules["AskonceUpstreamLeftAlone"]) == []

        def busy(expr: str) -> bool:
            """Whether there is something, with another hit, miss and failure on the way: rates need two scrapes."""
            for text in ("asked again and again", f"asked once: {next(numbers)}"):
                ask(server, "sim-a", text)
                ask(server, "dead-1", text)
            return bool(prometheus.query(expr))

        numbers = itertools.count()
        until(lambda: busy(rules["AskonceUpstreamLeftAlone"]), "an open breaker")
        for metric in ("saved_usd_total", "spent_usd_total", "requests_total"):
            until(lambda named=metric: busy(f"sum(rate(askonce_{named}[5m])) > 0"), metric)

        def health() -> set[str]:
            groups = prometheus.get("rules")["groups"]
            return {rule["health"] for group in groups for rule in group["rules"]}

        until(lambda: health() == {"ok"}, "all rules evaluated")
        empty = [title for title, expr in _queries() if not prometheus.query(expr)]
        happened = {
            "Saved", "Spent", "Requests by outcome", "Hit rates by layer", "To the last byte, median", "Calls by status",
            "Circuit breakers", "Durable", "Store", "Process", "Error budget", "Tokens", "Flights",
        }  # fmt: skip
        assert not happened & set(empty)


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _queries() -> Iterator[tuple[str, str]]:
    """The dashboard's, as Grafana sends them when nothing is filtered."""
    for panel in json.loads((DEPLOY / "grafana" / "askonce.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            expr = re.sub(r"\$__(rate_interval|range)", "5m", target["expr"])
            yield panel["title"], re.sub(r"\$(instance|tenant|feature)", ".*", expr)
