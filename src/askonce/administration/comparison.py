"""Two requests side by side: their canonical forms, the places in which these differ, and what else keeps them apart."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from askonce.matching.canonical import canonical, document
from askonce.matching.difference import How, differences
from askonce.model import Scope
from askonce.pipeline.fingerprint import parse

if TYPE_CHECKING:
    from askonce.matching.difference import Difference
    from askonce.model import Json, Request
    from askonce.ports import Kept

__all__ = ["Side", "apart_from", "compared", "described", "document_of", "shown"]

_MOST: Final = 100
_TELLING: Final = frozenset(
    {
        "model",
        "reasoning_effort",
        "verbosity",
        "encoding_format",
        "tool_choice",
        "function_call",
        "service_tier",
    }
)
"""Fields whose strings say nothing of what was asked."""


class Side(NamedTuple):
    """A request, and whether its texts may be shown."""

    request: Request
    full: bool


def document_of(request: Request) -> Json:
    """The canonical form of what a request asks."""
    ask = request.ask
    settled = parse(ask.endpoint, ask.raw).settled
    return document(canonical(ask.endpoint, settled, ask.route.model))


def described(request: Request) -> Json:
    """What was understood of a request: who, where to, under which keys and policy."""
    ask, policy = request.ask, request.policy
    return {
        "endpoint": ask.endpoint.value,
        "model": ask.model,
        "upstream": ask.route.upstream,
        "upstream_model": ask.route.model,
        "tenant": request.caller.account,
        "feature": policy.feature,
        "scope": policy.scope.value if policy.scope is not Scope.SHARED else f"shared: {policy.pool}",
        "headers": [name for name, _ in request.headers],
        "exact_key": _hex(ask.exact_key),
        "partition": _hex(ask.partition),
        "turns": ask.turns,
        "unshared": ask.unshared,
        "unmatched": ask.unmatched,
        "hot": ask.hot,
        "policy": {
            "exact": policy.exact,
            "inflight": policy.inflight,
            "semantic": policy.semantic.value,
            "ttl_s": policy.ttl_s,
            "error_budget": policy.error_budget,
            "similarity_floor": policy.similarity_floor,
            "read": policy.read,
            "store": policy.store,
            "max_age_s": policy.max_age_s,
            "only_if_cached": policy.only_if_cached,
        },
    }


def compared(one: Side, other: Side) -> Json:
    """Whether two requests have the same keys, and all that keeps them apart. Texts are shown where both may be."""
    first, second = one.request, other.request
    found = list(islice(differences(document_of(first), document_of(second)), _MOST + 1))
    full = one.full and other.full
    return {
        "other": described(second),
        "same_key": first.ask.exact_key is not None and first.ask.exact_key == second.ask.exact_key,
        "same_partition": first.ask.partition is not None and first.ask.partition == second.ask.partition,
        "apart": [*_around(first, second), *(f"field {place.pointer}" for place in found[:_MOST])],
        "differences": [_difference(place, full=full) for place in found[:_MOST]],
        "more": len(found) > _MOST,
    }


def apart_from(request: Request, kept: Kept) -> list[str]:
    """What keeps a request apart from an entry that isn't its own, as far as the store knows what was asked."""
    ask, question, apart = request.ask, kept.question, []
    if request.policy.scope is not Scope.SHARED and kept.entry.tenant != (request.caller.tenant or ""):
        apart.append("tenant")
    if kept.entry.model != ask.route.model:
        apart.append("model")
    if question is None:
        apart.append("unknown: the store keeps no question of this entry")
    elif question.partition != ask.partition:
        apart.append("partition: another scope, endpoint, upstream, model, or field beside the asked text")
    else:
        apart.append("the asked text")
    return apart


def shown(value: Any, *, full: bool, name: str = "") -> Any:
    """A canonical form to be shown: unless in full, texts are told by their length alone, lists of numbers by theirs.

    Such a list may be a text as token ids. Which keys there are is shown, and other values that aren't strings.
    """
    if full or name in _TELLING:
        return value
    if isinstance(value, dict):
        return {key: shown(item, full=False, name=key) for key, item in value.items()}
    if isinstance(value, list):
        tokens = bool(value) and all(_is_number(item) for item in value)
        return {"numbers": len(value)} if tokens else [shown(item, full=False) for item in value]
    if isinstance(value, str):
        return value if name in {"role", "type"} else {"characters": len(value)}
    # A number is named by its place where it comes from such a list.
    return {"numbers": 1} if name.isdigit() and _is_number(value) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _around(first: Request, second: Request) -> list[str]:
    """What makes keys apart beside the bodies."""
    pairs = (
        ("tenant or scope", _owner(first), _owner(second)),
        ("endpoint", first.ask.endpoint, second.ask.endpoint),
        ("upstream", first.ask.route.upstream, second.ask.route.upstream),
        ("model", first.ask.route.model, second.ask.route.model),
        ("headers that travel to the upstream", sorted(first.headers), sorted(second.headers)),
        ("unshared", first.ask.unshared, second.ask.unshared),
    )
    return [name for name, left, right in pairs if left != right]


def _owner(request: Request) -> tuple[object, ...]:
    """Within which boundary a request shares."""
    policy, body = request.policy, request.ask.body
    if policy.scope is Scope.SHARED:
        return policy.scope, policy.pool
    if policy.scope is Scope.TENANT:
        return policy.scope, request.caller.tenant
    return policy.scope, request.caller.tenant, body.get("user") or "", body.get("safety_identifier") or ""


def _difference(place: Difference, *, full: bool) -> Json:
    name = place.pointer.rpartition("/")[2]
    told: Json = {"pointer": place.pointer, "how": place.how.value}
    if place.how is not How.ONLY_OTHER:
        told["one"] = shown(place.one, full=full or place.how is How.ORDER, name=name)
    if place.how is not How.ONLY_ONE:
        told["other"] = shown(place.other, full=full or place.how is How.ORDER, name=name)
    if isinstance(place.one, str) and isinstance(place.other, str):
        told["at_character"] = _first_difference(place.one, place.other)
    return told


def _first_difference(one: str, other: str) -> int:
    both = min(len(one), len(other))
    return next((at for at in range(both) if one[at] != other[at]), both)


def _hex(key: bytes | None) -> str | None:
    return None if key is None else key.hex()
