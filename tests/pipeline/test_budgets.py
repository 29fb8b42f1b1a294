"""Each feature's promise: labels in, a threshold out, breaches said, kept and lifted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from askonce.matching.budget import Budget
from askonce.matching.calibration import Calibration
from askonce.model import Audit, SemanticMode
from askonce.pipeline.budgets import Budgets
from fakes import POLICY, FakeClock, FakeStore, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.model import Request

SHIPPED = Calibration(np.array([1.0]), 0.0)
ON = replace(POLICY, semantic=SemanticMode.ON, feature="support", audit_share=0.1)


TEXT = "How do I change the channel of my router?"


def linked(text: str | None = TEXT, turns: int = 1, **policy: Any) -> Request:
    """A request that a link may answer."""
    asked = request(**({"semantic": SemanticMode.ON, "feature": "support"} | policy))
    return asked._replace(ask=asked.ask._replace(text=text, turns=turns))


class House:
    """Budgets of one feature with all their fakes."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.clock = FakeClock() if store is None else store.clock
        self.store = store or FakeStore(self.clock)
        self.budgets = self.open()

    def open(self) -> Budgets:
        promises = {"support": Budget(0.05), "search": Budget(0.05)}
        return Budgets(promises, SHIPPED, "engine-1", self.store, self.clock, gather_s=0.0, rest=0.0)

    def label(
        self, *, right: bool, logit: float = 6.0, source: str = "hit", engine: str = "engine-1"
    ) -> None:
        self.clock.time += 1
        self.budgets.label(audit(self.clock.now(), right=right, logit=logit, source=source, engine=engine))

    @property
    def breached(self) -> bool:
        return self.budgets.mode(ON) is SemanticMode.SHADOW

    async def until(self, check: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not check():  # noqa: ASYNC110 - what is waited for knows no event
                await asyncio.sleep(0.005)


def audit(at: float, *, right: bool, logit: float, source: str = "hit", engine: str = "engine-1") -> Audit:
    return Audit(
        feature="support",
        at=at,
        question=b"q",
        answer=b"a",
        request_id="r",
        source=source,
        judge="equality",
        right=right,
        propensity=1.0,
        probability=0.9,
        threshold=0.8,
        reason="match",
        evidence=np.array([logit], np.float32),
        engine=engine,
    )


async def breach(house: House) -> None:
    for _ in range(8):
        house.label(right=False)
    await house.until(lambda: house.breached)


async def test_labels_move_the_threshold() -> None:
    """Right would-be hits lower it, for this feature alone."""
    house = House()
    before = house.budgets.serving("support").threshold
    for number in range(300):
        house.label(right=True, logit=2.0 + number / 100, source="shadow")
    await house.until(lambda: house.budgets.serving("support").labels == 300)
    assert house.budgets.serving("support").threshold < before
    assert house.budgets.serving("search").threshold == before
    await house.budgets.close()


async def test_a_breach_stops_serving_until_resumed() -> None:
    """Wrong hits shadow the feature; resumed by hand, the same labels don't breach again, but further ones do."""
    house = House()
    await breach(house)
    assert not house.budgets.serves_link(linked(), 1.0)
    assert house.budgets.mode(replace(ON, feature="search")) is SemanticMode.ON
    assert house.budgets.mode(replace(ON, semantic=SemanticMode.OFF)) is SemanticMode.OFF
    assert house.budgets.resume("support")
    assert not house.breached
    house.label(right=True)
    seen = house.budgets.serving("support").labels
    await house.until(lambda: house.budgets.serving("support").labels > seen)
    assert not house.breached
    await breach(house)
    assert not house.budgets.resume("unheard-of")
    assert house.budgets.resume("search")
    await house.budgets.close()


async def test_a_breach_ends_when_fresh_labels_say_so() -> None:
    """Would-be hits of the shadowed feature that are right lift the breach, and its old labels don't bring it back."""
    house = House()
    await breach(house)
    for _ in range(600):
        house.label(right=True, logit=9.0, source="shadow")
    await house.until(lambda: not house.breached)
    labels = house.budgets.serving("support").labels
    house.label(right=True)
    await house.until(lambda: house.budgets.serving("support").labels > labels)
    assert not house.breached
    await house.budgets.close()


async def test_a_clock_that_ran_ahead_does_not_silence_the_alarm() -> None:
    """Resumed while the clock was a year ahead: once it is right again, wrong hits breach the budget as ever."""
    house = House()
    await breach(house)
    house.clock.time += 365 * 86_400
    assert house.budgets.resume("support")
    house.clock.time -= 365 * 86_400
    await breach(house)
    await house.budgets.close()


async def test_labels_from_the_future_do_not_stay_new() -> None:
    """Made while the clock was a year ahead, they count as made when it was set right, and lift no later breach."""
    house = House()
    house.clock.time += 365 * 86_400
    for _ in range(600):
        house.label(right=True, logit=9.0, source="shadow")
    house.clock.time -= 365 * 86_400
    for _ in range(40):
        house.label(right=False)
    await house.until(lambda: house.breached)
    assert max(label.at for label in house.budgets._features["support"].labels) <= house.clock.now()
    await house.budgets.settle_all()
    assert house.breached
    await house.budgets.close()
    again = House(house.store)
    again.budgets.load_states()
    again.budgets.take(audit(again.clock.now() + 1e6, right=True, logit=1.0))
    again.budgets.take(audit(again.clock.now(), right=True, logit=1.0))
    await again.budgets.settle_all()
    assert [label.at for label in again.budgets._features["support"].labels] == [again.clock.now()] * 2


async def test_misses_push_no_audits_of_hits_out() -> None:
    """There are hundreds of them for each audited hit: the newest of both kinds are kept."""
    house = House()
    for number in range(300):
        assert house.budgets.take(audit(float(number), right=True, logit=1.0))
    for number in range(10_500):
        assert house.budgets.take(audit(float(number), right=True, logit=1.0, source="miss"))
    labels = house.budgets._features["support"].labels
    assert (sum(label.served for label in labels), len(labels)) == (300, 10_300)
    assert labels[-1].at == 10_499


async def test_labels_from_before_the_clock_was_set_do_not_blind_the_alarm() -> None:
    """Made in 1970 by the clock: they count for nothing now, and those made since are weighed all the same."""
    house = House()
    now, house.clock.time = house.clock.time, 0.0
    for number in range(200):
        house.label(right=bool(number % 3), source="shadow")
    house.clock.time = now + 50 * 365 * 86_400
    await breach(house)
    await house.budgets.close()


async def test_a_breach_and_its_labels_survive_a_restart() -> None:
    """Counts, breach and labels are there again; evidence of another engine isn't used."""
    house = House()
    assert house.budgets.hit(ON) == 1.0
    house.budgets.missed("support")
    await breach(house)
    await house.budgets.close()
    again = House(house.store)
    again.budgets.load_states()
    assert again.breached
    assert again.budgets.take(audit(again.clock.now(), right=True, logit=1.0))
    assert not again.budgets.take(audit(5.0, right=True, logit=1.0, engine="engine-2"))
    assert not again.budgets.take(replace(audit(5.0, right=True, logit=1.0), feature="gone"))
    assert not again.budgets.take(replace(audit(5.0, right=True, logit=1.0), evidence=None))
    for misfit in ([1.0, 2.0], [np.nan], []):
        broken = replace(audit(5.0, right=True, logit=1.0), evidence=np.array(misfit, np.float32))
        assert not again.budgets.take(broken)
    await again.budgets.settle_all()
    standing = again.budgets.standings()[0]
    assert (standing.traffic, standing.setting.labels) == ((2, 1), 1)
    assert again.breached
    await again.budgets.close()
    assert orjson.loads(house.store.values_kept["budget/support"])["breached_at"] is not None


async def test_until_the_labels_are_there_nothing_more_is_served_than_before() -> None:
    """After a restart the old threshold holds where it was the higher one, and the labels set their own then."""
    house = House()
    for number in range(200):
        house.label(right=number % 2 == 0, logit=6.0, source="shadow")
    await house.until(lambda: house.budgets.serving("support").labels == 200)
    high = house.budgets.serving("support").threshold
    await house.budgets.close()
    again = House(house.store)
    shipped = again.budgets.serving("support").threshold
    assert high > shipped
    again.budgets.load_states()
    assert again.budgets.serving("support").threshold == high
    assert not again.budgets.serves_link(linked(), (shipped + high) / 2)
    assert again.budgets.resume("support")
    again.budgets.label(audit(again.clock.now(), right=True, logit=9.0, source="shadow"))
    await asyncio.sleep(0.05)
    assert again.budgets.serving("support").threshold == high
    await again.budgets.settle_all()
    assert again.budgets.serving("support").labels == 1
    assert again.budgets.serving("support").threshold < high
    await again.budgets.close()


async def test_an_old_threshold_without_labels_is_given_up() -> None:
    """Its labels are another engine's, say: the feature begins anew."""
    house = House()
    house.store.keep(
        "budget/support",
        orjson.dumps({"requests": 1, "hits": 1, "breached_at": None, "resumed_at": None, "threshold": 2.0}),
    )
    shipped = house.budgets.serving("support").threshold
    house.budgets.load_states()
    assert house.budgets.serving("support").threshold == 2.0
    await house.budgets.settle_all()
    assert house.budgets.serving("support").threshold == shipped


async def test_audits_begin_dense() -> None:
    """The first hits are all audited, later ones with the policy's share; a share of 0 audits none."""
    house = House()
    shares = [house.budgets.hit(ON) for _ in range(2_000)]
    assert shares[:50] == [1.0] * 50
    assert shares[-1] == 0.1
    assert shares == sorted(shares, reverse=True)
    assert house.budgets.hit(replace(ON, audit_share=0.0)) == 0.0
    assert house.budgets.standings()[0].traffic.hits == 2_001


async def test_links_serve_while_they_clear_the_threshold() -> None:
    """A link made at a lower threshold doesn't serve below today's; one that a judge has confirmed does."""
    house = House()
    threshold = house.budgets.serving("support").threshold
    assert house.budgets.serves_link(linked(), 1.0)
    assert house.budgets.serves_link(linked(), threshold)
    assert not house.budgets.serves_link(linked(), threshold - 0.01)
    assert not house.budgets.serves_link(linked(semantic=SemanticMode.SHADOW), 1.0)


@pytest.mark.parametrize(
    ("text", "turns", "halvings"), [("What is love?", 1, 1), (TEXT, 3, 2), ("Why?", 2, 2)]
)
async def test_links_clear_the_bar_of_short_questions_and_conversations(
    text: str, turns: int, halvings: int
) -> None:
    """Another feature's link serves only where this feature's own look-up would have: at the tightened threshold."""
    house = House()
    bar = 1 - (1 - house.budgets.serving("support").threshold) / 2**halvings
    assert house.budgets.serves_link(linked(text, turns), bar + 1e-9)
    assert not house.budgets.serves_link(linked(text, turns), bar - 1e-6)
    assert house.budgets.serves_link(linked(text, turns), 1.0)


async def test_links_serve_no_question_that_the_tier_has_nothing_to_do_with() -> None:
    """Tools or too many turns for this feature, say: such a question has no text to match."""
    house = House()
    assert not house.budgets.serves_link(linked(None), 1.0)


async def test_a_weighing_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The feature serves as before, what comes after start goes on, and the next label is weighed again."""
    house = House()
    with monkeypatch.context() as broken:
        broken.setattr("askonce.pipeline.budgets.settle", lambda *_, **__: 1 / 0)
        house.label(right=True)
        await house.until(lambda: house.budgets._features["support"].task is None)
        await house.budgets.settle_all()
    assert house.budgets.serving("support").labels == 0
    house.label(right=True)
    await house.until(lambda: house.budgets.serving("support").labels == 2)
    await house.budgets.close()


async def test_a_stricter_promise_holds_at_once_and_then_by_its_labels() -> None:
    """A changed promise never serves by less than before, nor by less than it would without labels, until weighed anew."""
    house = House()
    for _ in range(60):
        house.label(right=True)
    await house.until(lambda: house.budgets.serving("support").labels == 60)
    before = house.budgets.serving("support").threshold
    house.budgets.promising({"support": Budget(0.01), "new": Budget(0.05)})()
    assert house.budgets.serving("support").threshold >= before
    await house.until(lambda: house.budgets.standings()[0].setting.labels == 60)
    assert [one.feature for one in house.budgets.standings()] == ["support", "new"]
    assert house.budgets.standings()[0].budget == Budget(0.01)
    assert house.budgets.serving("search").threshold, "requests under way still find a feature that has gone"
    await house.budgets.close()


async def test_a_breach_outlives_a_changed_promise_and_a_feature_that_comes_back() -> None:
    """Neither is a way to resume: that is asked for by name."""
    house = House()
    await breach(house)
    house.budgets.promising({"search": Budget(0.05)})()
    house.budgets.promising({"support": Budget(0.06), "search": Budget(0.05)})()
    assert house.breached
    await house.budgets.close()
