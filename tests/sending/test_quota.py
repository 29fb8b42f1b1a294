"""What providers' headers say, and what is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.sending.quota import Quota, Reading, read_headers


def openai(limit: str, remaining: str, reset: str, kind: str = "requests") -> list[tuple[str, str]]:
    return [
        (f"x-ratelimit-limit-{kind}", limit),
        (f"x-ratelimit-remaining-{kind}", remaining),
        (f"x-ratelimit-reset-{kind}", reset),
    ]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1h2m3.5s", 3_723.5),
        ("0", 0),
        ("12.5", 12.5),
        ("1d", 86_400),
        ("9d", 86_400),
    ],
)
def test_a_reset_is_read_in_every_way_that_it_is_written(written: str, seconds: float) -> None:
    """Units alone, several of them, or plain seconds; a day is the longest that is believed."""
    requests, tokens = read_headers(openai("60", "59", written))
    assert requests == Reading(60, 59, seconds)
    assert tokens is None


def test_requests_and_tokens_are_told_apart_and_the_drafts_headers_count_requests() -> None:
    """Both families of OpenAI's, and the three headers of the IETF's drafts."""
    assert read_headers(openai("9", "8", "1s") + openai("900", "100", "2s", "tokens")) == (
        Reading(9, 8, 1),
        Reading(900, 100, 2),
    )
    drafts = [("ratelimit-limit", "10"), ("ratelimit-remaining", "4"), ("ratelimit-reset", "7")]
    assert read_headers(drafts) == (Reading(10, 4, 7), None)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=60))
def test_nonsense_is_no_reading(limit: str, remaining: str, reset: str) -> None:
    """Whatever stands there, what is read makes sense, or nothing is read."""
    requests, _ = read_headers(openai(limit, remaining, reset))
    assert requests is None or (requests.limit >= requests.remaining >= 0 and 0 <= requests.reset_s <= 86_400)


@pytest.mark.parametrize(
    "nonsense",
    [
        ("0", "0", "1s"),
        ("5", "6", "1s"),
        ("-5", "1", "1s"),
        ("5", "1", "soon"),
        ("nan", "1", "1s"),
        ("1e9", "1", "1s"),
        ("5", "1", ""),
    ],
)
def test_what_contradicts_itself_is_no_reading(nonsense: tuple[str, str, str]) -> None:
    """A limit of nothing, more left than there is, words."""
    assert read_headers(openai(*nonsense)) == (None, None)


def test_a_bucket_is_known_by_its_reset_and_fills_steadily() -> None:
    """OpenAI's way: 60 used of 5000 are back in 0.72 s, so 83 come back each second; nothing waits for all of them."""
    quota = Quota()
    for number in range(1, 6):
        left = 5_000 - number * 60
        quota.read(Reading(5_000, left, (5_000 - left) * 60 / 5_000), number, 0, now=float(number))
    assert quota.is_bucket
    assert quota.rate == pytest.approx(5_000 / 60)
    quota.read(Reading(5_000, 0, 60.0), 6, 0, now=10.0)
    assert quota.wait_s(1, 10.0) == pytest.approx(60 / 5_000)


def test_a_window_is_known_by_its_end_and_comes_back_at_once() -> None:
    """Where the end stands still while calls are used up, what is left has to last until then."""
    quota = Quota()
    for number in range(1, 6):
        quota.read(Reading(60, 60 - 10 * number, 60 - number), number, 0, now=float(number))
    assert not quota.is_bucket
    quota.read(Reading(60, 0, 54.0), 6, 0, now=6.0)
    assert quota.wait_s(1, 6.0) == pytest.approx(54, abs=0.1)
    assert quota.wait_s(1, 60.5) < 1.1
    quota.read(Reading(60, 59, 59.0), 7, 0, now=61.0)
    assert quota.wait_s(1, 61.0) == 0


def test_calls_that_the_response_did_not_know_of_are_taken_off_and_old_news_is_none() -> None:
    """What was sent after the call that the headers belong to isn't in them; older calls' headers change nothing."""
    quota = Quota()
    quota.read(Reading(100, 50, 1_000.0), 10, sent_after=20, now=0.0)
    assert quota.level(0.0) == 30
    quota.read(Reading(100, 99, 1_000.0), 9, sent_after=0, now=0.0)
    assert quota.level(0.0) == 30


def test_a_reading_is_not_believed_for_ever() -> None:
    """Where nothing was heard for a minute one call goes, and only one, to hear what is said now."""
    quota = Quota()
    quota.read(Reading(10, 0, 86_400.0), 1, 0, now=0.0)
    assert quota.wait_s(1, 0.0) == pytest.approx(60)
    assert quota.wait_s(1, 60.0) == 0
    quota.take(1, 60.0)
    assert quota.wait_s(1, 60.0) == pytest.approx(60)
