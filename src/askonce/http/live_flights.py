"""Answers under way as the dashboard is shown them: who waits for what, and how far it is."""

from __future__ import annotations

import asyncio
from heapq import nlargest
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from askonce.gateway import Gateway
    from askonce.model import Ask, Json
    from askonce.observe.live_hits import Mark
    from askonce.pipeline.flight import Flight

__all__ = ["FlightsView"]

_FLIGHTS: Final = 60
_GROUPS: Final = 12
_NAME_LENGTH: Final = 100
"""Models are named by callers, at any length."""


class FlightsView:
    """Looks at the flights of a gateway, and gives each a number."""

    def __init__(self, gateway: Gateway, mark: Mark) -> None:
        self._gateway = gateway
        self._mark = mark
        self._numbers: WeakKeyDictionary[Flight, int] = WeakKeyDictionary()
        self._numbered = 0

    def show(self) -> Json:
        """Answers under way: those with most callers and the oldest; and all of them by upstream and model."""
        now = asyncio.get_running_loop().time()
        flights = [flight for flight in self._gateway.flights if flight.answer is None]
        groups: dict[tuple[str, str], list[int]] = {}
        for flight in flights:
            group = groups.setdefault((_upstream(flight), _model(flight)), [0, 0])
            group[0] += 1
            group[1] += flight.seats
        shown = nlargest(_FLIGHTS, flights, key=lambda flight: (flight.seats, now - flight.started_at))
        return {
            "running": len(flights),
            "callers": sum(flight.seats for flight in flights),
            "started": self._gateway.flights.started,
            "joined": self._gateway.flights.joined,
            "groups": [
                [*kind, *groups[kind]] for kind in sorted(nlargest(_GROUPS, groups, key=groups.__getitem__))
            ],
            "flights": [self._flight(flight, now) for flight in shown],
        }

    def _flight(self, flight: Flight, now: float) -> Json:
        request = flight.lead.request
        text, mark = self._mark.shown(_question(request.ask), request.policy.retain_text)
        number = self._numbers.get(flight)
        if number is None:
            self._numbered += 1
            number = self._numbers[flight] = self._numbered
        return {
            "number": number,
            "feature": request.policy.feature,
            "model": _model(flight),
            "upstream": _upstream(flight),
            "callers": flight.seats,
            "lane": flight.lane.value,
            "state": _state(flight),
            "age_s": round(now - flight.started_at, 1),
            "first_s": round(flight.told_at - flight.asked_at, 2)
            if flight.told_at and flight.asked_at
            else None,
            "stream": request.ask.stream,
            "text": text,
            "mark": mark,
        }


def _question(ask: Ask) -> str | None:
    """What is asked, where that is plain text: as the semantic tier reads it, or else the last message or the prompt."""
    if ask.text is not None:
        return ask.text
    messages = ask.body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    said = last.get("content") if isinstance(last, dict) else ask.body.get("prompt")
    return said if isinstance(said, str) else None


def _upstream(flight: Flight) -> str:
    return flight.lead.request.ask.route.upstream if flight.journey is None else flight.journey.upstream


def _model(flight: Flight) -> str:
    return flight.lead.request.ask.model[:_NAME_LENGTH]


def _state(flight: Flight) -> str:
    """What a flight is doing."""
    if flight.told_at:
        return "answering"
    if flight.journey is None:
        return "looking up"
    return "queued" if flight.journey.queued else "asked"
