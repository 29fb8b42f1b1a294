"""What answers and refusals say of limits, on the wire."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from askonce.errors import LimitExceeded, Refusal
from askonce.http.errors import error_headers
from askonce.http.headers import answer_headers
from askonce.model import Fresh


def reply(**more: Any) -> Any:
    """A started reply of the upstream's, which tells its own limits."""
    known = {
        "outcome": Fresh("miss"),
        "waited_s": 0.0,
        "saved_nanousd": 0,
        "headers": [("x-ratelimit-limit-requests", "9000"), ("x-ratelimit-limit-tokens", "7000")],
        "allotment": None,
    }
    return SimpleNamespace(**known | more)


def test_a_callers_own_limits_take_the_place_of_the_upstreams() -> None:
    """Each header is there once; what the caller has no limit of is the upstream's."""
    allotment = SimpleNamespace(headers=[("x-ratelimit-limit-requests", "5"), ("x-askonce-warning", "near")])
    headers = answer_headers(reply(allotment=allotment), "r1")
    assert len(headers) == len(dict(headers))
    said = dict(headers)
    assert said[b"x-ratelimit-limit-requests"] == b"5"
    assert said[b"x-ratelimit-limit-tokens"] == b"7000"
    assert said[b"x-askonce-warning"] == b"near"


def test_without_limits_the_upstreams_are_passed_on() -> None:
    """As they came."""
    assert dict(answer_headers(reply(), "r1"))[b"x-ratelimit-limit-requests"] == b"9000"


def test_a_refusal_above_a_limit_brings_its_headers() -> None:
    """Others don't have any of their own."""
    refused = LimitExceeded(
        "budget_exceeded",
        "Used up.",
        budget=True,
        retry_after_s=0.2,
        headers=[("x-should-retry", "false")],
    )
    said = dict(error_headers(refused, "r1", 2))
    assert (said[b"retry-after"], said[b"x-should-retry"]) == (b"1", b"false")
    assert b"x-should-retry" not in dict(error_headers(Refusal(429, "queue_full", "Full."), "r1", 2))
