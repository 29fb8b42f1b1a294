"""What must hold of models, the upstreams that serve them, and those that stand in."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from askonce.config.resilience import FallbackSettings
from askonce.config.upstream import UpstreamSettings

__all__ = ["Violation", "fallback_violations", "serves"]

Violation = tuple[tuple[str | int, ...], str]
"""Where something is wrong (keys and list positions from the top of the file), and what."""


def serves(upstream: UpstreamSettings, model: str) -> bool:
    """Whether an upstream answers for a model, as callers name it."""
    return model in upstream.aliases or any(fnmatchcase(model, pattern) for pattern in upstream.models)


def fallback_violations(
    fallbacks: Mapping[str, Sequence[FallbackSettings]],
    upstreams: Sequence[UpstreamSettings],
    *,
    pass_through: bool,
) -> Iterator[Violation]:
    """Stand-ins that don't exist, that would ask the same again, or that would need the caller's key.

    A stand-in has no stand-ins of its own, so that there are no circles but the one of a model with itself.
    """
    by_name = {one.name: one for one in upstreams}
    for pattern, stand_ins in fallbacks.items():
        own = next((one for one in upstreams if serves(one, pattern)), None)
        seen: list[tuple[str, str]] = [(own.name, own.aliases.get(pattern, pattern))] if own else []
        for position, one in enumerate(stand_ins):
            path = ("fallbacks", pattern, position)
            upstream = by_name.get(one.upstream)
            if upstream is None:
                near = difflib.get_close_matches(one.upstream, by_name, n=1)
                yield (
                    (*path, "upstream"),
                    "no upstream has this name" + (f'; did you mean "{near[0]}"?' if near else ""),
                )
                continue
            model = one.model or pattern
            if one.model is not None and not serves(upstream, one.model):
                yield (*path, "model"), "this upstream doesn't serve this model"
            route = (upstream.name, upstream.aliases.get(model, model))
            if route in seen:
                yield path, "would ask what was asked before"
            seen.append(route)
            if pass_through and not upstream.presents_own_key and (own is None or own.name != upstream.name):
                yield (
                    (*path, "upstream"),
                    "a caller's own key never goes to a stand-in: give this upstream an api_key (any, if it needs none)",
                )
