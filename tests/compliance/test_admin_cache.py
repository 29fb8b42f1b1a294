"""Stored answers forgotten by administrators: by what is known of them, and by what they answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from compliance.admin_front import Admin, bearer, chat, tenants_config, told
from servers import Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
PATH = "/admin/cache/invalidate"
SUPPORT = {"X-Askonce-Feature": "support"}
FIRST, SECOND, OTHER = (
    "How do I reset my password?",
    "how can I reset my password",
    "How do I delete my account?",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cache")
    with gateway(folder, tenants_config(folder, provider.base_url)) as server:
        yield server


@pytest.fixture(scope="module")
def semantic(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("semantic")
    sections = {
        "defaults": '{semantic: "on", error_budget: 30%, audit_share: 0}',
        "features": "{support: {retain_text: full}}",
    }
    with gateway(folder, tenants_config(folder, provider.base_url, **sections)) as server:
        until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
        yield server


@pytest.fixture
def admin(server: Server) -> Admin:
    return Admin(server)


def entry(server: Server, key: str, text: str, headers: dict[str, str] | None = None) -> str:
    """The entry that answers a question which was asked before."""
    outcome, answered = told(server, key, text, headers)
    assert outcome in {"exact", "semantic"}
    return answered["x-askonce-entry"]


@pytest.mark.parametrize("on_disk", [False, True], ids=["uncommitted", "committed"])
@pytest.mark.parametrize(
    "selection",
    [
        {"feature": "support"},
        {"tenant": ["acme", "nobody"], "feature": ["support"]},
        {"model": "sim-small", "tags": ["t1", "t2"]},
        {"tags": "t1"},
    ],
    ids=str,
)
def test_what_is_selected_is_forgotten_and_nothing_else(
    server: Server, admin: Admin, question: str, selection: dict[str, Any], *, on_disk: bool
) -> None:
    """Each kind that is given must agree; a dry run tells the same number and leaves all where it is."""
    tagged = {**SUPPORT, "X-Askonce-Tags": "t1"}
    mine, others = question, f"{question} Really?"
    assert chat(server, "acme", mine, tagged) == "fresh"
    assert (chat(server, "acme", others), chat(server, "zeta", others)) == ("fresh", "fresh")
    if on_disk:
        admin.committed()
    would = admin.post(PATH, {**selection, "dry_run": True})
    assert (would["dry_run"], would["forgotten"]) == (True, 1)
    assert would["sample"][0]["tags"] == ["t1"]
    assert would["sample"][0]["tenant"] == "acme"
    assert mine not in str(would)
    assert entry(server, "acme", mine, tagged) == would["sample"][0]["entry"]
    assert admin.post(PATH, selection)["forgotten"] == 1
    assert chat(server, "acme", others) == chat(server, "zeta", others) == "exact"
    assert chat(server, "acme", mine, tagged) == "fresh"
    assert admin.post(PATH, {"tags": ["t1"]})["forgotten"] == 1
    assert [act["dry_run"] for act in admin.trail("cache.invalidate")[:3]] == [False, False, True]


def test_by_entry_and_by_age(server: Server, admin: Admin, question: str) -> None:
    """One answer by its key; answers older than an age or a moment, which a newer one outlives."""
    assert chat(server, "acme", question) == "fresh"
    key = entry(server, "acme", question)
    assert admin.post(PATH, {"entry": key, "tenant": "zeta"})["forgotten"] == 0
    assert admin.post(PATH, {"entry": [key]})["forgotten"] == 1
    assert chat(server, "acme", question) == "fresh"
    time.sleep(0.3)
    newer = f"{question} Why?"
    between = time.time()
    assert chat(server, "acme", newer) == "fresh"
    admin.post(PATH, {"created_before": between, "tenant": "acme"})
    assert (chat(server, "acme", question), chat(server, "acme", newer)) == ("fresh", "exact")
    assert admin.post(PATH, {"older_than": "1h", "tenant": "acme"})["forgotten"] == 0
    assert admin.post(PATH, {"older_than": "0s", "tenant": "acme"})["forgotten"] >= 2
    assert chat(server, "acme", newer) == "fresh"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "nothing_selected"),
        ({"dry_run": True}, "nothing_selected"),
        ({"tags": []}, "invalid_field"),
        ({"feature": ""}, "invalid_field"),
        ({"features": "support"}, "unknown_field"),
        ({"entry": "abc"}, "invalid_field"),
        ({"older_than": "soon"}, "invalid_field"),
        ({"created_before": "2026-01-01"}, "invalid_field"),
        ({"tags": ["x"], "threshold": 0.5}, "invalid_field"),
        ({"equivalent_to": {}}, "invalid_field"),
        ({"equivalent_to": {"text": "x", "feature": "none"}}, "unknown_feature"),
        ({"equivalent_to": {"request": {}}, "tags": ["x"]}, "missing_api_key"),
    ],
)
def test_what_is_not_clear_forgets_nothing(
    server: Server, admin: Admin, question: str, body: dict[str, Any], code: str
) -> None:
    """Nothing named, a misspelt field, an empty list: an error, and every answer stays."""
    assert chat(server, "acme", question) == "fresh"
    status, answer = admin.ask("POST", PATH, body)
    assert (status, answer["error"]["code"]) == (
        401 if "key" in code else 404 if "feature" in code else 400,
        code,
    )
    assert chat(server, "acme", question) == "exact"


def test_nobody_else_forgets_anything(server: Server, question: str) -> None:
    """A tenant's key is no administrator's."""
    assert chat(server, "acme", question) == "fresh"
    assert server.post(PATH, {"feature": "default"}, bearer("acme"))[0] == 401
    assert chat(server, "acme", question) == "exact"


def asked(server: Server, admin: Admin, headers: dict[str, str] | None = None) -> None:
    """Three questions of acme's, two of them equivalent and linked."""
    assert [chat(server, "acme", text, headers) for text in (FIRST, SECOND, OTHER)] == [
        "fresh",
        "semantic",
        "fresh",
    ]
    assert told(server, "acme", SECOND, headers)[1]["x-askonce-reason"] == "link"
    admin.committed()


