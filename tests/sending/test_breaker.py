"""Breakers: when they open, who probes, and how they close again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.sending.breaker import Breaker, BreakerRules, Breakers, BreakerState

RULES = BreakerRules(failures=3, share=0.5, least_calls=10, window_s=30, probe_interval_s=5)
CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(RULES.failures):
        breaker.failed(at, probe=False)
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_doesnt() -> None:
    """A failure now and then is no outage."""
    breaker = Breaker(RULES)
    for _ in range(20):
        breaker.failed(0, probe=False)
        breaker.failed(0, probe=False)
        for _ in range(4):
            breaker.succeeded(0, probe=False)
    assert breaker.state is CLOSED
    assert opened().state is OPEN
    assert opened().wait_s(0) == 5


def test_a_share_of_failures_opens_it_once_there_are_enough_calls() -> None:
    """Half of ten fail: open with the tenth, not with the second; a new window begins with nothing."""
    breaker = Breaker(RULES)
    for number in range(9):
        (breaker.failed if number % 2 else breaker.succeeded)(0, probe=False)
    assert breaker.state is CLOSED
    breaker.failed(31, probe=False)
    assert breaker.state is CLOSED
    for number in range(8):
        (breaker.failed if number % 2 else breaker.succeeded)(32, probe=False)
    assert breaker.state is CLOSED
    breaker.failed(32, probe=False)
    assert breaker.state is OPEN


def test_one_probe_at_a_time_and_one_more_after_each_interval() -> None:
    """Whoever comes while a probe is under way waits; a probe that hangs doesn't keep the next one."""
    breaker = opened()
    assert breaker.wait_s(4) == 1
    assert breaker.wait_s(5) == 0
    assert breaker.enter(5)
    assert breaker.state is HALF_OPEN
    assert breaker.wait_s(5) == 5
    assert breaker.wait_s(9.5) == 0.5
    assert breaker.enter(10)
    assert breaker.wait_s(10) == 5


def test_a_probe_decides_and_stragglers_dont() -> None:
    """Calls that began before it opened neither close it nor keep it open."""
    breaker = opened()
    breaker.succeeded(1, probe=False)
    breaker.failed(4.9, probe=False)
    assert (breaker.state, breaker.wait_s(5)) == (OPEN, 0)
    breaker.enter(5)
    breaker.succeeded(6, probe=False)
    assert breaker.state is HALF_OPEN
    breaker.failed(7, probe=True)
    assert (breaker.state, breaker.wait_s(7)) == (OPEN, 5)
    breaker.enter(12)
    breaker.succeeded(13, probe=True)
    assert (breaker.state, breaker.wait_s(13)) == (CLOSED, 0)
    assert (breaker.opened, breaker.closed) == (1, 1)
    breaker.failed(13, probe=False)
    breaker.failed(13, probe=False)
    assert breaker.state is CLOSED


def test_an_abandoned_probe_lets_another_go_at_once() -> None:
    """Its caller left before it told anything."""
    breaker = opened()
    breaker.enter(5)
    breaker.abandoned(6, probe=True)
    assert (breaker.state, breaker.wait_s(6)) == (OPEN, 0)
    breaker.abandoned(6, probe=False)
    assert breaker.state is OPEN


@given(st.lists(st.tuples(st.floats(0, 4), st.sampled_from(["ask", "good", "bad", "gone"]))))
def test_it_never_lets_more_than_one_probe_go_in_an_interval_that_tells_nothing(
    history: list[tuple[float, str]],
) -> None:
    """Whatever happens: closed lets all go, else at most one call goes per interval unless one was abandoned."""
    breaker, now, last, flying = opened(), 0.0, 0.0, 0
    for seconds, what in history:
        now += seconds
        if what == "ask" and breaker.state is not CLOSED and breaker.wait_s(now) == 0:
            assert now - last >= RULES.probe_interval_s
            assert breaker.enter(now)
            last, flying = now, flying + 1
        elif what == "ask":
            assert (breaker.wait_s(now) == 0) == (breaker.state is CLOSED)
        elif flying:
            flying -= 1
            if what == "good":
                breaker.succeeded(now, probe=True)
                assert breaker.state is CLOSED
                return
            if what == "bad":
                breaker.failed(now, probe=True)
                assert breaker.state is OPEN
            elif breaker.state is HALF_OPEN:
                breaker.abandoned(now, probe=True)
                last = now - RULES.probe_interval_s


def fail(breakers: Breakers, model: str, *, unreached: bool, now: float = 0.0) -> None:
    breakers.failed(breakers.enter(model, now), model, now, unreached=unreached)


def test_what_a_model_does_is_its_own() -> None:
    """One that fails is left alone, the others of its upstream go on."""
    breakers = Breakers(RULES)
    for _ in range(3):
        fail(breakers, "bad", unreached=False)
    assert breakers.wait_s("bad", 0) == 5
    assert breakers.wait_s("good", 0) == 0
    assert breakers.upstream.state is CLOSED
    probe = breakers.enter("bad", 5)
    assert breakers.wait_s("bad", 5) == 5
    breakers.succeeded(probe, 6)
    assert breakers.wait_s("bad", 6) == 0
    assert (breakers.models_opened, breakers.models_closed) == (1, 1)


def test_an_upstream_that_cant_be_reached_is_left_alone_with_all_its_models() -> None:
    """A connection that fails says nothing of the model; a refusal is enough to show that the upstream is there."""
    breakers = Breakers(RULES)
    for model in ("one", "two", "three"):
        fail(breakers, model, unreached=True)
    assert breakers.wait_s("four", 0) == 5
    assert dict(breakers.models()) == {}
    probe = breakers.enter("four", 5)
    breakers.refused(probe, 5)
    assert breakers.upstream.state is CLOSED


def test_a_refusal_counts_for_nothing_where_nothing_is_probed() -> None:
    """429 and 4xx neither open a breaker nor make up for failures."""
    breakers = Breakers(RULES)
    for _ in range(2):
        fail(breakers, "gpt", unreached=False)
        for _ in range(50):
            breakers.refused(breakers.enter("gpt", 0), 0)
    fail(breakers, "gpt", unreached=False)
    assert breakers.wait_s("gpt", 0) == 5


def test_a_probe_that_reaches_the_upstream_but_not_its_model() -> None:
    """The upstream's breaker closes, the model's opens again."""
    breakers = Breakers(RULES)
    for _ in range(3):
        fail(breakers, "gpt", unreached=False)
    for _ in range(3):
        fail(breakers, "other", unreached=True)
    fail(breakers, "gpt", unreached=False, now=5)
    assert breakers.upstream.state is CLOSED
    assert breakers.wait_s("gpt", 5) == 5
    assert breakers.wait_s("other", 5) == 0


@pytest.mark.parametrize("unreached", [True, False])
def test_names_that_callers_make_up_take_no_lasting_memory(unreached: bool) -> None:  # noqa: FBT001 - a case
    """Breakers of models are bounded in number."""
    breakers = Breakers(RULES)
    for number in range(1_000):
        fail(breakers, f"model-{number}", unreached=unreached)
    assert len(list(breakers.models())) <= 256
