"""Limits per tenant and feature, as callers and administrators meet them."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from compliance.admin_front import ADMIN, Admin, bearer, digest, tenants_config
from servers import gateway, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import CallCounter, Server

LIMITS = {
    "acme": "{requests_per_minute: 2}",
    "counted": "{requests_per_minute: 3, count_hits: on}",
    "crowd": "{requests_per_minute: 8, tokens_per_minute: 1000000, usd_per_day: 1000}",
    "party": "{requests_per_minute: 4, usd_per_day: 1000}",
    "poor": "{usd_per_day: {soft: 0.001, hard: 1}, usd_per_month: 1.5}",
    "patient": "{requests_per_minute: 1}",
    "seen": "{requests_per_minute: {soft: 1, hard: 4}, usd_per_month: 50}",
    "frugal": "{requests_per_minute: 1}",
    "exacting": "{tokens_per_minute: 1000}",
    "zeta": "{}",
    "other": "{}",
    "hostile": "{tokens_per_minute: 1000000, usd_per_day: 1000}",
}
"""Each test has a tenant of its own."""
SECTIONS = {
    "prices": '{"sim-*": {input: 1000, output: 1000}}',  # a tenth of a cent per token
    "features": "{support: {}, pooled: {limits: {requests_per_minute: 2}}}",
}


def config(folder: Path, provider: Server, **limits: str) -> str:
    """A configuration whose tenants have `LIMITS`, or those given."""
    tenants = "".join(
        f'\n  - {{name: {name}, keys: ["{digest(name)}"], features: [default, pooled], limits: {one}}}'
        for name, one in (LIMITS | limits).items()
    )
    upstream = f'[{{name: p, base_url: "{provider.base_url}", api_key: x, retries: {{attempts: 0}}}}]'
    return tenants_config(folder, provider.base_url, tenants=tenants, upstreams=upstream, **SECTIONS)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("limited")
    with gateway(folder, config(folder, provider)) as server:
        yield server


@pytest.fixture
def opened(tmp_path: Path, provider: Server) -> Iterator[Any]:
    """Opens gateways over one store, one after the other."""
    with ExitStack() as stack:

        def open_one(**limits: str) -> Server:
            return stack.enter_context(gateway(tmp_path, config(tmp_path, provider, **limits)))

        yield open_one


def sdk(server: Server, key: str, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=key, **{"max_retries": 0, **more})


def ask(client: openai.OpenAI, text: str, **more: Any) -> Any:
    """The answer with its headers."""
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.with_raw_response.create(model="sim-small", messages=messages, **more)


def standing(server: Server, tenant: str, limit: str) -> dict[str, Any]:
    status, told = Admin(server).ask("GET", f"/admin/limits?tenant={tenant}")
    assert status == 200
    found: dict[str, Any] = next(one for one in told["limits"] if one["limit"] == limit)
    return found


def together(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_official_sdk_knows_the_refusal(limited: Server) -> None:
    """A RateLimitError with code and Retry-After; answers before it say how much is left, and another tenant goes on."""
    with sdk(limited, "acme") as client, sdk(limited, "zeta") as other:
        for left in ("1", "0"):
            headers = ask(client, f"question {left}").headers
            assert headers["x-ratelimit-limit-requests"] == "2"
            assert headers["x-ratelimit-remaining-requests"] == left
            assert headers["x-ratelimit-reset-requests"] == "1m1s"
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client, "one more")
        error: Any = caught.value
        assert (error.code, error.type) == ("tenant_rate_limit_exceeded", "rate_limit_error")
        assert 55 <= int(error.response.headers["retry-after"]) <= 60
        assert "x-ratelimit-limit-requests" not in ask(other, "one more").headers
    labels = {"tenant": "acme", "limit": "requests_per_minute"}
    assert limited.metric("askonce_limit_exceeded_total", **labels) == 1
    assert limited.metric("askonce_limit_used_ratio", **labels) == 1


def test_what_is_left_is_told_to_the_token(limited: Server) -> None:
    """With a whole answer: what it took counts, what was set aside for it doesn't any more."""
    left = 1_000
    with sdk(limited, "exacting") as client:
        for number in range(3):
            answer = ask(client, f"question {number}")
            left -= answer.parse().usage.total_tokens
            assert int(answer.headers["x-ratelimit-remaining-tokens"]) == left


@pytest.mark.parametrize("stream", [False, True])
def test_stored_answers_are_free(limited: Server, calls: CallCounter, stream: bool) -> None:  # noqa: FBT001 - a parameter
    """They count nowhere, and are served when all is used up."""
    with sdk(limited, "frugal") as client:
        if not stream:
            ask(client, "the one question")
        for _ in range(3):
            headers = ask(client, "the one question", stream=stream).headers
            assert headers["x-askonce-outcome"] == "exact"
            assert "x-ratelimit-limit-requests" not in headers
        with pytest.raises(openai.RateLimitError):
            ask(client, "another one", stream=stream)
    assert calls.new == (0 if stream else 1)


