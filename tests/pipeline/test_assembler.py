"""Streams added up: the whole that a plain caller would have got, from all the ways in which servers stream."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from askonce.errors import Sharing, UpstreamFailure
from askonce.model import Answer, Endpoint, Usage
from askonce.pipeline.assembler import Assembler


def free(_: Usage) -> int:
    return 7


def event(*choices: Any, **more: Any) -> bytes:
    stamp = {"id": "chatcmpl-1", "created": 5, "model": "m", "object": "chat.completion.chunk"}
    return orjson.dumps({**stamp, "choices": list(choices), **more})


def delta(fields: Any, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": fields, "finish_reason": finish, **more}


def added_up(*events: bytes, endpoint: Endpoint = Endpoint.CHAT) -> tuple[Any, Answer, bool]:
    assembler = Assembler(endpoint)
    for one in events:
        assembler.feed(one)
    answer, keepable = assembler.finish(free)
    return orjson.loads(b"{" + answer.fields + b"}"), answer, keepable


def message(*deltas: Any) -> Any:
    body, _, _ = added_up(*(event(delta(one)) for one in deltas), event(delta({}, finish="stop")))
    return body["choices"][0]["message"]


def test_a_plain_stream_is_the_plain_answer() -> None:
    """Role, content in pieces, finish reason, fingerprint and usage end up where a whole body has them."""
    body, answer, keepable = added_up(
        event(
            delta({"role": "assistant", "content": "", "refusal": None}),
            system_fingerprint="fp",
            obfuscation="x",
        ),
        event(delta({"content": "Hel"}), usage=None, obfuscation="yy"),
        event(delta({"content": "lo"})),
        event(delta({}, finish="stop")),
        event(
            usage={"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
        ),
    )
    assert body == {
        "object": "chat.completion",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
            }
        ],
    }
    assert keepable
    assert (answer.usage, answer.model, answer.id_prefix) == (Usage(3, 2, 1), "m", "chatcmpl-")


def test_the_first_delta_may_have_no_content_or_role() -> None:
    """llama.cpp begins with null content, others with an empty or no role, others with no delta at all."""
    assert message({"role": "assistant", "content": None}, {"content": "a"})["content"] == "a"
    assert message({"role": "", "content": "a"}) == {"role": "assistant", "content": "a"}
    assert message({"role": None}) == {"role": "assistant", "content": None}
    assert message(None, {"content": "a"}) == {"role": "assistant", "content": "a"}


def test_tool_calls_in_pieces_are_put_together_by_index() -> None:
    """Interleaved, out of order, with empty repeated names and ids as some servers send them."""
    said = message(
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "id": "", "function": {"name": "", "arguments": "}"}},
                        {"index": 1, "function": {"arguments": "[]"}}]},
    )  # fmt: skip
    assert said["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "[]"}},
    ]
    assert said["content"] is None


def test_tool_calls_without_index_are_whole_ones() -> None:
    """Servers that send each call in one piece leave the index out."""
    assert message({"tool_calls": [{"id": "a"}]}, {"tool_calls": [{"id": "b"}]})["tool_calls"] == [
        {"id": "a"},
        {"id": "b"},
    ]


def test_other_deltas_grow_in_the_same_way() -> None:
    """Refusals, old function calls, reasoning and fields that nobody knows yet."""
    assert message({"refusal": "I "}, {"refusal": "won't"})["refusal"] == "I won't"
    assert message({"function_call": {"name": "f", "arguments": "{"}}, {"function_call": {"arguments": "}"}})[
        "function_call"
    ] == {"name": "f", "arguments": "{}"}
    assert message({"reasoning_content": "hm"}, {"reasoning_content": "m"})["reasoning_content"] == "hmm"
    assert message({"x": {"y": "a", "n": 1}}, {"x": {"y": "b", "n": 2}})["x"] == {"y": "ab", "n": 2}
    details = [{"type": "t", "format": "v1", "text": text, "index": 0} for text in ("a", "b")]
    assert message(*({"reasoning_details": [one]} for one in details))["reasoning_details"] == [
        {"type": "t", "format": "v1", "text": "ab", "index": 0}
    ]


def test_logprobs_are_listed_in_order() -> None:
    """Token lists grow; null before them does no harm, and a token called "index" is just a token."""
    body, _, _ = added_up(
        event(delta({"content": ""}, logprobs=None)),
        event(delta({"content": "a"}, logprobs={"content": [{"token": "a"}], "refusal": None})),
        event(delta({"content": "b"}, logprobs={"content": [{"token": "b"}], "refusal": None})),
        event(delta({}, finish="stop", logprobs=None)),
    )
    assert body["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_several_choices_may_be_interleaved() -> None:
    """With n > 1: sorted by index, each with its own end; one that is filtered spoils the keeping."""
    body, _, keepable = added_up(
        event(delta({"content": "b"}, 1), delta({"content": "a"}, 0)),
        event(delta({"content": "B"}, 1, "content_filter")),
        event(delta({"content": "A"}, 0, "stop")),
    )
    assert [one["message"]["content"] for one in body["choices"]] == ["aA", "bB"]
    assert not keepable


def text(index: int, said: str, finish: str | None = None, **more: Any) -> bytes:
    return event({"index": index, "text": said, "finish_reason": finish}, object="text_completion", **more)


def test_usage_per_choice_is_added_up() -> None:
    """llama.cpp answers a list of prompts with `null` first, choices interleaved, and usage in each choice's last event."""
    body, answer, keepable = added_up(
        b"null",
        text(0, "a"),
        text(1, "b"),
        text(1, "", "length", usage={"prompt_tokens": 2, "completion_tokens": 5, "d": {"cached": 1}}),
        text(0, "c", "length", usage={"prompt_tokens": 3, "completion_tokens": 6, "d": {"cached": 2}}),
        endpoint=Endpoint.COMPLETIONS,
    )
    assert [one["text"] for one in body["choices"]] == ["ac", "b"]
    assert answer.usage == Usage(5, 11)
    assert orjson.loads(answer.usage_json)["d"] == {"cached": 3}
    assert keepable


