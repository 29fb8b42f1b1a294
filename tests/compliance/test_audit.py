"""Audits, feedback and error budgets through the front door: wrong links are cut, wrong features stop serving."""

from __future__ import annotations

import contextlib
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest

from askonce.pipeline.judge import brief
from servers import CallCounter, Server, gateway, simulator, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = "sk-admin"
ADMIN_DIGEST = hashlib.sha256(ADMIN.encode()).hexdigest()
CONFIG = """\
upstreams:
  - {{name: own, base_url: "{upstream}", api_key: sk-own, models: [sim-small]}}
  - {{name: passing, base_url: "{upstream}", models: [open], aliases: {{open: sim-small}}}}
  - {{name: judge, base_url: "{upstream}", api_key: sk-own, models: [sim-large]}}
store: sqlite://{folder}/askonce.db
features: {{shadow: {{semantic: shadow}}, unchecked: {{audit_share: 0}}, {features}}}
defaults: {{semantic: "on", error_budget: 30%}}
audit: {{judge: {{model: sim-large}}, daily_limit_usd: {limit}}}
admin: {{keys: ["sha256:{admin}"]}}
"""
FEATURES = ("wrong", "right", "leaving", "failing", "judged", "babbling", "passing", "rated", "joining")
"""One for each test, so that one's wrong hits don't tighten another's threshold."""
NAMES = ("password", "username", "signature", "avatar", "address", "nickname", "greeting", "language")
LONG = "Open the settings, choose your {}, press the blue button at the bottom and wait for the message to arrive."
OTHER = (
    "Open the settings, choose your {}, press the blue button below it and look at your screen for a while."
)


def first(name: str) -> str:
    return f"How do I change the {name} in my account?"


def again(name: str) -> str:
    return f"How do I change the {name} in my account, please?"


def answers() -> list[dict[str, str]]:
    """What the provider says: in contradiction to itself, the same, or alike; and what the model judge says of that."""
    said = []
    for name in NAMES:
        said.append({"question": first(name), "answer": f"Yes, you can change your {name} at any time."})
        said.append({"question": again(name), "answer": f"No, you have to call us about your {name}."})
    for name in ("router", "modem", "speaker"):
        answer = f"Hold its button for 10 seconds: {name}."
        said += [{"question": words(name), "answer": answer} for words in (first, again)]
    for name in ("camera", "printer", "scanner"):
        one, other = LONG.format(name), OTHER.format(name)
        said += [{"question": first(name), "answer": one}, {"question": again(name), "answer": other}]
    shown = (LONG.format("camera"), OTHER.format("camera"))
    said += [
        {"question": brief(again("camera"), *order), "answer": '{"verdict": "different"}'}
        for order in (shown, shown[::-1])
    ]
    said.append(
        {
            "question": brief(again("scanner"), LONG.format("scanner"), OTHER.format("scanner")),
            "answer": 'Sure! {"verdict": "same"}',
        }
    )
    return said


@pytest.fixture(scope="module")
def contrary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A provider that answers the second wording of a question otherwise than the first."""
    folder = tmp_path_factory.mktemp("contrary")
    file = folder / "answers.jsonl"
    file.write_text("\n".join(map(json.dumps, answers())))
    with simulator(folder, "--answers", str(file)) as server:
        yield server


@contextlib.contextmanager
def audited(folder: Path, upstream: Server, limit: float = 1.0) -> Iterator[Server]:
    features = ", ".join(f"{name}: " for name in FEATURES)
    config = CONFIG.format(
        upstream=upstream.base_url, folder=folder, admin=ADMIN_DIGEST, limit=limit, features=features
    )
    with gateway(folder, config) as server:
        until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
        until(lambda: not server.json("/healthz")["semantic"]["rebuilding"], "the index is rebuilt")
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, contrary: Server) -> Iterator[Server]:
    with audited(tmp_path_factory.mktemp("audited"), contrary) as server:
        yield server


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A tenant for each test: what others have asked is no neighbour of its questions."""
    return f"sk-{request.node.name}"


@pytest.fixture
def calls(contrary: Server) -> CallCounter:
    return CallCounter(contrary)


def connect(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


def ask(
    client: openai.OpenAI, text: str, feature: str = "default", model: str = "sim-small", **fields: Any
) -> Any:
    """The raw response to a question."""
    return client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": text}],
        extra_headers={"X-Askonce-Feature": feature},
        **fields,
    )


def outcome(response: Any) -> tuple[str, str]:
    return response.headers["x-askonce-outcome"], response.headers["x-askonce-reason"]


def audits(server: Server, **labels: str) -> float:
    return server.metric("askonce_audits_total", **labels)


