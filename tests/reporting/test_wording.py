"""Numbers and strangers' texts, as people read them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.reporting import wording


@given(st.integers(-(10**18), 10**18))
def test_dollars_are_exact_where_they_are_for_programs(nanousd: int) -> None:
    """All nine digits, both signs."""
    assert Decimal(wording.usd(nanousd)) * 10**9 == nanousd


@given(st.integers(1, 10**15))
def test_no_amount_is_shown_as_nothing(nanousd: int) -> None:
    """However small: what reads as zero is zero. And none is off by more than one part in a hundred."""
    shown = float(wording.dollars(nanousd).removeprefix("$").replace(",", ""))
    assert shown > 0
    assert shown == pytest.approx(nanousd / 1e9, rel=0.051)


@pytest.mark.parametrize(
    ("nanousd", "shown"),
    [
        (0, "$0.00"),
        (1_234_567_890_123, "$1,234.57"),
        (-56_000_000, "-$0.056"),
        (100_000_000, "$0.10"),
        (7, "$0.0000000070"),
    ],
)
def test_dollars(nanousd: int, shown: str) -> None:
    """To the cent, and small ones to two digits."""
    assert wording.dollars(nanousd) == shown


@given(st.text())
def test_strangers_texts_are_one_line_that_obeys_nothing(text: str) -> None:
    """No control characters for terminals, no line ends, no marks that turn text around."""
    assert wording.plain(text).isprintable()
    assert wording.question(text, b"").isprintable()
    assert len(wording.question(text, b"")) <= 160


def test_a_question_without_text_goes_by_its_key() -> None:
    """Short, and the same each time."""
    assert wording.question(None, bytes(range(32))) == "#000102030405"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.00005, "50 µs"),
        (0.0123, "12.3 ms"),
        (1.5, "1.5 s"),
        (1_234.0, "1,234 s"),
        (math.nan, wording.NOTHING),
    ],
)
def test_seconds(seconds: float, shown: str) -> None:
    """Three digits in the unit that suits."""
    assert wording.seconds(seconds) == shown


def test_changes_are_told_only_of_something() -> None:
    """Nothing can't have grown by a share."""
    assert wording.change(150, 100) == "+50.0%"
    assert wording.change(1, 0) == ""
    assert wording.change(50, -100) == "+150.0%"
    assert wording.points(0.5, 0.25) == "+25.0 points"
    assert wording.points(0.5, None) == ""