@pytest.mark.slow
def test_what_is_on_disk_is_free_too(opened: Any, calls: CallCounter) -> None:
    """After a restart, above a budget that is used up: found by a flight that asks nobody."""
    server = opened(zeta="{requests_per_minute: 5}")
    with sdk(server, "zeta") as client:
        ask(client, "the one question")
    server.stop()
    again = opened(zeta="{requests_per_minute: 5, usd_per_day: 0.001}")
    with sdk(again, "zeta") as client:
        headers = ask(client, "the one question").headers
        assert headers["x-askonce-outcome"] == "exact"
        assert "x-ratelimit-limit-requests" not in headers
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client, "another one")
        assert caught.value.code == "budget_exceeded"
    assert standing(again, "zeta", "requests_per_minute")["used"] == 0
    assert calls.new == 1


def test_hits_count_where_the_policy_says_so(limited: Server) -> None:
    """Each is a request, and they are refused like others."""
    with sdk(limited, "counted") as client:
        for left in ("2", "1", "0"):
            headers = ask(client, "again and again").headers
            assert headers["x-ratelimit-remaining-requests"] == left
        with pytest.raises(openai.RateLimitError):
            ask(client, "again and again")


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["orderly", "killed"])
def test_a_budget_that_is_spent_stays_spent(opened: Any, end: signal.Signals, calls: CallCounter) -> None:
    """Over a restart, and over a kill right after the answer. SDKs are told not to try again by themselves."""
    server = opened()
    with sdk(server, "poor") as client:
        first = ask(client, "what it costs", max_tokens=600)
        assert "usd_per_day" in first.headers["x-askonce-warning"]
        cost = first.parse().usage.total_tokens * 0.001
        ask(client, "once more", max_tokens=600)
        spent = standing(server, "poor", "usd_per_day")["used"]
        assert spent > cost > 0
    server.stop(end)
    again = opened()
    for limit in ("usd_per_day", "usd_per_month"):
        assert standing(again, "poor", limit)["used"] == pytest.approx(spent)
    with sdk(again, "poor", max_retries=5) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client, "too dear", max_tokens=1_000)
        error: Any = caught.value
        assert (error.code, error.type) == ("budget_exceeded", "insufficient_quota")
        assert error.response.headers["x-should-retry"] == "false"
    assert calls.new == 2
    assert again.metric("askonce_limit_exceeded_total", tenant="poor") == 1


@pytest.mark.slow
def test_a_call_under_way_at_a_kill_counts_too(opened: Any, calls: CallCounter) -> None:
    """Nobody knows what it came to: what it may have cost is taken for spent."""
    server = opened()
    body = {
        "model": "sim-small",
        "messages": [{"role": "user", "content": "too late"}],
        "max_tokens": 200,
        "x_simulate": {"ttft_ms": 20_000},
    }

    def one() -> None:
        with pytest.raises(OSError, match=r"closed|reset"):
            server.post("/v1/chat/completions", body, bearer("poor"))

    asking = threading.Thread(target=one)
    asking.start()
    until(lambda: standing(server, "poor", "usd_per_day")["used"] > 0.2, "it is reserved")
    until(lambda: calls.new == 1, "it is sent")
    server.stop(signal.SIGKILL)
    asking.join()
    again = opened()
    assert standing(again, "poor", "usd_per_day")["used"] > 0.2


@pytest.mark.parametrize("limit", ["abc", -5, 1e308, 10**30, [1], {"a": 1}, True, None])
def test_a_hostile_max_tokens_is_no_way_around(limited: Server, limit: Any) -> None:
    """Whatever stands there, the answer is the caller's error, a refusal or an answer: never the gateway's failure."""
    body = {
        "model": "sim-small",
        "messages": [{"role": "user", "content": f"how many? {limit}"}],
        "max_tokens": limit,
    }
    status, _, _ = limited.post("/v1/chat/completions", body, bearer("hostile"))
    assert status in {200, 400, 429}


