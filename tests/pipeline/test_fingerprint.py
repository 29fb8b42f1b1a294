"""Keys: what shares one and what never does, which requests the semantic tier takes, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Refusal
from askonce.model import Ask, Caller, Endpoint, HighTemperature, Json, Policy, Route, Scope, SemanticMode
from askonce.pipeline.fingerprint import fingerprint, parse

CALLER = Caller("tenant:acme", "acme", ("support",), None, b"\1" * 32)
ROUTE = Route("openai", "gpt-4o-mini")
POLICY = Policy(
    feature="support",
    exact=True,
    inflight=True,
    inflight_high_temperature=HighTemperature.RETRIES,
    semantic=SemanticMode.ON,
    error_budget=0.01,
    ttl_s=3600,
    scope=Scope.TENANT,
    pool="",
    max_turns=2,
    max_temperature=1.0,
    semantic_tools=False,
    similarity_floor=0.8,
    timeout_s=60,
    linger_s=5,
    max_flight_age_s=60,
)
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue?"}]
TOOLS = [{"type": "function", "function": {"name": "look"}}]
words = st.text(st.characters(codec="utf-8"), max_size=8)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


def ask(
    body: Json | None = None,
    caller: Caller = CALLER,
    policy: Policy = POLICY,
    route: Route = ROUTE,
    options: tuple[tuple[str, str], ...] = (),
    retry: bool = False,  # noqa: FBT001, FBT002 - the same
    endpoint: Endpoint = Endpoint.CHAT,
) -> Ask:
    raw = json.dumps(chat() if body is None else body).encode()
    return fingerprint(parse(endpoint, raw), caller, policy, route, options, retry)


def chat(**fields: Any) -> Json:
    return {"model": "gpt-4o-mini", "messages": MESSAGES, **fields}


def asking(text: Any, **fields: Any) -> Json:
    return chat(messages=[MESSAGES[0], {"role": "user", "content": text}], **fields)


def test_a_request_is_understood() -> None:
    """The plain case: both keys of 32 bytes, the asked text, and everything as the caller sent it."""
    raw = json.dumps(chat(stream=True, stream_options={"include_usage": True})).encode()
    got = fingerprint(parse(Endpoint.CHAT, raw), CALLER, POLICY, ROUTE, (), False)  # noqa: FBT003 - positional
    assert got.exact_key is not None
    assert got.partition is not None
    assert len(got.exact_key) == len(got.partition) == 32
    assert (got.text, got.turns, got.unshared, got.unmatched) == ("Why is the sky blue?", 1, "", "")
    assert (got.raw, got.body, got.model, got.route) == (raw, json.loads(raw), "gpt-4o-mini", ROUTE)
    assert (got.stream, got.include_usage, got.hot, got.joinable) == (True, True, False, True)


def test_keys_are_made_as_documented() -> None:
    """Stored answers outlive a release: whatever changes these bytes needs another format number."""
    header = b'["askonce/1",["tenant","tenant:acme"],"chat/completions","openai","gpt-4o-mini",[]]'
    context = b'{"messages":[{"content":"Be brief.","role":"system"},{"content":?,"role":"user"}]}'
    got = ask(chat(stream=True, n=1, temperature=1.0))
    assert got.partition == hashlib.sha256(header + context).digest()
    assert got.exact_key == hashlib.sha256(header + context + b"\0Why is the sky blue?").digest()


def test_streams_and_whole_answers_share_a_key() -> None:
    """How the answer travels, who asks and what the provider keeps is no part of the key."""
    plain = ask().exact_key
    for fields in (
        {"stream": True},
        {"stream": False},
        {"user": "ada"},
        {"metadata": {"a": "b"}},
        {"store": True},
    ):
        assert ask(chat(**fields)).exact_key == plain


@pytest.mark.parametrize(
    "other",
    [
        ask(asking("Why is the sky red?")),
        ask(chat(seed=1)),
        ask(chat(), replace(CALLER, tenant="tenant:other")),
        ask(route=Route("azure", "gpt-4o-mini")),
        ask(route=Route("openai", "gpt-4o")),
        ask(options=(("openai-beta", "x"),)),
        ask(chat(prompt="x", input="x"), endpoint=Endpoint.COMPLETIONS),
        ask(chat(prompt="x", input="x"), endpoint=Endpoint.EMBEDDINGS),
        ask(chat(user="ada"), policy=replace(POLICY, scope=Scope.USER)),
        ask(policy=replace(POLICY, scope=Scope.SHARED, pool="tenant:acme")),
    ],
)
def test_every_ingredient_is_in_the_key(other: Ask) -> None:
    """Another text, field, tenant, upstream, model, header, endpoint or scope is another key."""
    assert other.exact_key not in {None, ask().exact_key}


@pytest.mark.parametrize(
    "same",
    [
        ask(caller=replace(CALLER, identity=b"\2" * 32, label="x", credential="sk")),
        ask(policy=replace(POLICY, semantic=SemanticMode.OFF)),
        ask(policy=replace(POLICY, feature="search", ttl_s=1, max_turns=9, semantic_tools=True, tags=("a",))),
        ask(chat(model="cheap")),
        ask(retry=True),
    ],
)
def test_nothing_else_is_in_the_key(same: Ask) -> None:
    """Keys of one tenant, its features, their settings and aliases of a model all share one exact answer."""
    assert same.exact_key == ask().exact_key


def test_order_of_headers_does_not_count() -> None:
    """Headers are a set of pairs."""
    pairs = (("openai-beta", "a"), ("openai-organization", "b"))
    assert ask(options=pairs).exact_key == ask(options=pairs[::-1]).exact_key


@given(
    st.lists(st.tuples(names, names, names, names, names, words), min_size=2, max_size=2, unique=True),
)
def test_ingredients_never_flow_into_one_another(pair: list[tuple[str, ...]]) -> None:
    """The framing is unambiguous: different tuples of ingredients, however cut, have different keys."""
    one, other = (
        ask(
            asking(text),
            replace(CALLER, tenant=tenant),
            POLICY,
            Route(upstream, model),
            ((name, name + value),),
        ).exact_key
        for tenant, upstream, model, name, value, text in pair
    )
    assert one != other


def test_boundaries_are_framed() -> None:
    """The same characters cut elsewhere: tenant and user, upstream and model, header name and value."""
    by_user = replace(POLICY, scope=Scope.USER)
    cut = [
        ask(chat(user="bc"), replace(CALLER, tenant="a"), by_user),
        ask(chat(user="c"), replace(CALLER, tenant="ab"), by_user),
        ask(chat(safety_identifier="c"), replace(CALLER, tenant="ab"), by_user),
        ask(chat(user="c", safety_identifier="c"), replace(CALLER, tenant="ab"), by_user),
        ask(route=Route("ab", "c")),
        ask(route=Route("a", "bc")),
        ask(options=(("ab", "c"),)),
        ask(options=(("a", "bc"),)),
        ask(options=(("a", "b"), ("c", "d"))),
        ask(options=(("a", "b,c"), ("d", ""))),
        ask(caller=replace(CALLER, tenant='a","b')),
    ]
    assert len({one.exact_key for one in cut}) == len(cut)


def test_scopes_isolate() -> None:
    """Tenants share with themselves, users with themselves within a tenant, a pool with all who name it."""
    other = replace(CALLER, tenant="tenant:other")
    by_user = replace(POLICY, scope=Scope.USER)
    pooled = replace(POLICY, scope=Scope.SHARED, pool="faq")
    ada = chat(user="ada")
    assert ask(ada, CALLER, by_user).exact_key == ask(ada, CALLER, by_user).exact_key
    assert ask(ada, CALLER, by_user).exact_key != ask(chat(user="bob"), CALLER, by_user).exact_key
    assert ask(ada, CALLER, by_user).exact_key != ask(ada, other, by_user).exact_key
    assert ask(policy=pooled).exact_key == ask(caller=other, policy=pooled).exact_key
    assert ask(policy=pooled).exact_key != ask(policy=replace(pooled, pool="else")).exact_key
    assert ask(policy=pooled).partition != ask().partition


@pytest.mark.parametrize("scope", Scope)
def test_without_a_tenant_nothing_is_shared(scope: Scope) -> None:
    """In no scope does a caller without tenant read, write or join anything."""
    got = ask(chat(user="ada"), replace(CALLER, tenant=None), replace(POLICY, scope=scope, pool="faq"))
    assert (got.exact_key, got.partition, got.text, got.joinable) == (None, None, None, False)
    assert (got.unshared, got.unmatched) == ("no-tenant", "no-tenant")


@pytest.mark.parametrize("fields", [{}, {"user": None}, {"user": ""}, {"safety_identifier": ""}])
def test_scope_user_needs_a_user(fields: Json) -> None:
    """A body that names nobody is nobody's to share."""
    got = ask(chat(**fields), policy=replace(POLICY, scope=Scope.USER))
    assert (got.exact_key, got.unshared, got.joinable) == (None, "no-user", False)


