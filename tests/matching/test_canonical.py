"""The canonical form: what never changes it, what always does, and that every field of the SDK is classified."""

from __future__ import annotations

import json
import typing
from types import NoneType
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat import completion_create_params as chat_create_params
from typing_extensions import is_typeddict

from askonce.matching.canonical import (
    FIELDS,
    MAX_DEPTH,
    NESTED_TRANSPORT,
    TRANSPORT,
    Canonical,
    Role,
    canonical,
    read,
)
from askonce.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.model import Json

SDK_TYPES: dict[Endpoint, tuple[type, ...]] = {
    Endpoint.CHAT: (
        chat_create_params.CompletionCreateParamsNonStreaming,
        chat_create_params.CompletionCreateParamsStreaming,
    ),
    Endpoint.COMPLETIONS: (
        completion_create_params.CompletionCreateParamsNonStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    ),
    Endpoint.EMBEDDINGS: (embedding_create_params.EmbeddingCreateParams,),
}
NOT_IN_THE_SDK = {"request_id", "priority", "id_slot", "keep_alive"}
"""Fields of vLLM, llama.cpp and Ollama that are classified all the same."""
MESSAGE_FIELDS = {
    "arguments", "audio", "content", "custom", "data", "detail", "file", "file_data", "file_id", "filename",
    "format", "function", "function_call", "id", "image_url", "input", "input_audio", "mode", "name", "refusal",
    "role", "text", "tool_call_id", "tool_calls", "ttl", "type", "url",
}  # fmt: skip
"""Fields inside messages that make the answer (`mode` and `ttl` are inside `prompt_cache_breakpoint`)."""

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue?"}]
SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "number"}}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
words = st.text(st.characters(codec="utf-8"))