def test_many_at_once_get_no_more_than_the_limit(limited: Server, calls: CallCounter) -> None:
    """Thirty different questions at the same moment, eight of them let through; afterwards nothing is reserved."""
    outcomes: list[int] = []
    tokens: list[int] = []

    def one(number: int) -> None:
        body = {"model": "sim-small", "messages": [{"role": "user", "content": f"question {number}"}]}
        status, _, answer = limited.post("/v1/chat/completions", body, bearer("crowd"))
        outcomes.append(status)
        if status == 200:
            tokens.append(json.loads(answer)["usage"]["total_tokens"])

    together(one, 30)
    assert sorted(outcomes) == [200] * 8 + [429] * 22
    assert calls.new == 8
    assert standing(limited, "crowd", "tokens_per_minute")["used"] == sum(tokens)
    assert standing(limited, "crowd", "usd_per_day")["used"] == pytest.approx(sum(tokens) * 0.001)


def test_joiners_count_as_requests_and_cost_nothing(limited: Server, calls: CallCounter) -> None:
    """Of six identical requests at once one is charged, and nobody is let on board above the limit."""
    body = {
        "model": "sim-small",
        "messages": [{"role": "user", "content": "all together"}],
        "x_simulate": {"ttft_ms": 500},
    }
    outcomes: list[tuple[int, str]] = []

    def one(_: int) -> None:
        status, headers, _answer = limited.post("/v1/chat/completions", body, bearer("party"))
        outcomes.append((status, headers.get("x-askonce-outcome", "")))

    together(one, 6)
    assert sorted(status for status, _ in outcomes) == [200] * 4 + [429] * 2
    assert calls.new == 1
    assert sorted(name for status, name in outcomes if status == 200) == ["fresh", *["joined"] * 3]
    assert standing(limited, "party", "requests_per_minute")["used"] == 4


def test_a_feature_has_a_limit_over_all_tenants(limited: Server) -> None:
    """Nobody is told what the others use."""
    pooled = {"extra_headers": {"X-Askonce-Feature": "pooled"}}
    with sdk(limited, "zeta") as client, sdk(limited, "other") as other:
        assert "x-ratelimit-limit-requests" not in ask(client, "first", **pooled).headers
        ask(other, "second", **pooled)
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client, "third", **pooled)
        assert "of feature pooled (all tenants)" in caught.value.message


@pytest.mark.slow
def test_each_credential_has_a_limit_where_there_are_no_tenants(tmp_path: Path, provider: Server) -> None:
    """With `default_tenant`; in metrics all of them are one."""
    settings = f"""
upstreams: [{{name: p, base_url: "{provider.base_url}"}}]
defaults: {{semantic: "off"}}
default_tenant: {{limits: {{requests_per_minute: 1}}}}
"""
    with gateway(tmp_path, settings) as server, sdk(server, "sk-1") as one, sdk(server, "sk-2") as two:
        ask(one, "mine")
        with pytest.raises(openai.RateLimitError):
            ask(one, "mine too")
        ask(two, "mine too")
        assert server.metric("askonce_limit_used_ratio", tenant="pass-through") == 1


def test_jobs_are_counted_when_they_are_handed_in(limited: Server) -> None:
    """Once: not when they are asked, nor when they are handed in again."""

    def submit(text: str, name: str) -> int:
        body = {"model": "sim-small", "messages": [{"role": "user", "content": text}]}
        headers = bearer("patient") | {"X-Askonce-Lane": "batch", "X-Request-Id": name}
        return limited.post("/v1/chat/completions", body, headers)[0]

    assert submit("later", "job-1") == 202
    assert submit("later", "job-1") == 202
    assert submit("later still", "job-2") == 429
    with httpx2.Client(base_url=limited.root, headers=bearer("patient"), timeout=30) as http:
        told = http.get("/v2/inference/job-1", params={"wait": 20}).json()
    assert told["status"] == "completed"
    assert standing(limited, "patient", "requests_per_minute")["used"] == 1


def test_administrators_see_how_limits_stand(limited: Server) -> None:
    """Each limit with what is used and left of it, the fullest first; others are refused."""
    with sdk(limited, "seen") as client:
        ask(client, "one")
    told = Admin(limited).ask("GET", "/admin/limits?tenant=seen")[1]["limits"]
    assert [one["limit"] for one in told] == ["requests_per_minute", "usd_per_month"]
    first = told[0]
    assert (first["tenant"], first["feature"]) == ("seen", None)
    assert (first["soft"], first["hard"], first["used"], first["remaining"]) == (1, 4, 1, 3)
    assert 0 < told[1]["used"] == round(told[1]["used"], 9) < 1
    assert told[1]["remaining"] == round(50 - told[1]["used"], 9)
    assert told[1]["resets_at"] > 0
    status, _, body = limited.send("GET", "/admin/limits", None, bearer("seen"))
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_admin_key")