@given(words, words)
def test_a_partition_holds_all_but_the_asked_text(text: str, other: str) -> None:
    """One partition for all questions in one context; a key of its own for each question."""
    one, two = ask(asking("x" + text)), ask(asking("x" + other))
    assert one.partition == two.partition is not None
    assert (one.exact_key == two.exact_key) == (text == other)
    assert one.exact_key != one.partition


@pytest.mark.parametrize(
    "other",
    [
        chat(messages=[{"role": "system", "content": "Be verbose."}, MESSAGES[1]]),
        chat(messages=[MESSAGES[1]]),
        chat(messages=[{"role": "user", "content": "Hi"}, *MESSAGES]),
        chat(messages=[MESSAGES[0], {**MESSAGES[1], "name": "ada"}]),
        chat(
            messages=[
                MESSAGES[0],
                {"role": "user", "content": [{"type": "text", "text": MESSAGES[1]["content"]}]},
            ]
        ),
        chat(response_format={"type": "json_object"}),
        chat(temperature=0),
        chat(max_tokens=5),
        chat(x_unknown=1),
    ],
)
def test_every_other_ingredient_parts_the_partition(other: Json) -> None:
    """System prompt, earlier turns, names, form, sampling: equivalence is judged only where all agree."""
    assert ask(other).partition not in {None, ask().partition}


