"""A request's way: tried again, left alone, stood in for; and what callers and the store see of it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.model import Caller, Endpoint, Exact, Fresh, Joined, Lane, Route
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.dispatch import Dispatcher, Fallback, Served
from askonce.pipeline.fetch import Fetcher
from askonce.pipeline.inflight import Flights
from askonce.pipeline.prices import Prices
from askonce.pipeline.reply import Reply
from askonce.sending.breaker import BreakerRules
from askonce.sending.outlet import Outlet
from askonce.sending.retries import RetryRules
from fakes import FakeClock, FakeObserver, FakeReply, FakeStore, FakeUpstream, billing, request, served
from sending.engine import Engine, line
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.model import Call, Request
    from askonce.pipeline.flight import Flight

RULES = RetryRules(attempts=2, base_s=0.25, cap_s=8, share=0.2, floor=10)
BREAKER = BreakerRules(failures=4, probe_interval_s=5)
TO_SPARE = (Fallback("*", (Route("spare", "spare-1"),)),)


def failure(
    status: int = 502, code: str = "upstream_broke_off", after_s: float | None = None
) -> UpstreamFailure:
    return UpstreamFailure(status, code, "No.", sharing=Sharing.TRANSIENT, retry_after_s=after_s)


DOWN = failure(502, "upstream_unreachable")
REFUSED_KEY = UpstreamFailure(502, "upstream_credential", "No.", sharing=Sharing.FATAL)


def whole(content: str = "hi", model: str = "gpt-1") -> FakeReply:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return FakeReply([orjson.dumps({"id": "chatcmpl-1", "created": 5, "model": model, "choices": [choice]})])


def event(finish: str | None = None, **delta: str) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return orjson.dumps({"id": "chatcmpl-1", "created": 5, "model": "gpt-1", "choices": [choice]})


@dataclass
class Timed(FakeUpstream):
    """An upstream that notes when it was asked, and fails for ever once its list is empty."""

    at: list[float] = field(default_factory=list)
    afterwards: UpstreamFailure = DOWN

    async def open(self, call: Call) -> FakeReply:
        self.at.append(asyncio.get_running_loop().time())
        if not self.replies:
            self.replies.append(self.afterwards)
        if isinstance(self.replies[0], UpstreamFailure):
            self.replies[0] = anew(self.replies[0])
        return await super().open(call)


def anew(told: UpstreamFailure) -> UpstreamFailure:
    """Each call has a failure of its own: calls that share one failed together."""
    return UpstreamFailure(
        told.status, told.code, told.message, sharing=told.sharing, retry_after_s=told.retry_after_s
    )


class Desk:
    """A gateway's inside from the flight on, with one upstream and perhaps a spare one."""

    def __init__(
        self,
        *replies: FakeReply | UpstreamFailure,
        spare: list[FakeReply | UpstreamFailure] | None = None,
        fallbacks: tuple[Fallback, ...] | None = None,
        rules: RetryRules = RULES,
        keys: tuple[str, ...] = (),
    ) -> None:
        self.main = Timed(list(replies))
        self.spare = Timed(list(spare or []), name="spare")
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.observer = FakeObserver()
        both = [
            served(self.main, rules=rules, breaker=BREAKER, keys=keys),
            served(self.spare, ("spare-*",), rules=rules, breaker=BREAKER),
        ]
        chosen = fallbacks if fallbacks is not None else () if spare is None else TO_SPARE
        dispatcher = Dispatcher(both, self.observer, billing(self.observer), chosen)
        self.outlet = both[0].outlet
        fetcher = Fetcher(dispatcher, self.store, Prices({}), self.clock)

        async def fly(flight: Flight) -> None:
            await fetcher.fetch(flight, flight.lead.request)

        self.flights = Flights(fly, LogMemory(10**6, 10**6))

    async def ask(self, asked: Request | None = None) -> Reply:
        """A reply, taken to its end."""
        asked = asked or request()
        seat = self.flights.board(asked, asked.ask.exact_key, Fresh("miss"), join=True)
        reply = Reply(asked, self.clock, seat)
        try:
            await reply.start()
            while asked.ask.stream and await reply.events():
                pass
        finally:
            reply.leave()
        return reply

    async def told(self, asked: Request | None = None) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.ask(asked)
        await asyncio.sleep(0)
        return caught.value

    @property
    def waits(self) -> list[float]:
        return [later - sooner for sooner, later in zip(self.main.at, self.main.at[1:], strict=False)]


