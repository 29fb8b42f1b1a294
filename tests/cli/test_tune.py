"""`askonce tune`."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import orjson
from click.testing import CliRunner, Result

from askonce.cli import cli
from askonce.evaluation.engines import VERIFIERS
from askonce.model import Answer, Audit, Entry, Usage
from askonce.observe.clock import SystemClock
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

_DAY_S = 86_400.0


def _audits(feature: str, count: int, seed: int, *, engine: str = "test/1") -> list[Audit]:
    """Labels drawn with the probability that the shipped last layer claims: mostly near certain, some doubtful."""
    shipped = next(iter(VERIFIERS.values()))().verifier.calibration
    generator = np.random.default_rng(seed)
    audits = []
    for number in range(count):
        logit = float(generator.choice([9.0, 2.0, -2.0], p=[0.5, 0.2, 0.3]))
        evidence = ((logit - shipped.bias) * shipped.weights / (shipped.weights @ shipped.weights)).astype(
            np.float32
        )
        right = bool(generator.random() < 1 / (1 + np.exp(-logit)))
        audits.append(
            Audit(
                feature=feature,
                at=1e9 + number * 4 * _DAY_S / count,
                question=b"q" * 32,
                answer=b"a" * 32,
                request_id="r",
                source="shadow",
                judge="equality",
                right=right,
                propensity=1.0,
                probability=0.9,
                threshold=0.99,
                reason="match",
                evidence=evidence,
                engine=engine,
            )
        )
    return audits


def _entry(feature: str, number: int, cost_nanousd: int | None) -> Entry:
    answer = Answer(b'"object":"chat.completion"', b"{}", "m", "id-", Usage(1, 1, 0), cost_nanousd)
    now = SystemClock().now()
    return Entry(number.to_bytes(32, "big"), answer, now, now + _DAY_S, "t", feature, "m")


async def _store(path: Path, audits: list[Audit], *, close: bool = True) -> SqliteStore:
    clock = SystemClock()
    store = SqliteStore(path, MemoryStore(clock, 2**24, 2**20), clock)
    await store.start()
    for audit in audits:
        store.audited(audit)
    store.put(_entry("support", 1, 2_000_000), None)
    store.put(_entry("support", 2, 4_000_000), None)
    store.put(_entry("search", 3, None), None)
    store.keep("budget/support", orjson.dumps({"requests": 1_400, "hits": 0}))
    await store.flush()
    if close:
        await store.close()
    return store


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["tune", *map(str, arguments)], catch_exceptions=False)


async def test_budgets_are_proposed_from_a_running_gateways_store(tmp_path: Path) -> None:
    """Hits, errors and savings with intervals that hold what the labels were drawn with; the file stays as it is."""
    path = tmp_path / "askonce.db"
    store = await _store(path, _audits("support", 700, 1) + _audits("search", 40, 2), close=False)
    try:
        before = path.read_bytes()
        result = _run(path, "--json")
        assert path.read_bytes() == before
    finally:
        await store.close()
    features = json.loads(result.stdout)["features"]
    support = features["support"]
    assert support["audits"] == 700
    loose = support["budgets"]["0.05"]
    assert loose["hit_rate"]["low"] <= 0.5 <= loose["hit_rate"]["high"] + 0.2
    assert loose["wrong_among_hits"]["estimate"] <= 0.05
    requests = loose["hit_rate_of_requests"]["estimate"]
    assert abs(requests - loose["hit_rate"]["estimate"] / 2) < 1e-9
    saved = loose["saving_usd_per_day"]["estimate"]
    assert abs(saved - 0.003 * loose["hits_per_day"]["estimate"]) < 1e-9
    assert 50 < loose["hits_per_day"]["estimate"] < 175
    assert support["recommended"] in {0.005, 0.01, 0.02, 0.05}
    assert features["search"] == {
        "audits": 40,
        "audits_left_out": 0,
        "days": features["search"]["days"],
        "error_budget": None,
        "recommended": None,
        "budgets": {},
    }


async def test_a_configuration_leads_to_its_store(tmp_path: Path) -> None:
    """Its features' own budgets are among those proposed, and shown; the store's gateway has ended."""
    await _store(tmp_path / "askonce.db", _audits("support", 200, 3))
    config = tmp_path / "askonce.yaml"
    config.write_text(
        f"store: sqlite://{tmp_path}/askonce.db\n"
        "upstreams: [{type: simulated, name: sim, models: ['*']}]\n"
        "features: {support: {error_budget: 3%}}\n"
    )
    result = _run(config)
    assert result.exit_code == 0
    assert "support: 200 audits over 4.0 days, 0 left out" in result.stdout
    assert "3.00%" in result.stdout
    assert "(now 3.00%)" in result.stdout
    assert sorted(json.loads(_run(config, "--json").stdout)["features"]["support"]["budgets"]) == [
        "0.005",
        "0.01",
        "0.02",
        "0.03",
        "0.05",
    ]


async def test_other_verifiers_audits_and_mere_feedback_do_not_count(tmp_path: Path) -> None:
    """Evidence of another kind can't be weighed, feedback comes from whoever chose to speak up."""
    old = [replace(audit, at=audit.at - 1e6) for audit in _audits("support", 150, 4, engine="old/1")]
    feedback = [replace(audit, source="feedback") for audit in _audits("support", 5, 5)]
    path = tmp_path / "askonce.db"
    await _store(path, old + feedback + _audits("support", 120, 6))
    support = json.loads(_run(path, "--json").stdout)["features"]["support"]
    assert (support["audits"], support["audits_left_out"]) == (120, 155)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """No traceback: missing, another program's database, a broken configuration, a store in memory."""
    assert "No such file" in _run(tmp_path / "none.db").stderr
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    assert "another program's" in _run(tmp_path / "other.db").stderr
    broken = tmp_path / "broken.yaml"
    broken.write_text("upstreams: 3\n")
    assert _run(broken).exit_code == 1
    memory = tmp_path / "memory.yaml"
    memory.write_text("store: memory\nupstreams: [{type: simulated, name: sim, models: ['*']}]\n")
    assert "its store is memory" in _run(memory).stderr


