"""What a refusal is read as: whom it concerns, when to come again, and what it says of limits."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from askonce.errors import Sharing, UpstreamFailure
from askonce.upstreams.refusals import Refused, read_refusal

NOW = 1_700_000_000.0


def read(status: int, error: Any = None, **headers: str) -> UpstreamFailure:
    """The failure that is read of a response; underscores in headers' names stand for hyphens."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    body = b"" if error is None else orjson.dumps({"error": error})
    return read_refusal("provider", Refused(status, named, body), own_key=True, now=NOW)


@pytest.mark.parametrize(
    ("status", "sharing"),
    [
        (400, Sharing.FATAL),
        (404, Sharing.FATAL),
        (408, Sharing.TRANSIENT),
        (413, Sharing.FATAL),
        (422, Sharing.FATAL),
        (429, Sharing.TRANSIENT),
        (500, Sharing.TRANSIENT),
        (501, Sharing.FATAL),
        (503, Sharing.TRANSIENT),
        (529, Sharing.TRANSIENT),
    ],
)
def test_whom_a_status_concerns(status: int, sharing: Sharing) -> None:
    """The moment's fault may pass; the request's, and what a server lacks (501), are there at the next try too."""
    failure = read(status)
    assert (failure.status, failure.sharing) == (status, sharing)


@pytest.mark.parametrize(
    ("status", "began"), [(500, False), (503, False), (504, True), (524, True), (529, False)]
)
def test_what_a_proxy_gave_up_on_may_be_billed(status: int, began: bool) -> None:  # noqa: FBT001 - a case
    """A server that was too slow for the proxy before it was at work: what it took isn't known, rather than nothing."""
    assert read(status).began is began


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "3"}, 3.0),
        ({"Retry_After": "0.25"}, 0.25),
        ({"retry_after_ms": "17", "Retry_After": "1"}, 0.017),
        ({"retry_after_ms": "soon", "Retry_After": "1"}, 1.0),
        ({"Retry_After": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10.0),
        ({"Retry_After": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"Retry_After": "tomorrow"}, None),
        ({"Retry_After": "-1"}, None),
        ({"Retry_After": "nan"}, None),
        ({"Retry_After": "inf"}, None),
        ({}, None),
    ],
)
def test_when_to_come_again(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds where they are told, else seconds or a date, else nothing."""
    assert read(429, **headers).retry_after_s == seconds


def test_what_a_refusal_says_of_limits() -> None:
    """The headers that speak of limits travel with the failure; others don't."""
    failure = read(429, X_RateLimit_Remaining_Requests="0", Server="any", RateLimit_Reset="5")
    assert sorted(failure.headers) == [("ratelimit-reset", "5"), ("x-ratelimit-remaining-requests", "0")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"message": "m", "code": "context_length_exceeded", "type": "invalid_request_error"}, "context_length_exceeded"),
        ({"message": "m", "code": 400, "type": "exceed_context_size_error"}, "exceed_context_size_error"),
        ({"message": "m", "code": None, "type": None}, "upstream_400"),
        ({"message": "m", "code": "no code at all"}, "upstream_400"),
    ],
)  # fmt: skip
def test_what_it_is_called(error: dict[str, Any], code: str) -> None:
    """The server's own code or type, where it is one: llama.cpp's code is the status again, and says nothing."""
    failure = read(400, error)
    assert failure.code == code
    assert orjson.loads(failure.body or b"") == error
