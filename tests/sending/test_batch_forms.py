"""Joining bodies and splitting answers: whose result is whose, and what each is charged."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Call, Endpoint
from askonce.sending.batches.bodies import Bodies, read_bodies, write_outcomes
from askonce.sending.batches.chat import VllmChat
from askonce.sending.batches.form import Mismatch
from askonce.sending.batches.lists import COMPLETIONS, EMBEDDINGS
from askonce.sending.batches.shares import apportion, share_usage

if TYPE_CHECKING:
    from askonce.sending.batches.form import Form, Part

TEXTS = st.text(max_size=8)
TOKEN_LISTS = st.lists(st.integers(0, 50_000), min_size=1, max_size=4)
TEXT_INPUTS = TEXTS | st.lists(TEXTS, min_size=1, max_size=4)
TOKEN_INPUTS = TOKEN_LISTS | st.lists(TOKEN_LISTS, min_size=1, max_size=4)
BATCHES = st.lists(TEXT_INPUTS, min_size=1, max_size=6) | st.lists(TOKEN_INPUTS, min_size=1, max_size=6)
WEIGHTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


def call(endpoint: Endpoint, **body: Any) -> Call:
    return Call(endpoint, "m", json.dumps({"model": "m", **body}).encode(), stream=False)


def read(form: Form, sent: Call) -> Part:
    part = form.read(sent)
    assert part is not None
    return part


def items(asked: Any) -> list[Any]:
    return asked if isinstance(asked, list) and not isinstance(asked[0], int) else [asked]


def embed(sent: Call, order: st.DataObject | None = None, *, index: bool = True) -> bytes:
    """What a server makes of a call: each vector is its own text, so that a crossed one shows."""
    asked = json.loads(sent.body)["input"]
    data = [
        {"object": "embedding", "embedding": item, **({"index": at} if index else {})}
        for at, item in enumerate(asked)
    ]
    if order is not None:
        data = order.draw(st.permutations(data))
    usage = {"prompt_tokens": 17 * len(asked), "total_tokens": 17 * len(asked)}
    return json.dumps({"object": "list", "data": data, "model": "m", "usage": usage}).encode()


@given(BATCHES, st.booleans(), st.data())
def test_every_caller_gets_the_vectors_of_its_own_inputs(
    inputs: list[Any], index: Any, order: st.DataObject
) -> None:
    """Each answer holds its caller's items in its order from index 0, however the upstream orders its own."""
    parts = [read(EMBEDDINGS, call(Endpoint.EMBEDDINGS, input=one)) for one in inputs]
    body = embed(EMBEDDINGS.join(parts), order if index else None, index=index)
    answers = [json.loads(share) for share in EMBEDDINGS.split(body, parts)]
    for asked, answer in zip(inputs, answers, strict=True):
        assert [one["embedding"] for one in answer["data"]] == items(asked)
        assert [one["index"] for one in answer["data"]] == list(range(len(items(asked))))
        assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"]
    total = sum(len(items(asked)) for asked in inputs)
    assert sum(answer["usage"]["prompt_tokens"] for answer in answers) == 17 * total


@given(st.lists(TEXT_INPUTS, min_size=2, max_size=5), st.integers(1, 3), st.data())
def test_every_caller_gets_the_choices_of_its_own_prompts(
    prompts: list[Any], count: int, order: st.DataObject
) -> None:
    """Choice n·i + j is the j-th of the i-th prompt; each caller's choices start again at 0."""
    parts = [read(COMPLETIONS, call(Endpoint.COMPLETIONS, prompt=one, n=count)) for one in prompts]
    joined = json.loads(COMPLETIONS.join(parts).body)
    assert joined["n"] == count
    choices = [
        {"index": at * count + nth, "text": f"{prompt}/{nth}", "finish_reason": "stop", "logprobs": None}
        for at, prompt in enumerate(joined["prompt"])
        for nth in range(count)
    ]
    usage = {"prompt_tokens": 31, "completion_tokens": 67, "total_tokens": 98}
    body = json.dumps({"id": "cmpl-1", "choices": order.draw(st.permutations(choices)), "usage": usage})
    answers = [json.loads(share) for share in COMPLETIONS.split(body.encode(), parts)]
    for asked, answer in zip(prompts, answers, strict=True):
        expected = [f"{prompt}/{nth}" for prompt in items(asked) for nth in range(count)]
        assert [choice["text"] for choice in answer["choices"]] == expected
        assert [choice["index"] for choice in answer["choices"]] == list(range(len(expected)))
        spent = answer["usage"]
        assert spent["total_tokens"] == spent["prompt_tokens"] + spent["completion_tokens"]
    for name, value in usage.items():
        assert sum(answer["usage"][name] for answer in answers) == value
    assert len({answer["id"] for answer in answers}) == len(answers)


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=3), min_size=2, max_size=5))
def test_every_caller_gets_the_answer_to_its_own_conversation(talks: list[list[str]]) -> None:
    """A vLLM batch is answered by one choice per conversation, and one sum of tokens."""
    form = VllmChat()
    parts = [
        read(form, call(Endpoint.CHAT, messages=[{"role": "user", "content": text} for text in talk]))
        for talk in talks
    ]
    sent = form.join(parts)
    assert sent.path == "chat/completions/batch"
    choices = [
        {"index": at, "message": {"role": "assistant", "content": conversation[-1]["content"]}}
        for at, conversation in enumerate(json.loads(sent.body)["messages"])
    ]
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109, "prompt_tokens_details": None}
    body = json.dumps({"id": "chatcmpl-1", "choices": choices[::-1], "usage": usage}).encode()
    answers = [json.loads(share) for share in form.split(body, parts)]
    for talk, answer in zip(talks, answers, strict=True):
        assert [choice["message"]["content"] for choice in answer["choices"]] == [talk[-1]]
        assert answer["choices"][0]["index"] == 0
    assert sum(answer["usage"]["completion_tokens"] for answer in answers) == 9