def reason(reply: Reply) -> str:
    assert reply.outcome is not None
    return reply.outcome.reason


def content(reply: Reply) -> str:
    text: str = orjson.loads(reply.whole())["choices"][0]["message"]["content"]
    return text


@pytest.mark.parametrize(
    "first",
    [
        DOWN,
        failure(500, "server_error"),
        failure(504, "upstream_timeout"),
        FakeReply([failure()]),
        FakeReply([b"<html>"]),
    ],
)
@virtual_time
async def test_a_failure_that_passes_is_invisible(first: FakeReply | UpstreamFailure) -> None:
    """A second call a moment later; the caller is told an answer, and that it took two."""
    desk = Desk(replace(first, script=list(first.script)) if isinstance(first, FakeReply) else first, whole())
    reply = await desk.ask()
    assert (content(reply), reason(reply)) == ("hi", "miss-retried")
    assert 0 < desk.waits[0] <= 0.25
    assert reply.waited_s == pytest.approx(desk.waits[0], abs=1e-3)
    assert [upstream for upstream, _ in desk.observer.retries] == ["fake"]
    assert [status for _, status, _ in desk.observer.upstream_calls][1:] == ["ok"]
    assert desk.store.entries.keys() == {b"key"}


@virtual_time
async def test_what_isnt_the_moments_fault_is_not_tried_again() -> None:
    """A bad request stays one."""
    desk = Desk(
        UpstreamFailure(400, "invalid_value", "Bad.", sharing=Sharing.FATAL), whole(), spare=[whole()]
    )
    assert (await desk.told()).status == 400
    assert (len(desk.main.calls), len(desk.spare.calls)) == (1, 0)


@virtual_time
async def test_an_upstreams_own_codes_are_no_labels() -> None:
    """Codes can be made up without end: calls are counted by what the gateway says of them, or else by their status."""
    rules = replace(RULES, attempts=0)
    desk = Desk(failure(503, "upstream_made_up"), failure(502, "upstream_unreachable"), rules=rules)
    for number in range(2):
        await desk.told(request(b"%d" % number))
    assert [status for _, status, _ in desk.observer.upstream_calls] == ["503", "upstream_unreachable"]


@virtual_time
async def test_attempts_are_bounded_and_the_last_failure_is_told() -> None:
    """Two further calls, then the caller hears of it."""
    desk = Desk(DOWN, DOWN, DOWN)
    assert (await desk.told()).code == "upstream_unreachable"
    assert len(desk.main.calls) == 3
    assert desk.waits[1] <= 0.5


@virtual_time
async def test_retry_after_is_honoured() -> None:
    """Not a moment sooner than the upstream asked for."""
    desk = Desk(failure(503, "overloaded", 3.0), whole())
    await desk.ask()
    assert 3 <= desk.waits[0] <= 3.25


@virtual_time
async def test_a_retry_after_that_outlasts_the_deadline_is_told_at_once() -> None:
    """With the upstream's word, so that the caller can come back then."""
    desk = Desk(failure(503, "overloaded", 100.0), whole())
    told = await desk.told(request(timeout_s=60))
    assert (told.code, told.retry_after_s) == ("overloaded", 100)
    assert asyncio.get_running_loop().time() == desk.main.at[0]


@virtual_time
async def test_a_long_retry_after_sends_the_request_on() -> None:
    """Nobody waits twenty seconds where somebody else could answer."""
    desk = Desk(failure(503, "overloaded", 20.0), spare=[whole("spare")])
    reply = await desk.ask()
    assert (content(reply), reason(reply)) == ("spare", "miss-fallback")
    assert desk.spare.at == desk.main.at


@virtual_time
async def test_nothing_is_sent_again_after_a_part_of_the_answer() -> None:
    """The caller has words already: it gets an error, not another answer's beginning."""
    broken = FakeReply([[event(role="assistant", content="Hel")], 1.0, failure()])
    desk = Desk(broken, whole(), spare=[whole()])
    asked = request(stream=True)
    reply = Reply(asked, desk.clock, desk.flights.board(asked, b"key", Fresh("miss"), join=True))
    await reply.start()
    assert b"Hel" in await reply.events()
    with pytest.raises(UpstreamFailure):
        await reply.events()
    reply.leave()
    await asyncio.sleep(1)
    assert (len(desk.main.calls), len(desk.spare.calls)) == (1, 0)
    assert not desk.store.entries


