"""`askonce report`."""

from __future__ import annotations

import csv
import io
import json
import random
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from askonce.cli import cli
from askonce.stores.ledger.schema import SCHEMA
from servers import gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Server

_CONFIG = """\
store: sqlite://{folder}/books.db
upstreams: [{{type: simulated, name: sim, ttft_ms: 20, tokens_per_second: 5000}}]
features:
  support: {{retain_text: full}}
  drafts: {{max_temperature: 0.5}}
embedder: {{type: none}}
"""
_HOSTILE = "<script>alert('x')</script> \x1b[31m how much?"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, arguments)], catch_exceptions=False)


def _ask(server: Server, feature: str, question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """How it was answered, and its usage."""
    body = {"model": "sim-small", "messages": [{"role": "user", "content": question}], **more}
    headers = {"Authorization": "Bearer sk-a", "X-Askonce-Feature": feature}
    status, said, content = server.post("/v1/chat/completions", body, headers)
    if status != 200:
        return "refused", {}
    return said["x-askonce-outcome"], json.loads(content)["usage"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Counter[tuple[str, str]], int]]:
    """The folder of a gateway that runs and has served a seeded mix; what its callers were told, and their tokens."""
    folder = tmp_path_factory.mktemp("report")
    dice = random.Random(11)  # noqa: S311 - the same mix every time
    mix: list[tuple[str, str, dict[str, Any]]] = [
        ("support", dice.choice([_HOSTILE, *(f"what is {n}?" for n in range(6))]), {}) for _ in range(60)
    ]
    mix += [
        ("drafts", f"write {dice.randrange(4)}", {"temperature": dice.choice([0.2, 0.9])}) for _ in range(20)
    ]
    mix += [("support", "no model", {"model": "nobody-serves-this", "temperature": "hot"})] * 3
    with gateway(folder, _CONFIG.format(folder=folder)) as server, ThreadPoolExecutor(6) as threads:
        told = list(threads.map(lambda one: _ask(server, one[0], one[1], **one[2]), mix))
        counts = Counter((feature, outcome) for (feature, *_), (outcome, _) in zip(mix, told, strict=True))
        until(lambda: _written(folder) == len(mix), "all requests in the books")
        yield folder, counts, sum(usage.get("total_tokens", 0) for _, usage in told)


def _written(folder: Path) -> int:
    result = _run("--ledger", folder / "books.ledger.db", "--format", "json")
    return json.loads(result.stdout)["total"]["sums"]["requests"] if result.exit_code == 0 else 0


def test_a_running_gateways_books_say_what_its_callers_were_told(
    served: tuple[Path, Counter[tuple[str, str]], int],
) -> None:
    """Each request once, under the outcome of its own header; the tokens of all answers; money that adds up."""
    folder, counts, tokens = served
    content = json.loads(_run("-c", folder / "askonce.yaml", "--format", "json").stdout)
    by_feature = {row["feature"]: row for row in content["rows"]}
    for feature in ("support", "drafts"):
        told = {name: number for name, number in by_feature[feature]["outcomes"].items() if number}
        assert told == {
            outcome: number
            for (of, outcome), number in counts.items()
            if of == feature and outcome != "refused"
        }
    total = content["total"]
    assert total["sums"]["input_tokens"] + total["sums"]["output_tokens"] == tokens
    assert total["outcomes"]["refused"] == counts["support", "refused"] == 3
    assert total["outcomes"]["exact"] > 30
    assert total["saved_nanousd_by_layer"]["exact"] > 0
    assert total["sums"]["spent_nanousd"] > 0
    assert sum(row["net_nanousd"] for row in content["rows"]) == total["net_nanousd"]
    assert {one["reason"] for one in content["reasons"]} >= {"miss", "high-temperature"}


def test_csv_has_a_row_for_each_key(served: tuple[Path, Counter[tuple[str, str]], int]) -> None:
    """By the columns asked for, and only what is asked for."""
    folder, counts, _ = served
    found = _run(
        "-c",
        folder / "askonce.yaml",
        "--format",
        "csv",
        "--by",
        "day,feature,model",
        "--where",
        "feature=drafts",
    )
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert {row["feature"] for row in rows} == {"drafts"}
    assert sum(int(row["requests_bypass"]) for row in rows) == counts["drafts", "bypass"] > 0
    assert len(rows[0]["day"]) == 10


