"""The exact cache through the front door: what is kept, for whom, how long, and who may forbid it."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

from servers import gateway, until

if TYPE_CHECKING:
    from pathlib import Path

    from servers import CallCounter, Server


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "sim-small", "messages": [{"role": "user", "content": text}], **fields}


def outcome(client: openai.OpenAI, text: str, headers: dict[str, str] | None = None, **fields: Any) -> str:
    raw = client.chat.completions.with_raw_response.create(**chat(text, **fields), extra_headers=headers)
    word: str = raw.headers["x-askonce-outcome"]
    return word


def connect(server: Server, key: str = "sk-test") -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


def test_the_same_request_in_other_spelling_hits(plain: Server, question: str, calls: CallCounter) -> None:
    """Key order, white space, number spelling, defaults and transport fields don't matter; identity fields do."""
    auth = {"Authorization": "Bearer sk-test"}
    said = '[{"role": "user", "content": "' + question + '"}]'
    same = [
        '{"model": "gpt-4o-mini", "messages": ' + said + "}",
        '{"messages":' + said.replace(" ", "", 1) + ',\n "model":"gpt-4o-mini", "temperature": 1.0}',
        '{"model": "gpt-4o-mini", "messages": ' + said + ', "user": "u-17", "stream": false, "n": 1}',
        '{"temperature": 1, "model": "gpt-4o-mini", "metadata": {"a": "b"}, "messages": ' + said + "}",
    ]
    words = [plain.post("/v1/chat/completions", body.encode(), auth)[1]["x-askonce-outcome"] for body in same]
    assert words == ["fresh", "exact", "exact", "exact"]
    other = '{"model": "gpt-4o-mini", "messages": ' + said + ', "temperature": 0.5}'
    assert plain.post("/v1/chat/completions", other.encode(), auth)[1]["x-askonce-outcome"] == "fresh"
    assert calls.new == 2


def test_tenants_never_share(plain: Server, question: str, calls: CallCounter) -> None:
    """With passed-through keys, another key is another tenant: nothing is shared."""
    with connect(plain, "sk-one") as one, connect(plain, "sk-two") as two:
        assert [outcome(one, question), outcome(two, question)] == ["fresh", "fresh"]
        assert [outcome(one, question), outcome(two, question)] == ["exact", "exact"]
    assert calls.new == 2


def test_without_a_tenant_nothing_is_cached(plain: Server, question: str) -> None:
    """No credential, no tenant: the upstream refuses or answers, but no cache is read or written."""
    for _ in range(2):
        status, headers, _ = plain.post("/v1/chat/completions", chat(question))
        assert status == 401 or headers["x-askonce-outcome"] == "bypass"


def test_request_cache_control(client: openai.OpenAI, question: str, calls: CallCounter) -> None:
    """`no-cache` asks anew and keeps, `no-store` keeps nothing, `max-age` bounds age, `only-if-cached` never asks."""
    with pytest.raises(openai.InternalServerError) as caught:
        outcome(client, question, {"Cache-Control": "only-if-cached"})
    assert (caught.value.status_code, caught.value.code) == (504, "not_cached")
    assert outcome(client, question, {"Cache-Control": "no-store"}) == "bypass"
    assert calls.new == 1
    assert outcome(client, question, {"Cache-Control": "no-cache"}) == "fresh"
    assert outcome(client, question) == "exact"
    assert outcome(client, question, {"Cache-Control": "only-if-cached"}) == "exact"
    assert outcome(client, question, {"Cache-Control": "no-cache"}) == "fresh"
    assert outcome(client, question, {"Cache-Control": "max-age=60"}) == "exact"
    time.sleep(1.1)
    assert outcome(client, question, {"Cache-Control": "max-age=1"}) == "fresh"
    assert calls.new == 4


def test_upstream_cache_control(client: openai.OpenAI, question: str, calls: CallCounter) -> None:
    """`no-store` and a short `max-age` from the upstream are obeyed."""
    for _ in range(2):
        assert outcome(client, question, extra_body={"x_simulate": {"no_store": True}}) == "fresh"
    short = {"x_simulate": {"max_age_s": 1}}
    assert outcome(client, question, extra_body=short) == "fresh"
    assert outcome(client, question, extra_body=short) == "exact"
    time.sleep(1.2)
    assert outcome(client, question, extra_body=short) == "fresh"
    assert calls.new == 4


def test_high_temperature_is_not_cached(client: openai.OpenAI, question: str) -> None:
    """Above `max_temperature` (1.0) each request is a new sample."""
    assert [outcome(client, question, temperature=1.3) for _ in range(2)] == ["bypass", "bypass"]
    assert [outcome(client, question, temperature=1.0) for _ in range(2)] == ["fresh", "exact"]


POLICIES = """\
upstreams: [{{name: p, base_url: "{upstream}", api_key: its-own}}]
store: sqlite://{folder}/askonce.db
tenants:
  - {{name: acme, keys: ["{acme}"], features: [support, search]}}
  - {{name: zeta, keys: ["{zeta}"], features: [support, pool]}}
  - {{name: iota, keys: ["{iota}"], features: [pool, people]}}
features:
  support: {{ttl: 1s}}
  search: {{exact: "off", inflight: "off"}}
  pool: {{scope: shared, pool: faq}}
  people: {{scope: user}}
defaults: {{semantic: "off"}}
admin: {{keys: ["{admin}"]}}
"""