@virtual_time
async def test_a_stream_that_breaks_before_its_first_word_begins_again() -> None:
    """An opening that says nothing isn't shown before something is said: then it is shown once."""
    opening = event(role="assistant", content="")
    desk = Desk(
        FakeReply([[opening], failure()]),
        FakeReply([[opening], 1.0, [event(content="Hello")], [event("stop")]]),
    )
    asked = request(stream=True)
    reply = Reply(asked, desk.clock, desk.flights.board(asked, b"key", Fresh("miss"), join=True))
    await reply.start()
    text = b""
    while data := await reply.events():
        text += data
    reply.leave()
    assert (text.count(b'"role":"assistant"'), text.count(b"Hello")) == (1, 1)
    assert reason(reply) == "miss-retried"


@virtual_time
async def test_a_stream_without_content_is_published_all_the_same() -> None:
    """An answer may be empty; and events that say nothing are not held back for ever."""
    desk = Desk(FakeReply([[event(role="assistant")], [event("stop")]]))
    reply = await desk.ask(request(stream=True))
    assert reply.answer is not None
    many = [[event(role="assistant")] for _ in range(100)]
    desk = Desk(FakeReply([*many, 5.0, [event("stop")]]))
    asked = request(stream=True)
    reply = Reply(asked, desk.clock, desk.flights.board(asked, b"key", Fresh("miss"), join=True))
    await reply.start()
    assert asyncio.get_running_loop().time() == desk.main.at[0]
    reply.leave()
    await asyncio.sleep(10)


@virtual_time
async def test_refusals_with_429_take_no_retry_of_the_budget() -> None:
    """The line has the request wait for its turn; the caller sees an answer, and why it came late."""
    rules = replace(RULES, share=0, floor=0)
    desk = Desk(
        failure(429, "rate_limit_exceeded", 2.0),
        failure(429, "rate_limit_exceeded", 2.0),
        whole(),
        rules=rules,
    )
    reply = await desk.ask()
    assert (content(reply), reason(reply)) == ("hi", "miss-rate-limited")
    assert all(wait >= 2 for wait in desk.waits)
    assert reply.waited_s >= 4
    assert desk.observer.retries == [("fake", "rate-limited")] * 2


@virtual_time
async def test_endless_429s_end() -> None:
    """A request gives up after a bounded number of turns, and says what the upstream said."""
    desk = Desk()
    desk.main.afterwards = failure(429, "rate_limit_exceeded")
    assert (await desk.told(request(timeout_s=3_600))).code == "rate_limit_exceeded"
    assert len(desk.main.calls) == 9


@virtual_time
async def test_the_budget_keeps_retries_to_a_share() -> None:
    """An upstream that fails each second request in two gets a tenth more calls, not twice as many."""
    desk = Desk(rules=replace(RULES, share=0.1, floor=2))
    desk.main.afterwards = failure(408, "request_timeout")
    for number in range(200):
        await desk.told(request(b"%d" % number))
    assert len(desk.main.calls) <= 200 + 0.1 * 200 + 2 * (1 + 30 / 60)
    assert len(desk.main.calls) >= 215


@virtual_time
async def test_those_that_wait_lead_once_more_and_no_more() -> None:
    """Retries come first, then the flight hands over once: two journeys bound what one question can cost."""
    desk = Desk(rules=replace(RULES, floor=100))
    desk.main.afterwards = failure(408, "request_timeout")
    told = await asyncio.gather(*(desk.told() for _ in range(20)))
    assert {one.code for one in told} == {"request_timeout"}
    assert len(desk.main.calls) == 2 * (1 + RULES.attempts)


@virtual_time
async def test_an_open_breaker_tells_at_once_and_probes_with_one() -> None:
    """After so many failures nobody asks but one request per interval; the first success lets all go."""
    desk = Desk(rules=replace(RULES, attempts=0))
    for number in range(BREAKER.failures):
        await desk.told(request(b"%d" % number))
    before = asyncio.get_running_loop().time()
    told = await asyncio.gather(*(desk.told(request(b"open %d" % number)) for number in range(5)))
    assert {(one.status, one.code) for one in told} == {(503, "upstream_unavailable")}
    assert all(0 < (one.retry_after_s or 0) <= 5 for one in told)
    assert asyncio.get_running_loop().time() == before
    assert len(desk.main.calls) == BREAKER.failures
    await asyncio.sleep(5)
    desk.main.replies = [FakeReply([1.0, *whole().script]), whole()]
    probe, second = await asyncio.gather(desk.ask(request(b"probe")), desk.told(request(b"second")))
    assert (reason(probe), second.code) == ("miss", "upstream_unavailable")
    assert reason(await desk.ask(request(b"third"))) == "miss"
    assert not [call for call in desk.observer.upstream_calls if call[1] == "503"]


