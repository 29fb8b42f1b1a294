"""What the dashboard is shown of answers under way: who waits for what, and no text that isn't kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from askonce.http.live_flights import FlightsView
from askonce.model import Fresh, RetainText
from askonce.observe.live_hits import Mark
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.inflight import Flights
from fakes import request
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.model import Request
    from askonce.pipeline.flight import Flight

_MISS = Fresh("miss")


class Sky:
    """Flights that stay in the air until told otherwise."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.flights = Flights(self._fly, LogMemory(10_000, 100_000))
        gateway: Any = SimpleNamespace(flights=self.flights)
        self.view = FlightsView(gateway, Mark())

    def board(self, asked: Request, key: bytes = b"key") -> None:
        self.flights.board(asked, key, _MISS, join=True)

    async def land(self) -> None:
        self.over.set()
        await self.flights.drain(1)
        assert self.view.show()["running"] == 0

    async def _fly(self, flight: Flight) -> None:  # noqa: ARG002 - all stay up as long
        await self.over.wait()


@virtual_time
async def test_callers_of_one_answer_are_one_flight() -> None:
    """Three that ask the same and one that asks something else: two flights, the one with more callers first."""
    sky = Sky()
    sky.board(request(model="other"), b"other")
    for _ in range(3):
        sky.board(request())
    await asyncio.sleep(2)
    shown = sky.view.show()
    assert (shown["running"], shown["callers"], shown["joined"]) == (2, 4, 2)
    assert [(one["callers"], one["model"], one["state"], one["age_s"]) for one in shown["flights"]] == [
        (3, "gpt", "looking up", 2.0),
        (1, "other", "looking up", 2.0),
    ]
    assert shown["groups"] == [["fake", "gpt", 1, 3], ["fake", "other", 1, 1]]
    assert [one["number"] for one in sky.view.show()["flights"]] == [
        one["number"] for one in shown["flights"]
    ]
    await sky.land()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"messages": [{"role": "system", "content": "no"}, {"role": "user", "content": "Asked?"}]},
            "Asked?",
        ),
        ({"prompt": "Asked?"}, "Asked?"),
        ({"prompt": ["one", "two"]}, None),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, None),
        ({"messages": [{"role": "user", "content": "x" * 5_000}]}, "x" * 600),
        ({"messages": []}, None),
        ({"messages": ["odd"]}, None),
    ],
)
def test_questions_are_shown_as_their_policy_says(body: dict[str, Any], text: str | None) -> None:
    """With `full` the question's beginning, where it is plain text; with `hashed` a mark; with `none` nothing at all."""

    @virtual_time
    async def shown(retain: RetainText) -> tuple[str | None, bool]:
        sky = Sky()
        sky.board(request(body={"model": "gpt", **body}, retain_text=retain))
        [flight] = sky.view.show()["flights"]
        await sky.land()
        return flight["text"], bool(flight["mark"])

    known = text is not None
    assert shown(RetainText.FULL) == (text, known)
    assert shown(RetainText.HASHED) == (None, known)
    assert shown(RetainText.NONE) == (None, False)


@virtual_time
async def test_what_callers_name_is_cut_and_what_is_shown_is_bounded() -> None:
    """Thousands of flights of as many long-named models: sixty flights, twelve groups, names of a hundred letters."""
    sky = Sky()
    for number in range(2_000):
        asked = request(model=f"{number} " + "m" * 10_000)
        sky.board(asked._replace(policy=replace(asked.policy, feature="bulk")), b"%d" % number)
    shown = sky.view.show()
    assert (shown["running"], len(shown["flights"]), len(shown["groups"])) == (2_000, 60, 12)
    assert max(len(one["model"]) for one in shown["flights"]) == 100
    await sky.land()