@pytest.mark.parametrize(
    ("body", "changes", "reason"),
    [
        (chat(), {"semantic": SemanticMode.OFF}, "semantic-off"),
        (chat(temperature=1.5), {}, "hot"),
        (chat(n=2), {}, "n-above-1"),
        (chat(tools=TOOLS), {}, "tools"),
        (chat(functions=[TOOLS[0]["function"]]), {}, "tools"),
        (chat(logprobs=True), {}, "about-the-text"),
        (chat(prompt_logprobs=0), {}, "about-the-text"),
        (chat(echo=True), {}, "about-the-text"),
        (chat(messages=[MESSAGES[1]] * 3), {}, "turns"),
        (asking(None), {}, "not-plain-text"),
        (asking(""), {}, "not-plain-text"),
        (asking(" \n"), {}, "not-plain-text"),
        (
            asking([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]),
            {},
            "not-plain-text",
        ),
        (asking([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), {}, "not-plain-text"),
        (chat(messages=[*MESSAGES, {"role": "assistant", "content": "Because"}]), {}, "not-plain-text"),
        (
            chat(messages=[*MESSAGES, {"role": "tool", "tool_call_id": "1", "content": "7"}]),
            {},
            "not-plain-text",
        ),
    ],
)
def test_the_semantic_tier_is_left_out_with_a_reason(
    body: Json, changes: dict[str, Any], reason: str
) -> None:
    """No text and no partition, but an exact key: identical requests still share."""
    got = ask(body, policy=replace(POLICY, **changes))
    assert (got.text, got.partition, got.unmatched, got.unshared) == (None, None, reason, "")
    assert got.exact_key is not None


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (chat(tools=TOOLS), {"semantic_tools": True}),
        (chat(tools=[]), {}),
        (chat(n=1, logprobs=False, tools=None, echo=None), {}),
        (chat(messages=[MESSAGES[1]] * 2), {}),
        (chat(messages=[MESSAGES[1]] * 3), {"max_turns": 3}),
        (asking([{"type": "text", "text": "Why is the sky blue?"}]), {}),
        (chat(), {"semantic": SemanticMode.SHADOW}),
    ],
)
def test_the_semantic_tier_applies(body: Json, changes: dict[str, Any]) -> None:
    """Plain user text, alone or in one part, as far as policy allows."""
    got = ask(body, policy=replace(POLICY, **changes))
    assert (got.text, got.unmatched) == ("Why is the sky blue?", "")
    assert got.partition is not None


