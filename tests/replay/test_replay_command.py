"""`askonce replay` on the command line."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from askonce.cli import cli

if TYPE_CHECKING:
    from pathlib import Path


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["replay", "-q", *map(str, arguments)])


def row(at: float, text: str, **more: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
    return {"at": 1_700_000_000 + at, "tenant": "acme", "body": body, "duration_s": 2.0, **more}


def log_of(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "traffic.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


TEXTS = (
    "How do I reset my password?",
    "how do i reset my password",
    "Where is my parcel?",
    "What does a parcel to Norway cost?",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rows = [row(10 * number, text) for number, text in enumerate((*TEXTS, *TEXTS))]
    return log_of(tmp_path, *rows, row(0.5, TEXTS[0]))


def test_end_to_end(log: Path, tmp_path: Path) -> None:
    """All layers answer: a joined call, exact hits, and the same question in other letters as a semantic one."""
    result = replay(log, "--json", "--html", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    outcomes = {name: count for name, count in found["total"]["outcomes"].items() if count}
    assert outcomes == {"fresh": 3, "joined": 1, "exact": 3, "semantic": 2}
    assert found["latency"]["after"]["total_s"] < found["latency"]["before"]["total_s"]
    cells = {(cell["ttl_s"], cell["error_budget"], *cell["without"]) for cell in found["sensitivity"]}
    assert {(600.0, 0.01), (604_800.0, 0.05), (86_400.0, None, "semantic"), (None, None, "exact")} <= cells
    assert any("no answers" in one for one in found["assumptions"])


def test_text_says_what_it_assumes(log: Path) -> None:
    """The text has layers, the sensitivity table and the assumptions."""
    result = replay(log)
    assert result.exit_code == 0
    for part in (
        "calls avoided",
        "5% budget",
        "7 d",
        "without",
        "net saving",
        "What this assumes",
        "bytes / 4",
    ):
        assert part in result.stdout


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    """No script, no address, a strict policy; what stands in the log is text, not markup."""
    log = log_of(tmp_path, row(0, "hi", tenant="<script>alert(1)</script>"), row(5, "hi"))
    page = tmp_path / "page.html"
    assert replay(log, "--no-semantic", "--html", page).exit_code == 0
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text
    assert "src=" not in text.replace("default-src", "")
    assert text.count("<svg") == 1
    assert "What this assumes" in text
    assert replay(log, "--html", page).exit_code == 0
    assert page.read_text().count("<svg") == 2


def test_a_page_without_its_extra(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be installed is said before anything is played."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = replay(log, "--html", tmp_path / "page.html")
    assert result.exit_code == 1
    assert result.stderr == "Error: HTML needs an extra: pip install 'askonce[report]'\n"


def test_a_page_that_cant_be_written(log: Path, tmp_path: Path) -> None:
    """A folder that isn't there is noticed before anything is played, and no page costs the words."""
    assert replay(log, "--html", tmp_path / "nowhere" / "page.html").exit_code == 2
    page = tmp_path / "page.html"
    page.symlink_to(tmp_path / "nowhere" / "page.html")
    result = replay(log, "--no-semantic", "--html", page)
    assert result.exit_code == 1
    assert "page.html: No such file" in result.stderr
    assert "What this assumes" in result.stdout


def test_terminals_obey_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal too, what stands in the log is neither an escape sequence nor markup, at any width."""
    hostile = "\x1b[1m\u202e[b]acme"
    rows = (row(n, "hi", tenant=hostile, feature=hostile) for n in range(3))
    arguments = ["replay", "-q", str(log_of(tmp_path, *rows)), "--no-semantic"]
    monkeypatch.setattr("askonce.cli.printing._on_terminal", lambda: True)
    for width in (80, 200):
        result = CliRunner().invoke(cli, arguments, env={"COLUMNS": str(width), "TERM": "dumb"}, color=True)
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout
        assert "\u202e" not in result.stdout
        assert "acme" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= width


def test_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    """It is played all the same, in every form."""
    log_of(tmp_path, row(0, "hi")).rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    file = next(tmp_path.iterdir())
    for form in ((), ("--json",), ("--html", tmp_path / "page.html")):
        result = replay(file, "--no-semantic", *form)
        assert result.exit_code == 0, result.output
    assert "?.jsonl" in (tmp_path / "page.html").read_text()


def test_audits_are_taken_off(tmp_path: Path) -> None:
    """The net saving and the table by TTL and budget are without what audits cost; what has no price is no zero."""
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100}
    rows = [row(9 * number, text, usage=usage) for number, text in enumerate(TEXTS)]
    found = json.loads(replay(log_of(tmp_path, *rows), "--json").stdout)
    total, audits = found["total"], found["audits"]
    assert audits["calls"] == total["layers"]["semantic"]["requests"] == 1
    assert total["saved_usd"] == audits["cost_usd"] > 0
    assert total["net_saved_usd"] == 0
    budgeted = [cell for cell in found["sensitivity"] if cell["error_budget"]]
    assert {cell["net_saved_usd"] for cell in budgeted} == {0}
    assert "less: audits" in replay(tmp_path / "traffic.jsonl").stdout
    unpriced = [{**one, "body": {**one["body"], "model": "lab"}} for one in rows]
    shown = replay(log_of(tmp_path, *unpriced), "--no-semantic").stdout
    assert "4 requests are for models without a known price" in shown
    assert "$" not in shown.replace("sum of dollars", "")


def test_configuration(log: Path, tmp_path: Path) -> None:
    """Policies, features and prices are the configuration's; features in shadow mode are said to be played as on."""
    config = tmp_path / "askonce.yaml"
    config.write_text(
        'upstreams: [{name: u, base_url: "http://127.0.0.1:9/v1", models: ["gpt-*"]}]\n'
        'features: {support: {ttl: 15s, semantic: "off"}}\n'
        'tenants: [{name: acme, keys: ["sha256:' + "0" * 64 + '"], features: [support]}]\n'
        "prices: {gpt-4o: {input: 1000, output: 0}}\n"
    )
    found = json.loads(replay(log, "-c", config, "--json").stdout)
    assert list(found["features"]) == ["support"]
    assert found["total"]["layers"]["exact"]["requests"] == 0
    assert found["total"]["cost_usd"] > 0.1
    assert any("shadow mode" in one for one in found["assumptions"])