@pytest.mark.parametrize("form", ["request", "text"])
def test_what_is_equivalent_goes_with_its_links(semantic: Server, form: str) -> None:
    """By a question in other words: the answer goes, the paraphrase that led to it too, an unlike question stays."""
    admin = Admin(semantic)
    asked(semantic, admin)
    wording = "How may I reset my password, please?"
    message = {"model": "sim-small", "messages": [{"role": "user", "content": wording}]}
    question = (
        {"request": message, "tenant": "acme"} if form == "request" else {"text": wording, "tenant": "acme"}
    )
    would = admin.post(PATH, {"equivalent_to": question, "dry_run": True})
    assert would["forgotten"] == 1
    chosen = [one for one in would["questions"] if one["chosen"]]
    assert chosen
    assert chosen[0]["probability"] >= chosen[0]["threshold"]
    assert 0.8 < chosen[0]["similarity"] <= 1
    assert FIRST not in str(would), "the feature doesn't retain texts"
    assert chat(semantic, "acme", FIRST) == "exact"
    gone = admin.post(PATH, {"equivalent_to": question})
    assert (gone["forgotten"], gone["links"]) == (1, 1)
    assert chat(semantic, "acme", OTHER) == "exact"
    assert admin.post(PATH, {"equivalent_to": question, "dry_run": True})["forgotten"] == 0
    assert chat(semantic, "acme", SECOND) == "fresh", "neither its link nor the index leads anywhere"
    admin.post(PATH, {"tenant": "acme"})
    assert wording not in str(admin.get("/admin/trail"))


def test_another_features_texts_are_not_shown(semantic: Server) -> None:
    """To name a feature that retains texts shows none that were asked by one that doesn't, in the same partition."""
    admin = Admin(semantic)
    asked(semantic, admin)
    support = f"{OTHER} Now?"
    assert chat(semantic, "acme", support, SUPPORT) == "fresh"
    admin.committed()
    question = {"text": FIRST, "tenant": "acme", "feature": "support"}
    would = admin.post(PATH, {"equivalent_to": question, "threshold": 0.5, "dry_run": True})
    assert {one["text"] for one in would["questions"]} <= {support, None}
    assert would["chosen"] == sum(one["chosen"] for one in would["questions"]) > 0
    assert would["forgotten"] == 1, "whoever asked first"
    admin.post(PATH, {"tenant": "acme"})


