"""`askonce evaluate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from askonce.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

_RIGHT = [
    ("how do i reset my password", "how can i reset my password"),
    ("what is the capital of france", "what's the capital of france"),
    ("how long does delivery take", "how long does the delivery take"),
    ("where can i download my invoice", "where do i download my invoice"),
]
_WRONG = [
    ("turn on dark mode", "turn off dark mode", "opposite"),
    ("convert 3 miles to km", "convert 7 miles to km", "number"),
    ("flights from rome to oslo", "flights from oslo to rome", "direction"),
    ("how do i open an account", "how do i close an account", "opposite"),
]
_RECALLS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]


def _pairs(path: Path, times: int = 1, *, kinds: bool = True) -> Path:
    rows: list[dict[str, Any]] = [{"a": a, "b": b, "y": 1, "kind": "paraphrase"} for a, b in _RIGHT]
    rows += [{"a": a, "b": b, "y": 0, "kind": kind} for a, b, kind in _WRONG]
    rows += [{"a": "skipped", "b": "also", "y": None}]
    for row in rows:
        if not kinds:
            row.pop("kind", None)
    path.write_text("\n".join(json.dumps(row) for row in rows * times), encoding="utf-8")
    return path


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def test_one_file_as_json(tmp_path: Path) -> None:
    """Nothing but JSON on the standard output: both systems with AUC and false-hit rates at each recall, by name."""
    result = _run("--pairs", _pairs(tmp_path / "mine.jsonl"), "--json", "--cache", tmp_path / "kept.npz")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert {"cosine", "askonce"} <= set(content["systems"])
    for system in content["systems"].values():
        assert 0 <= system["auc"] <= 1
        assert list(system["false_hit_rate_at_recall"]) == _RECALLS
        assert all(0 <= rate <= 1 for rate in system["false_hit_rate_at_recall"].values())
    assert (content["pairs"], content["right"], content["wrong"]) == (8, 4, 4)
    assert content["sets"]["mine"]["systems"] == content["systems"]
    assert content["systems"]["askonce"]["auc"] == 1.0
    assert content["systems"]["cosine"]["false_hit_rate_at_recall"]["0.7"] > 0
    assert content["categories"]["opposite"]["wrong"] == 2
    assert content["categories"]["opposite"]["most_frequent_veto"] == "antonym"
    assert content["vetoes"]["antonym"] == {"right": 0, "wrong": 2}
    assert content["systems"]["askonce"]["calibration"]["ece"] >= 0
    for verdict in content["latency"]["by_candidates"].values():
        assert 0 < verdict["p50_ms"] <= verdict["p99_ms"]
    assert (tmp_path / "kept.npz").stat().st_size > 0


def test_several_files_refitted(tmp_path: Path) -> None:
    """Sets by name, two of the same name told apart; the rest is measured without the pairs of the refit."""
    (tmp_path / "other").mkdir()
    files = [_pairs(tmp_path / "mine.jsonl", 12), _pairs(tmp_path / "other" / "mine.jsonl", 12, kinds=False)]
    output = ["--json", tmp_path / "all.json"]
    result = _run("--pairs", files[0], "--pairs", files[1], "--refit", 70, "--seed", 3, *output)
    assert result.exit_code == 0
    content = json.loads((tmp_path / "all.json").read_bytes())
    assert set(content) == {"sets"}
    assert set(content["sets"]) == {"mine", "mine-2"}
    for one in content["sets"].values():
        assert one["pairs"] == 26
        assert one["refit"]["pairs"] == 70
        assert set(one["systems"]) == {"cosine", "askonce", "askonce-refitted"}
    assert "categories" not in content["sets"]["mine-2"]
    assert "mine: 26 pairs" in result.stdout
    assert "opposite" in result.stdout


def test_a_policy_brings_its_floor_and_its_budget(tmp_path: Path) -> None:
    """Pairs below the floor are served at no threshold; the feature's budget joins the table."""
    config = tmp_path / "askonce.yaml"
    config.write_text(
        "upstreams: [{type: simulated, name: sim, models: ['*']}]\n"
        "features: {strict: {similarity_floor: 1.0, error_budget: 3%}}\n"
    )
    pairs = _pairs(tmp_path / "mine.jsonl")
    result = _run("--pairs", pairs, "--policy", config, "--feature", "strict", "--json")
    served = json.loads(result.stdout)["systems"]["askonce"]["served_at_budget"]
    assert list(served) == ["0.005", "0.01", "0.02", "0.03", "0.05"]
    assert served["0.03"]["hit_ratio"] == 0
    missing = _run("--pairs", pairs, "--policy", config, "--feature", "none")
    assert missing.exit_code == 1
    assert "no feature 'none'" in missing.stderr