def test_features_of_the_log(tmp_path: Path) -> None:
    """Without a configuration the log's own features are told apart; with one, those that it doesn't have are spoken of."""
    rows = [
        row(0, "hi", feature="refused", tenant="x"),
        *(row(9 + n, "hi", feature=f"f{n % 2}") for n in range(4)),
    ]
    rows[0]["body"] = {"messages": rows[0]["body"]["messages"]}
    features = log_of(tmp_path, *rows)
    found = json.loads(replay(features, "--no-semantic", "--json").stdout)
    assert {name: one["requests"] for name, one in found["features"].items()} == {"f0": 2, "f1": 2}
    assert not any("403" in one for one in found["assumptions"])
    config = tmp_path / "askonce.yaml"
    config.write_text("upstreams: [{name: u, type: simulated, models: ['*']}]\nfeatures: {f0: {}}\n")
    found = json.loads(replay(features, "--no-semantic", "--json", "-c", config).stdout)
    assert {name: one["requests"] for name, one in found["features"].items()} == {"f0": 2, "default": 2}
    assert any("50.0% of requests name a feature" in one for one in found["assumptions"])


def test_features_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that names ever new features has no more of them than can be played, and the output says so."""
    monkeypatch.setattr("askonce.replay.rules._MOST_FEATURES", 3)
    rows = (row(9 * n, "hi", feature=f"f{n}") for n in range(4))
    found = json.loads(replay(log_of(tmp_path, *rows), "--no-semantic", "--json").stdout)
    assert {name: one["requests"] for name, one in found["features"].items()} == {
        "default": 2,
        "f0": 1,
        "f1": 1,
    }
    assert any(one.startswith("50.0% of requests name a feature beyond") for one in found["assumptions"])


def test_standard_input(log: Path) -> None:
    """A log can be piped in, gzipped."""
    result = CliRunner().invoke(
        cli, ["replay", "-q", "-", "--no-semantic"], input=gzip.compress(log.read_bytes())
    )
    assert result.exit_code == 0
    assert "9 requests" in result.output


def test_sample(log: Path) -> None:
    """Beyond the sample no semantic hits are counted, and the output says so."""
    found = json.loads(replay(log, "--json", "--questions", 2).stdout)
    assert found["semantic"]["taken"] == 2
    assert found["semantic"]["beyond_sample"]["requests"] > 0
    assert any("2 of 4 different questions" in one for one in found["assumptions"])


@pytest.mark.parametrize(
    ("content", "says"),
    [("", "neither JSON nor CSV"), ("{}\n", "no known format"), ('{"at": 1, "body": {}}\n', "asks nothing")],
)
def test_logs_without_a_request(tmp_path: Path, content: str, says: str) -> None:
    """One sentence says what is wrong, and the exit status is 1."""
    file = tmp_path / "log"
    file.write_text(content)
    result = replay(file)
    assert result.exit_code == 1
    assert says in result.stderr


def test_a_log_of_refused_requests(tmp_path: Path) -> None:
    """Where the gateway would refuse all, the reason is named."""
    result = replay(log_of(tmp_path, {"at": 1, "body": {"messages": [{"role": "user", "content": "x"}]}}))
    assert result.exit_code == 1
    assert "invalid_field" in result.stderr


def test_missing_log(tmp_path: Path) -> None:
    """A file that isn't there is named."""
    result = replay(tmp_path / "nowhere.jsonl")
    assert result.exit_code == 1
    assert "nowhere.jsonl" in result.stderr


def test_live_refuses_other_machines(log: Path) -> None:
    """Requests that may cost money go to this machine alone, unless somebody says otherwise."""
    result = replay(log, "--live", "https://gateway.example/v1")
    assert result.exit_code == 2
    assert "--yes" in result.stderr


@pytest.mark.parametrize("url", ["http://[::1", "http://", "ftp://127.0.0.1", "127.0.0.1:8080"])
def test_live_wants_an_address(log: Path, url: str) -> None:
    """What is none is said to be none."""
    result = replay(log, "--live", url)
    assert result.exit_code == 2
    assert "--live takes the gateway's address" in result.stderr


def test_live_wants_a_key_for_each_tenant(log: Path) -> None:
    """With keys by tenant, a tenant without one is named before anything is sent."""
    result = replay(log, "--live", "http://127.0.0.1:9", "--key", "other=k")
    assert result.exit_code == 2
    assert "'acme'" in result.stderr


def test_live_has_no_page(log: Path, tmp_path: Path) -> None:
    """What can't be written is refused, not forgotten."""
    result = replay(log, "--live", "http://127.0.0.1:9", "--html", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "--html is for estimates" in result.stderr


def test_live_against_nobody(log: Path) -> None:
    """A gateway that isn't there is counted as errors."""
    result = replay(log, "--live", "http://127.0.0.1:9", "--speed", 1000, "--key", "k", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["errors"] == {"ClientConnectorError": 9}
    assert found["latency"]["sent"]["p50_s"] is None
