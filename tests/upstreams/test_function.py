"""A Python function as an upstream: what it is given, what it may return, and what becomes of its mistakes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Call, Endpoint
from askonce.sending.batches.bodies import Bodies
from askonce.upstreams.function import FunctionUpstream, find_function
from upstreams.engines import ENGINE, answer, echo
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.upstreams.function import Generate


def chat(text: str, *, stream: bool = False) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream}
    return Call(Endpoint.CHAT, "m", json.dumps(body).encode(), stream)


def upstream(generate: Generate, timeout_s: float = 5.0) -> FunctionUpstream:
    return FunctionUpstream("engine", generate, ["m"], timeout_s)


async def asked_together(generate: Generate, *texts: str) -> Sequence[bytes | UpstreamFailure]:
    """What becomes of several calls that go as one."""
    form = Bodies()
    parts = [form.read(chat(text)) for text in texts]
    reply = await upstream(generate).open(form.join(parts))
    return form.split(await reply.body(), parts)


async def failure(generate: Generate, timeout_s: float = 5.0) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as failed:
        await upstream(generate, timeout_s).open(chat("hi"))
    return failed.value


def said(body: bytes | UpstreamFailure) -> str:
    assert isinstance(body, bytes)
    text: str = json.loads(body)["choices"][0]["message"]["content"]
    return text


@virtual_time
async def test_one_call_is_a_list_of_one() -> None:
    """A call that goes alone is given in a list too; its answer is whole, also where events were asked for."""
    for stream in (False, True):
        reply = await upstream(echo).open(chat("hi", stream=stream))
        assert said(await reply.body()) == "You said: hi"
        assert not reply.streamed
        await reply.aclose()


@virtual_time
async def test_several_calls_are_answered_in_order_and_fail_for_themselves() -> None:
    """Each result belongs to the call at its place; an exception there concerns that call alone."""
    first, refused, crashed, last = await asked_together(echo, "one", "refuse", "crash", "two")
    assert (said(first), said(last)) == ("You said: one", "You said: two")
    assert isinstance(refused, UpstreamFailure)
    assert (refused.status, refused.code, refused.sharing) == (422, "no_thanks", Sharing.FATAL)
    assert isinstance(crashed, UpstreamFailure)
    assert (crashed.status, crashed.code, crashed.sharing) == (500, "upstream_failed", Sharing.TRANSIENT)
    assert "crash" not in crashed.message


@virtual_time
async def test_bytes_are_taken_as_they_are() -> None:
    """An engine that has JSON already needn't take it apart."""

    async def generate(calls: list[Call]) -> list[Any]:
        return [json.dumps(answer(call), indent=2).encode() for call in calls]

    assert [said(body) for body in await asked_together(generate, "a", "b")] == ["You said: a", "You said: b"]


@pytest.mark.parametrize("result", [None, {}, [], "text", [{}, {}], 7])
def test_the_wrong_number_of_results_is_nobodys(result: Any) -> None:
    """What isn't one result for each call is garbage for all of them."""

    async def generate(_calls: list[Call]) -> Any:
        return result

    @virtual_time
    async def check() -> None:
        failed = await failure(generate)
        assert (failed.status, failed.code, failed.sharing) == (502, "upstream_garbage", Sharing.TRANSIENT)

    check()


@pytest.mark.parametrize("result", [None, b"{", b"[]", "text", 5, {"x": object()}, {1, 2}, b"\xff"])
def test_a_result_that_is_no_object_is_its_own_calls_failure(result: Any) -> None:
    """One malformed answer doesn't spoil its neighbours'."""

    async def generate(calls: list[Call]) -> list[Any]:
        return [answer(calls[0]), result]

    @virtual_time
    async def check() -> None:
        good, bad = await asked_together(generate, "a", "b")
        assert said(good) == "You said: a"
        assert isinstance(bad, UpstreamFailure)
        assert bad.code == "upstream_garbage"

    check()