def test_a_threshold_of_ones_own(semantic: Server) -> None:
    """A higher one spares what a lower one takes; texts are shown where the feature retains them."""
    admin = Admin(semantic)
    asked(semantic, admin, SUPPORT)
    question = {"text": "How may I reset my password, please?", "tenant": "acme", "feature": "support"}
    none = admin.post(PATH, {"equivalent_to": question, "threshold": 1, "dry_run": True})
    assert none["forgotten"] == 0
    found = {one["text"]: one["probability"] for one in none["questions"]}
    least = found[FIRST] - 0.0001
    taken = admin.post(PATH, {"equivalent_to": question, "threshold": least, "dry_run": True})
    assert (taken["forgotten"], taken["questions"][0]["text"]) == (1, FIRST)
    admin.post(PATH, {"tenant": "acme"})


def test_what_only_the_disk_knows_is_found(tmp_path: Path, provider: Server, question: str) -> None:
    """After a restart memory is empty: a selection finds its entries all the same, and they don't come back."""
    config = tenants_config(tmp_path, provider.base_url)
    with gateway(tmp_path, config) as server:
        assert chat(server, "acme", question, SUPPORT) == "fresh"
        assert chat(server, "acme", f"{question} Why?") == "fresh"
    with gateway(tmp_path, config) as server:
        assert Admin(server).post(PATH, {"feature": "support"})["forgotten"] == 1
    with gateway(tmp_path, config) as server:
        assert chat(server, "acme", question, SUPPORT) == "fresh"
        assert chat(server, "acme", f"{question} Why?") == "exact"


def test_a_disk_that_is_away_is_no_excuse_for_half_an_answer(
    tmp_path: Path, provider: Server, question: str
) -> None:
    """What only the disk knows can't be looked for: said so, memory is done; with the disk, the same call does the rest."""
    config = tenants_config(tmp_path, provider.base_url)
    tagged = {"X-Askonce-Tags": "manual"}
    with gateway(tmp_path, config) as server:
        assert chat(server, "acme", question, tagged) == "fresh"
    (tmp_path / "askonce.db").rename(tmp_path / "away")
    (tmp_path / "askonce.db").mkdir()
    with gateway(tmp_path, config) as server:
        admin = Admin(server)
        assert chat(server, "acme", f"{question} Why?") == "fresh"
        status, answer = admin.ask("POST", PATH, {"tenant": "acme"})
        assert (status, answer["error"]["code"]) == (503, "store_unreadable")
        assert chat(server, "acme", f"{question} Why?") == "fresh", "memory has forgotten it"
        for body in ({"tags": "manual"}, {"tags": "manual", "dry_run": True}):
            status, answer = admin.ask("POST", PATH, body)
            assert (status, answer["error"]["code"]) == (503, "store_unreadable")
    (tmp_path / "askonce.db").rmdir()
    (tmp_path / "away").rename(tmp_path / "askonce.db")
    with gateway(tmp_path, config) as server:
        assert Admin(server).post(PATH, {"tags": "manual"})["forgotten"] == 1
        assert chat(server, "acme", question, tagged) == "fresh"


def test_a_feature_that_serves_nothing_needs_a_threshold(
    tmp_path: Path, provider: Server, question: str
) -> None:
    """Under a promise that no probability keeps, nothing would be chosen: said so, rather than forgetting nothing."""
    sections = {"defaults": '{semantic: "on", error_budget: 0.001%, audit_share: 0}'}
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url, **sections)) as server:
        until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
        admin = Admin(server)
        assert admin.get("/admin/budgets")["features"]["default"]["threshold"] is None
        body = {"equivalent_to": {"text": question, "tenant": "acme"}, "dry_run": True}
        status, answer = admin.ask("POST", PATH, body)
        assert (status, answer["error"]["code"]) == (409, "no_threshold")
        assert admin.post(PATH, {**body, "threshold": 0.9})["forgotten"] == 0
