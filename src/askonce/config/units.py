"""Human forms of quantities, both ways: `1d`, `10MiB`, `1%` and `on` to numbers and back.

Every parser takes what YAML or an environment variable may hold and raises ValueError with a sentence that
says which form is wanted. No sentence repeats the value: it may be a secret in the wrong place.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

__all__ = [
    "format_duration",
    "format_share",
    "format_size",
    "format_switch",
    "parse_duration",
    "parse_share",
    "parse_size",
    "parse_switch",
]

_SECONDS: Final = {
    "w": Decimal(604_800),
    "d": Decimal(86_400),
    "h": Decimal(3_600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
    "us": Decimal("0.000001"),
}
_BYTES: Final = {
    "TiB": 1024**4,
    "GiB": 1024**3,
    "MiB": 1024**2,
    "KiB": 1024,
    "TB": 1000**4,
    "GB": 1000**3,
    "MB": 1000**2,
    "kB": 1000,
}
_NUMBER: Final = r"[0-9]{1,30}(?:\.[0-9]{1,400})?"
_DURATION: Final = re.compile(rf"({_NUMBER})\s*(w|d|h|ms|us|m|s)\s*")
_DURATION_WHOLE: Final = re.compile(rf"(?:{_NUMBER}\s*(?:w|d|h|ms|us|m|s)\s*)+")
_SIZE: Final = re.compile(rf"({_NUMBER})\s*([KMGT]I?)?B?", re.IGNORECASE)
_BYTES_BY_LETTERS: Final = {
    unit.removesuffix("B").upper(): factor for unit, factor in (*_BYTES.items(), ("B", 1))
}
_SWITCHES: Final = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def _plain_number(value: object) -> Decimal | None:
    """The number, where a value is one or spells one without a unit; None otherwise."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, str) and re.fullmatch(_NUMBER, value.strip()):
        return Decimal(value.strip())
    return None


def parse_duration(value: object) -> float:
    """Seconds of `1d`, `500ms`, `1h30m`; a plain number is seconds.

    Units: `w`, `d`, `h`, `m`, `s`, `ms`, `us`. Raises ValueError for everything else and below zero.
    """
    seconds = _plain_number(value)
    if seconds is None and isinstance(value, str) and _DURATION_WHOLE.fullmatch(value.strip()):
        parts = _DURATION.findall(value)
        seconds = sum((Decimal(number) * _SECONDS[unit] for number, unit in parts), Decimal(0))
    if seconds is None or seconds < 0:
        raise ValueError("must be a duration such as 500ms, 30s, 10m or 1d (a plain number is seconds)")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back as the same number of seconds."""
    exact = Decimal(repr(seconds))
    for unit in ("d", "h", "m", "s", "ms"):
        count = exact / _SECONDS[unit]
        if count and count == count.to_integral_value():
            return f"{int(count)}{unit}"
    return f"{exact:f}s" if exact else "0s"


def parse_size(value: object) -> int:
    """Bytes of `10MiB` (powers of 1024), `256MB` (powers of 1000) or a plain number of bytes.

    Raises ValueError for everything else, below zero, and for parts of a byte.
    """
    count = _plain_number(value)
    if count is None and isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        # A bare `10M` is refused: it doesn't say which million it means.
        if match and value.strip()[-1] in "bB":
            count = Decimal(match[1]) * _BYTES_BY_LETTERS[(match[2] or "").upper()]
    if count is None or count < 0 or count != count.to_integral_value():
        raise ValueError("must be a size such as 512KiB, 10MiB, 4GiB or 256MB (a plain number is bytes)")
    return int(count)


def format_size(size_bytes: int) -> str:
    """The shortest form that `parse_size` reads back as the same number of bytes."""
    for unit, factor in _BYTES.items():
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


def parse_share(value: object) -> float:
    """The share of `1%` or `0.01`: between 0 and 1. Raises ValueError for everything else."""
    share = _plain_number(value)
    if share is None and isinstance(value, str) and value.strip().endswith("%"):
        percent = _plain_number(value.strip().removesuffix("%"))
        share = None if percent is None else percent / 100
    if share is None or share < 0:
        raise ValueError("must be a share such as 1% or 0.01")
    if share > 1:
        raise ValueError("must be at most 100%; a share of five percent is written 5% or 0.05")
    return float(share)


def format_share(share: float) -> str:
    """The percentage that `parse_share` reads back as the same share."""
    text = f"{Decimal(repr(share)) * 100:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def parse_switch(value: object) -> bool:
    """True for `on`, `yes`, `true`, False for `off`, `no`, `false`, quoted or not.

    YAML 1.1 reads a bare `on` as a boolean: both are taken. Raises ValueError for everything else.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _SWITCHES:
        return _SWITCHES[value.lower()]
    raise ValueError("must be on or off")


def format_switch(value: bool) -> str:  # noqa: FBT001 - the value itself, not a flag
    """`on` or `off`."""
    return "on" if value else "off"