def test_a_stream_beside_pairs(tmp_path: Path) -> None:
    """Each system's best hits at equal shares of wrong ones; a repeated text is left out; several sets by name."""
    rows = [
        {"t": f"{text} {word}", "c": text} for word in ("now", "please", "again", "now") for text, _ in _RIGHT
    ]
    stream = tmp_path / "asked.jsonl"
    stream.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    outputs = ["--json", tmp_path / "all.json", "--png", tmp_path / "all.png"]
    result = _run(
        "--stream", stream, "--pairs", _pairs(tmp_path / "mine.jsonl"), "--shuffle", 1, "--refit", 3, *outputs
    )
    assert result.exit_code == 0
    content = json.loads((tmp_path / "all.json").read_bytes())["sets"]
    assert set(content) == {"asked", "mine"}
    asked = content["asked"]
    assert (asked["questions"], asked["intents"], asked["repeats"]) == (12, 4, 4)
    assert asked["systems"]["cosine"]["best_at_wrong_rate"]["0.01"]["hit_ratio"] == 8 / 12
    assert set(asked["systems"]["vcache"]["best_at_wrong_rate"]) == {"0.01", "0.02", "0.03", "0.04", "0.05"}
    assert asked["systems"]["cosine"]["best_at_wrong_rate"]["0.01"]["times"]["cosine"] == 1
    assert "asked: a stream of 12 questions with 4 intents" in result.stdout
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


def test_one_kind_of_pair_alone_is_measured_as_far_as_it_goes(tmp_path: Path) -> None:
    """Without look-alikes there is no false-hit rate: null, not an error and no made-up number."""
    path = tmp_path / "right.jsonl"
    path.write_text("\n".join(json.dumps({"a": a, "b": b, "y": 1}) for a, b in _RIGHT), encoding="utf-8")
    result = _run("--pairs", path, "--json")
    system = json.loads(result.stdout)["systems"]["cosine"]
    assert system["auc"] is None
    assert set(system["false_hit_rate_at_recall"].values()) == {None}
    assert _run("--pairs", path).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "{}/broken.jsonl"], "broken.jsonl, line 2: not JSON"),
        (["--stream", "{}/mine.jsonl"], 'mine.jsonl, line 1: "c" must be'),
        (["--pairs", "{}/none.jsonl"], "none.jsonl: No such file"),
        (["--pairs", "{}/mine.jsonl", "--refit", "8"], "--refit 8 leaves none of 8 pairs"),
        (["--pairs", "{}/mine.jsonl", "--json", "{}/nowhere/all.json"], "there is no folder"),
        (["--pairs", "{}/mine.jsonl", "--cache", "{}/mine.jsonl"], "isn't a file of embeddings"),
        (["--pairs", "{}/mine.jsonl", "--policy", "{}/none.yaml"], "can't be read"),
    ],
)
def test_mistakes_are_named_and_nothing_is_printed(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    """On the standard error, with status 1; no traceback."""
    _pairs(tmp_path / "mine.jsonl")
    (tmp_path / "broken.jsonl").write_text('{"a": "x", "b": "y", "y": 1}\n{"a": \n')
    result = _run(*(argument.format(tmp_path) for argument in arguments))
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_plots_need_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is measured, with what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = _run("--pairs", _pairs(tmp_path / "mine.jsonl"), "--png", tmp_path / "all.png")
    assert result.exit_code == 1
    assert "pip install 'askonce[evaluate]'" in result.stderr