@pytest.mark.parametrize(
    "indices",
    [[0, 1], [0, 1, 2, 3], [0, 1, 1], [0, 1, 3], [0, 1, -1], [0, 1, None], [0, 1, "2"], [0, 1, 1.5]],
)
def test_results_that_do_not_fit_are_nobodys(indices: list[Any]) -> None:
    """Too few or many results, and indices that are doubled, strange or missing: no caller is given any of them."""
    parts = [read(EMBEDDINGS, call(Endpoint.EMBEDDINGS, input=text)) for text in ("a", "b", "c")]
    data = [{"embedding": [0.5], "index": index} for index in indices]
    with pytest.raises(Mismatch):
        EMBEDDINGS.split(json.dumps({"data": data}).encode(), parts)


def test_a_result_without_index_among_others_with_one_is_nobodys() -> None:
    """Half an order is none."""
    parts = [read(EMBEDDINGS, call(Endpoint.EMBEDDINGS, input=text)) for text in ("a", "b")]
    with pytest.raises(Mismatch):
        EMBEDDINGS.split(b'{"data": [{"embedding": [1], "index": 0}, {"embedding": [2]}]}', parts)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"data": 1}',
        b'{"data": [1, 2]}',
        b'{"object": "list"}',
        b'{"error": {"message": "overloaded"}}',
        b"\xff",
        b"[" * 99_999,
    ],
)
def test_garbage_is_no_answer(body: bytes) -> None:
    """What isn't an answer is told as such, never by another error."""
    parts = [read(EMBEDDINGS, call(Endpoint.EMBEDDINGS, input=text)) for text in ("a", "b")]
    with pytest.raises(Mismatch):
        EMBEDDINGS.split(body, parts)


def test_numbers_keep_their_spelling() -> None:
    """A vector's bytes reach its caller as the upstream wrote them."""
    parts = [read(EMBEDDINGS, call(Endpoint.EMBEDDINGS, input=text)) for text in ("a", "b")]
    body = b'{"data":[{"embedding":[1.50e-07,-0.0],"index":1},{"embedding":"AAAA","index":0}],"x":1E2}'
    first, second = EMBEDDINGS.split(body, parts)
    assert b'"embedding":"AAAA"' in first
    assert b"[1.50e-07,-0.0]" in second
    assert b'"x":1E2' in first


@pytest.mark.parametrize(
    ("left", "right", "together"),
    [
        ({"input": "a"}, {"input": ["b", "c"]}, True),
        ({"input": [1, 2]}, {"input": [[3]]}, True),
        ({"input": "a"}, {"input": [1]}, False),
        ({"input": "a", "dimensions": 8}, {"dimensions": 8, "input": "b"}, True),
        ({"input": "a", "dimensions": 8}, {"input": "b", "dimensions": 9}, False),
        ({"input": "a", "encoding_format": "base64"}, {"input": "b"}, False),
        ({"input": "a", "user": "u"}, {"input": "b", "user": "v"}, False),
    ],
)
def test_what_goes_together_agrees_in_all_but_its_input(left: Any, right: Any, together: Any) -> None:
    """Everything beside the input is the batch's own, so that it has to be the same."""
    groups = {read(EMBEDDINGS, call(Endpoint.EMBEDDINGS, **body)).group for body in (left, right)}
    assert (len(groups) == 1) is together


@pytest.mark.parametrize("form", [EMBEDDINGS, VllmChat(), Bodies()])
def test_other_keys_and_headers_never_share_a_call(form: Form) -> None:
    """A call goes out under one credential and one set of headers."""
    plain = call(Endpoint.EMBEDDINGS, input="a", messages=[])
    others = [replace(plain, credential="sk-1"), replace(plain, headers=(("openai-organization", "o"),))]
    assert len({read(form, one).group for one in [plain, *others]}) == 3