@pytest.mark.parametrize("endpoint", [Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS])
def test_other_endpoints_are_exact_alone(endpoint: Endpoint) -> None:
    """Completions and embeddings have keys and no semantic side."""
    got = ask({"model": "m", "prompt": "a", "input": "a"}, endpoint=endpoint)
    assert (got.text, got.partition, got.unmatched, got.turns) == (None, None, "not-chat", 0)
    assert got.exact_key is not None


def test_only_temperatures_above_the_limit_are_hot() -> None:
    """The limit itself isn't; a request without temperature runs at 1; embeddings have none."""
    low = replace(POLICY, max_temperature=0.5)
    assert not ask(chat(temperature=1.0)).hot
    assert ask(chat(temperature=1.01)).hot
    assert not ask(chat(temperature=0.5), policy=low).hot
    assert ask(chat(), policy=low).hot
    assert ask(chat(temperature=None), policy=low).hot
    assert not ask({"model": "m", "input": "a"}, policy=low, endpoint=Endpoint.EMBEDDINGS).hot


def test_hot_retries_meet_their_own_first_attempt() -> None:
    """Under `retries` the first attempt leads a flight that only a retry of the same caller may join."""
    body = chat(temperature=1.5)
    first, retry = ask(body), ask(body, retry=True)
    stranger = ask(body, replace(CALLER, identity=b"\2" * 32), retry=True)
    assert first.exact_key == retry.exact_key is not None
    assert (first.joinable, retry.joinable, first.unshared) == (False, True, "")
    assert stranger.exact_key not in {None, first.exact_key}
    assert first.exact_key != ask(body, policy=replace(POLICY, max_temperature=2)).exact_key


def test_hot_by_default_is_joined_as_ever() -> None:
    """Where the caller chose no temperature, identical requests share a flight even above the limit."""
    low = replace(POLICY, max_temperature=0.5)
    got = ask(policy=low)
    assert (got.hot, got.joinable, got.exact_key) == (True, True, ask().exact_key)
    assert ask(chat(temperature=1), policy=low).exact_key != got.exact_key


def test_hot_sharing_can_be_on_or_off() -> None:
    """`on` lets anybody in scope join; `off` nobody, chosen temperature or not."""
    always = replace(POLICY, max_temperature=0.5, inflight_high_temperature=HighTemperature.ON)
    never = replace(always, inflight_high_temperature=HighTemperature.OFF)
    for body in (chat(), chat(temperature=1.5)):
        got = ask(body, policy=always)
        assert (got.hot, got.joinable, got.exact_key) == (
            True,
            True,
            ask(body, replace(CALLER, identity=b""), always).exact_key,
        )
        got = ask(body, policy=never, retry=True)
        assert (got.hot, got.joinable, got.exact_key, got.unshared) == (True, False, None, "high-temperature")
    assert ask(policy=replace(never, max_temperature=1.0)).joinable


BAD: list[tuple[Json, str]] = [
    ({"messages": MESSAGES}, "model"),
    (chat(model=None), "model"),
    (chat(model=""), "model"),
    (chat(model=4), "model"),
    (chat(model=["m"]), "model"),
    ({"model": "m"}, "messages"),
    (chat(messages=None), "messages"),
    (chat(messages=[]), "messages"),
    (chat(messages={}), "messages"),
    (chat(messages="hi"), "messages"),
    (chat(messages=["hi"]), "messages"),
    (chat(messages=[*MESSAGES, None]), "messages"),
    (chat(messages=[{"content": "hi"}]), "messages"),
    (chat(messages=[{"role": 1}]), "messages"),
    (chat(stream="yes"), "stream"),
    (chat(stream=1), "stream"),
    (chat(stream_options=True), "stream_options"),
    (chat(stream_options={"include_usage": "yes"}), "stream_options"),
    (chat(temperature="0.7"), "temperature"),
    (chat(temperature=True), "temperature"),
    (chat(top_p=[]), "top_p"),
    (chat(n="2"), "n"),
    (chat(n=True), "n"),
    (chat(max_tokens="5"), "max_tokens"),
    (chat(seed={}), "seed"),
    (chat(user=7), "user"),
    (chat(safety_identifier=[]), "safety_identifier"),
    (chat(tools={}), "tools"),
]