@pytest.mark.parametrize("stand_in", [True, False])
@virtual_time
async def test_those_that_wait_are_not_sent_to_what_has_just_failed(stand_in: bool) -> None:  # noqa: FBT001
    """When the breaker opens, whoever waits in the line hears of it at once, or goes on to a stand-in."""
    spare: list[FakeReply | UpstreamFailure] = [whole() for _ in range(20)]
    desk = Desk(rules=replace(RULES, attempts=0), spare=spare if stand_in else None)
    desk.main.replies = [FakeReply([1.0, anew(DOWN)]) for _ in range(20)]
    desk.outlet.line("gpt")._admission._limit._value = 1.0
    asking = [desk.ask(request(b"%d" % number)) for number in range(20)]
    ended = await asyncio.gather(*asking, return_exceptions=True)
    under_way = 4  # what a line sends at a time at least
    assert len(desk.main.calls) <= BREAKER.failures + under_way
    if not stand_in:
        codes = [one.code for one in ended if isinstance(one, Refusal)]
        assert codes.count("upstream_unavailable") == 20 - len(desk.main.calls)
    else:
        assert all(isinstance(one, Reply) for one in ended)
    state = desk.outlet.line("gpt").state()
    assert state.in_use == sum(state.queued.values()) == 0


@virtual_time
async def test_a_stream_closes_the_breaker_with_its_first_words() -> None:
    """Whoever else wants to ask doesn't wait for its end; a plain answer shows with its whole."""
    desk = Desk(rules=replace(RULES, attempts=0))
    for number in range(BREAKER.failures):
        await desk.told(request(b"%d" % number))
    await asyncio.sleep(5)
    desk.main.replies = [FakeReply([[event(content="a")], 50.0, [event("stop")]]), whole()]
    probe = asyncio.create_task(desk.ask(request(b"probe", stream=True)))
    await asyncio.sleep(0.1)
    assert reason(await desk.ask(request(b"other"))) == "miss"
    await probe


@virtual_time
async def test_a_probe_whose_caller_leaves_makes_room_for_another() -> None:
    """Cancelled, it has told nothing."""
    desk = Desk(rules=replace(RULES, attempts=0))
    for number in range(BREAKER.failures):
        await desk.told(request(b"%d" % number))
    await asyncio.sleep(5)
    desk.main.replies = [FakeReply([60.0]), whole()]
    asked = request(b"probe", linger_s=0.001)
    seat = desk.flights.board(asked, b"probe", Fresh("miss"), join=True)
    await asyncio.sleep(0.1)
    seat.leave()
    await asyncio.sleep(0.1)
    assert reason(await desk.ask(request(b"next"))) == "miss"


@virtual_time
async def test_while_an_upstream_is_down_its_stand_in_answers_and_nobody_fails() -> None:
    """Once open, no request is spent on it but the probes; when it is back, it answers within one interval."""
    spare: list[FakeReply | UpstreamFailure] = [whole("spare", "spare-1") for _ in range(60)]
    desk = Desk(spare=spare)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(40):
        body = {"model": "gpt", "messages": [{"role": "user", "content": f"{number}?"}]}
        if number == 30:
            desk.main.replies = [whole("back") for _ in range(20)]
            back = loop.time()
        reply = await desk.ask(request(b"%d" % number, body=body))
        if content(reply) == "back":
            break
        assert reason(reply) == "miss-fallback"
        await asyncio.sleep(0.5)
    assert content(reply) == "back"
    assert loop.time() - back <= BREAKER.probe_interval_s + 0.5
    probes = [at for at in desk.main.at if at > began + 2]
    assert len(probes) <= (loop.time() - began) / BREAKER.probe_interval_s + 1


