"""Whole bodies, the chunks of a stored answer, and each reader's envelope."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Answer, Chunk, Endpoint, Usage
from askonce.pipeline.answers import Envelope, Stamp, parse_whole, split
from askonce.pipeline.assembler import Assembler

STAMP = Stamp("chatcmpl-theirs", 1_700_000_000, "gpt-1")


def whole(choices: list[Any], **more: Any) -> bytes:
    stamp = {"id": STAMP.id, "created": STAMP.created, "model": STAMP.model}
    return orjson.dumps({**stamp, "object": "chat.completion", "choices": choices, **more})


def choice(message: dict[str, Any], finish: str | None = "stop", index: int = 0) -> dict[str, Any]:
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


def free(_: Usage) -> int:
    return 7


def test_a_whole_body_comes_out_as_it_went_in() -> None:
    """Parsed, kept without its envelope, and wrapped in the same envelope again: equal to the upstream's body."""
    body = whole([choice({"role": "assistant", "content": "Hé"})], usage={"prompt_tokens": 3, "x": {"y": 1}})
    answer, stamp, keepable = parse_whole(body, Endpoint.CHAT, free)
    assert stamp == STAMP
    assert keepable
    assert answer.usage == Usage(3, 0, 0)
    assert answer.cost_nanousd == 7
    assert STAMP.id.encode() not in answer.fields
    assert orjson.loads(Envelope(stamp, include_usage=False).whole(answer)) == orjson.loads(body)


def test_each_copy_has_its_own_mark() -> None:
    """Id and time are the reader's own; the prefix, the model and everything else are the answer's."""
    answer, _, _ = parse_whole(whole([choice({"content": "a"})]), Endpoint.CHAT, free)
    copies = [
        orjson.loads(
            Envelope(Envelope.new_stamp(answer.id_prefix, 5, "alias"), include_usage=False).whole(answer)
        )
        for _ in range(2)
    ]
    assert copies[0]["id"] != copies[1]["id"]
    assert all(copy["id"].startswith("chatcmpl-") and copy["created"] == 5 for copy in copies)
    assert copies[0]["model"] == "alias"


def test_embeddings_have_no_id() -> None:
    """What the upstream gave no id gets none from us."""
    body = b'{"object":"list","data":[{"embedding":[0.5]}],"model":"e","usage":{"prompt_tokens":2}}'
    answer, stamp, keepable = parse_whole(body, Endpoint.EMBEDDINGS, free)
    assert keepable
    mine = Envelope(Envelope.new_stamp(answer.id_prefix, 5, stamp.model), include_usage=False).whole(answer)
    assert orjson.loads(mine) == orjson.loads(body)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'"x"', b"{}", b'{"choices":null}', b'{"choices":[1]}', b'{"error":null}', b""]
)
def test_what_is_no_answer_is_the_upstreams_fault(body: bytes) -> None:
    """A 200 without an answer is a transient failure, never an answer."""
    with pytest.raises(UpstreamFailure) as caught:
        parse_whole(body, Endpoint.CHAT, free)
    assert caught.value.sharing is Sharing.TRANSIENT
    assert caught.value.code == "upstream_garbage"


@pytest.mark.parametrize("error", ['"no"', '{"message":"no","code":7}'])
def test_an_error_under_status_200_is_passed_on(error: str) -> None:
    """What the upstream says of its failure reaches the caller, whatever status it came under."""
    with pytest.raises(UpstreamFailure, match="no") as caught:
        parse_whole(b'{"error":%s}' % error.encode(), Endpoint.CHAT, free)
    assert caught.value.code == "upstream_reported_error"
    assert caught.value.sharing is Sharing.TRANSIENT


def test_absurd_token_counts_count_as_none() -> None:
    """Usage that can't be true neither costs nor breaks what stores it."""
    usage = b'{"prompt_tokens":18446744073709551615,"completion_tokens":-3,"total_tokens":1}'
    answer, _, _ = parse_whole(
        b'{"id":"x","choices":[{"finish_reason":"stop"}],"usage":%s}' % usage, Endpoint.CHAT, free
    )
    assert answer.usage == Usage()


@pytest.mark.parametrize("finish", ["content_filter", None, "error", "", 3, [], {}])
def test_answers_that_did_not_end_well_are_not_kept(finish: Any) -> None:
    """A filtered, aborted or unended choice spoils the keeping, not the answering."""
    good, bad = choice({"content": "a"}), choice({"content": "b"}, finish, 1)
    assert not parse_whole(whole([good, bad]), Endpoint.CHAT, free)[2]
    assert not parse_whole(whole([]), Endpoint.CHAT, free)[2]


@pytest.mark.parametrize("created", [True, "soon", -1, None, 1e300])
def test_odd_envelopes_do_no_harm(created: Any) -> None:
    """An upstream's nonsense in the envelope becomes an empty mark, not an error."""
    body = orjson.dumps({"id": 5, "created": created, "model": [], "choices": [choice({"content": "a"})]})
    _, stamp, _ = parse_whole(body, Endpoint.CHAT, free)
    assert (stamp.id, stamp.model) == ("", "")
    assert stamp.created in {0, 1}


