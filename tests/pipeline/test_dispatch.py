"""Routing by model, and the call that goes out: the caller's own bytes wherever they can be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Caller, Endpoint, Lane, Route, Scope
from askonce.pipeline.dispatch import Dispatcher
from askonce.ports import Share
from fakes import CALLER, FakeObserver, FakeReply, FakeUpstream, billing, request, served

if TYPE_CHECKING:
    from askonce.pipeline.leg import Leg
    from askonce.sending.passage import Passage


class Taker:
    """An errand that is content with whatever comes."""

    lane = Lane.INTERACTIVE
    deadline = float("inf")
    begun = False

    def payers(self, nanousd: int) -> tuple[Share, ...]:
        return (Share("acme", "default", "fresh", nanousd),)

    async def take(self, leg: Leg, passage: Passage) -> None:  # noqa: ARG002 - the port's shape
        await passage.reply.body()


DOWN = UpstreamFailure(502, "upstream_unreachable", "Down.", sharing=Sharing.TRANSIENT)


def serving(*, stream_usage: bool = True) -> tuple[Dispatcher, FakeUpstream, FakeUpstream]:
    one, two = FakeUpstream(name="one"), FakeUpstream(name="two")
    both = [
        served(one, ("gpt-*", "o?"), {"cheap": "gpt-mini"}, stream_usage=stream_usage),
        served(two, ("*",), {"gpt-alias": "llama", "cheap": "other"}, stream_usage=stream_usage),
    ]
    observer = FakeObserver()
    return Dispatcher(both, observer, billing(observer)), one, two


@pytest.mark.parametrize(
    ("model", "route"),
    [
        ("gpt-4o", Route("one", "gpt-4o")),
        ("o3", Route("one", "o3")),
        ("o33", Route("two", "o33")),
        ("GPT-4o", Route("two", "GPT-4o")),
        ("cheap", Route("one", "gpt-mini")),
        ("gpt-alias", Route("two", "llama")),
    ],
)
def test_the_first_upstream_that_serves_a_model_gets_it(model: str, route: Route) -> None:
    """Patterns in the configuration's order, case and all; aliases before any pattern."""
    dispatcher, _, _ = serving()
    assert dispatcher.route(model) == route
    assert dispatcher.route(model) == route
    assert dispatcher.serves(model)


def test_a_model_that_nobody_serves_is_refused() -> None:
    """404 in OpenAI's words, a long name cut short, and as often as it is asked for."""
    observer = FakeObserver()
    dispatcher = Dispatcher([served(FakeUpstream(), ("gpt-*",))], observer, billing(observer))
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            dispatcher.route("x" * 500)
        assert (caught.value.status, caught.value.code) == (404, "model_not_found")
        assert len(caught.value.message) < 300
    assert not dispatcher.serves("claude")


def test_names_that_callers_make_up_take_no_lasting_memory() -> None:
    """The memo of routes is bounded."""
    dispatcher, _, _ = serving()
    for number in range(3_000):
        dispatcher.route(f"model-{number}")
    assert len(dispatcher._routes) <= 1_000


async def sent(body: bytes, *, stream_usage: bool = True, route: Route | None = None, **ask: Any) -> bytes:
    """The body that reaches the upstream for a caller's body."""
    upstream = FakeUpstream([FakeReply([])])
    observer = FakeObserver()
    dispatcher = Dispatcher([served(upstream, stream_usage=stream_usage)], observer, billing(observer))
    asked = request(body=json.loads(body), model="gpt", **ask)
    spoken = asked.ask._replace(raw=body, route=route or asked.ask.route)
    await dispatcher.single(asked, Taker()).travel(asked._replace(ask=spoken))
    call = upstream.calls[0]
    assert (call.endpoint, call.stream, call.model) == (spoken.endpoint, spoken.stream, spoken.route.model)
    return call.body


BODY = b'{ "model" : "gpt",\n "seed": 123456789012345678901234567890, "x": 1.0e0, "messages": [] }'


