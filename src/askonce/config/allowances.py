"""What tenants and features may use: requests and tokens per minute, dollars per day and month."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import Field, PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from askonce.config.forms import Form, Number, Slug, Switch
from askonce.config.problems import unknown_key
from askonce.config.section import Section

__all__ = ["AllowanceSettings", "Bound", "DefaultTenantSettings"]

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class Bound(Generic[T]):
    """A limit; None where there is none of its kind.

    Attributes:
        soft: Above it answers carry a warning.
        hard: Above it requests are refused.
    """

    soft: T | None = None
    hard: T | None = None


_KEYS: Final = ("soft", "hard")
_MOST: Final = 1e12
"""More than anybody means; what is counted stays an exact integer."""


def _bound(convert: Callable[[object], T]) -> Callable[[object], Bound[T]]:
    def parse(value: object) -> Bound[T]:
        if isinstance(value, Bound):
            return value
        said: dict[Any, Any] = value if isinstance(value, dict) else {"hard": value}
        unknown = [key for key in said if key not in _KEYS]
        if unknown:
            wrong = [((key,), unknown_key(str(key), _KEYS)) for key in unknown]
            raise PydanticCustomError("violations", "unknown keys", {"all": wrong})
        bounds = {key: convert(one) for key, one in said.items() if one is not None}
        if not bounds:
            raise ValueError("must be a number, or {soft: …, hard: …} with at least one of them")
        soft, hard = bounds.get("soft"), bounds.get("hard")
        if soft is not None and hard is not None and soft > hard:
            raise ValueError("soft must not be above hard: nobody would be warned before the limit")
        return Bound(soft, hard)

    return parse


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST:
        raise ValueError("must be a whole number above zero, or {soft: …, hard: …} with such")
    return value


def _usd(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= _MOST:
        raise ValueError("must be a number of dollars above zero, or {soft: …, hard: …} with such")
    return float(value)


def _plain(bound: Bound[Any]) -> dict[str, Any]:
    return {key: getattr(bound, key) for key in _KEYS if getattr(bound, key) is not None}


CountBound = Annotated[
    Bound[int],
    PlainValidator(_bound(_count)),
    PlainSerializer(_plain),
    Form("whole number, or `{soft: …, hard: …}`", str),
]
"""A limit of a number of things."""
UsdBound = Annotated[
    Bound[float],
    PlainValidator(_bound(_usd)),
    PlainSerializer(_plain),
    Form("number, or `{soft: …, hard: …}`", str),
]
"""A limit in dollars."""


class AllowanceSettings(Section):
    """Limits of one tenant, of one feature, or of a tenant in a feature. A plain number is a hard limit."""

    requests_per_minute: CountBound | None = Field(
        default=None, description="Requests in any 60 s. Answers from the store are free unless `count_hits`."
    )
    tokens_per_minute: CountBound | None = Field(
        default=None,
        description="Prompt and completion tokens of upstream calls in any 60 s: estimated before a call, settled after.",
    )
    usd_per_day: UsdBound | None = Field(
        default=None, description="Dollars that upstream calls may cost in a day (UTC)."
    )
    usd_per_month: UsdBound | None = Field(
        default=None, description="Dollars that upstream calls may cost in a calendar month (UTC)."
    )
    count_hits: Switch = Field(
        default=False,
        description="Count answers from the store as requests too, and refuse them where `requests_per_minute` is used up.",
    )
    unknown_price_usd: Number = Field(
        default=0.01,
        ge=0,
        le=1_000,
        description="What a call counts for whose model's price isn't known, in dollars.",
    )


class DefaultTenantSettings(Section):
    """What holds for each tenant that doesn't say otherwise; without `tenants`, for each credential."""

    limits: AllowanceSettings | None = Field(
        default=None, description="Limits of each tenant, all its features together; absent: none."
    )
    feature_limits: dict[Slug, AllowanceSettings] = Field(
        default={}, description="Limits of each tenant in single features."
    )