def dropped(server: Server, reason: str) -> float:
    return server.metric("askonce_audits_dropped_total", reason=reason)


def admin(server: Server, path: str, body: Any = None, key: str = ADMIN) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    sent = server.send("GET", path, None, headers) if body is None else server.post(path, body, headers)
    return sent[0], json.loads(sent[2])


def feedback(server: Server, body: Any, key: str) -> int:
    return server.post("/v1/askonce/feedback", body, {"Authorization": f"Bearer {key}"})[0]


def test_a_wrong_hit_is_found_and_cut(server: Server, calls: CallCounter, key: str) -> None:
    """The audit asks upstream after all, sees another answer and cuts the link: the next ask is fresh, the answer stays."""
    with connect(server, key) as client:
        assert outcome(ask(client, first("password"), feature="wrong"))[0] == "fresh"
        hit = ask(client, again("password"), feature="wrong")
        assert outcome(hit) == ("semantic", "match")
        until(lambda: audits(server, source="hit", verdict="different", judge="similarity"), "audited")
        assert calls.new == 2
        assert outcome(ask(client, again("password"), feature="wrong")) == ("fresh", "judged-wrong")
        assert outcome(ask(client, first("password"), feature="wrong"))[0] == "exact"
        assert outcome(ask(client, again("password"), feature="wrong"))[0] == "exact"
    _, told = admin(server, "/admin/audits?feature=wrong&limit=1")
    audit = told["audits"][0]
    assert audit["request_id"] == hit.headers["x-request-id"]
    assert (audit["right"], audit["source"], audit["reason"], audit["propensity"]) == (
        False,
        "hit",
        "match",
        1.0,
    )
    assert "password" not in json.dumps(told)


def test_a_right_hit_becomes_a_link_of_its_own(server: Server, calls: CallCounter, key: str) -> None:
    """The same answer again: the paraphrase can be found from now on, and streams are audited as plain calls."""
    with connect(server, key) as client:
        ask(client, first("router"), feature="right")
        questions = server.json("/healthz")["semantic"]["questions"]
        ask(
            client, again("router"), feature="right", stream=True, stream_options={"include_usage": True}
        ).parse().close()
        until(lambda: audits(server, source="hit", verdict="same", judge="equality"), "audited")
        until(lambda: server.json("/healthz")["semantic"]["questions"] == questions + 1, "findable")
        assert calls.new == 2
        assert outcome(ask(client, again("router"), feature="right")) == ("semantic", "link")


def test_a_client_that_leaves_takes_no_audit_along(server: Server, key: str) -> None:
    """Every served hit is audited, also where its caller closes the connection at the first byte."""
    with connect(server, key) as client:
        ask(client, first("modem"), feature="leaving")
        before = audits(server, feature="leaving", source="hit")
        for _ in range(3):
            ask(client, again("modem"), feature="leaving", stream=True).http_response.close()
        until(
            lambda: audits(server, feature="leaving", source="hit", verdict="same") == before + 3, "audited"
        )


def test_feedback_cuts_at_once(server: Server, key: str) -> None:
    """A caller says that its answer was wrong: the next ask is fresh. Once is enough, and only its own tenant may."""
    with connect(server, key) as client:
        ask(client, first("username"), feature="unchecked")
        hit = ask(client, again("username"), feature="unchecked")
        assert outcome(hit)[0] == "semantic"
        said = {"request_id": hit.headers["x-request-id"], "correct": False}
        assert feedback(server, said, key="sk-stranger") == 404
        assert feedback(server, {**said, "request_id": "req_unknown"}, key) == 404
        assert (
            feedback(server, {"entry": hit.headers["x-askonce-entry"], "correct": False}, "sk-stranger")
            == 404
        )
        assert feedback(server, {"correct": False}, key) == 400
        assert feedback(server, {**said, "correct": "no"}, key) == 400
        assert feedback(server, {"entry": "xyz", "correct": True}, key) == 400
        assert outcome(ask(client, again("username"), feature="unchecked"))[0] == "semantic"
        for _ in range(3):
            assert feedback(server, said, key) == 200
        assert audits(server, source="feedback", verdict="different", judge="caller") == 1
        assert outcome(ask(client, again("username"), feature="unchecked"))[0] == "fresh"
        assert outcome(ask(client, first("username"), feature="unchecked"))[0] == "exact"


def test_feedback_by_entry(server: Server, key: str) -> None:
    """`X-Askonce-Entry` names the answer too: its last semantic hit of this tenant is meant."""
    with connect(server, key) as client:
        ask(client, first("signature"), feature="unchecked")
        hit = ask(client, again("signature"), feature="unchecked")
        before = audits(server, source="feedback", verdict="same")
        assert feedback(server, {"entry": hit.headers["x-askonce-entry"], "correct": True}, key) == 200
        assert audits(server, source="feedback", verdict="same") == before + 1
        assert outcome(ask(client, again("signature"), feature="unchecked"))[0] == "semantic"