def hints(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for typed_dict in SDK_TYPES[endpoint]:
        for name, hint in typing.get_type_hints(typed_dict).items():
            found[name] = typing.Union[found[name], hint] if name in found else hint  # noqa: UP007 - at run time
    return found


def nested_fields(hint: Any) -> Iterator[str]:
    """Names of all fields of all TypedDicts inside a type."""
    if is_typeddict(hint):
        for name, inner in typing.get_type_hints(hint).items():
            yield name
            yield from nested_fields(inner)
    for inner in typing.get_args(hint):
        yield from nested_fields(inner)


def form(body: Json, endpoint: Endpoint = Endpoint.CHAT, model: str = MODEL) -> Canonical:
    return form_of(json.dumps(body).encode(), endpoint, model)


def form_of(raw: bytes, endpoint: Endpoint = Endpoint.CHAT, model: str = MODEL) -> Canonical:
    _, settled = read(raw)
    return canonical(endpoint, settled, model)


def chat(**fields: Any) -> Json:
    return {"model": MODEL, "messages": MESSAGES, **fields}


def shuffled(value: Any, order: Any) -> Any:
    """The same JSON with its keys in another order at every level."""
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("endpoint", Endpoint)
def test_every_field_of_the_sdk_is_classified(endpoint: Endpoint) -> None:
    """A new SDK with a new request field fails here until somebody decides what the field is for."""
    assert set(hints(endpoint)) - set(FIELDS[endpoint]) == set()


@pytest.mark.parametrize("endpoint", Endpoint)
def test_every_classified_field_is_the_sdks_or_named_as_not(endpoint: Endpoint) -> None:
    """The table carries no dead names: what is in no SDK type is listed as a server's own, or is shared transport."""
    everywhere = set().union(*(hints(one) for one in Endpoint))
    assert set(FIELDS[endpoint]) - set(hints(endpoint)) <= set(TRANSPORT)
    assert set(FIELDS[endpoint]) - everywhere == NOT_IN_THE_SDK


@pytest.mark.parametrize("endpoint", Endpoint)
def test_null_means_absent_exactly_where_the_sdk_says_so(endpoint: Endpoint) -> None:
    """`nullable` repeats the SDK's `Optional` for every field that counts."""
    for name, hint in hints(endpoint).items():
        field = FIELDS[endpoint][name]
        if field.role is not Role.TRANSPORT:
            assert field.nullable == (NoneType in typing.get_args(hint)), name


def test_every_field_inside_messages_is_classified() -> None:
    """The same for messages and their parts: all count, but the marks for prompt caches."""
    found = set(nested_fields(ChatCompletionMessageParam))
    assert found - set(NESTED_TRANSPORT) == MESSAGE_FIELDS
    assert set(NESTED_TRANSPORT) - found == {"cache_control"}


@given(
    st.dictionaries(st.sampled_from(["x_unknown", "stop", "seed", "logit_bias", "user"]), scalars),
    st.randoms(),
)
def test_order_of_keys_and_white_space_never_count(fields: Json, order: Any) -> None:
    """Shuffled keys in the body and in messages, and any indentation, give the same form."""
    body = chat(**fields)
    spaced = json.dumps(shuffled(body, order), indent=3)
    assert form_of(spaced.encode()) == form_of(json.dumps(body, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "spellings",
    [
        ("0", "0.0", "-0", "-0.0", "0e5", "0.000"),
        ("100", "1e2", "100.0", "1E+2"),
        ("0.5", "5e-1", "0.50"),
        ("1e30", "1.0E30"),
    ],
)
def test_a_number_has_one_spelling(spellings: tuple[str, ...]) -> None:
    """Spellings of one number agree at the top, inside messages, in tools and in fields that aren't known."""
    templates = [
        '"seed":%s',
        '"x":{"y":[%s]}',
        '"tools":[{"function":{"parameters":{"maximum":%s}}}]',
        '"stop":[%s]',
    ]
    for template in templates:
        bodies = [f'{{"messages":[{{"role":"user","content":[{s}]}}],{template % s}}}' for s in spellings]
        assert len({form_of(body.encode()) for body in bodies}) == 1


@given(st.sampled_from([*TRANSPORT]), values)
@pytest.mark.parametrize("endpoint", Endpoint)
def test_transport_fields_never_count(endpoint: Endpoint, name: str, value: Any) -> None:
    """Whatever a transport field says, the form is the one without it."""
    assert form(chat(**{name: value}), endpoint) == form(chat(), endpoint)


@given(st.sampled_from([*NESTED_TRANSPORT]), values)
def test_marks_for_prompt_caches_never_count(name: str, value: Any) -> None:
    """A cache mark on a content part or message asks the same."""
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    marked = [{**parts[0], name: value}, parts[1]]
    for role in ("user", "system"):
        plain = chat(messages=[{"role": role, "content": parts}, *MESSAGES])
        assert form(chat(messages=[{"role": role, "content": marked}, *MESSAGES])) == form(plain)
    single = chat(messages=[{"role": "user", "content": parts[:1]}])
    assert form(chat(messages=[{"role": "user", "content": marked[:1]}])) == form(single)
    assert form(chat(messages=[{**MESSAGES[1], "cache_control": value}])) == form(chat(messages=MESSAGES[1:]))


@given(values.filter(lambda value: value is not None), st.data())
@pytest.mark.parametrize("endpoint", Endpoint)
def test_every_identity_field_counts(endpoint: Endpoint, value: Any, data: st.DataObject) -> None:
    """Another value in any field that makes the answer is another form, but for the documented defaults."""
    names = [
        name
        for name, field in FIELDS[endpoint].items()
        if field.role in {Role.IDENTITY, Role.SCHEMA} and name != "messages"
    ]
    name = data.draw(st.sampled_from(names))
    other = {"tool_choice": "none", "function_call": "none"}.get(name, FIELDS[endpoint][name].default)
    with_field = form(chat(**{name: value}), endpoint)
    value = read(json.dumps({"it": value}).encode())[1]["it"]
    assert (with_field != form(chat(), endpoint)) == (type(value) is not type(other) or value != other)


@given(st.text().filter(lambda name: all(name not in fields for fields in FIELDS.values())), values)
def test_unknown_fields_count(name: str, value: Any) -> None:
    """A field that isn't known is identity, null included, and the order of keys inside it is kept."""
    assert form(chat(**{name: value})) != form(chat())
    assert form(chat(x={"a": 1, "b": 2})) != form(chat(x={"b": 2, "a": 1}))


@given(values, values)
def test_different_values_never_coincide(one: Any, other: Any) -> None:
    """Two forms are equal exactly where the values are (`true` is not `1`), in every place; order may part more."""
    equal = _numerically_equal(one, other)
    for name in ("seed", "stop", "response_format", "x_unknown"):
        coincide = form(chat(**{name: one})) == form(chat(**{name: other}))
        assert coincide == equal or (equal and name in {"response_format", "x_unknown"})


def _numerically_equal(one: Any, other: Any) -> bool:
    """Equality of JSON values with numbers by value, and without Python's `True == 1`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_numerically_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_numerically_equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"seed":1', '"seed":"1"'),
        ('"seed":1', '"seed":true'),
        ('"seed":0', '"seed":false'),
        ('"logprobs":0', '"logprobs":false'),
        ('"n":true', '"n":1'),
        ('"x":null', '"y":1'),
        ('"tools":null', '"tool_choice":"auto"'),
        ('"tool_choice":"auto"', '"tool_choice":"none"'),
        ('"stop":"a"', '"stop":["a"]'),
        ('"stop":["a","b"]', '"stop":["ab"]'),
        ('"stop":["a","b"]', '"stop":["b","a"]'),
        ('"max_tokens":5', '"max_completion_tokens":5'),
        ('"seed":9007199254740992', '"seed":9007199254740993'),
        ('"seed":18446744073709551616', '"seed":18446744073709551617'),
        ('"seed":-9223372036854775809', '"seed":-9223372036854775810'),
        ('"seed":18446744073709551616', '"seed":"18446744073709551616"'),
        ('"x":[[100000000000000000000001]]', '"x":[[100000000000000000000002]]'),
        ('"x":{"a":1}', '"x":"{\\"a\\":1}"'),
        ('"x":[]', '"x":{}'),
        ('"x":""', '"x":null'),
    ],
)
def test_look_alikes_differ(one: str, other: str) -> None:
    """Pairs that a careless form merges: types, null, lists, integers beyond doubles and beyond 64 bits."""
    template = '{"messages":[{"role":"user","content":"hi"}],%s}'
    assert form_of((template % one).encode()) != form_of((template % other).encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("user", "ab"), ("user", "c")], [("user", "a"), ("user", "bc")]),
        ([("user", "a"), ("user", "b")], [("user", "ab")]),
        ([("system", "a"), ("user", "b")], [("developer", "a"), ("user", "b")]),
        ([("user", "hi")], [("user", "Hi")]),
        ([("user", "hi")], [("user", "hi ")]),
        ([("user", "é")], [("user", "e\u0301")]),
        ([("user", "?")], [("user", "")]),
        ([("user", "?"), ("user", "x")], [("user", "x"), ("user", "?")]),
        ([("user", "x")], [("assistant", "x")]),
        ([("user", "a")], [("user", [{"type": "text", "text": "a"}])]),
        (
            [("user", [{"type": "text", "text": "ab"}])],
            [("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])],
        ),
    ],
)
def test_messages_differ_wherever_their_words_or_boundaries_do(one: list[Any], other: list[Any]) -> None:
    """Text is never folded, trimmed, normalised or joined across messages and parts."""
    bodies = [chat(messages=[{"role": r, "content": c} for r, c in messages]) for messages in (one, other)]
    assert form(bodies[0]) != form(bodies[1])


@given(words, words)
def test_only_the_asked_text_is_left_out_of_the_context(text: str, other: str) -> None:
    """Two questions have one context; the same words one message earlier make another."""
    one, two = (form(chat(messages=[MESSAGES[0], {"role": "user", "content": t}])) for t in (text, other))
    assert one.context == two.context
    assert (one.text, two.text) == (text, other)
    earlier = [
        form(chat(messages=[{"role": "user", "content": t}, *MESSAGES])).context for t in (text, other)
    ]
    assert (earlier[0] == earlier[1]) == (text == other)


@given(words)
def test_no_content_forges_the_hole(text: str) -> None:
    """The context with its hole is never valid JSON, hence never a form that has no asked text."""
    context = form(chat(messages=[{"role": "user", "content": text}])).context
    with pytest.raises(ValueError, match=r"\w"):
        json.loads(context)
    answered = form(chat(messages=[{"role": "assistant", "content": text}]))
    assert answered.text is None
    assert json.loads(answered.context)["messages"][0]["content"] == text


@pytest.mark.parametrize(
    "content",
    [
        None, [], 3, ["a"], [{"type": "text"}], [{"type": "text", "text": None}],
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
    ],
)  # fmt: skip
def test_content_that_is_not_plain_text_has_no_text(content: Any) -> None:
    """Images, several parts and nonsense stay whole in the context."""
    got = form(chat(messages=[{"role": "user", "content": content}]))
    assert got.text is None
    assert json.loads(got.context)["messages"][0]["content"] == content


@pytest.mark.parametrize(
    "field",
    [
        {"n": 1}, {"presence_penalty": 0}, {"frequency_penalty": 0.0}, {"logprobs": False}, {"modalities": ["text"]},
        {"response_format": {"type": "text"}}, {"tool_choice": "none"}, {"function_call": "none"}, {"seed": None},
        {"stop": None}, {"temperature": 1}, {"temperature": 1.0}, {"top_p": 1}, {"parallel_tool_calls": True},
        {"verbosity": "medium"}, {"max_tokens": None},
    ],
)  # fmt: skip
def test_documented_defaults_are_as_good_as_absent(field: Json) -> None:
    """A body that spells out a default asks what a body without the field asks."""
    assert form(chat(**field)) == form(chat())


def test_tools_make_auto_the_default_choice() -> None:
    """With tools `auto` is the default choice and `none` is a choice; an empty list offers none."""
    assert form(chat(tools=[TOOL], tool_choice="auto")) == form(chat(tools=[TOOL]))
    assert form(chat(tools=[TOOL], tool_choice="none")) != form(chat(tools=[TOOL]))
    assert form(chat(functions=[TOOL["function"]], function_call="auto")) == form(
        chat(functions=[TOOL["function"]])
    )
    assert form(chat(tools=[], tool_choice="none")) == form(chat(tools=[]))


@pytest.mark.parametrize("model", ["llama3.2", "gpt-oss-120b", "gpt2", "gpt-neox-20b", "o", "my-gpt-4"])
def test_open_models_have_their_own_sampling_defaults(model: str) -> None:
    """A server of an open model takes its temperature from the model's configuration, not from OpenAI's page."""
    for field in ({"temperature": 1}, {"top_p": 1}, {"parallel_tool_calls": True}):
        assert form(chat(**field), model=model) != form(chat(), model=model)
    assert form(chat(n=1), model=model) == form(chat(), model=model)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-3.5-turbo", "gpt-5.1", "o1", "o3-mini", "chatgpt-4o-latest", "ft:gpt-4o:acme::1"]
)
def test_openais_own_models_have_openais_defaults(model: str) -> None:
    """The names that OpenAI's own models go by."""
    assert form(chat(temperature=1.0, top_p=1), model=model) == form(chat(), model=model)


def test_only_the_endpoints_own_defaults_are_left_out() -> None:
    """A field means what its endpoint says: embeddings know no `n`, completions count `logprobs`."""
    assert form(chat(n=1), Endpoint.EMBEDDINGS) != form(chat(), Endpoint.EMBEDDINGS)
    assert form(chat(encoding_format="float"), Endpoint.EMBEDDINGS) == form(chat(), Endpoint.EMBEDDINGS)
    assert form(chat(echo=False), Endpoint.COMPLETIONS) == form(chat(), Endpoint.COMPLETIONS)
    assert form(chat(logprobs=False), Endpoint.COMPLETIONS) != form(chat(), Endpoint.COMPLETIONS)


def test_order_counts_inside_schemas_and_nowhere_around_them() -> None:
    """Models write properties in the schema's order: there a different order is a different request."""
    turned = {"properties": {"a": {"type": "number"}, "b": {"type": "string"}}, "type": "object"}
    for fields in (
        lambda schema: {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]},
        lambda schema: {"functions": [{"name": "f", "parameters": schema}]},
        lambda schema: {
            "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
        },
    ):
        assert form(chat(**fields(SCHEMA))) != form(chat(**fields(turned)))
        assert form(chat(**fields(SCHEMA))) == form(chat(**fields(dict(SCHEMA))))
    around = {"function": {"parameters": SCHEMA, "name": "look"}, "type": "function"}
    assert form(chat(tools=[around])) == form(chat(tools=[TOOL]))


def test_the_model_counts_by_its_route_alone() -> None:
    """An alias and the name behind it ask the same; the route's name is in the key beside the form."""
    assert form(chat() | {"model": "cheap"}) == form(chat())


def test_of_a_doubled_key_the_last_counts() -> None:
    """As with every parser that an upstream may use."""
    body = b'{"messages":[{"role":"user","content":"a","content":"b"}],"seed":1,"seed":2}'
    assert form_of(body) == form_of(b'{"messages":[{"role":"user","content":"b"}],"seed":2}')


def test_integers_are_read_exactly() -> None:
    """The body keeps integers of any size, so that what is sent on is what came."""
    raw = b'{"a":18446744073709551616,"b":[-170141183460469231731687303715884105728],"c":1e30,"d":2.0,"e":7}'
    body, settled = read(raw)
    assert body == json.loads(raw)
    assert type(body["a"]) is int
    assert type(body["d"]) is float
    assert type(settled["d"]) is int


def test_an_unremarkable_body_is_not_copied() -> None:
    """Without numbers to settle, both readings are one object."""
    body, settled = read(orjson.dumps(chat(temperature=0.2)))
    assert settled is body


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"null", b'"a"', b"NaN", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":01}',
        b'{"a":"\xff"}', b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}", b'{"a":1}{"b":2}', b"{'a':1}", b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" * 100_000,
        b'{"a":18446744073709551616,"b":' + b"[" * 1000 + b"]" * 1000 + b"}",
    ],
)  # fmt: skip
def test_what_is_not_a_json_object_is_refused(raw: bytes) -> None:
    """Malformed, not UTF-8, lone surrogates, endless numbers, bombs of brackets: a ValueError, never a crash."""
    with pytest.raises(ValueError, match=r"\w"):
        read(raw)


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded(brackets: tuple[bytes, bytes]) -> None:
    """The deepest body that is read has a canonical form in every place; one level more is refused."""
    for name in (b"x", b"tools", b"stop"):
        for opening in (b"1", b"1.0", b"18446744073709551616"):
            inner = MAX_DEPTH - 1
            template = b'{"messages":[{"role":"user","content":"a"}],"%s":%s%s%s}'
            raw = template % (name, brackets[0] * inner, opening, brackets[1] * inner)
            assert form_of(raw).text == "a"
            with pytest.raises(ValueError, match="levels deep"):
                read(template % (name, brackets[0] * (inner + 1), opening, brackets[1] * (inner + 1)))
