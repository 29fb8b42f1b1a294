"""What the gateway understands of a request, and what it remembers of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Refusal
from askonce.gateway import _MEMO, _TELLING, Gateway, Parts
from askonce.model import Endpoint, Semantic
from askonce.pipeline.dispatch import Dispatcher
from askonce.pipeline.fetch import Fetcher
from askonce.pipeline.identity import Identity
from askonce.pipeline.policy import Policies
from askonce.pipeline.reply import Reply
from askonce.pipeline.users import Users
from fakes import POLICY, FakeClock, request, served
from pipeline.airport import Airport, land_after_one
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.model import Request

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
KEY = {b"authorization": b"Bearer sk-one"}


class Named:
    """An upstream that is only ever routed to."""

    name = "named"


class Audits:
    """What is remembered of hits."""

    def __init__(self) -> None:
        self.hits: list[str] = []

    def served(self, _: Request, request_id: str, *__: object) -> None:
        self.hits.append(request_id)


def gateway(audits: Audits | None = None) -> Gateway:
    nothing = cast("Any", None)
    return Gateway(
        Parts(
            identity=Identity(None, ("default", "search"), b"secret"),
            users=Users(b"secret"),
            policies=Policies({"default": POLICY, "search": POLICY}),
            allowances=nothing,
            dispatcher=Dispatcher([served(cast("Any", Named()))], nothing, nothing),
            fetcher=Fetcher(nothing, nothing, nothing, nothing),
            store=nothing,
            semantic=nothing,
            budgets=nothing,
            equivalence=nothing,
            audits=cast("Any", audits),
            clock=nothing,
            log_memory=nothing,
        )
    )


class Spied(dict[bytes, bytes]):
    """Headers that note which names are asked for."""

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        super().__init__(headers)
        self.asked: set[bytes] = set()

    def get(self, name: bytes, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: bytes) -> bytes:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(cast("bytes", name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[bytes]:
        self.asked.update(super().keys())
        return super().__iter__()


def test_the_memo_knows_every_header_that_is_read() -> None:
    """A header that decides who asks or what may be shared is part of what a remembered request is found by."""
    said = {b"x-askonce-feature": b"search", b"x-askonce-lane": b"relaxed", b"x-unknown": b"1"}
    everything = dict.fromkeys(_TELLING, b"1") | KEY | said
    for headers in ({}, KEY, everything):
        spied = Spied(headers)
        gateway()._understand(Endpoint.CHAT, spied, BODY, None)
        assert spied.asked - {b"x-unknown"} <= set(_TELLING)


INTERESTING = [
    b"x-request-id",
    b"user-agent",
    b"x-askonce-lane",
    b"openai-beta",
    b"x-forwarded-for",
    b"cookie",
]


@given(st.dictionaries(st.sampled_from([*INTERESTING, *_TELLING]) | st.binary(), st.binary(max_size=8)))
def test_other_headers_change_nothing(extra: dict[bytes, bytes]) -> None:
    """What isn't in the memo's key doesn't change what is understood, so remembering is the same as asking anew."""
    harmless = {name: value for name, value in extra.items() if name not in _TELLING}
    fresh = gateway()
    assert fresh._understand(Endpoint.CHAT, {**KEY, **harmless}, BODY, None) == fresh._understand(
        Endpoint.CHAT, KEY, BODY, None
    )


def test_remembered_requests_are_kept_apart() -> None:
    """Same bytes under another credential, feature, directive or endpoint are another request."""
    one = gateway()
    variants = [
        KEY,
        {b"authorization": b"Bearer sk-two"},
        {**KEY, b"x-askonce-feature": b"search"},
        {**KEY, b"cache-control": b"no-store"},
        {**KEY, b"openai-beta": b"assistants=v2"},
    ]
    for _ in range(2):
        asked = [one.understand(Endpoint.CHAT, headers, BODY) for headers in variants]
        assert asked[0].caller.tenant != asked[1].caller.tenant
        assert asked[0].ask.exact_key != asked[1].ask.exact_key
        assert not asked[3].policy.store
        assert asked[4].ask.exact_key != asked[0].ask.exact_key
    assert one.understand(Endpoint.CHAT, KEY, BODY) is one.understand(Endpoint.CHAT, dict(KEY), bytes(BODY))


def test_the_memo_is_bounded_and_forgets_refusals() -> None:
    """Many different requests don't pile up, and what was refused isn't remembered at all."""
    one = gateway()
    for number in range(_MEMO + 50):
        one.understand(Endpoint.CHAT, KEY, BODY.replace(b"hi", str(number).encode()))
    assert len(one._understood) == _MEMO
    for _ in range(2):
        with pytest.raises(Refusal):
            one.understand(Endpoint.CHAT, KEY, b"{")
    assert len(one._understood) == _MEMO


@virtual_time
async def test_a_hit_that_was_erased_on_its_way_isnt_remembered() -> None:
    """Neither to be audited nor for feedback: its request's words would be kept for that."""
    audits, airport, asked = Audits(), Airport(land_after_one), request()
    hits = [Reply(asked, FakeClock(), airport.board(asked, key)) for key in (b"one", b"two")]
    cast("Any", hits[0].seat)._flight.erase()
    for number, hit in enumerate(hits):
        hit.outcome = Semantic(b"", 0.9, joined=False, age_s=0, ttl_s=0, reason="stored")
        gateway(audits).served(hit, f"r{number}")
        await hit.start()
        hit.leave()
    assert audits.hits == ["r1"]