@pytest.mark.parametrize(("body", "param"), BAD)
def test_bad_chat_requests_are_refused_by_field(body: Json, param: str) -> None:
    """400 before anything is spent, naming the field at fault in the code and in the sentence."""
    with pytest.raises(Refusal) as refused:
        parse(Endpoint.CHAT, json.dumps(body).encode())
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "invalid_field", param)
    assert f"`{param}" in refused.value.message
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"hi"', b'{"model":"\xff"}', b'{"a":NaN}', b"[" * 100_000]
)
@pytest.mark.parametrize("endpoint", Endpoint)
def test_what_is_not_a_json_object_is_refused(endpoint: Endpoint, raw: bytes) -> None:
    """Malformed bodies get a 400 and a sentence, on every endpoint."""
    with pytest.raises(Refusal, match=r"not a valid JSON object: .+\.") as refused:
        parse(endpoint, raw)
    assert (refused.value.status, refused.value.code) == (400, "invalid_json")


TOKENS = ["a", ["a"], ["a", "b"], [1, 2], [[1, 2], [3]], ["", "a"]]
NONSENSE = [1, True, {}, [], [None], [True], [1.5], [[1], 2], [["a"]], [[]], ["a", 1], [[1], [True]]]


@pytest.mark.parametrize("given_input", [*TOKENS, [{"image": "a"}], ["a", {"image": "b"}]])
def test_inputs_in_every_documented_shape(given_input: Any) -> None:
    """Texts, tokens and lists of both; objects go through to the servers that embed images."""
    assert parse(Endpoint.EMBEDDINGS, json.dumps({"model": "m", "input": given_input}).encode()).model == "m"


@pytest.mark.parametrize("prompt", [*TOKENS, None])
def test_prompts_in_every_documented_shape(prompt: Any) -> None:
    """Texts, tokens, lists of both; none at all is a prompt too."""
    assert (
        parse(Endpoint.COMPLETIONS, json.dumps({"model": "m", "prompt": prompt}).encode()).body["prompt"]
        == prompt
    )
    assert parse(Endpoint.COMPLETIONS, b'{"model":"m"}').model == "m"


@pytest.mark.parametrize("value", NONSENSE)
def test_prompts_and_inputs_of_other_types_are_refused(value: Any) -> None:
    """Numbers, flags, empty or mixed lists."""
    for endpoint, name in ((Endpoint.COMPLETIONS, "prompt"), (Endpoint.EMBEDDINGS, "input")):
        with pytest.raises(Refusal) as refused:
            parse(endpoint, json.dumps({"model": "m", name: value}).encode())
        assert (refused.value.status, refused.value.param) == (400, name)


def test_an_input_is_needed_unless_messages_are_embedded() -> None:
    """Some servers embed whole conversations; without either there is nothing to embed."""
    with pytest.raises(Refusal) as refused:
        parse(Endpoint.EMBEDDINGS, b'{"model":"m","input":null}')
    assert refused.value.param == "input"
    assert parse(Endpoint.EMBEDDINGS, json.dumps(chat()).encode()).model == "gpt-4o-mini"


@given(
    st.dictionaries(st.text().map("x_".__add__), st.none() | st.integers() | st.text() | st.lists(st.none()))
)
def test_unknown_fields_are_never_an_error(fields: Json) -> None:
    """Servers grow parameters faster than gateways: they pass, and count."""
    assert (ask(chat(**fields)).exact_key == ask().exact_key) == (not fields)


@pytest.mark.parametrize("name", ["stream", "stream_options", "temperature", "n", "user", "tools", "seed"])
def test_null_is_not_an_error(name: str) -> None:
    """Clients send null for what they don't set."""
    parsed = parse(Endpoint.CHAT, json.dumps(chat(**{name: None})).encode())
    assert (parsed.stream, parsed.include_usage) == (False, False)


def test_enormous_integers_survive() -> None:
    """Beyond 64 bits: told apart in the key, exact in the body that may be sent on."""
    one, other = 2**64, 2**64 + 1
    assert ask(chat(seed=one)).exact_key != ask(chat(seed=other)).exact_key
    assert ask(chat(seed=one)).body["seed"] == one


@pytest.mark.parametrize(
    "body",
    [
        asking("why " * 2_000_000),
        asking([{"type": "image_url", "image_url": {"url": "data:," + "A" * 8_000_000}}]),
        chat(messages=[{"role": "user", "content": "hello there"}] * 150_000),
        chat(x_unknown=[1.0] * 1_000_000),
    ],
)
def test_bodies_of_eight_megabytes_work(body: Json) -> None:
    """Long texts, images, conversations and lists of numbers get their key like any other."""
    assert ask(body).exact_key is not None