@pytest.mark.parametrize(
    "body",
    [
        {"input": []},
        {"input": [{"image": "x"}]},
        {"messages": []},
        {"input": None},
        {"input": ["a", 1]},
        {"input": 5},
    ],
)
def test_what_is_no_text_goes_alone(body: Any) -> None:
    """Images, conversations, nothing and nonsense are left for the upstream to judge."""
    assert EMBEDDINGS.read(call(Endpoint.EMBEDDINGS, **body)) is None


@pytest.mark.parametrize("count", [0, -1, "2", 1.5, True, []])
def test_strange_counts_go_alone(count: Any) -> None:
    """Where it isn't clear how many answers there will be, nobody else's are mixed with them."""
    assert COMPLETIONS.read(call(Endpoint.COMPLETIONS, prompt="a", n=count)) is None


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{}]},
        {"n": 2},
        {"functions": [{}]},
        {"use_beam_search": True},
        {"messages": "hi"},
        {"tool_choice": "auto"},
    ],
)
def test_chats_that_vllm_does_not_batch_go_alone(body: Any) -> None:
    """Tools, several choices and beam search aren't taken by its batch endpoint."""
    assert VllmChat().read(call(Endpoint.CHAT, **{"messages": [], **body})) is None


def test_streams_go_alone() -> None:
    """A stream's events come one call at a time."""
    for form in (EMBEDDINGS, COMPLETIONS, VllmChat()):
        sent = replace(call(Endpoint.CHAT, input="a", prompt="a", messages=[]), stream=True)
        assert form.read(sent) is None


def test_bodies_that_are_no_json_go_alone() -> None:
    """The upstream says what is wrong with them."""
    assert EMBEDDINGS.read(Call(Endpoint.EMBEDDINGS, "m", b"{", stream=False)) is None


def test_whole_bodies_are_answered_one_by_one() -> None:
    """Functions are given bodies as they came, and each may fail for itself."""
    form = Bodies()
    parts = [read(form, call(Endpoint.CHAT, messages=[], seed=seed)) for seed in (1, 2)]
    joined = form.join(parts)
    assert [json.loads(body)["seed"] for body in read_bodies(joined.body) or ()] == [1, 2]
    failure = UpstreamFailure(
        429, "busy", "Later.", sharing=Sharing.TRANSIENT, retry_after_s=2.5, body=b'{"message":"Later."}'
    )
    own = UpstreamFailure(504, "late", "Too late.", sharing=Sharing.TRANSIENT, began=True)
    (told,) = form.split(write_outcomes([own]), parts[:1])
    assert isinstance(told, UpstreamFailure)
    assert (told.body, told.retry_after_s, told.began) == (None, None, True)
    first, second = form.split(write_outcomes([b'{"choices":[]}', failure]), parts)
    assert first == b'{"choices":[]}'
    assert isinstance(second, UpstreamFailure)
    assert (second.status, second.code, second.message) == (429, "busy", "Later.")
    assert (second.sharing, second.retry_after_s, second.body) == (Sharing.TRANSIENT, 2.5, failure.body)
    assert not second.began
    with pytest.raises(Mismatch):
        form.split(b"[{}]", parts)
    with pytest.raises(Mismatch):
        form.split(b"[{},{}]", parts)
    assert read_bodies(parts[0].call.body) is None


@given(st.integers(0, 10**9), WEIGHTS)
def test_shares_add_up_and_none_is_off_by_one(total: int, weights: list[int]) -> None:
    """The largest remainder method: exact to the token, within one of the true proportion, and never for nothing."""
    shares = apportion(total, weights)
    assert sum(shares) == total
    weighed = sum(weights) or len(weights)
    for share, weight in zip(shares, weights if sum(weights) else [1] * len(weights), strict=True):
        assert abs(share * weighed - total * weight) < weighed


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.data(), WEIGHTS)
def test_no_detail_is_larger_than_what_it_is_a_part_of(
    prompt: int, completion: int, draw: st.DataObject, weights: list[int]
) -> None:
    """Nobody is told of more cached tokens than prompt tokens: that would make a price below zero."""
    cached = draw.draw(st.integers(0, prompt))
    answered = draw.draw(st.permutations(weights))
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": None},
        "cost": 0.5,
    }
    shares = share_usage(usage, weights, answered)
    assert sum(share["prompt_tokens_details"]["cached_tokens"] for share in shares) == cached
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert sum(share[name] for share in shares) == usage[name]
    for share in shares:
        assert share["prompt_tokens_details"]["cached_tokens"] <= share["prompt_tokens"]
        assert share["total_tokens"] == share["prompt_tokens"] + share["completion_tokens"]
        assert share["cost"] == 0.5
