"""Limits through random histories: never more than was allowed, never a dollar or a request lost or invented."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from askonce.errors import LimitExceeded
from askonce.model import Caller, Exact, Fresh, Usage
from askonce.pipeline.allowances import (
    DAILY,
    REQUESTS,
    TOKENS,
    Allowances,
    Bound,
    Rulebook,
    Rules,
    Whose,
)
from askonce.pipeline.prices import Price, Prices
from askonce.ports import Charge, Share
from askonce.sending.estimate import estimated_tokens
from fakes import request
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.pipeline.allowances import Allotment

T = TypeVar("T")
MICRO = 1_000
HARD = {REQUESTS: 6, TOKENS: 4_000, DAILY: 6_000 * MICRO}
WHOLE = {REQUESTS: 9, TOKENS: 6_000, DAILY: 9_000 * MICRO}
"""Of both tenants together, in their one feature."""
MIDNIGHT = 1_000 * 86_400.0


@dataclass
class Call:
    """A request that was let through, and is still under way."""

    tenant: str
    allotment: Allotment
    at: float
    tokens: int


@dataclass
class Model:
    """What should count for somebody.

    Attributes:
        requests: When each request that counts was let through.
        tokens: When how many tokens were counted, reservations apart.
        spent: Nano-dollars by day.
        overrun: The part of them that no estimate had foreseen, by day.
    """

    requests: list[float] = field(default_factory=list)
    tokens: list[tuple[float, int]] = field(default_factory=list)
    spent: dict[int, int] = field(default_factory=dict)
    overrun: dict[int, int] = field(default_factory=dict)


class LimitsMachine(RuleBasedStateMachine):
    """Requests of two tenants in one feature come, are answered, fail, are abandoned; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        rules = Rules({name: Bound(None, hard) for name, hard in HARD.items()})
        whole = Rules({name: Bound(None, hard) for name, hard in WHOLE.items()})
        book = Rulebook(tenants={"a": rules, "b": rules}, features={"default": whole})
        prices = Prices({"gpt": Price.per_million(1.0, 1.0)})

        self.allowances = self.run(lambda: Allowances(book, prices, self))
        self.models = {name: Model() for name in ("a", "b", "")}
        self.under_way: list[Call] = []

    def run(self, work: Callable[[], T]) -> T:
        """Runs what asks for the loop in it."""

        async def in_the_loop() -> T:
            return work()

        return self.loop.run_until_complete(in_the_loop())

    def now(self) -> float:
        """Wall-clock time, which goes with the loop's."""
        return MIDNIGHT + self.loop.time()

    @rule(tenant=st.sampled_from("ab"), answer_tokens=st.integers(1, 3_000))
    def arrive(self, tenant: str, answer_tokens: int) -> None:
        caller = Caller(f"tenant:{tenant}", tenant, ("default",), None, tenant.encode())
        body = {"model": "gpt", "max_tokens": answer_tokens, "messages": []}
        asked = request(caller=caller, body=body, read=False)
        tokens = estimated_tokens(asked.ask)
        fits = all(self._fits(whose, hard, tokens) for whose, hard in ((tenant, HARD), ("", WHOLE)))

        if not fits:
            with pytest.raises(LimitExceeded) as refused:
                self.run(lambda: self.allowances.admit(asked))
            assert refused.value.retry_after_s is not None
            assert refused.value.retry_after_s > 0
            return
        allotment = self.run(lambda: self.allowances.admit(asked))
        assert allotment is not None
        at = self.loop.time()
        for whose in (tenant, ""):
            self.models[whose].requests.append(at)
        self.under_way.append(Call(tenant, allotment, at, tokens))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0), share=st.floats(0, 1.5), settled=st.booleans())
    def answer(self, which: int, share: float, settled: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        """The call ends: it took less, or more, than was thought; perhaps the upstream didn't get to say."""
        call = self.under_way.pop(which % len(self.under_way))
        tokens = round(call.tokens * share)
        usage = Usage(tokens)
        told = Charge(
            call="c",
            at=self.now(),
            upstream="u",
            model="gpt",
            usage=usage if settled else None,
            estimate=usage,
            cost_nanousd=tokens * MICRO,
            saved_prompt_cache_nanousd=0,
            saved_batch_nanousd=0,
            shares=(Share(call.tenant, "default", "fresh" if settled else "abandoned", tokens * MICRO),),
        )

        call.allotment.served(Fresh("miss"))
        self.run(lambda: self.allowances.charged(told))
        call.allotment.release()
        for whose in (call.tenant, ""):
            model = self.models[whose]
            model.tokens.append((self.loop.time(), tokens))
            model.spent[self._day] = model.spent.get(self._day, 0) + tokens * MICRO
            beyond = max(0, tokens - call.tokens) * MICRO
            model.overrun[self._day] = model.overrun.get(self._day, 0) + beyond

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0))
    def find_in_the_store(self, which: int) -> None:
        """It needed no call: as if it had never been asked."""
        call = self.under_way.pop(which % len(self.under_way))
        call.allotment.served(Exact(b"e", 0, 1))
        call.allotment.release()
        for whose in (call.tenant, ""):
            self.models[whose].requests.remove(call.at)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0))
    def fail(self, which: int) -> None:
        """No call went out: it costs nothing, but was a request."""
        self.under_way.pop(which % len(self.under_way)).allotment.release()

    @rule(seconds=st.floats(0, 40) | st.floats(0, 100_000))
    def wait(self, seconds: float) -> None:
        self.loop.advance(seconds)

    @property
    def _day(self) -> int:
        return int(self.now() // 86_400)

    def _reserved(self, whose: str) -> list[Call]:
        return [call for call in self.under_way if whose in {"", call.tenant}]

    def _counted(self, at: float) -> bool:
        """Whether what was taken at a time counts: its second's end isn't a minute ago."""
        return int(at) + 61 > self.loop.time()

    def _used(self, whose: str) -> dict[str, int]:
        model, calls = self.models[whose], self._reserved(whose)
        return {
            REQUESTS: sum(map(self._counted, model.requests)),
            TOKENS: sum(amount for at, amount in model.tokens if self._counted(at))
            + sum(call.tokens for call in calls if self._counted(call.at)),
            DAILY: model.spent.get(self._day, 0) + sum(call.tokens for call in calls) * MICRO,
        }

    def _fits(self, whose: str, hard: dict[str, int], tokens: int) -> bool:
        used = self._used(whose)
        return (
            used[REQUESTS] < hard[REQUESTS]
            and used[TOKENS] + min(tokens, hard[TOKENS]) <= hard[TOKENS]
            and used[DAILY] + tokens * MICRO <= hard[DAILY]
        )

    @invariant()
    def what_counts_is_what_happened(self) -> None:
        told = self.run(lambda: list(self.allowances.standings()))
        standings = {(Whose(one.tenant, one.feature), one.limit): one.used for one in told}
        for tenant, whose in (("a", Whose("a", "")), ("b", Whose("b", "")), ("", Whose("", "default"))):
            for name, used in self._used(tenant).items():
                assert standings[whose, name] == used

    @invariant()
    def no_limit_is_exceeded_but_by_what_nobody_could_foresee(self) -> None:
        for tenant, hard in (("a", HARD), ("b", HARD), ("", WHOLE)):
            model = self.models[tenant]
            for start in model.requests:
                within = [at for at in model.requests if start <= at < start + 60]
                assert len(within) <= hard[REQUESTS]
            for day, spent in model.spent.items():
                reserved = sum(call.tokens for call in self._reserved(tenant)) * MICRO
                still = reserved if day == self._day else 0
                assert spent + still <= hard[DAILY] + model.overrun.get(day, 0)

    def teardown(self) -> None:
        self.loop.close()


def test_limits_through_random_histories() -> None:
    """What counts is what happened, to the token and the nano-dollar, and what is let through is what fits.

    Nobody gets more than a limit, but for what a call took beyond its estimate.
    """
    run_state_machine_as_test(
        LimitsMachine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
