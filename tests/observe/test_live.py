"""The last quarter of an hour: whatever happens when, the sums are those of what is young enough."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Caller, Exact, Fresh, Owner, RetainText, Semantic, Usage
from askonce.observe import live as live_module
from askonce.observe.live import SLOT_S, SLOTS, Live
from askonce.observe.live_hits import Mark
from askonce.ports import Charge, Record, Share
from fakes import CALLER, FakeClock, request

if TYPE_CHECKING:
    from askonce.model import Outcome

_OUTCOMES: dict[str, Outcome | None] = {"exact": Exact(b"e", 1, 2), "fresh": Fresh("miss"), "refused": None}
_AGE_S = SLOT_S * SLOTS


def record(outcome: Outcome | None, feature: str = "support", **said: Any) -> Record:
    usage = None if outcome is None else Usage(10, 5)
    told = Record(
        "req", "chat/completions", "acme", feature, "m", outcome, 200, "", 0.02, 0.01, None, usage, 0, 7
    )
    return told._replace(**said)


class Hands:
    """The monotonic clock, set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(live_module, "monotonic", hands)
    return hands


_STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 4.9, 5.0, 61.0, 899.0, 5_000.0]),
        st.sampled_from([*_OUTCOMES]),
        st.sampled_from("ab"),
    ),
    max_size=40,
)


@given(steps=_STEPS)
def test_the_window_is_what_is_young_enough(steps: list[tuple[float, str, str]]) -> None:
    """Over any history, pauses of any length included, sums, series and latencies agree with what was told."""
    with pytest.MonkeyPatch.context() as patch:
        hands = Hands()
        patch.setattr(live_module, "monotonic", hands)
        live = Live(FakeClock())
        told: list[tuple[int, str, str]] = []
        for pause_s, outcome, feature in steps:
            hands.now += pause_s
            slot = live.number
            live.request(record(_OUTCOMES[outcome], feature))
            told.append((slot, feature, outcome))
        oldest = live.number - SLOTS
        young = [(feature, outcome) for slot, feature, outcome in told if slot > oldest]
        window = live.window()
        expected = Counter(young)
        assert {kind: cell.requests for kind, cell in window.cells.items() if cell.requests} == expected
        assert sum(cell.saved_nanousd for cell in window.cells.values()) == 7 * len(young)
        assert sum(sum(one.counts) for one in window.latencies.values()) == len(young)
        series = live.series()
        assert len(series) == SLOTS
        assert Counter({k: v for slot in series for k, v in slot.items()}).keys() == {o for _, o in young}
        assert sum(sum(slot.values()) for slot in series) == len(young)


def test_money_spent_is_what_calls_were_charged(hands: Hands) -> None:
    """Charges are spent by those who share them; a call without usage isn't money; all of it is gone when it is old."""
    live = Live(FakeClock())
    shares = (Share("acme", "support", "fresh", 60), Share("acme", "search", "joined", 40))
    charge = Charge("call", 0.0, "openai", "m", Usage(10, 5), Usage(), 100, 0, 0, shares)
    live.charged(charge)
    live.charged(charge._replace(usage=None))
    assert {kind: cell.spent_nanousd for kind, cell in live.window().cells.items()} == {
        ("support", "fresh"): 60,
        ("search", "joined"): 40,
    }
    hands.now += _AGE_S + SLOT_S
    assert not any(cell.spent_nanousd for cell in live.window().cells.values())


def test_answers_without_a_price_are_counted_as_such() -> None:
    """An answer with tokens whose price isn't known is unpriced, one without tokens isn't."""
    live = Live(FakeClock())
    live.request(record(Exact(b"e", 1, 2), saved_nanousd=None))
    live.request(record(None, saved_nanousd=None))
    assert sum(cell.unpriced for cell in live.window().cells.values()) == 1


def test_what_shadow_mode_would_have_answered_is_counted(hands: Hands) -> None:
    """A match that wasn't served counts for its feature; one that was served, or no match, doesn't; in the end it is old."""
    live = Live(FakeClock())
    for mode, reason in (("shadow", "match"), ("shadow", "below-floor"), ("on", "match")):
        live.semantic("support", mode, reason)
    assert live.window().shadowed == {"support": 1}
    hands.now += _AGE_S + SLOT_S
    assert live.number
    assert live.window().shadowed == {}


def hit_of(caller: Caller, retain: RetainText, request_id: str = "req") -> Record:
    asked = request(caller=caller, retain_text=retain)
    asked = asked._replace(ask=asked.ask._replace(text="Is this secret?"))
    semantic = Semantic(b"e", 0.99, joined=False, age_s=1, ttl_s=2, reason="match")
    return record(semantic, request=asked, request_id=request_id)


@pytest.mark.parametrize(
    ("retain", "shown", "marked"),
    [
        (RetainText.FULL, "Is this secret?", True),
        (RetainText.HASHED, None, True),
        (RetainText.NONE, None, False),
    ],
)
def test_hits_keep_of_a_question_what_its_policy_keeps(
    retain: RetainText, shown: str | None, *, marked: bool
) -> None:
    """The text with `full`, a mark without it, and nothing with `none`: also in memory."""
    live = Live(FakeClock())
    live.request(hit_of(CALLER, retain))
    hit = live.hits[-1]
    assert (hit.text, bool(hit.mark)) == (shown, marked)
    assert shown is not None or "secret" not in repr(hit)


def test_marks_are_equal_for_equal_texts_alone() -> None:
    """The same text has the same mark, another one another, and another process' marks are different ones."""
    mark = Mark()
    assert mark.of("one") == mark.of("one") != mark.of("two")
    assert Mark().of("one") != mark.of("one")
    assert mark.shown("\ud800", RetainText.FULL)[0] == "\ud800"


def test_an_owners_hits_can_be_erased() -> None:
    """Hits of a tenant that is to be forgotten are dropped, others stay."""
    live = Live(FakeClock())
    live.request(hit_of(CALLER, RetainText.FULL, "theirs"))
    other = replace(CALLER, tenant="tenant:other", label="other")
    live.request(hit_of(other, RetainText.FULL, "kept"))
    live.originals = dict.fromkeys(live.hits, ("What?", "mark"))
    live.erase(Owner("tenant:acme"))
    assert [hit.request_id for hit in live.hits] == ["kept"]
    assert not live.originals
    live.forget({b"another entry"})
    assert live.hits
    live.forget({b"e"})
    assert not live.hits