def test_shadow_mode_learns_for_nothing(server: Server, calls: CallCounter, key: str) -> None:
    """The would-be hit's fresh answer is there anyway: a label without a further call, with the reason in the header."""
    with connect(server, key) as client:
        slow = {"x_simulate": {"ttft_ms": 300}}
        ask(client, first("speaker"), feature="shadow", extra_body=slow)
        fresh = ask(client, again("speaker"), feature="shadow", extra_body=slow)
        assert outcome(fresh) == ("fresh", "shadow-match")
        until(lambda: audits(server, feature="shadow", source="shadow", verdict="same") == 1, "learned")
    assert calls.new == 2


def test_an_upstream_that_fails_is_no_verdict(server: Server, key: str) -> None:
    """The audit's own call gets a 500, and there is no other try: no label, a count, and the link stays."""
    failing = {"x_simulate": {"status": 500, "attempts": 1}}
    with connect(server, key) as client:
        assert outcome(ask(client, first("avatar"), feature="failing", extra_body=failing))[0] == "fresh"
        assert outcome(ask(client, again("avatar"), feature="failing", extra_body=failing)) == (
            "semantic",
            "match",
        )
        until(lambda: dropped(server, "upstream-failed") == 1, "given up")
        assert outcome(ask(client, again("avatar"), feature="failing", extra_body=failing)) == (
            "semantic",
            "link",
        )


def test_a_model_judges_what_form_and_likeness_cannot(server: Server, key: str) -> None:
    """Answers that are alike go to the configured model, and its word counts; prices and calls are audits' spending."""
    before = audits(server, judge="model", verdict="different")
    with connect(server, key) as client:
        ask(client, first("camera"), feature="judged")
        assert outcome(ask(client, again("camera"), feature="judged"))[0] == "semantic"
        until(lambda: audits(server, judge="model", verdict="different") == before + 1, "judged")
        assert outcome(ask(client, again("camera"), feature="judged"))[0] == "fresh"
    assert server.metric("askonce_audit_spent_usd_total") > 0


def test_a_judge_that_talks_nonsense_gives_no_label(server: Server, key: str) -> None:
    """Whatever isn't exactly the asked JSON is asked for once more, and then is no verdict."""
    calls = CallsOf(server, "judge")
    labels = {"feature": "babbling", "judge": "model"}
    for name in ("printer", "scanner"):
        with connect(server, key + name) as client:
            ask(client, first(name), feature="babbling")
            assert outcome(ask(client, again(name), feature="babbling"))[0] == "semantic"
    until(lambda: audits(server, verdict="undecided", **labels) == 2, "given up")
    assert calls.new == 4
    assert audits(server, **labels) == 2
    with connect(server, key + "printer") as client:
        assert outcome(ask(client, again("printer"), feature="babbling"))[1] == "link"


class CallsOf:
    """Calls of one upstream from now on, as the gateway counts them."""

    def __init__(self, server: Server, upstream: str) -> None:
        self._server, self._upstream = server, upstream
        self._before = self._count()

    def _count(self) -> float:
        return self._server.metric("askonce_upstream_calls_total", upstream=self._upstream)

    @property
    def new(self) -> float:
        return self._count() - self._before


def test_callers_keys_are_not_spent_unasked(server: Server, key: str) -> None:
    """Where the upstream gets the caller's own key, nobody but the caller spends it."""
    calls = CallsOf(server, "passing")
    with connect(server, key) as client:
        ask(client, first("address"), feature="passing", model="open")
        assert outcome(ask(client, again("address"), feature="passing", model="open"))[0] == "semantic"
        until(lambda: dropped(server, "pass-through") == 1, "left alone")
    assert calls.new == 1


def test_both_rates_are_in_the_metrics_and_for_administrators(server: Server, key: str) -> None:
    """Wrong among hits and among all, each with bounds; the promise, the threshold, the labels."""
    rate = "askonce_semantic_false_hit_ratio"
    with connect(server, key) as client:
        ask(client, first("language"), feature="rated")
        assert outcome(ask(client, again("language"), feature="rated"))[0] == "semantic"
        until(lambda: server.metric("askonce_budget_labels", feature="rated") == 1, "weighed")
    for of, share in (("hits", 1.0), ("requests", 0.5)):
        low, estimate, high = (
            server.metric(rate, feature="rated", of=of, bound=bound)
            for bound in ("lower", "estimate", "upper")
        )
        assert 0 <= low <= estimate <= high <= 1
        assert estimate == share
    assert server.metric("askonce_error_budget_ratio", feature="rated") == 0.3
    assert 0 < server.metric("askonce_serving_threshold_ratio", feature="rated") < 1
    status, told = admin(server, "/admin/budgets")
    standing = told["features"]["rated"]
    assert (status, standing["wrong_among_hits"]["estimate"]) == (200, 1.0)
    assert (standing["requests"], standing["hits"], standing["labels"]) == (2, 1, 1)
    assert (standing["calibration"], standing["breached"]) == ("shipped", False)