@pytest.mark.slow
def test_equivalent_answers_are_free_too(tmp_path: Path, provider: Server, calls: CallCounter) -> None:
    """Above the limit, a question in other words is still answered; one that means something else isn't."""
    settings = f"""
upstreams: [{{name: p, base_url: "{provider.base_url}"}}]
defaults: {{semantic: "on", error_budget: 30%, audit_share: 0}}
default_tenant: {{limits: {{requests_per_minute: 1}}}}
"""
    with gateway(tmp_path, settings) as server, sdk(server, "sk-1") as client:
        until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
        ask(client, "How do I reset my password?")
        other = ask(client, "how can I reset my password")
        assert other.headers["x-askonce-outcome"] == "semantic"
        with pytest.raises(openai.RateLimitError):
            ask(client, "How do I delete my account?")
        assert calls.new == 1


@pytest.mark.slow
def test_limits_change_while_the_gateway_runs(opened: Any, tmp_path: Path, provider: Server) -> None:
    """A raised limit lets more through without beginning anew; a new budget knows what was spent before it was set."""
    server = opened(zeta="{requests_per_minute: 1}")
    with sdk(server, "zeta") as client:
        ask(client, "first")
        with pytest.raises(openai.RateLimitError):
            ask(client, "second")
        changed = config(tmp_path, provider, zeta="{requests_per_minute: 2, usd_per_day: 9}")
        (tmp_path / "askonce.yaml").write_text(f"listen: 127.0.0.1:0\n{changed}")
        status, told = Admin(server).ask("POST", "/admin/reload")
        assert (status, told["needs_restart"]) == (200, [])
        ask(client, "second")
        with pytest.raises(openai.RateLimitError):
            ask(client, "third")
    until(lambda: standing(server, "zeta", "usd_per_day")["used"] > 0.05, "the books are read")
    status, rows = Admin(server).ask("GET", "/admin/limits?tenant=zeta")
    assert status == 200
    assert {one["limit"] for one in rows["limits"]} == {"requests_per_minute", "usd_per_day"}


@pytest.mark.slow
def test_a_job_waits_for_its_budget(opened: Any, calls: CallCounter) -> None:
    """Of two that are handed in together one is paid for; the other is asked again until its deadline, then it fails."""
    server = opened(zeta="{usd_per_day: 0.5}")
    with httpx2.Client(base_url=server.root, headers=bearer("zeta"), timeout=30) as http:
        for name in ("one", "two"):
            body = {
                "model": "sim-small",
                "messages": [{"role": "user", "content": f"job {name}"}],
                "max_tokens": 400,
                "x_simulate": {"tokens": 300, "ttft_ms": 300},
            }
            headers = {"X-Askonce-Lane": "batch", "X-Askonce-Deadline": "4", "X-Request-Id": name}
            assert http.post("/v1/chat/completions", json=body, headers=headers).status_code == 202
        told = [http.get(f"/v2/inference/{name}", params={"wait": 20}).json() for name in ("one", "two")]
    failed = [one for one in told if one["status"] == "failed"]
    assert len(failed) == 1, told
    assert failed[0]["error"]["code"] == "deadline_exceeded"
    assert calls.new == 1
    assert 0.3 < standing(server, "zeta", "usd_per_day")["used"] < 0.5


@pytest.mark.slow
def test_a_providers_batch_is_paid_for(tmp_path: Path, batched: Server) -> None:
    """At its price, by whoever handed the job in; its tokens are those of no minute."""
    settings = f"""
store: sqlite://{tmp_path}/askonce.db
upstreams: [{{name: p, base_url: "{batched.base_url}", api_key: x, batch_api: on}}]
tenants:
  - name: acme
    keys: ["{digest("acme")}"]
    limits: {{tokens_per_minute: 100000, usd_per_day: 100}}
admin: {{keys: ["{digest(ADMIN)}"]}}
prices: {SECTIONS["prices"]}
defaults: {{semantic: "off"}}
jobs: {{batch_wait: 50ms, poll_interval: 50ms, max_poll_interval: 100ms}}
"""
    with gateway(tmp_path, settings) as server:
        body = {"model": "sim-small", "messages": [{"role": "user", "content": "in a batch"}]}
        headers = bearer("acme") | {"X-Askonce-Lane": "batch", "X-Request-Id": "batched"}
        assert server.post("/v1/chat/completions", body, headers)[0] == 202
        with httpx2.Client(base_url=server.root, headers=bearer("acme"), timeout=30) as http:
            told = http.get("/v2/inference/batched", params={"wait": 20}).json()
        assert told["status"] == "completed"
        tokens = told["response"]["usage"]["total_tokens"]
        assert standing(server, "acme", "usd_per_day")["used"] == pytest.approx(tokens * 0.0005)
        assert standing(server, "acme", "tokens_per_minute")["used"] == 0