def _log(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_a_log_is_replayed_feature_by_feature(tmp_path: Path) -> None:
    """Repeated texts are the exact tier's; costs are summed up where there are some; a configuration's budget is tried too."""
    config = tmp_path / "askonce.yaml"
    config.write_text(
        "upstreams: [{type: simulated, name: sim, models: ['*']}]\nfeatures: {support: {error_budget: 3%}}\n"
    )
    asked = ["how do i reset my password", "how can i reset my password", "what does shipping cost"]
    rows: list[dict[str, object]] = [
        {"feature": "support", "text": text, "intent": text.split()[-1], "cost": 0.5} for text in asked
    ]
    log = _log(tmp_path / "log.jsonl", *rows, rows[0], {"text": "hello there", "answer": "Hi!"})
    features = json.loads(_run(config, "--log", log, "--json").stdout)["features"]
    support = features["support"]
    assert (support["questions"], support["repeats"], support["cost_usd"]) == (3, 1, 1.5)
    assert list(support["budgets"]) == ["0.005", "0.01", "0.02", "0.03", "0.05"]
    for budget in support["budgets"].values():
        assert (
            0
            <= budget["hit_rate"]["low"]
            <= budget["hit_rate"]["estimate"]
            <= budget["hit_rate"]["high"]
            <= 1
        )
        assert budget["saving_usd"]["high"] <= 1.5
    assert features["default"]["cost_usd"] is None
    assert features["default"]["budgets"]["0.01"]["saving_usd"] is None
    text = _run(config, "--log", log).stdout
    assert "support: 3 different texts, which cost 1.50 USD; 1 repeated ones left to the exact tier" in text
    assert "(now 3.00%)" in text


def test_a_broken_log_is_named_with_its_line(tmp_path: Path) -> None:
    """Before anything is replayed; and without a source there is nothing to do."""
    good: dict[str, object] = {"text": "x", "intent": "y"}
    broken: list[tuple[dict[str, object], str]] = [
        ({"text": "x"}, 'needs "answer" or "intent"'),
        ({"text": 1, "intent": "y"}, '"text" must be a text'),
        ({**good, "feature": 7}, '"feature" one where it is given'),
        ({**good, "cost": "much"}, '"cost" must be'),
        ({**good, "cost": -1}, '"cost" must be'),
        ({**good, "cost": True}, '"cost" must be'),
    ]
    for row, message in broken:
        result = _run("--log", _log(tmp_path / "log.jsonl", good, row))
        assert result.exit_code == 1
        assert "log.jsonl, line 2: " in result.stderr
        assert message in result.stderr
    assert "has no request" in _run("--log", _log(tmp_path / "empty.jsonl")).stderr
    assert _run().exit_code == 2
