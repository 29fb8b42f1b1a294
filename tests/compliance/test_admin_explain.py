"""Why a request was answered as it was."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from compliance.admin_front import Admin, bearer, chat, tenants_config, told
from servers import Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
PATH = "/admin/explain"
FULL = {"X-Askonce-Feature": "support"}
SECRET = {"X-Askonce-Feature": "secret"}
FIRST, SECOND = "How do I reset my password?", "how can I reset my password"
ON, OFF = "How do I turn dark mode on?", "How do I turn dark mode off?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("explain")
    config = tenants_config(
        folder,
        provider.base_url,
        defaults='{semantic: "on", error_budget: 30%, audit_share: 0}',
        features="{support: {retain_text: full}, secret: {retain_text: none}, brief: {ttl: 1s}, dim: {semantic: shadow}, unread: {exact: 'off'}}",
    ).replace("features: [default, support]", "features: [default, support, secret, brief, dim, unread]")
    with gateway(folder, config) as server:
        until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
        yield server


@pytest.fixture
def admin(server: Server) -> Admin:
    return Admin(server)


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "sim-small", "messages": [{"role": "user", "content": text}], **fields}


def explain(admin: Admin, text: str, feature: str = "default", **fields: Any) -> Any:
    return admin.post(PATH, {"request": body(text, **fields), "tenant": "acme", "feature": feature})


def test_what_would_happen_now_is_what_happens(server: Server, admin: Admin, question: str) -> None:
    """Asked before and after, by the same code: a miss, an exact hit, and a hit under the other key; nothing is spent."""
    before = explain(admin, question)
    assert (before["decision"]["outcome"], before["decision"]["reason"]) == ("fresh", "absent")
    assert before["stored"] == {"state": "absent"}
    outcome, headers = told(server, "acme", question)
    assert outcome == "fresh"
    after = explain(admin, question)
    assert after["decision"] == {
        "outcome": "exact",
        "reason": "stored",
        "sentence": "It is answered from the store: an answer to the identical request is stored.",
    }
    assert after["stored"]["entry"] == after["request"]["exact_key"] == before["request"]["exact_key"]
    assert told(server, "acme", question)[1]["x-askonce-entry"] == after["stored"]["entry"]
    assert after["canonical"]["messages"][0]["content"] == question
    recent = admin.post(PATH, {"request_id": headers["x-request-id"]})
    assert recent["then"] == {"outcome": "fresh", "status": 200, "reason": recent["then"]["reason"]}
    assert recent["request"]["exact_key"] == after["request"]["exact_key"]
    assert question not in str(recent), "by default, texts of callers are not shown"
    assert recent["canonical"]["messages"][0]["content"] == {"characters": len(question)}


def test_why_two_requests_do_not_share(admin: Admin, question: str) -> None:
    """Each place in which the canonical forms differ is named, with both values; transport fields aren't among them."""
    one = body(
        question, temperature=0.2, user="ann", stop=["a", "b"], response_format={"type": "json_object"}
    )
    other = body(f"{question}!", temperature=0.5, user="bob", stop=["a"], seed=7, n=1)
    against = {"request": other, "tenant": "acme"}
    found = admin.post(PATH, {"request": one, "tenant": "acme", "against": against})["against"]
    assert (found["same_key"], found["same_partition"], found["more"]) == (False, False, False)
    places = {place["pointer"]: place for place in found["differences"]}
    assert places["/temperature"] == {"pointer": "/temperature", "how": "value", "one": 0.2, "other": 0.5}
    assert places["/messages/0/content"]["at_character"] == len(question)
    assert places["/stop/1"]["how"] == places["/response_format"]["how"] == "only-one"
    assert places["/seed"]["other"] == 7
    assert set(places) == {"/temperature", "/messages/0/content", "/stop/1", "/response_format", "/seed"}
    assert found["apart"] == [f"field {place}" for place in places]
    same = admin.post(
        PATH,
        {
            "request": body(question, n=1, user="x"),
            "tenant": "acme",
            "against": {"request": body(question), "tenant": "acme"},
        },
    )["against"]
    assert (same["same_key"], same["differences"], same["apart"]) == (True, [], [])