def digest(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Any:
    """A gateway with tenants of its own and a policy per feature."""
    folder = tmp_path_factory.mktemp("policies")
    keys = {name: digest(name) for name in ("acme", "zeta", "iota", "admin")}
    with gateway(folder, POLICIES.format(upstream=provider.base_url, folder=folder, **keys)) as server:
        yield server


def test_unknown_keys_are_refused(policies: Server, question: str, calls: CallCounter) -> None:
    """401 in the SDK's own class, and the upstream isn't asked."""
    with connect(policies, "nobody") as client, pytest.raises(openai.AuthenticationError):
        outcome(client, question)
    assert calls.new == 0


def test_features(policies: Server, question: str) -> None:
    """The first feature is the default, a header chooses another, and one that isn't the key's is a 403."""
    with connect(policies, "acme") as client:
        assert [outcome(client, question) for _ in range(2)] == ["fresh", "exact"]
        search = {"X-Askonce-Feature": "search"}
        assert [outcome(client, question, search) for _ in range(2)] == ["fresh", "fresh"]
        with pytest.raises(openai.PermissionDeniedError):
            outcome(client, question, {"X-Askonce-Feature": "pool"})
        time.sleep(1.1)
        assert outcome(client, question) == "fresh"


def test_configured_tenants_never_share_but_by_pool(policies: Server, question: str) -> None:
    """Two tenants on one feature are apart; a shared pool is the explicit exception."""
    with (
        connect(policies, "acme") as acme,
        connect(policies, "zeta") as zeta,
        connect(policies, "iota") as iota,
    ):
        assert [outcome(acme, question), outcome(zeta, question)] == ["fresh", "fresh"]
        assert outcome(zeta, question, {"X-Askonce-Feature": "pool"}) == "fresh"
        assert outcome(iota, question, {"X-Askonce-Feature": "pool"}) == "exact"


def test_user_scope(policies: Server, question: str) -> None:
    """Scope `user`: users of one tenant are apart, and a request without a user isn't cached."""
    people = {"X-Askonce-Feature": "people"}
    with connect(policies, "iota") as client:
        words = [outcome(client, question, people, user=user) for user in ("ann", "bob", "ann")]
        assert words == ["fresh", "fresh", "exact"]
        assert outcome(client, question, people) == "bypass"


def test_tags(policies: Server, question: str) -> None:
    """Answers are forgotten by tag, by an administrator alone."""
    pool = {"X-Askonce-Feature": "pool"}
    tagged = {**pool, "X-Askonce-Tags": "manual-v2, en"}
    with connect(policies, "zeta") as client:
        assert [outcome(client, question, tagged), outcome(client, question, pool)] == ["fresh", "exact"]
        path, body = "/admin/cache/invalidate", {"tags": ["manual-v2"]}
        assert policies.post(path, body, {"Authorization": "Bearer zeta"})[0] == 401
        status, _, answer = policies.post(path, body, {"Authorization": "Bearer admin"})
        assert (status, json.loads(answer)["forgotten"]) == (200, 1)
        assert outcome(client, question, pool) == "fresh"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_answers_survive_a_restart(
    tmp_path: Path, provider: Server, question: str, end: signal.Signals
) -> None:
    """After an orderly end, and after kill -9 past the commit interval, the answer is still there, for its tenant."""
    config = (
        f"upstreams: [{{name: p, base_url: '{provider.base_url}'}}]\nstore: sqlite://{tmp_path}/a.db\n"
        "defaults: {semantic: 'off'}\n"
    )
    with gateway(tmp_path, config) as server, connect(server) as client:
        assert outcome(client, question) == "fresh"
        until(lambda: server.json("/healthz")["store"]["pending_writes"] == 0, "the answer is committed")
        server.stop(end)
    with gateway(tmp_path, config) as server, connect(server) as client, connect(server, "sk-other") as other:
        assert server.json("/healthz")["store"]["durable"]
        assert outcome(client, question) == "exact"
        assert outcome(other, question) == "fresh"


def test_a_locked_store_degrades_to_memory(tmp_path: Path, provider: Server, question: str) -> None:
    """A second gateway on the same file goes on in memory, and says so in its health and its metrics."""
    config = (
        f"upstreams: [{{name: p, base_url: '{provider.base_url}'}}]\nstore: sqlite://{tmp_path}/a.db\n"
        "defaults: {semantic: 'off'}\n"
    )
    other = tmp_path / "other"
    other.mkdir()
    with gateway(tmp_path, config) as first, gateway(other, config) as second, connect(second) as client:
        assert first.json("/healthz")["status"] == "ok"
        assert second.json("/healthz")["status"] == "degraded"
        assert second.metric("askonce_store_durable") == 0
        assert [outcome(client, question) for _ in range(2)] == ["fresh", "exact"]