def test_whoever_joins_a_fresh_answer_is_one_of_all(server: Server, calls: CallCounter, key: str) -> None:
    """Identical requests under way are requests like any other: the rate among all counts each of them."""
    slow = {"x_simulate": {"ttft_ms": 500}}
    with connect(server, key) as client, ThreadPoolExecutor(3) as callers:
        words = [
            callers.submit(ask, client, first("dialect"), feature="joining", extra_body=slow)
            for _ in range(3)
        ]
        told = sorted(outcome(one.result())[0] for one in words)
        assert outcome(ask(client, first("dialect"), feature="joining", extra_body=slow))[0] == "exact"
    assert told == ["fresh", "joined", "joined"]
    assert calls.new == 1
    standing = admin(server, "/admin/budgets")[1]["features"]["joining"]
    assert (standing["requests"], standing["hits"]) == (3, 0)


def test_admin_needs_its_key(server: Server) -> None:
    """Budgets and audits are administrators' business, and bad orders are refused."""
    for path in ("/admin/budgets", "/admin/audits"):
        assert admin(server, path, key="sk-one")[0] == 401
    assert admin(server, "/admin/budgets/default", {"action": "resume"}, key="sk-one")[0] == 401
    assert admin(server, "/admin/budgets/default", {"action": "dance"})[0] == 400
    assert admin(server, "/admin/budgets/unheard-of", {"action": "resume"})[0] == 404
    for limit in ("0", "-1", "1001", "", "ten", "1e2", "%C2%B2", "9" * 5_000):
        assert admin(server, f"/admin/audits?limit={limit}")[0] == 400


@pytest.mark.slow
def test_a_breached_budget_stops_serving_until_somebody_says_so(
    tmp_path_factory: pytest.TempPathFactory, contrary: Server, key: str
) -> None:
    """Wrong hits beyond the budget turn the feature to shadow: loudly, across a restart, until it is resumed by hand.

    After the restart nothing may be spent on audits, and nothing is.
    """
    folder = tmp_path_factory.mktemp("breach")
    names = NAMES
    breached = "askonce_error_budget_breached"
    with audited(folder, contrary) as server, contextlib.ExitStack() as stack:
        client, *clients = [stack.enter_context(connect(server, f"{key}{number}")) for number in range(9)]
        for one, name in zip((client, *clients), ("router", *names), strict=True):
            ask(one, first(name))
        for one, name in zip(clients, names, strict=True):
            assert outcome(ask(one, again(name)))[0] == "semantic"
        until(lambda: server.metric(breached, feature="default") == 1, "breached")
        assert "error budget breached" in server.log.read_text()
        assert server.json("/healthz")["semantic"]["breached"] == ["default"]
        assert outcome(ask(client, again("router")))[0] == "fresh"
        _, told = admin(server, "/admin/budgets")
        standing = told["features"]["default"]
        assert standing["breached"]
        assert standing["wrong_among_hits"]["lower"] > standing["error_budget"]
        assert standing["hits"] == len(names)
        assert told["audits"]["spent_today_usd"] > 0
    with audited(folder, contrary, limit=0) as server, connect(server, key) as client:
        assert server.metric(breached, feature="default") == 1
        until(
            lambda: server.metric("askonce_budget_labels", feature="default") >= len(names), "labels are back"
        )
        assert outcome(ask(client, first("modem")))[0] == "fresh"
        assert outcome(ask(client, again("modem")))[0] == "fresh"
        status, standing = admin(server, "/admin/budgets/default", {"action": "resume"})
        assert (status, standing["breached"]) == (200, False)
        assert server.metric(breached, feature="default") == 0
        assert "resumed by hand" in server.log.read_text()
        calls = CallCounter(contrary)
        with connect(server, f"{key} apart") as other:
            ask(other, first("speaker"), feature="right")
            assert outcome(ask(other, again("speaker"), feature="right"))[0] == "semantic"
        until(lambda: dropped(server, "spend-limit") == 1, "not spent")
        assert calls.new == 1
