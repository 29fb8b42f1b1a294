"""Limits that nobody declared: learned from what the upstream says and refuses, on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from askonce.sending.limits import Limits
from sending.limiters import FixedWindow, LimitedUpstream, Limiter, SlidingWindow, TokenBucket, drive
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from sending.limiters import Traffic

Make = Callable[[], Limiter]

KINDS: dict[str, Make] = {
    "a fixed second": lambda: FixedWindow(60, 1.0),
    "a fixed minute": lambda: FixedWindow(3_600, 60.0),
    "a sliding second": lambda: SlidingWindow(60, 1.0),
    "a sliding minute": lambda: SlidingWindow(3_600, 60.0),
    "a bucket of a second": lambda: TokenBucket(60, 60),
    "a bucket of five": lambda: TokenBucket(60, 5),
}
RATE = 60.0


def played(
    make: Make, says: str, per_s: float, seconds: float, declared: float | None = None
) -> tuple[LimitedUpstream, Traffic]:
    loop = VirtualTimeLoop()
    upstream = LimitedUpstream(make(), says)
    limits = Limits(max_queue=200, requests_per_minute=declared)
    traffic, line = loop.run_until_complete(drive(upstream, limits, per_s=per_s, seconds=seconds))
    assert line.idle
    loop.settle()
    loop.close()
    return upstream, traffic


def share_refused(upstream: LimitedUpstream, after_s: float = 0.0) -> float:
    """The share of upstream calls that were answered 429, after the first seconds."""
    accepted = sum(at - 1_000 > after_s for at in upstream.accepted)
    refused = sum(at - 1_000 > after_s for at in upstream.refused)
    return refused / (accepted + refused)


def goodput(upstream: LimitedUpstream, after_s: float, until_s: float) -> float:
    """Accepted calls per second, as a share of the limit."""
    return sum(after_s < at - 1_000 <= until_s for at in upstream.accepted) / (until_s - after_s) / RATE


def test_an_upstream_that_says_nothing_is_refused_by_less_and_less() -> None:
    """Near the limit of an upstream that only answers 429: nothing is lost, and under 1 % are refused after a while."""
    upstream, traffic = played(KINDS["a fixed second"], "", 54, 50)
    assert traffic.refused == traffic.turned_away == 0
    assert share_refused(upstream, 20) < 0.01


def test_an_upstream_that_says_what_is_left_refuses_next_to_nothing() -> None:
    """With `x-ratelimit-*` headers all is known beforehand, also above the limit, and nothing goes unused."""
    upstream, _ = played(KINDS["a fixed second"], "headers", 72, 30)
    assert share_refused(upstream) < 0.01
    assert goodput(upstream, 5, 30) > 0.95


@pytest.mark.parametrize("says", ["", "retry-after"])
def test_a_limit_of_one_call_a_second_is_found_too(says: str) -> None:
    """Where so few are allowed that one refusal tells nothing, the next ones do: all are answered, few are refused."""
    loop = VirtualTimeLoop()
    upstream = LimitedUpstream(TokenBucket(1, 5), says)
    traffic, _ = loop.run_until_complete(drive(upstream, Limits(), per_s=0.8, seconds=900))
    loop.settle()
    loop.close()
    assert traffic.answered == traffic.offered
    assert share_refused(upstream) < 0.04


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "says"), [("a sliding second", "retry-after"), ("a fixed minute", "")])
def test_near_the_limit_nobody_is_refused(kind: str, says: str) -> None:
    """54 calls a second where 60 are allowed, in random bursts: all are answered, under 1 % are refused upstream.

    The hardest limiter of the shortest span, and one whose refusals come late and all at once.
    """
    upstream, traffic = played(KINDS[kind], says, 54, 120)
    assert traffic.refused == 0
    assert traffic.turned_away <= 0.01 * traffic.offered
    assert share_refused(upstream, 30) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "says"),
    [("a fixed second", ""), ("a bucket of five", "declared"), ("a sliding minute", "headers")],
)
def test_above_the_limit_the_limit_is_used(kind: str, says: str) -> None:
    """72 calls a second where 60 are allowed: at least 95 % of the limit is used, under 1 % are refused upstream.

    Learned from refusals alone, declared by the operator, and told by headers that mean something else than they seem
    to: a sliding window's quota comes back neither all at once nor steadily.
    """
    told, declared = ("", 3_600) if says == "declared" else (says, None)
    upstream, _ = played(KINDS[kind], told, 72, 240, declared)
    assert share_refused(upstream, 100) < 0.01
    assert goodput(upstream, 100, 240) > 0.95
