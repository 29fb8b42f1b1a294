"""The last requests, kept in memory and bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from askonce.model import Exact, Owner, RetainText
from askonce.observe.recent import Recent
from askonce.ports import Record
from fakes import CALLER, request

if TYPE_CHECKING:
    from askonce.model import Request

HIT = Exact(b"entry", 1.0, 2.0)


def record(name: str, asked: Request | None) -> Record:
    return Record(
        name, "chat/completions", "t", "f", "m", HIT, 200, "", 0.1, 0.1, None, None, None, None, asked
    )


def test_the_oldest_go_first_by_number_and_by_bytes() -> None:
    """Both bounds hold, and of a name that came twice the newest is found."""
    few = Recent(most=3)
    for name in ("a", "b", "c", "a", "d"):
        few.request(record(name, request()))
    assert [name for name in "abcd" if few.find(name) is not None] == ["a", "c", "d"]
    newest = record("a", request(model="another"))
    few.request(newest)
    assert few.find("a") is newest
    small = Recent(max_bytes=30_000)
    for number in range(10):
        body = {"model": "m", "messages": [{"role": "user", "content": "x" * 500}]}
        small.request(record(str(number), request(body=body)))
    kept = [number for number in range(10) if small.find(str(number)) is not None]
    assert kept in ([6, 7, 8, 9], [5, 6, 7, 8, 9])
    small.request(record("large", request(body={"model": "m", "messages": ["y" * 100_000]})))
    assert small.find("large") is None
    assert small.find("9") is not None, "what is too large alone drives nothing out"


def test_what_may_not_be_kept_is_not() -> None:
    """Features that retain no text, and requests that were refused before they were understood."""
    recent = Recent()
    recent.request(record("none", request(retain_text=RetainText.NONE)))
    recent.request(record("refused", None))
    recent.request(record("hashed", request(retain_text=RetainText.HASHED)))
    assert [recent.find(name) is not None for name in ("none", "refused", "hashed")] == [False, False, True]


def test_what_an_owner_asked_can_be_erased() -> None:
    """Its requests go, others stay, and so does the room that is left."""
    recent = Recent(most=10)
    recent.request(record("mine", request()))
    other = replace(CALLER, tenant="tenant:other")
    recent.request(record("other", request(caller=other)))
    recent.erase(Owner("tenant:other"))
    assert [recent.find(name) is not None for name in ("mine", "other")] == [True, False]
