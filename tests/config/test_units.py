"""Durations, sizes, shares and switches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.config.units import (
    format_duration,
    format_share,
    format_size,
    format_switch,
    parse_duration,
    parse_share,
    parse_size,
    parse_switch,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("30s", 30),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("1d 12h", 129600),
        ("1.5h", 5400),
        (" 5 s ", 5),
        (30, 30),
        (0.25, 0.25),
        ("30", 30),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(value: object, seconds: float) -> None:
    """Every unit, compounds, and plain numbers, which are seconds, also where a variable spelled them."""
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "1x",
        "d",
        "-1s",
        "1 2s",
        "1e3s",
        "1M",
        "٣s",
        -1,
        True,
        None,
        [],
        float("nan"),
        float("inf"),
    ],
)
def test_other_durations_are_refused(value: object) -> None:
    """Unknown units, signs, exponents, booleans and numbers that aren't finite are no durations."""
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (86400, "1d"),
        (5400, "90m"),
        (600, "10m"),
        (0.05, "50ms"),
        (0, "0s"),
        (0.0001, "0.0001s"),
        (129600, "36h"),
    ],
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    """The largest unit that divides the duration is taken."""
    assert format_duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e12) | st.integers(min_value=0, max_value=10**12))
def test_durations_survive_writing_and_reading(seconds: float) -> None:
    """No duration changes on the way to text and back."""
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [
        ("10MiB", 10 * 1024**2),
        ("256MB", 256 * 10**6),
        ("512KiB", 512 * 1024),
        ("512kB", 512_000),
        ("4GiB", 4 * 1024**3),
        ("1TiB", 1024**4),
        ("2TB", 2 * 10**12),
        ("1.5KiB", 1536),
        ("10 mib", 10 * 1024**2),
        ("100B", 100),
        ("4096", 4096),
        (4096, 4096),
        (1e6, 1_000_000),
    ],
)
def test_sizes_are_bytes(value: object, size_bytes: int) -> None:
    """Powers of 1024 and of 1000, in any case, and plain numbers, which are bytes."""
    assert parse_size(value) == size_bytes


@pytest.mark.parametrize(
    "value", ["", "10M", "10Ki", "much", "-1MB", "0.5B", 1.5, -1, False, None, {}, "1PiB"]
)
def test_other_sizes_are_refused(value: object) -> None:
    """`10M` doesn't say which million; there are no parts of a byte and no negative sizes."""
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(value)


@given(st.integers(min_value=0, max_value=2**60) | st.integers(0, 4096).map(lambda count: count * 1024**2))
def test_sizes_survive_writing_and_reading(size_bytes: int) -> None:
    """No size changes on the way to text and back."""
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("value", "share"),
    [("1%", 0.01), ("0.5 %", 0.005), (0.01, 0.01), ("0.01", 0.01), ("100%", 1), (0, 0), (1, 1), ("0%", 0)],
)
def test_shares_are_between_zero_and_one(value: object, share: float) -> None:
    """Percentages and plain shares."""
    assert parse_share(value) == share


@pytest.mark.parametrize("value", ["", "%", "one", "-1%", -0.1, True, None, "101%", 5, float("nan")])
def test_other_shares_are_refused(value: object) -> None:
    """Nothing below 0 or above 100%: `5` is more likely 5% than 500%, and is asked about."""
    with pytest.raises(ValueError, match="must be"):
        parse_share(value)


@given(st.floats(min_value=0, max_value=1))
def test_shares_survive_writing_and_reading(share: float) -> None:
    """No share changes on the way to text and back."""
    assert parse_share(format_share(share)) == share


@pytest.mark.parametrize("spelling", ["on", "On", "yes", "true", True])
def test_switches_can_be_on(spelling: object) -> None:
    """YAML 1.1 makes a bare `on` a boolean: both are taken."""
    assert parse_switch(spelling) is True
    assert format_switch(parse_switch(spelling)) == "on"


@pytest.mark.parametrize("spelling", ["off", "OFF", "no", "false", False])
def test_switches_can_be_off(spelling: object) -> None:
    """The same for `off`."""
    assert parse_switch(spelling) is False
    assert format_switch(parse_switch(spelling)) == "off"


@pytest.mark.parametrize("value", ["", "maybe", 1, 0, None])
def test_other_switches_are_refused(value: object) -> None:
    """Numbers are no switches."""
    with pytest.raises(ValueError, match="must be on or off"):
        parse_switch(value)


@pytest.mark.parametrize("parse", [parse_duration, parse_size, parse_share, parse_switch])
@given(value=st.text() | st.from_regex(r"\A[0-9. ]{1,8}[a-zA-Z%]{0,4}\Z"))
def test_any_text_is_read_or_refused(parse: Callable[[object], float], value: str) -> None:
    """No text makes a parser fail otherwise than with its own sentence; what it reads isn't negative."""
    try:
        assert parse(value) >= 0
    except ValueError as error:
        assert str(error).startswith("must be")  # noqa: PT017 - either way is right