def test_fractions_of_a_second_are_dropped() -> None:
    """`created` as a float is taken for the second that it is in."""
    body = orjson.dumps({"id": "x", "created": 17.9, "choices": []})
    assert parse_whole(body, Endpoint.CHAT, free)[1].created == 17


def event_of(data: bytes) -> Any:
    assert data.startswith(b"data: ")
    assert data.endswith(b"\n\n")
    return orjson.loads(data[6:])


def test_without_include_usage_no_usage_is_seen() -> None:
    """No usage key anywhere and no event without choices: what a provider sends to those that don't ask."""
    envelope = Envelope(STAMP, include_usage=False)
    assert "usage" not in event_of(envelope.event(Chunk(b'"choices":[1]', b"null", bare=False)))
    assert "usage" not in event_of(envelope.event(Chunk(b'"choices":[1]', b'{"a":1}', bare=False)))
    assert envelope.event(Chunk(b'"choices":[]', b'{"a":1}', bare=True)) == b""


def test_with_include_usage_it_is_null_but_for_the_last() -> None:
    """All other events carry `usage: null`, also where the upstream left it out."""
    envelope = Envelope(STAMP, include_usage=True)
    assert event_of(envelope.event(Chunk(b'"choices":[1]', b"", bare=False)))["usage"] is None
    assert event_of(envelope.event(Chunk(b'"choices":[1]', b"null", bare=False)))["usage"] is None
    assert event_of(envelope.event(Chunk(b'"choices":[]', b'{"a":1}', bare=True)))["usage"] == {"a": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
).filter(lambda value: b'"index"' not in orjson.dumps(value))
CALL = st.fixed_dictionaries(
    {
        "id": st.text(max_size=5),
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": st.text(max_size=5), "arguments": st.text(max_size=9)}),
    }
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | st.text()},
    optional={
        "refusal": st.none() | st.text(),
        "tool_calls": st.lists(CALL, max_size=3),
        "function_call": st.fixed_dictionaries({"name": st.text(), "arguments": st.text()}),
        "reasoning_content": st.text(),
        "annotations": st.lists(JSON, max_size=2),
        "x_unknown": JSON,
    },
)
TOKEN = st.fixed_dictionaries({"token": st.text(max_size=3), "logprob": st.floats(-9, 0), "bytes": st.none()})
LOGPROBS = st.none() | st.fixed_dictionaries(
    {"content": st.lists(TOKEN, max_size=3) | st.none(), "refusal": st.none()}
)
FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
USAGE = st.none() | st.fixed_dictionaries(
    {"prompt_tokens": st.integers(1, 9), "completion_tokens": st.integers(1, 9)}
)


def rejoined(answer: Answer, endpoint: Endpoint) -> Answer:
    assembler = Assembler(endpoint)
    envelope = Envelope(STAMP, include_usage=True)
    for chunk in split(answer):
        assembler.feed(envelope.event(chunk)[6:])
    return assembler.finish(free)[0]


def parsed(answer: Answer) -> Any:
    return orjson.loads(b"{" + answer.fields + b"}"), answer.usage_json, answer.usage, answer.model


@given(st.lists(st.tuples(MESSAGE, LOGPROBS, FINISH), min_size=1, max_size=3), USAGE)
def test_split_and_added_up_again_a_chat_answer_is_itself(parts: list[Any], usage: Any) -> None:
    """Streaming a stored answer loses nothing: roles, tool calls, logprobs, n > 1, usage, unknown fields."""
    choices = [
        {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}
        for index, (message, logprobs, finish) in enumerate(parts)
    ]
    more = {} if usage is None else {"usage": usage}
    answer, _, _ = parse_whole(whole(choices, system_fingerprint="fp", **more), Endpoint.CHAT, free)
    assert parsed(rejoined(answer, Endpoint.CHAT)) == parsed(answer)


@given(st.lists(st.tuples(st.text(), FINISH), min_size=1, max_size=3))
def test_split_and_added_up_again_a_completion_is_itself(parts: list[tuple[str, str]]) -> None:
    """The same for text completions."""
    choices = [
        {"index": index, "text": text, "logprobs": {"tokens": [text], "top_logprobs": [{"index": -1.5}]},
         "finish_reason": finish}
        for index, (text, finish) in enumerate(parts)
    ]  # fmt: skip
    body = orjson.dumps(
        {"id": "cmpl-1", "created": 1, "model": STAMP.model, "object": "text_completion", "choices": choices}
    )
    answer, _, _ = parse_whole(body, Endpoint.COMPLETIONS, free)
    assert parsed(rejoined(answer, Endpoint.COMPLETIONS)) == parsed(answer)


def test_an_answer_holds_no_more_memory_than_it_says() -> None:
    """What is stored of an answer are its bytes, not the serialiser's much larger buffers behind them."""
    body = {
        "id": "chatcmpl-1",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x" * 300}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    raw = orjson.dumps(body)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        answers = [parse_whole(raw, Endpoint.CHAT, lambda _: None)[0] for _ in range(200)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(answers) < answers[0].size_bytes + 400
