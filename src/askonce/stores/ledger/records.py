"""Charges as bytes and back, and the few lines that are kept of each call."""

from __future__ import annotations

import orjson

from askonce.model import Usage
from askonce.ports import CallEntry, Charge, Share

__all__ = ["entry", "pack", "unpack"]


def pack(charge: Charge) -> bytes:
    """JSON. No prompt is in it, nor a question's key: accounts, features, models and numbers."""
    usage = charge.usage
    return orjson.dumps(
        [
            charge.call,
            charge.at,
            charge.upstream,
            charge.model,
            None if usage is None else _numbers(usage),
            _numbers(charge.estimate),
            charge.cost_nanousd,
            charge.saved_prompt_cache_nanousd,
            charge.saved_batch_nanousd,
            [tuple(share) for share in charge.shares],
            charge.part,
        ]
    )


def unpack(raw: bytes) -> Charge | None:
    """The charge; None for what isn't one: a record of another version, or one that a disk has garbled."""
    try:
        call, at, upstream, model, usage, estimate, cost, cache, batch, shares, part = orjson.loads(raw)
        return Charge(
            call=call,
            at=at,
            upstream=upstream,
            model=model,
            usage=None if usage is None else Usage(*usage),
            estimate=Usage(*estimate),
            cost_nanousd=cost,
            saved_prompt_cache_nanousd=cache,
            saved_batch_nanousd=batch,
            shares=tuple(Share(*share) for share in shares),
            part=part,
        )
    except (ValueError, TypeError):
        return None


def entry(charge: Charge) -> CallEntry:
    """The row that is kept of a call for as long as single calls are kept."""
    usage, first = charge.usage, charge.shares[0]
    tokens = charge.estimate if usage is None else usage
    return CallEntry(
        charge.call, charge.part, charge.at, first.tenant, first.feature, charge.upstream, charge.model, first.outcome,
        tokens.prompt_tokens, tokens.completion_tokens, tokens.cached_tokens, charge.cost_nanousd, usage is not None,
    )  # fmt: skip


def _numbers(usage: Usage) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