@virtual_time
async def test_a_stand_ins_answer_is_kept_under_its_own_model() -> None:
    """Never under the asked model's key; and found there before the stand-in is asked again."""
    desk = Desk(spare=[whole("spare", "spare-1")], rules=replace(RULES, attempts=0))
    first = await desk.ask(request())
    assert orjson.loads(first.whole())["model"] == "spare-1"
    (entry,) = desk.store.entries.values()
    assert entry.key != b"key"
    assert entry.model == "spare-1"
    second = await desk.ask(request())
    assert isinstance(second.outcome, Exact)
    assert (content(second), len(desk.spare.calls)) == ("spare", 1)
    assert orjson.loads(desk.spare.calls[0].body)["model"] == "spare-1"
    desk.spare.replies.append(whole("new"))
    assert content(await desk.ask(request(read=False))) == "new"


@virtual_time
async def test_a_stand_ins_answer_has_no_part_in_the_asked_models_questions() -> None:
    """What finds answers by their meaning doesn't find it, and nothing that is stored is compared with it."""
    desk = Desk(spare=[whole("spare")], rules=replace(RULES, attempts=0))
    asked = request()
    seat = desk.flights.board(asked, b"key", Fresh("miss"), join=True)
    flight = next(iter(desk.flights._tasks))
    flight.question = flight.candidates = ("something",)  # type: ignore[assignment]
    await seat.answer()
    seat.leave()
    assert list(desk.store.questions_kept.values()) == [None]
    assert flight.candidates == ()


@virtual_time
async def test_equivalent_questions_dont_share_a_stand_ins_answer() -> None:
    """Who follows a flight is let go as soon as another model is asked, and nobody follows after that; identical ones stay."""
    desk = Desk(
        FakeReply([1.0, anew(DOWN)]),
        spare=[FakeReply([1.0, *whole("spare").script])],
        rules=replace(RULES, attempts=0),
    )
    first, twin = asyncio.create_task(desk.ask()), asyncio.create_task(desk.ask())
    await asyncio.sleep(0.1)
    follower = desk.flights.follow(b"key", request(b"other"))
    assert follower is not None
    with pytest.raises(Refusal):
        await follower.read()
    follower.leave()
    await asyncio.sleep(0.1)
    assert len(desk.main.calls) == len(desk.spare.calls) == 1
    assert desk.flights.follow(b"key", request(b"other")) is None
    assert content(await first) == content(await twin) == "spare"


@pytest.mark.parametrize("named", ["", "gpt", "spare-1"])
@virtual_time
async def test_embeddings_of_one_model_are_never_anothers(named: str) -> None:
    """A stand-in for embeddings asks for the same model; where it names another one, callers are told of the failure."""
    vectors = FakeReply([orjson.dumps({"object": "list", "model": "gpt", "data": []})])
    desk = Desk(
        spare=[vectors],
        fallbacks=(Fallback("*", (Route("spare", named),)),),
        rules=replace(RULES, attempts=0),
    )
    asked = request(endpoint=Endpoint.EMBEDDINGS, body={"model": "gpt", "input": "a"})
    if named == "spare-1":
        assert (await desk.told(asked)).code == "upstream_unreachable"
        assert not desk.spare.calls
    else:
        assert reason(await desk.ask(asked)) == "miss-fallback"
        assert [call.model for call in desk.spare.calls] == ["gpt"]


PASSED = Caller("tenant:ann", "ann", ("default",), "sk-of-ann", b"ann's key")


@virtual_time
async def test_a_callers_credential_never_travels_to_another_upstream() -> None:
    """Nor do its organisation's headers; to another model of the same upstream they do."""
    desk = Desk(spare=[whole()], rules=replace(RULES, attempts=0))
    asked = request(caller=PASSED)._replace(headers=(("openai-organization", "org"),))
    await desk.ask(asked)
    assert (desk.main.calls[0].credential, desk.main.calls[0].headers) == ("sk-of-ann", asked.headers)
    assert (desk.spare.calls[0].credential, desk.spare.calls[0].headers) == (None, ())
    same = (Fallback("gpt", (Route("fake", "gpt-mini"),)),)
    desk = Desk(failure(500), whole("mini"), fallbacks=same, rules=replace(RULES, attempts=0))
    assert content(await desk.ask(asked)) == "mini"
    assert [call.credential for call in desk.main.calls] == ["sk-of-ann"] * 2
    assert orjson.loads(desk.main.calls[1].body)["model"] == "gpt-mini"