@pytest.mark.parametrize(
    "ask",
    [
        {},
        {"stream": True, "include_usage": True},
        {"stream": True, "stream_usage": False},
        {"stream": True, "endpoint": Endpoint.EMBEDDINGS},
    ],
)
async def test_a_body_goes_on_byte_for_byte_where_nothing_must_change(ask: dict[str, Any]) -> None:
    """Spaces, big integers and spellings of numbers included."""
    assert await sent(BODY, **ask) == BODY


async def test_bodies_for_a_shared_pool_are_written_anew() -> None:
    """A key that comes twice goes on once, with the value that counted: what one tenant asks is what all share."""
    twice = b'{"model": "gpt", "seed": 1, "messages": [], "seed": 2}'
    assert await sent(twice) == twice
    assert await sent(twice, scope=Scope.SHARED) == b'{"model":"gpt","seed":2,"messages":[]}'


async def test_streams_ask_for_their_usage_and_keep_other_options() -> None:
    """`include_usage` is added beside what the caller said; all other values stay exact, however big."""
    body = b'{"model":"gpt","seed":123456789012345678901234567890,"stream_options":{"include_obfuscation":false}}'
    out = json.loads(await sent(body, stream=True))
    assert out["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert out["seed"] == 123456789012345678901234567890
    out = json.loads(await sent(b'{"model":"gpt","stream_options":null}', stream=True))
    assert out["stream_options"] == {"include_usage": True}
    out = json.loads(await sent(b'{"model":"gpt","stream_options":{"include_usage":false}}', stream=True))
    assert out["stream_options"] == {"include_usage": True}


async def test_an_alias_becomes_the_upstreams_own_name() -> None:
    """The model alone changes; text that JSON can escape in several ways keeps its meaning."""
    body = orjson.dumps({"model": "gpt", "messages": [{"content": "é\u2028\U0001f600"}], "n": 1})
    out = orjson.loads(await sent(body, route=Route("fake", "gpt-mini")))
    assert out == {**orjson.loads(body), "model": "gpt-mini"}
    lone = b'{"model":"gpt","messages":[{"content":"\\ud800"}]}'
    assert json.loads(await sent(lone, route=Route("fake", "m")))["messages"] == [{"content": "\ud800"}]


async def test_credentials_and_headers_travel_with_the_call() -> None:
    """What the caller may pass through reaches the upstream that was chosen."""
    dispatcher, one, two = serving()
    one.replies.append(FakeReply([]))
    asked = request(model="gpt-4o", caller=Caller("t", "t", (), "sk-theirs", b""))
    asked = asked._replace(
        ask=asked.ask._replace(route=dispatcher.route("gpt-4o")), headers=(("openai-beta", "x"),)
    )
    await dispatcher.single(asked, Taker()).travel(asked)
    assert (one.calls[0].credential, one.calls[0].headers) == ("sk-theirs", (("openai-beta", "x"),))
    assert not two.calls


async def test_models_of_all_upstreams_are_listed_once() -> None:
    """The first to have a name describes it; aliases take their target's description; one that is down is left out."""
    dispatcher, one, two = serving()
    one.listing = [{"id": "gpt-mini", "object": "model", "created": 3, "owned_by": "them"}]
    two.listing = [{"id": "gpt-mini", "created": 9}, {"id": "llama"}]
    listed = {model["id"]: model for model in await dispatcher.models(CALLER)}
    assert list(listed) == ["gpt-mini", "cheap", "llama", "gpt-alias"]
    assert listed["cheap"] == {"id": "cheap", "object": "model", "created": 3, "owned_by": "them"}
    assert listed["gpt-mini"]["created"] == 3
    two.listing = DOWN
    assert [model["id"] for model in await dispatcher.models(CALLER)] == ["gpt-mini", "cheap"]
    one.listing = DOWN
    with pytest.raises(UpstreamFailure):
        await dispatcher.models(CALLER)


async def test_closing_closes_all() -> None:
    """Every upstream's connections."""
    dispatcher, one, two = serving()
    await dispatcher.close()
    assert (one.closed, two.closed) == (1, 1)