@pytest.mark.parametrize("error", [ValueError("secret prompt"), SystemExit(3), asyncio.CancelledError()])
def test_whatever_is_raised_ends_as_a_failure(error: BaseException) -> None:
    """An engine that crashes, exits or cancels itself fails its calls and leaves the gateway alone."""

    async def generate(_calls: list[Call]) -> list[Any]:
        raise error

    @virtual_time
    async def check() -> None:
        failed = await failure(generate)
        assert (failed.status, failed.code, failed.sharing) == (500, "upstream_failed", Sharing.TRANSIENT)
        assert "secret" not in str(failed)

    check()


@virtual_time
async def test_a_refusal_that_is_raised_is_told_to_all() -> None:
    """A function that is too busy says so for all of its calls, and when to come back."""

    async def generate(_calls: list[Call]) -> list[Any]:
        raise Refusal(429, "busy", "Later.", retry_after_s=3)

    failed = await failure(generate)
    assert (failed.status, failed.sharing, failed.retry_after_s) == (429, Sharing.TRANSIENT, 3)


@virtual_time
async def test_each_call_has_a_failure_of_its_own() -> None:
    """A function that raises one and the same exception fails each time anew: what is shared counts once."""
    always = UpstreamFailure(503, "busy", "Busy.", sharing=Sharing.TRANSIENT, retry_after_s=2)

    async def busy(_: list[Call]) -> list[object]:
        raise always

    first, second = await failure(busy), await failure(busy)
    assert first is not second
    assert (first.status, first.code, first.retry_after_s) == (503, "busy", 2)


@virtual_time
async def test_a_function_that_takes_too_long_is_cancelled() -> None:
    """After its time it is cancelled; one that won't be is left to itself, and holds nobody up."""
    cancelled = []

    async def generate(_calls: list[Call]) -> list[Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            await asyncio.sleep(1)
        return []

    loop = asyncio.get_running_loop()
    began = loop.time()
    failed = await failure(generate, timeout_s=2.0)
    assert (failed.status, failed.code) == (504, "upstream_timeout")
    assert loop.time() - began == pytest.approx(2.0)
    await asyncio.sleep(2)
    assert cancelled == [True]


@virtual_time
async def test_a_call_that_nobody_waits_for_cancels_the_function() -> None:
    """An engine learns that its work isn't wanted any more."""
    cancelled = []

    async def generate(_calls: list[Call]) -> list[Any]:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append(True)
        return []

    task = asyncio.create_task(upstream(generate).open(chat("hi")))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert cancelled == [True]


@virtual_time
async def test_models_are_those_in_the_configuration() -> None:
    """A function has no list of its own."""
    assert [model["id"] for model in await upstream(echo).models(None)] == ["m"]


def test_functions_methods_and_objects_are_found() -> None:
    """`package.module:attribute` may name anything that is an async function of calls."""
    assert find_function("upstreams.engines:echo") is echo
    assert find_function("upstreams.engines:ENGINE") is ENGINE
    assert find_function("upstreams.engines:ENGINE.generate") == ENGINE.generate


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("no.such.module:f", "ModuleNotFoundError"),
        ("upstreams.engines:nothing", "AttributeError"),
        ("upstreams.engines:plain", "async function"),
        ("upstreams.engines:NOT_A_FUNCTION", "async function"),
    ],
)
def test_what_cannot_be_one_is_said_at_once(path: str, sentence: str) -> None:
    """A function that isn't there, or isn't asynchronous, is an error of the configuration."""
    with pytest.raises(ValueError, match=sentence):
        find_function(path)


def test_the_documented_example_answers() -> None:
    """The function in the documentation does what the page says."""
    page = (Path(__file__).parents[2] / "docs" / "python-upstream.md").read_text()
    source = page.split("```python\n")[1].split("```")[0]

    class Library:
        async def complete(self, prompts: list[str]) -> list[str | None]:
            return [None if prompt == "long" else prompt.upper() for prompt in prompts]

    module: dict[str, Any] = {"my_library": Library()}
    exec(source, module)  # noqa: S102 - our own documentation

    @virtual_time
    async def check() -> None:
        first, long, last = await asked_together(module["generate"], "one", "long", "two")
        assert (said(first), said(last)) == ("ONE", "TWO")
        assert isinstance(long, UpstreamFailure)
        assert (long.status, long.code) == (422, "too_long")

    check()