@virtual_time
async def test_where_all_fail_the_asked_upstreams_word_is_told() -> None:
    """A stand-in's bad temper isn't the caller's doing."""
    refusal = UpstreamFailure(400, "unsupported", "Not here.", sharing=Sharing.FATAL)
    desk = Desk(failure(503, "overloaded"), spare=[refusal], rules=replace(RULES, attempts=0))
    assert (await desk.told()).code == "overloaded"
    assert desk.observer.fallbacks == [("fake", "spare", "server-error")]


@virtual_time
async def test_a_key_that_is_refused_is_set_aside_and_the_others_go_on() -> None:
    """Callers notice nothing while one key works; with none they are told at once, whose fault it is."""
    desk = Desk(REFUSED_KEY, *(whole() for _ in range(5)), keys=("sk-one", "sk-two"))
    for number in range(5):
        await desk.ask(request(b"%d" % number))
    used = [call.credential for call in desk.main.calls]
    assert used[0] != used[1]
    assert set(used[1:]) == {used[1]}
    desk.main.afterwards = REFUSED_KEY
    before = asyncio.get_running_loop().time()
    assert (await desk.told(request(b"none left"))).code == "upstream_credential"
    assert asyncio.get_running_loop().time() == before


@virtual_time
async def test_a_refused_key_sends_requests_to_the_stand_in() -> None:
    """The operator's trouble with one provider isn't the callers'."""
    desk = Desk(REFUSED_KEY, spare=[whole("spare")])
    assert content(await desk.ask()) == "spare"


@virtual_time
async def test_joiners_are_told_that_they_joined_whatever_it_took() -> None:
    """The way of a call is told to the one on whose behalf it was made."""
    desk = Desk(DOWN, whole())
    first, second = await asyncio.gather(desk.ask(), desk.ask())
    assert isinstance(first.outcome, Fresh)
    assert isinstance(second.outcome, Joined)
    assert (first.waited_s > 0, second.waited_s) == (True, 0)


@virtual_time
async def test_a_caller_in_a_hurry_takes_those_along_that_it_joins() -> None:
    """A question that waits in a slow lane moves up when somebody asks it who is in a hurry."""
    desk = Desk(*(FakeReply([1.0, *whole().script]) for _ in range(4)))
    desk.outlet.line("gpt")._admission._limit._value = 1.0
    lanes = {b"busy": Lane.INTERACTIVE, b"slow": Lane.BATCH, b"middle": Lane.RELAXED}
    asked = {key: asyncio.create_task(desk.ask(request(key, lane=lane))) for key, lane in lanes.items()}
    await asyncio.sleep(0.1)
    hurried = asyncio.create_task(desk.ask(request(b"slow", lane=Lane.INTERACTIVE)))
    slow = await asked[b"slow"]
    assert not asked[b"middle"].done()
    assert reason(slow) == "miss-queued"
    await hurried
    await asked[b"middle"]


@virtual_time
async def test_calls_that_failed_as_one_go_as_one_again() -> None:
    """A batch's failure is one failure to the breaker, costs one retry, and its calls come back at the same time."""
    engine, desk = Engine(), Desk()
    rules = replace(RULES, share=0, floor=1)
    outlet = Outlet("engine", lambda _: line(engine), rules, replace(BREAKER, failures=2))
    everything = Served(engine, outlet, ("*",), {})
    dispatcher = Dispatcher([everything], desk.observer, billing(desk.observer))
    fetcher = Fetcher(dispatcher, desk.store, Prices({}), desk.clock)

    async def fly(flight: Flight) -> None:
        await fetcher.fetch(flight, flight.lead.request)

    desk.flights = Flights(fly, LogMemory(10**6, 10**6))

    def embed(text: str) -> Request:
        asked = request(
            text.encode(), endpoint=Endpoint.EMBEDDINGS, model="m", body={"model": "m", "input": text}
        )
        return asked._replace(ask=asked.ask._replace(route=Route("engine", "m")))

    first = asyncio.create_task(desk.ask(embed("first")))
    await asyncio.sleep(0.001)
    others = [asyncio.create_task(desk.ask(embed(str(number)))) for number in range(10)]
    await first
    engine.failures.append(failure(500, "server_error"))
    replies = await asyncio.gather(*others)
    assert engine.batches[:2] == [1, 10]
    assert sum(engine.batches[2:]) == 10
    assert len(engine.batches) <= 5
    assert {reason(reply) for reply in replies} == {"miss-retried"}
    assert [size for _, size in desk.observer.batches] == [1, *engine.batches[2:]]
    statuses = [status for _, status, _ in desk.observer.upstream_calls]
    assert statuses == ["ok", "500", *["ok"] * len(engine.batches[2:])]
    assert outlet.breakers.models_opened == 0


