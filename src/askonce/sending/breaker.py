"""Circuit breakers: an upstream that is down is left alone, but for a probe now and then.

A probe is one real request; the others hear at once how long it takes until the next one. Times are given by the
caller, so that they are the event loop's.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Breaker", "BreakerRules", "BreakerState", "Breakers", "Pass"]

_MODELS: Final = 256
"""Models of one upstream whose breakers are kept; beyond them the longest unused is forgotten."""


class BreakerState(StrEnum):
    """Whether calls go."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    """A probe is under way; nobody else goes."""
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a breaker opens, and how often it tries.

    Attributes:
        failures: So many failures in a row open it.
        share: So large a share of failures in one window opens it, in (0, 1] …
        least_calls: … where the window has at least so many calls.
        window_s: Length of a window; the next one begins with nothing.
        probe_interval_s: Seconds from opening to the first probe, and between the beginnings of probes.
    """

    failures: int = 5
    share: float = 0.5
    least_calls: int = 20
    window_s: float = 30.0
    probe_interval_s: float = 5.0


class Breaker:
    """One breaker. Times are the event loop's, in seconds.

    A call asks `wait_s`, enters, and in the end says `succeeded`, `failed` or, where it learnt nothing, `abandoned`.

    Attributes:
        state: Whether calls go.
        opened: How often it has opened so far.
        closed: How often it has closed again.
    """

    __slots__ = (
        "_calls",
        "_failed",
        "_in_a_row",
        "_next_at",
        "_rules",
        "_window_ends",
        "closed",
        "opened",
        "state",
    )

    def __init__(self, rules: BreakerRules) -> None:
        self.state = BreakerState.CLOSED
        self.opened = 0
        self.closed = 0
        self._rules = rules
        self._in_a_row = 0
        self._calls = 0
        self._failed = 0
        self._window_ends = 0.0
        self._next_at = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until a call may go; 0 where one may go now.

        A probe that takes longer than the interval is not waited for: another one goes then.
        """
        return 0.0 if self.state is BreakerState.CLOSED else max(0.0, self._next_at - now)

    def enter(self, now: float) -> bool:
        """A call goes, as `wait_s` allows; whether it is a probe."""
        if self.state is BreakerState.CLOSED:
            return False
        self.state = BreakerState.HALF_OPEN
        self._next_at = now + self._rules.probe_interval_s
        return True

    def succeeded(self, now: float, *, probe: bool) -> None:
        """A call was answered. Of those that go while it isn't closed, probes alone count: the others began before."""
        if self.state is BreakerState.CLOSED:
            self._in_a_row = 0
            self._count(now, failed=0)
        elif probe:
            self.state = BreakerState.CLOSED
            self.closed += 1
            self._in_a_row = self._calls = self._failed = 0

    def failed(self, now: float, *, probe: bool) -> None:
        """A call failed by the upstream's fault."""
        if self.state is BreakerState.CLOSED:
            self._in_a_row += 1
            self._count(now, failed=1)
            rules = self._rules
            many = self._calls >= rules.least_calls and self._failed >= rules.share * self._calls
            if many or self._in_a_row >= rules.failures:
                self.opened += 1
                self._open(now + rules.probe_interval_s)
        elif probe:
            self._open(now + self._rules.probe_interval_s)

    def abandoned(self, now: float, *, probe: bool) -> None:
        """A call ended before it told anything: another may probe at once."""
        if probe and self.state is BreakerState.HALF_OPEN:
            self._open(now)

    def _open(self, next_at: float) -> None:
        self.state = BreakerState.OPEN
        self._next_at = next_at

    def _count(self, now: float, *, failed: int) -> None:
        if now >= self._window_ends:
            self._window_ends = now + self._rules.window_s
            self._calls = self._failed = 0
        self._calls += 1
        self._failed += failed


class Pass(NamedTuple):
    """A call's leave to go: the breakers that it went by, each with whether it probes it."""

    upstream: Breaker
    probes_upstream: bool
    model: Breaker | None
    probes_model: bool

    @property
    def probes(self) -> bool:
        """Whether what becomes of it decides on a breaker."""
        return self.probes_upstream or self.probes_model


class Breakers:
    """An upstream's own breaker, and one for each of its models that has failed.

    What keeps a call from reaching the upstream is the upstream's fault, whatever happens after that the model's.

    Attributes:
        upstream: Whether the upstream can be reached.
        models_opened: How often a model's has opened so far.
        models_closed: How often a model's has closed again.
    """

    def __init__(self, rules: BreakerRules) -> None:
        self.upstream = Breaker(rules)
        self.models_opened = 0
        self.models_closed = 0
        self._rules = rules
        self._models: OrderedDict[str, Breaker] = OrderedDict()

    def wait_s(self, model: str, now: float) -> float:
        """Seconds until a call to a model may go; 0 where one may go now."""
        wait_s = self.upstream.wait_s(now)
        breaker = self._models.get(model)
        return wait_s if breaker is None else max(wait_s, breaker.wait_s(now))

    def is_open(self, model: str) -> bool:
        """Whether a model is left alone, and no probe is under way."""
        breaker = self._models.get(model)
        return BreakerState.OPEN in (self.upstream.state, None if breaker is None else breaker.state)

    def enter(self, model: str, now: float) -> Pass:
        """A call goes, as `wait_s` allows."""
        breaker = self._models.get(model)
        return Pass(
            self.upstream, self.upstream.enter(now), breaker, breaker is not None and breaker.enter(now)
        )

    def refused(self, given: Pass, now: float) -> None:
        """The call was answered with a refusal that is no failure: enough for a probe, and else nothing."""
        if given.probes_upstream:
            given.upstream.succeeded(now, probe=True)
        if given.probes_model:
            self._model_succeeded(given, now)

    def succeeded(self, given: Pass, now: float) -> None:
        """The call was answered."""
        given.upstream.succeeded(now, probe=given.probes_upstream)
        self._model_succeeded(given, now)

    def failed(self, given: Pass, model: str, now: float, *, unreached: bool) -> None:
        """The call failed; `unreached` where it didn't even get to the upstream."""
        if unreached:
            given.upstream.failed(now, probe=given.probes_upstream)
            if given.model is not None:
                given.model.abandoned(now, probe=given.probes_model)
            return
        given.upstream.succeeded(now, probe=given.probes_upstream)
        breaker = self._of(model)
        before = breaker.opened
        breaker.failed(now, probe=given.probes_model)
        self.models_opened += breaker.opened - before

    def abandoned(self, given: Pass, now: float) -> None:
        """The call ended before it told anything."""
        given.upstream.abandoned(now, probe=given.probes_upstream)
        if given.model is not None:
            given.model.abandoned(now, probe=given.probes_model)

    def models(self) -> Iterator[tuple[str, Breaker]]:
        """The models that have failed, and their breakers."""
        return iter(self._models.items())

    def _model_succeeded(self, given: Pass, now: float) -> None:
        if given.model is not None:
            before = given.model.closed
            given.model.succeeded(now, probe=given.probes_model)
            self.models_closed += given.model.closed - before

    def _of(self, model: str) -> Breaker:
        breaker = self._models.get(model)
        if breaker is None:
            breaker = self._models[model] = Breaker(self._rules)
            if len(self._models) > _MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(model)
        return breaker