def test_what_keeps_them_apart_beside_the_body(admin: Admin, question: str) -> None:
    """Another tenant, endpoint, or header that travels along; and the order of keys in a schema, which counts."""
    asking = {"request": body(question), "tenant": "acme"}
    zeta = admin.post(PATH, {**asking, "against": {"request": body(question), "tenant": "zeta"}})["against"]
    assert (zeta["apart"], zeta["differences"]) == (["tenant or scope"], [])
    headers = {"OpenAI-Project": "p1"}
    project = admin.post(PATH, {**asking, "against": {**asking, "headers": headers}})["against"]
    assert project["apart"] == ["headers that travel to the upstream"]

    def tool(*names: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        return {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}

    ordered = admin.post(
        PATH,
        {
            "request": body(question, **tool("a", "b")),
            "tenant": "acme",
            "against": {"request": body(question, **tool("b", "a")), "tenant": "acme"},
        },
    )["against"]
    assert [(place["how"], place["pointer"]) for place in ordered["differences"]] == [
        ("order", "/tools/0/function/parameters/properties")
    ]


def test_neighbours_come_with_every_guard(server: Server, admin: Admin) -> None:
    """An opposite is near and vetoed by the guard that says so; a paraphrase is a match, as serving it shows."""
    assert (chat(server, "acme", ON, FULL), chat(server, "acme", FIRST, FULL)) == ("fresh", "fresh")
    opposite = explain(admin, OFF, "support")
    near = opposite["semantic"]["neighbours"][0]
    assert near["text"] == ON
    assert (near["vetoed"], near["accepted"], near["reason"]) == (True, False, "antonym")
    assert near["guards"]["antonyms"] == "antonym"
    assert near["guards"]["numbers"] == ""
    assert near["similarity"] > 0.8
    assert near["evidence"]["best"] == pytest.approx(near["similarity"], abs=0.001)
    assert opposite["decision"]["outcome"] == "fresh"
    paraphrase = explain(admin, SECOND, "support")
    match = paraphrase["semantic"]["neighbours"][0]
    assert match["accepted"]
    assert match["margin"] == pytest.approx(match["probability"] - match["threshold"], abs=0.001)
    assert (paraphrase["decision"]["outcome"], paraphrase["decision"]["reason"]) == ("semantic", "match")
    outcome, headers = told(server, "acme", SECOND, FULL)
    assert outcome == "semantic"
    assert float(headers["x-askonce-confidence"]) == pytest.approx(match["probability"], abs=0.0001)
    linked = explain(admin, SECOND, "support")
    assert (linked["decision"]["reason"], linked["stored"]["served"]) == ("link", True)
    assert explain(admin, SECOND, "dim")["decision"]["outcome"] == "fresh", "shadowed, the link isn't served"
    against = admin.post(
        PATH,
        {
            "request": body(OFF),
            "tenant": "acme",
            "feature": "support",
            "against": {"entry": near["entry"]},
        },
    )["against"]
    assert (against["same_key"], against["same_partition"]) == (False, True)
    assert against["apart"] == ["the asked text"]
    assert against["verdict"]["reason"] == "antonym"
    assert against["text"] == ON


def test_what_was_stored_and_is_over(server: Server, admin: Admin, question: str) -> None:
    """An answer past its time is said to be expired, and when."""
    assert chat(server, "acme", question, {"X-Askonce-Feature": "brief"}) == "fresh"
    until(lambda: explain(admin, question, "brief")["decision"]["reason"] == "expired", "it expires")
    assert explain(admin, question, "brief")["stored"]["expires_at"] > 0


def test_why_nothing_is_shared(admin: Admin, question: str) -> None:
    """Headers and fields that keep a request apart are named, with the layer that they concern."""
    hot = explain(admin, question, temperature=1.5)
    assert (hot["decision"]["reason"], hot["request"]["hot"]) == ("high-temperature", True)
    assert explain(admin, question, n=2)["semantic"]["reason"] == "n-above-1"
    no_store = {"request": body(question), "tenant": "acme", "headers": {"Cache-Control": "no-store"}}
    assert admin.post(PATH, no_store)["decision"]["reason"] == "no-store"


def test_features_that_retain_no_text_are_not_remembered(server: Server, admin: Admin, question: str) -> None:
    """Their requests can't be looked up by id; described anew they can be explained, without their neighbours' texts."""
    headers = told(server, "acme", question, SECRET)[1]
    status, answer = admin.ask("POST", PATH, {"request_id": headers["x-request-id"]})
    assert (status, answer["error"]["code"]) == (404, "unknown_request")
    assert explain(admin, question, "secret")["decision"]["outcome"] == "exact"
    other = explain(admin, f"{question} Please.", "secret")
    assert [near["text"] for near in other["semantic"]["neighbours"] if near["entry"]][:1] == [None]


def test_what_can_not_be_explained(server: Server, admin: Admin, question: str) -> None:
    """Unknown ids, entries and tenants, and bodies that no upstream would take, each with its own error."""
    asking = {"request": body(question), "tenant": "acme"}
    refusals = [
        admin.ask("POST", PATH, {}),
        admin.ask("POST", PATH, {**asking, "request_id": "x"}),
        admin.ask("POST", PATH, {**asking, "tenant": "nobody"}),
        admin.ask("POST", PATH, {**asking, "against": {"entry": "00" * 32}}),
        admin.ask("POST", PATH, {**asking, "request": {"model": "sim-small"}}),
        admin.ask("POST", PATH, {**asking, "feature": "unheard-of"}),
    ]
    assert [answer["error"]["code"] for _, answer in refusals] == [
        "invalid_field",
        "invalid_field",
        "unknown_tenant",
        "unknown_entry",
        "invalid_field",
        "feature_not_allowed",
    ]
    assert server.post(PATH, asking, bearer("acme"))[0] == 401


def test_bodies_may_be_as_large_as_callers(admin: Admin, question: str) -> None:
    """A request of a megabyte is explained like any other."""
    large = explain(admin, question + " word" * 200_000)
    assert large["request"]["exact_key"]
    assert large["semantic"]["reason"] == "text-too-long"


def test_a_request_under_way_is_joined(server: Server, admin: Admin, question: str) -> None:
    """While an identical request waits for its upstream, the explanation says that the next one would join it."""
    slow: Any = {"x_simulate": {"ttft_ms": 3_000}}
    asking = threading.Thread(target=lambda: chat(server, "acme", question, **slow))
    asking.start()
    until(lambda: server.json("/healthz")["flights"]["running"], "it is under way")
    told_now = explain(admin, question, "default", **slow)
    asking.join()
    assert (told_now["decision"]["outcome"], told_now["decision"]["reason"]) == ("joined", "in-flight")
    assert explain(admin, question, "default", **slow)["decision"]["outcome"] == "exact"


@pytest.mark.parametrize(
    ("feature", "headers", "outcome", "reason"),
    [
        ("default", {}, "semantic", "match"),
        ("default", {"Cache-Control": "max-age=0"}, "fresh", "match-gone"),
        ("unread", {}, "fresh", "match-gone"),
        ("dim", {}, "fresh", "shadow"),
        ("dim", {"Cache-Control": "only-if-cached"}, "refused", "not-cached"),
    ],
)
def test_a_match_is_served_only_where_its_answer_may_be_read(
    server: Server, admin: Admin, feature: str, headers: dict[str, str], outcome: str, reason: str
) -> None:
    """A feature or a request that reads no stored answer, or none of that age: said before, and so it comes."""
    admin.ask("POST", "/admin/cache/invalidate", {"tenant": "acme"})
    assert chat(server, "acme", FIRST) == "fresh"
    asked = {"request": body(SECOND), "tenant": "acme", "feature": feature, "headers": headers}
    decision = admin.post(PATH, asked)["decision"]
    assert (decision["outcome"], decision["reason"]) == (outcome, reason)
    assert decision["sentence"].endswith(".")
    came = chat(server, "acme", SECOND, {"X-Askonce-Feature": feature, **headers})
    assert came == ("not_cached" if outcome == "refused" else outcome)


def test_an_equivalent_request_under_way_is_joined(server: Server, admin: Admin) -> None:
    """While the answer to another wording is on its way, the explanation says that it would be waited for."""
    admin.ask("POST", "/admin/cache/invalidate", {"tenant": "acme"})
    slow: Any = {"x_simulate": {"ttft_ms": 3_000}}
    asking = threading.Thread(target=lambda: chat(server, "acme", FIRST, **slow))
    asking.start()

    def says() -> str:
        outcome: str = explain(admin, SECOND, "default", **slow)["decision"]["outcome"]
        return outcome

    until(lambda: says() == "semantic-joined", "it can be found by its meaning")
    asking.join()
    assert says() == "semantic"