@virtual_time
async def test_who_leaves_the_queue_has_made_no_call() -> None:
    """Calls are counted that went out: one that was given up before is none, one that was given up under way is."""
    desk = Desk(FakeReply([30.0, *whole().script]))
    desk.outlet.line("gpt")._admission._limit._value = 1.0
    for key in (b"under way", b"queued"):
        asked = request(key, linger_s=0.001)
        desk.flights.board(asked, key, Fresh("miss"), join=True)
        await asyncio.sleep(0.1)
    for flight in reversed(list(desk.flights._tasks)):
        flight.lead.leave()
        await asyncio.sleep(0.1)
    assert [status for _, status, _ in desk.observer.upstream_calls] == ["cancelled"]
    assert len(desk.main.calls) == 1


@virtual_time
async def test_a_patient_joiner_keeps_a_call_in_its_line() -> None:
    """The one who asked first can't wait any longer; the one who joined can, and is answered."""
    desk = Desk(FakeReply([30.0, *whole().script]), whole())
    desk.outlet.line("gpt")._admission._limit._value = 1.0
    busy = asyncio.create_task(desk.ask(request(b"busy")))
    await asyncio.sleep(0.1)
    hasty = asyncio.create_task(desk.told(request(b"slow", timeout_s=5)))
    await asyncio.sleep(0.1)
    patient = asyncio.create_task(desk.ask(request(b"slow", timeout_s=60)))
    assert (await hasty).code == "deadline_exceeded"
    assert content(await patient) == "hi"
    await busy


STEPS = st.sampled_from(
    [
        "ok", "down", "500", "429", "key", "400", "garbage", "half", "role", "slow",
    ]
)  # fmt: skip


def made(step: str, *, stream: bool) -> FakeReply | UpstreamFailure:
    replies: dict[str, FakeReply | UpstreamFailure] = {
        "ok": FakeReply([[event(content="a")], [event("stop")]]) if stream else whole(),
        "down": DOWN,
        "500": failure(500, "server_error", 1.0),
        "429": failure(429, "rate_limit_exceeded"),
        "key": REFUSED_KEY,
        "400": UpstreamFailure(400, "bad", "Bad.", sharing=Sharing.FATAL),
        "garbage": FakeReply([b"<html>"] if not stream else [[b"<html>"]]),
        "half": FakeReply([[event(content="a")], failure()] if stream else [failure()]),
        "role": FakeReply([[event(role="assistant")], failure()] if stream else [failure()]),
        "slow": FakeReply([7.0, failure()]),
    }
    return replies[step]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(STEPS, max_size=30),
    st.lists(STEPS, max_size=30),
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([0.5, 5.0, 60.0])), max_size=8),
)
def test_whatever_happens_calls_are_bounded_and_nothing_is_left_behind(
    main: list[str], spare: list[str], crowd: list[tuple[int, bool, float]]
) -> None:
    """Every caller gets one answer or one error by its deadline; each flight's calls are bounded; no slot is kept."""
    _bounded(main, spare, crowd)


@virtual_time
async def _bounded(main: list[str], spare: list[str], crowd: list[tuple[int, bool, float]]) -> None:
    streams = {key: stream for key, stream, _ in reversed(crowd)}
    stream = any(streams.values())
    desk = Desk(
        *(made(step, stream=stream) for step in main), spare=[made(step, stream=stream) for step in spare]
    )

    async def one(key: int, timeout_s: float) -> None:
        began = asyncio.get_running_loop().time()
        with contextlib.suppress(Refusal):
            await desk.ask(request(b"%d" % key, stream=stream, timeout_s=timeout_s))
        assert asyncio.get_running_loop().time() - began <= timeout_s + 0.01

    await asyncio.gather(*(one(key, timeout_s) for key, _, timeout_s in crowd))
    await asyncio.sleep(100)
    assert desk.flights.running == 0
    assert desk.outlet.line("gpt").state().in_use == 0
    per_journey = 1 + RULES.attempts + 8
    assert len(desk.main.calls) <= 2 * per_journey * len(crowd)
    assert len(desk.spare.calls) <= 2 * per_journey * len(crowd)
    for key in {key for key, _, _ in crowd}:
        entry = desk.store.entries.get(b"%d" % key)
        assert entry is None or entry.model == "gpt"