def test_running_usage_is_not_added_up() -> None:
    """Servers that count as they go repeat themselves: the newest count holds, and a bare total beats them all."""
    running = [text(0, "a", usage={"prompt_tokens": 3, "completion_tokens": n}) for n in (1, 2)]
    assert added_up(*running, endpoint=Endpoint.COMPLETIONS)[1].usage == Usage(3, 2)
    total = event(usage={"prompt_tokens": 9, "completion_tokens": 9})
    assert added_up(*running, total, endpoint=Endpoint.COMPLETIONS)[1].usage == Usage(9, 9)


def test_chunks_are_passed_on_without_envelope() -> None:
    """What readers get: the event's own fields without id, created, model, usage; bare where it has usage alone."""
    assembler = Assembler(Endpoint.CHAT)
    chunk = assembler.feed(event(delta({"content": "a"}), usage=None))
    assert chunk is not None
    assert orjson.loads(b"{" + chunk.fields + b"}") == {
        "object": "chat.completion.chunk",
        "choices": [delta({"content": "a"})],
    }
    assert (chunk.usage, chunk.bare) == (b"null", False)
    usage = assembler.feed(event(usage={"total_tokens": 1}))
    assert usage is not None
    assert usage.bare
    first = assembler.feed(event(prompt_filter_results=[]))
    assert first is not None
    assert not first.bare
    assert assembler.feed(b"null") is None


@pytest.mark.parametrize("error", [{"message": "overloaded", "code": 529}, "overloaded"])
def test_an_error_event_is_a_failure(error: Any) -> None:
    """In a stream that began well, too; the upstream's own error object travels on."""
    assembler = Assembler(Endpoint.CHAT)
    assembler.feed(event(delta({"content": "a"})))
    with pytest.raises(UpstreamFailure, match="overloaded") as caught:
        assembler.feed(orjson.dumps({"error": error}))
    assert caught.value.sharing is Sharing.TRANSIENT
    assert caught.value.body == (orjson.dumps(error) if isinstance(error, dict) else None)


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b"1", b"{}", b'{"choices":{}}', b'{"choices":[1]}', b'{"error":null}']
)
def test_garbage_in_a_stream_is_a_failure(payload: bytes) -> None:
    """An event that isn't a chunk ends the stream as a transient failure."""
    with pytest.raises(UpstreamFailure) as caught:
        Assembler(Endpoint.CHAT).feed(payload)
    assert caught.value.code == "upstream_garbage"


def test_a_stream_without_events_is_a_failure() -> None:
    """An empty stream is no answer."""
    with pytest.raises(UpstreamFailure):
        Assembler(Endpoint.CHAT).finish(free)


def test_a_stream_has_ended_once_every_choice_has() -> None:
    """Without an end mark, all choices that were asked for must have come to their finish reason."""
    assembler = Assembler(Endpoint.CHAT, choices=2)
    assert not assembler.ended
    assembler.feed(event(delta({}, 0, "stop")))
    assert not assembler.ended
    assembler.feed(event(delta({"content": "a"}, 1)))
    assert not assembler.ended
    assembler.feed(event(delta({}, 1, "stop")))
    assert assembler.ended
