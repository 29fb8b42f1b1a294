"""The books over HTTP, after real requests."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from servers import Server, gateway, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """\
upstreams: [{{name: provider, base_url: "{upstream}", api_key: sk-own, aliases: {{cheap: sim-small}}}}]
tenants: [{{name: acme, keys: ["sha256:{acme}"], features: [default, search]}}]
features: {{search: {{}}}}
defaults: {{semantic: "off"}}
admin: {{keys: ["sha256:{admin}"]}}
"""
ADMIN = {"Authorization": "Bearer admin"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway that was asked two questions, one of them twice, and one of a model without a price."""
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("acme", "admin")}
    folder = tmp_path_factory.mktemp("books")
    with (
        simulator(folder) as upstream,
        gateway(folder, CONFIG.format(upstream=upstream.base_url, **keys)) as server,
    ):
        for feature, model, question in (
            ("search", "cheap", "One?"),
            ("search", "cheap", "One?"),
            ("default", "cheap", "Two?"),
            ("default", "=1+1", "Three?"),
        ):
            body = {
                "model": model,
                "messages": [{"role": "user", "content": question}],
                "x_simulate": {"tokens": 10},
            }
            headers = {"Authorization": "Bearer acme", "X-Askonce-Feature": feature}
            assert server.post("/v1/chat/completions", body, headers)[0] == 200
        yield server


def read(server: Server, query: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    status, _, body = server.send("GET", f"/admin/ledger{query}", None, ADMIN if headers is None else headers)
    return status, body


def test_sums_are_told_by_what_they_are_kept_by(asked: Server) -> None:
    """Money is exact: whole nano-dollars, and dollars with nine decimals; the model is the upstream's own."""
    status, body = read(asked, "?by=feature,model,outcome&since=1d")
    rows = {(row["feature"], row["model"], row["outcome"]): row for row in json.loads(body)["rows"]}
    assert status == 200
    fresh, hit = rows["search", "sim-small", "fresh"], rows["search", "sim-small", "exact"]
    cost = fresh["billed_input_tokens"] * 150 + fresh["billed_output_tokens"] * 600
    assert fresh["spent_nanousd"] == hit["saved_exact_nanousd"] == hit["saved_nanousd"] == cost
    assert fresh["spent_usd"] == hit["saved_usd"] == f"0.{cost:09d}"
    assert (fresh["calls"], hit["calls"], hit["requests"]) == (1, 0, 1)
    assert rows["default", "=1+1", "fresh"]["unpriced"] == 1
    assert rows["default", "=1+1", "fresh"]["spent_nanousd"] == 0


def test_csv_has_the_same_and_no_formula(asked: Server) -> None:
    """The same rows as CSV; a model's name that a spreadsheet would take for a formula is text."""
    rows = list(csv.DictReader(io.StringIO(read(asked, "?by=model&format=csv")[1].decode())))
    assert {row["model"] for row in rows} == {"sim-small", "'=1+1"}
    told = {row["model"]: row for row in json.loads(read(asked, "?by=model")[1])["rows"]}
    assert {key: str(value) for key, value in told["sim-small"].items()} == rows[-1]


def test_filters_days_and_single_calls(asked: Server) -> None:
    """One feature's day; each call with the id that the upstream got."""
    rows = json.loads(read(asked, "?by=day&feature=search")[1])["rows"]
    assert [(row["requests"], row["calls"]) for row in rows] == [(2, 1)]
    calls = json.loads(read(asked, "/calls?settled=true")[1])["rows"]
    assert len(calls) == 3
    assert all(call["call"].startswith("call_") and call["tenant"] == "acme" for call in calls)
    assert json.loads(read(asked, "/calls?settled=false")[1])["rows"] == []


@pytest.mark.parametrize(
    "query",
    [
        "?by=prompt",
        "?by=day,day",
        "?since=x",
        "?since=1h&until=2d",
        "?format=xml",
        "?limit=0",
        "?sine=1d",
        "/calls?settled=1",
    ],
)
def test_what_cannot_be_read_is_refused(asked: Server, query: str) -> None:
    """With 400 and a sentence, before anything is read."""
    status, body = read(asked, query)
    assert status == 400
    assert json.loads(body)["error"]["message"]


def test_only_administrators_read_the_books(asked: Server) -> None:
    """A tenant's key is none."""
    assert read(asked, "", {"Authorization": "Bearer acme"})[0] == 401
