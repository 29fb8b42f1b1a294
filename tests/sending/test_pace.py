"""The learned rate, and what a key makes of refusals."""

from __future__ import annotations

import pytest

from askonce.sending.key import GO, PAUSED, Key
from askonce.sending.limits import Limits
from askonce.sending.pace import Pace


def refused_at(rate: float, now: float = 100.0) -> Pace:
    """A pace whose first refusal came after so many calls in a second."""
    pace = Pace()
    pace.refused(rate, 0.03, now, steady=True)
    return pace


def used(pace: Pace, seconds: float, now: float) -> float:
    """Sends as fast as it may, and returns the time after that."""
    end = now + seconds
    while now < end:
        now += pace.wait_s(now)
        pace.take(now)
    return now


def test_nothing_is_spaced_before_the_first_refusal() -> None:
    """Without a refusal there is no rate, however many go at once."""
    pace = Pace()
    for _ in range(1_000):
        assert pace.wait_s(5.0) == 0
        pace.take(5.0)
    assert pace.rate is None


def test_calls_are_spaced_evenly() -> None:
    """At 50 a second, one goes every 20 ms, and nothing is saved up for a burst."""
    pace = refused_at(50)
    rate = pace.rate
    assert rate == pytest.approx(45)
    for now in (200.0, 300.0):
        pace.take(now)
        assert pace.wait_s(now) > 0.5 / 50


def test_a_rate_that_went_well_is_lowered_a_little_and_one_that_did_not_by_more() -> None:
    """3 % after a while of peace; 6, 12, 24, 48 and then 50 % where refusals follow one another."""
    pace = refused_at(100)
    now = used(pace, 5, 100.0)
    before = pace.rate or 0.0
    pace.refused(1e9, 0.03, now, steady=True)
    cuts = [1 - (pace.rate or 0.0) / before]
    for _ in range(5):
        before, now = pace.rate or 0.0, now + 0.5
        pace.refused(1e9, 0.03, now, steady=True)
        cuts.append(1 - (pace.rate or 0.0) / before)
    assert cuts == pytest.approx([0.03, 0.06, 0.12, 0.24, 0.48, 0.5])


def test_it_comes_back_stays_and_then_tries_more_while_it_is_used() -> None:
    """After a cut the rate returns to where it was refused, stays there for seconds, then grows; idle time changes nothing."""
    pace = refused_at(100)
    now = used(pace, 5, 100.0)
    pace.refused(1e9, 0.03, now, steady=True)
    low = pace.rate or 0.0
    pace.take(now + 500)
    assert (pace.rate or 0.0) == pytest.approx(low, rel=0.01)
    now = used(pace, 8, now + 500)
    plateau = pace.rate or 0.0
    assert plateau == pytest.approx(low / 0.97, rel=0.01)
    used(pace, 30, now)
    assert (pace.rate or 0.0) > 2 * plateau


def test_refusals_of_calls_that_were_under_way_together_count_once() -> None:
    """Fifty calls sent before the first refusal came: one cut, one pause."""
    key = Key(Limits())
    shots = [key.send(10, 100.0) for _ in range(80)][30:]
    news = [key.refused(shot, None, (), 100.1) for shot in shots]
    assert news == [True] + [False] * 49
    state = key.state(100.1)
    assert state.learned_per_s is not None
    assert state.paused_s < 0.1
    assert state.refusals == 50


def test_after_a_pause_one_call_goes_first_and_its_refusal_only_makes_the_pause_longer() -> None:
    """The rate isn't lowered by a pause that was too short; the next pause is twice as long."""
    key = Key(Limits())
    shots = [key.send(10, 100.0) for _ in range(10)]
    key.refused(shots[-1], None, (), 100.1)
    first = key.wait(10, 100.1)
    assert first.reason == PAUSED
    now = 100.1 + first.seconds + 5
    probe, rate = key.send(10, now), key.state(now).learned_per_s
    assert key.wait(10, now).reason == PAUSED
    key.refused(probe, None, (), now + 0.1)
    assert key.state(now + 0.1).learned_per_s == rate
    assert key.wait(10, now + 0.1).seconds > 1.5 * first.seconds
    later = now + 10
    key.accepted(key.send(10, later), ())
    assert key.wait(10, later).reason != PAUSED


def test_one_stray_refusal_costs_a_moment_and_a_second_one_counts() -> None:
    """Among few calls a single 429 makes a short pause and no rate; another one within a minute does."""
    key = Key(Limits())
    key.refused(key.send(10, 100.0), None, (), 100.1)
    assert key.wait(10, 100.1).seconds == pytest.approx(0.1)
    key.accepted(key.send(10, 101.0), ())
    assert [key.wait(key.send(10, 102.0).number, 102.0) for _ in range(100)] == [GO] * 100
    assert key.state(102.0).learned_per_s is None
    quiet = 102.0 + 70
    for now in (quiet, quiet + 30):
        assert key.state(now).learned_per_s is None
        key.refused(key.send(10, now), None, (), now + 0.1)
        key.accepted(key.send(10, now + 5), ())
    assert key.state(quiet + 40).learned_per_s is not None


def test_a_key_never_shows_itself() -> None:
    """Neither its text form nor its state has the secret in it."""
    key = Key(Limits(), "sk-secret", 3)
    assert "sk-secret" not in repr(key) + repr(key.state(0.0))
