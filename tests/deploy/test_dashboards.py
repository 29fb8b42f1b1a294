"""deploy/grafana and deploy/prometheus: what they ask for is what a gateway tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from askonce.observe.metrics import Metrics
from askonce.wiring.families import FAMILIES
from servers import gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DOCS: Final = DEPLOY.parent
DASHBOARD: Final = DEPLOY / "grafana" / "askonce.json"
ALERTS: Final = DEPLOY / "prometheus" / "alerts.yml"
PROMTOOL: Final = shutil.which("promtool")
SCRAPED: Final = frozenset({"instance", "job", "le", "up"})
"""What Prometheus itself adds."""
CONFIG = """\
store: sqlite://{folder}/askonce.db
upstreams: [{{name: sim, type: simulated}}]
defaults: {{semantic: "off"}}
"""


def dashboard() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return told


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    """Everything in PromQL, by where it stands."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def names(expression: str) -> set[str]:
    """The metrics that an expression names: what is followed by a selector, a range or nothing of a call's."""
    bare = re.sub(r'"[^"]*"', '""', re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", expression))
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\$\w+", " ", bare)
    words = re.findall(r"[A-Za-z_:][A-Za-z0-9_:]*(?!\w|\s*\()", bare)
    return {word for word in words if word not in {"and", "or", "unless", "offset", "d", "h", "m", "s"}}


def labels(expression: str) -> set[str]:
    """The labels that an expression names."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", bare)
    grouped = re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", bare)
    return {*matched, *(word.strip() for group in grouped for word in group.split(","))}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a fresh gateway tells, nobody having asked it anything."""
    folder = tmp_path_factory.mktemp("exposed")
    with gateway(folder, CONFIG.format(folder=folder)) as server:
        return server.get("/metrics")


@pytest.fixture(scope="module")
def exposed(fresh: str) -> dict[str, str]:
    """Every sample's name that a fresh gateway tells of, with its kind, whether it has a value yet or not."""
    kinds: dict[str, str] = {}
    for family in text_string_to_metric_families(fresh):
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(
            family.type, ("",)
        )
        kinds |= {f"{family.name}{suffix}": family.type for suffix in suffixes}
    return kinds


def known_labels() -> set[str]:
    """Every label that a metric of the gateway has."""
    metrics = Metrics(log_requests=False)
    metrics.read(FAMILIES, list)
    told: set[str] = set()
    for collector in metrics._registry._collector_to_names:
        told |= set(getattr(collector, "_labelnames", ()))
        told |= {name for family in collector.collect() for name in getattr(family, "_labelnames", ())}
    return told


def test_the_readers_of_expressions_read_them() -> None:
    """The two readers that the other tests rest on find names and labels, and nothing else."""
    expression = (
        'histogram_quantile(0.95, sum by (le, lane) (rate(a_bucket{x="y z", w=~"$v"}[5m] offset 1d))) / b > 5'
    )
    assert names(expression) == {"a_bucket", "b"}
    assert labels(expression) == {"le", "lane", "x", "w"}


def test_every_metric_that_is_asked_for_is_told(exposed: dict[str, str]) -> None:
    """No query of the dashboard or of an alert names a metric that a gateway doesn't have."""
    unknown = {
        (where, name) for where, expr in expressions() for name in names(expr) - exposed.keys() - SCRAPED
    }
    assert not unknown


def test_every_label_that_is_asked_for_is_told() -> None:
    """Nor a label."""
    known = known_labels() | SCRAPED
    assert {"tenant", "upstream", "state", "outcome", "layer"} <= known
    unknown = {(where, label) for where, expr in expressions() for label in labels(expr) - known}
    assert not unknown
    legends = {
        label
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
    }
    assert legends <= known


def test_counters_are_asked_for_as_rates(exposed: dict[str, str]) -> None:
    """A counter begins anew with its process: it is never shown or compared as it is, a gauge never as a rate."""
    for where, expr in expressions():
        for name in names(expr) & exposed.keys():
            counts = exposed[name] in {"counter", "histogram"}
            uses = re.findall(rf"(\w*)\(?\b{name}\b(?:\{{[^}}]*\}})?(\[)?", expr)
            assert uses, (where, name)
            assert all((bool(bracket)) == counts for _, bracket in uses), (where, name)


def test_the_dashboard_can_be_imported() -> None:
    """It names its data source by a variable, panels have places of their own, and rows are full."""
    model = dashboard()
    variables = {one["name"]: one for one in model["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert model["schemaVersion"] >= 36
    assert "id" not in model
    panels = model["panels"]
    assert not [n for n, count in Counter(panel["id"] for panel in panels).items() if count > 1]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] == "${datasource}"
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        used = set(re.findall(r"\$(\w+)", json.dumps(panel["targets"])))
        assert used <= {*variables, "__rate_interval", "__range"}


def test_alerts_say_what_to_do() -> None:
    """Each has a severity, a sentence, what is behind it, and a page of the documentation that is there."""
    told = rules()
    assert len({rule["alert"] for rule in told}) == len(told) >= 15
    for rule in told:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        notes = rule["annotations"]
        assert notes["summary"].endswith((".", "?"))
        assert notes["description"].endswith(".")
        assert (DOCS / notes["runbook"]).is_file(), notes["runbook"]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_prometheus_takes_rules_and_scrape() -> None:
    """Its own tool reads both."""
    assert PROMTOOL is not None
    for command in (["rules", "alerts.yml"], ["config", "prometheus.yml"]):
        checked = subprocess.run(
            [PROMTOOL, "check", *command], cwd=ALERTS.parent, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_alerts_are_raised_by_what_they_are_for() -> None:
    """And by nothing else: made-up hours of series, and what is raised at their end."""
    assert PROMTOOL is not None
    tried = subprocess.run(
        [PROMTOOL, "test", "rules", "alerts_test.yml", "alerts_by_day_test.yml"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_prometheus_reads_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """As rules, with Grafana's variables filled in."""
    assert PROMTOOL is not None
    queries = [
        re.sub(r"\$__(rate_interval|range)", "5m", target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]
    assert len(queries) > 50
    file = tmp_path / "queries.yml"
    recorded = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    checked = subprocess.run(
        [PROMTOOL, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_a_fresh_gateway_raises_no_alert(fresh: str, tmp_path: Path) -> None:
    """Neither one with a file nor one in memory that nobody asks anything for hours."""
    assert PROMTOOL is not None
    folder = tmp_path / "memory"
    folder.mkdir()
    with gateway(folder, "upstreams: [{name: sim, type: simulated}]\n") as server:
        in_memory = server.get("/metrics")
    quiet = [{"alertname": rule["alert"], "eval_time": "3h", "exp_alerts": []} for rule in rules()]
    tests = [
        {"interval": "1m", "input_series": list(_idle(told)), "alert_rule_test": quiet}
        for told in (fresh, in_memory)
    ]
    file = tmp_path / "idle_test.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests})
    )
    tried = subprocess.run(
        [PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr


def _idle(told: str) -> Iterator[dict[str, str]]:
    """Every sample as it is, for three hours, as promtool wants series."""
    scraped = {"instance": "a", "job": "askonce"}
    yield {"series": 'up{instance="a", job="askonce"}', "values": "1x180"}
    for family in text_string_to_metric_families(told):
        for sample in family.samples:
            said = ", ".join(
                f"{name}={json.dumps(value)}" for name, value in (sample.labels | scraped).items()
            )
            yield {"series": f"{sample.name}{{{said}}}", "values": f"{sample.value!r}x180"}
