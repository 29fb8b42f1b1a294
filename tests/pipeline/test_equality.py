"""Whether two answers are the same by their form: what counts as the same, and what never may."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Answer, Usage
from askonce.pipeline.equality import Said, Verdict, compare, said

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def text(value: str) -> Said:
    return Said(value, ())


def verdict(one: str, other: str) -> str:
    forth, back = compare(text(one), text(other)), compare(text(other), text(one))
    assert forth.verdict is back.verdict
    return forth.verdict.value


def answer(*messages: dict[str, Any], finish: str = "stop") -> Answer:
    choices = [{"index": i, "message": one, "finish_reason": finish} for i, one in enumerate(messages)]
    fields = orjson.dumps({"object": "chat.completion", "choices": choices})[1:-1]
    return Answer(fields, b"", "m", "chatcmpl-", Usage(), None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is  open.\n", "It is open"),
        ("caf\u00e9", "cafe\u0301"),
        ("It costs 1,200 euros", "It costs 1200 euros."),
        ("It costs 12.00 euros", "It costs 12 euros"),
        ('{"a": 1, "b": [true, null]}', '```json\n{"b": [true, null], "a": 1.0}\n```'),
    ],
)
def test_form_does_not_matter(one: str, other: str) -> None:
    """White space, Unicode form, ways to write a number, key order and code fences."""
    assert verdict(one, other) == "same"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 18446744073709551617}', '{"a": 18446744073709551618}'),
        ('{"a": 1}', '{"b": 1}'),
        ("[1, 2]", "[2, 1]"),
        ("[1]", "[1, 1]"),
        ('{"label": "spam"}', '{"label": "not spam"}'),
        ('{"a": null}', '{"a": 0}'),
    ],
)
def test_values_decide(one: str, other: str) -> None:
    """Another number, type, key, order, length or name within JSON is another answer."""
    assert verdict(one, other) == "different"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It is open.", "It isn't open."),
        ("Use version 3.10", "Use version 3.1"),
        ("12.5", "125"),
        ("1,25", "125"),
        ("Yes", "No"),
        ('{"a": 1}', "a is 1"),
        ('{"a": NaN}', '{"a":  NaN, "b": 1}'),
        ("[" * 5_000, "[" * 4_999),
        ('{"note": "we are open until nine"}', '{"note": "we close at nine every day"}'),
    ],
)
def test_form_never_says_the_same_of_other_words(one: str, other: str) -> None:
    """What isn't the same by form is left to judges of meaning, with the texts that differ."""
    found = compare(text(one), text(other))
    assert found.verdict is Verdict.UNDECIDED
    assert found.rest


def test_only_what_differs_is_left_to_compare() -> None:
    """Of two JSON answers, the judges of meaning see the long texts that differ and nothing else."""
    one, other = "we are open until nine", "we close at nine every day"
    found = compare(text(json.dumps({"id": 1, "note": one})), text(json.dumps({"id": 1, "note": other})))
    assert found.rest == ((one, other),)


@given(JSON, JSON)
def test_json_is_compared_as_values(one: Any, other: Any) -> None:
    """However it is written, a value is the same as itself; what is called the same is the same."""
    assert verdict(json.dumps([one], indent=2), json.dumps([one], ensure_ascii=False)) == "same"
    found = compare(text(json.dumps([one])), text(json.dumps([other])))
    assert found.verdict is compare(text(json.dumps([other])), text(json.dumps([one]))).verdict
    numbers = [json.dumps(value) for value in (one, other)]
    if found.verdict is Verdict.SAME and not any('"' in number for number in numbers):
        assert numbers[0] == numbers[1]


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_texts_can_be_compared(one: str, other: str) -> None:
    """Never raises, is symmetric, and a text is the same as itself."""
    verdict(one, other)
    assert verdict(one, one) == "same"


def test_tool_calls_decide() -> None:
    """By name and arguments as values, in any order; what is said beside them doesn't matter, one word in them does."""
    weather, mail = ("weather", '{"city": "Oslo", "days": 2}'), ("mail", '{"to": "a@b.c"}')
    one = Said("Let me look.", (weather, mail))
    assert compare(one, Said("", (mail, ("weather", '{"days":2.0,"city":"Oslo"}')))).verdict is Verdict.SAME
    for other in (
        (weather,),
        (weather, ("mail", '{"to": "a@b.d"}')),
        (weather, ("post", '{"to": "a@b.c"}')),
        (weather, weather),
        (weather, ("mail", "not json")),
    ):
        assert compare(one, Said("Let me look.", other)).verdict is Verdict.DIFFERENT


def test_what_an_answer_says() -> None:
    """Text, refusal and tool calls of the one choice; nothing where there are more, or it didn't come to its end."""
    tool = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert said(answer({"content": "hi"})) == Said("hi", ())
    assert said(answer({"content": None, "refusal": "no"})) == Said("no", ())
    assert said(answer({"content": None, "tool_calls": [tool]}, finish="tool_calls")) == Said(
        "", (("f", "{}"),)
    )
    assert said(answer({"content": None, "function_call": tool["function"]})) == Said("", (("f", "{}"),))
    assert said(answer({"content": "hi"}, finish="content_filter")) is None
    assert said(answer({"content": "hi, I was cut sho"}, finish="length")) is None
    assert said(answer({"content": None, "audio": {"data": "UklGRg=="}})) is None
    assert said(answer({"content": " "})) is None
    assert said(answer({"content": "a"}, {"content": "b"})) is None
    assert said(answer({"content": [{"type": "text"}]})) is None
    assert said(answer({"content": "", "tool_calls": [{"type": "function"}]})) is None
