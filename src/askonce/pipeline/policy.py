"""Per-feature policy: the feature's settings, tightened (never loosened) by the request's headers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from askonce.errors import Refusal
from askonce.model import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.model import Caller, Policy

__all__ = ["POLICY_HEADERS", "Policies"]

_FEATURE: Final = b"x-askonce-feature"
_TIGHTENING: Final = frozenset({b"cache-control", b"x-askonce-timeout", b"x-askonce-tags", b"x-askonce-lane"})
POLICY_HEADERS: Final = (_FEATURE, *sorted(_TIGHTENING))
"""All request headers that a policy depends on."""
_LANES: Final = tuple(Lane)
_MAX_TAGS: Final = 16
_MAX_TAG_LENGTH: Final = 128


class Policies:
    """Every feature's policy, by name."""

    def __init__(self, by_feature: Mapping[str, Policy]) -> None:
        self._by_feature: dict[str, Policy] = {}
        self.replace(by_feature)

    def replace(self, by_feature: Mapping[str, Policy]) -> None:
        """From now on, these features; what was asked for others before still finds their policy."""
        self._by_feature = {**self._by_feature, **by_feature}
        self._configured = frozenset(by_feature)

    def named(self, feature: str) -> Policy | None:
        """A feature's policy as it is configured; None where there is no such feature."""
        return self._by_feature[feature] if feature in self._configured else None

    def of(self, caller: Caller, headers: Mapping[bytes, bytes]) -> Policy:
        """What may be done for one request.

        Raises:
            Refusal: 403 for a feature that the key doesn't have, 400 for a header that says nothing.
        """
        feature = caller.features[0]
        if _FEATURE in headers:
            feature = _text(headers[_FEATURE])
            if feature not in caller.features:
                allowed = ", ".join(caller.features)
                raise Refusal(
                    403,
                    "feature_not_allowed",
                    f"This key may not use feature {feature!r}; it has: {allowed}.",
                )
        policy = self._by_feature[feature]
        return policy if headers.keys().isdisjoint(_TIGHTENING) else _tighten(policy, headers)


def _text(value: bytes) -> str:
    """A header's value: UTF-8 as clients of today write it, or else what HTTP/1.1 began with."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


def _tighten(policy: Policy, headers: Mapping[bytes, bytes]) -> Policy:
    if b"cache-control" in headers:
        policy = _apply_cache_control(policy, _text(headers[b"cache-control"]))
    if b"x-askonce-timeout" in headers:
        timeout_s = _seconds(_text(headers[b"x-askonce-timeout"]), "X-Askonce-Timeout")
        policy = dataclasses.replace(policy, timeout_s=min(policy.timeout_s, timeout_s))
    if b"x-askonce-tags" in headers:
        policy = dataclasses.replace(policy, tags=_tags(_text(headers[b"x-askonce-tags"])))
    if b"x-askonce-lane" in headers:
        lane = _lane(_text(headers[b"x-askonce-lane"]))
        policy = dataclasses.replace(policy, lane=max(policy.lane, lane, key=_LANES.index))
    return policy


def _lane(text: str) -> Lane:
    if text.lower() not in _LANES:
        sentence = f"X-Askonce-Lane is one of {', '.join(_LANES)}, not {text[:40]!r}."
        raise Refusal(400, "invalid_header", sentence)
    return Lane(text.lower())


def _apply_cache_control(policy: Policy, value: str) -> Policy:
    """RFC 9111's request directives; unknown ones are ignored, as it demands."""
    changes: dict[str, bool | float] = {}
    for directive in value.lower().split(","):
        name, _, argument = directive.strip().partition("=")
        if name == "no-cache":
            changes["read"] = False
        elif name == "no-store":
            changes["store"] = False
        elif name == "only-if-cached":
            changes["only_if_cached"] = True
        elif name == "max-age":
            age_s = _seconds(argument.strip('"'), "Cache-Control: max-age")
            changes["max_age_s"] = min(age_s, changes.get("max_age_s", age_s))
    return dataclasses.replace(policy, **changes) if changes else policy  # type: ignore[arg-type]


def _seconds(text: str, header: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise Refusal(400, "invalid_header", f"{header} takes a number of seconds, not {text[:40]!r}.")
    return seconds


def _tags(text: str) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))
    if len(tags) > _MAX_TAGS or any(len(tag) > _MAX_TAG_LENGTH for tag in tags):
        sentence = f"X-Askonce-Tags takes up to {_MAX_TAGS} tags of {_MAX_TAG_LENGTH} characters."
        raise Refusal(400, "invalid_header", sentence)
    return tags