def test_text_and_page_hold_the_question_harmlessly(
    served: tuple[Path, Counter[tuple[str, str]], int],
) -> None:
    """A question that the policy keeps stands in both, as text; the file is whole and the output empty."""
    folder, *_ = served
    config = folder / "askonce.yaml"
    text = _run("-c", config).stdout
    assert "<script>alert('x')</script>" in text
    assert "\x1b" not in text
    assert "All times are UTC." in " ".join(text.split())
    page = folder / "report.html"
    assert _run("-c", config, "--format", "html", "-o", page).stdout == ""
    content = page.read_text()
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in content
    assert "<script" not in content
    assert content.rstrip().endswith("</html>")


def test_the_ledger_alone_is_enough(
    served: tuple[Path, Counter[tuple[str, str]], int], tmp_path: Path
) -> None:
    """Beside no file of answers there are no audits, which the report says."""
    folder, *_ = served
    copy = tmp_path / "copied.ledger.db"
    with sqlite3.connect(folder / "books.ledger.db") as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    result = _run("--ledger", copy, "--format", "json")
    assert json.loads(result.stdout)["quality"] is None
    assert "Audits weren't read" in _run("--ledger", copy).stdout


def test_a_span_without_anything_is_an_error_that_names_the_books_own(
    served: tuple[Path, Counter[tuple[str, str]], int],
) -> None:
    """So is a filter that nothing passes."""
    config = served[0] / "askonce.yaml"
    result = _run("-c", config, "--since", "2001-01-01", "--until", "2001-02-01")
    assert result.exit_code == 1
    assert "nothing was recorded from 2001-01-01 00:00 to 2001-02-01 00:00 UTC (31 days)" in result.stderr
    assert "the ledger has entries from 20" in result.stderr
    assert "nothing of feature 'x' was recorded" in _run("-c", config, "--where", "feature=x").stderr


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """No traceback: missing, empty, of a later version, another program's, no database, a store in memory, nothing at all."""
    path = tmp_path / "x.ledger.db"
    assert "there is no ledger" in _run("--ledger", path).stderr
    path.write_bytes(b"no database at all, but long enough to be read as one" * 30)
    assert "x.ledger.db: " in _run("--ledger", path).stderr
    path.unlink()
    books = sqlite3.connect(path, isolation_level=None)
    SCHEMA.bring_up_to_date(books)
    assert "the ledger is empty" in _run("--ledger", path).stderr
    books.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    assert f"knows those up to {SCHEMA.version}" in _run("--ledger", path).stderr
    books.execute("PRAGMA application_id = 7")
    books.close()
    assert "another program's" in _run("--ledger", path).stderr
    memory = tmp_path / "memory.yaml"
    memory.write_text("upstreams: [{type: simulated, name: sim}]\n")
    assert "its store is memory" in _run("-c", memory).stderr
    assert "not both" in _run("-c", memory, "--ledger", path).stderr


def test_a_page_without_its_libraries_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before anything is read; the other forms do without."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    result = _run("--ledger", tmp_path / "x.ledger.db", "--format", "html")
    assert "pip install 'askonce[report]'" in result.stderr
    assert "there is no ledger" in _run("--ledger", tmp_path / "x.ledger.db", "--format", "csv").stderr


def test_bad_options_say_what_is_wanted(tmp_path: Path) -> None:
    """With the exit status of a wrong command line."""
    path = tmp_path / "x.ledger.db"
    for option, value, says in (
        ("--since", "soon", "neither a duration such as 7d"),
        ("--until", "2001-01-01T99", "neither a duration"),
        ("--by", "colour", "isn't one of tenant, feature, model, day"),
        ("--where", "feature", "isn't NAME=VALUE"),
    ):
        result = _run("--ledger", path, option, value)
        assert result.exit_code == 2
        assert says in result.stderr
