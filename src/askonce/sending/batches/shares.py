"""One answer, shared out: whose results are whose, and what each of them is charged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from askonce.sending.batches.form import (
    Mismatch,
    by_index,
    read_fields,
    read_objects,
    write_fields,
    write_list,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.model import Json
    from askonce.sending.batches.form import Fields, Part

__all__ = ["apportion", "share_usage", "split_results"]

_PROMPT: Final = "prompt_tokens"
_COMPLETION: Final = "completion_tokens"
_TOTAL: Final = "total_tokens"
_DETAILS: Final = {"prompt_tokens_details": _PROMPT, "completion_tokens_details": _COMPLETION}
"""Counts that are part of another: shared out as that one was, so that no part is larger than its whole."""


def split_results(body: bytes, results: str, parts: Sequence[Part]) -> list[bytes]:
    """Each part's own body, in the parts' order: its results, its own `id`, and its share of the usage.

    Args:
        body: The answer to all parts together; its results are in the order of all items, each item's choices in a
            row, or say by `index` where they belong.
        results: The field that holds the results.
        parts: What was asked.

    Raises:
        Mismatch: the results aren't as many as were asked, or their indices aren't those.
    """
    fields = read_fields(body)
    if results not in fields:
        raise Mismatch(f"the answer has no `{results}`")
    counts = [len(part.items) * part.choices for part in parts]
    ordered = by_index(read_objects(fields[results]), sum(counts))
    shares, at = [], 0
    for count in counts:
        shares.append([{**one, "index": b"%d" % index} for index, one in enumerate(ordered[at : at + count])])
        at += count
    usages = _usages(fields.get("usage", b"null"), parts, shares)
    return [
        write_fields(
            {**fields, **_own_id(fields, at), results: write_list(map(write_fields, share)), **usage}
        )
        for at, (share, usage) in enumerate(zip(shares, usages, strict=True))
    ]


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers in proportion to the weights that add up to `total`: the largest remainder method.

    Also known as Hamilton's method of apportionment. No share differs from its exact proportion by 1 or more; ties
    go to the earlier ones.

    Args:
        total: What is shared out, at least 0.
        weights: At least one, none below 0; where all are 0 they count as equal.
    """
    weighed = sum(weights)
    if weighed == 0:
        weights, weighed = [1] * len(weights), len(weights)
    shares = [total * weight // weighed for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: -(total * weights[at] % weighed))
    for at in by_remainder[: total - sum(shares)]:
        shares[at] += 1
    return shares


def share_usage(usage: Json, prompt: Sequence[int], completion: Sequence[int]) -> list[Json]:
    """A usage object for each part; every count of them adds up to the count given.

    Args:
        usage: OpenAI's `usage` of the whole batch.
        prompt: The parts' weights for what was asked, and for all counts that are neither.
        completion: Their weights for what was answered.
    """
    weights = {_COMPLETION: completion}
    given = {
        name: apportion(value, weights.get(name, prompt)) for name, value in usage.items() if _is_count(value)
    }
    summands = [given[name] for name in (_PROMPT, _COMPLETION) if name in given]
    if usage.get(_TOTAL) == sum(map(sum, summands)):
        given[_TOTAL] = [sum(each) for each in zip(*summands, strict=True)] or [0] * len(prompt)
    shares: list[Json] = [{} for _ in prompt]
    for name, value in usage.items():
        whole = given.get(_DETAILS.get(name, ""), prompt)
        for share, each in zip(shares, given.get(name) or _nested(value, whole), strict=True):
            share[name] = each
    return shares


def _nested(value: Any, weights: Sequence[int]) -> list[Any]:
    """What isn't a count itself: the counts in it are shared out, all else is everybody's."""
    if not isinstance(value, dict):
        return [value] * len(weights)
    counts = {name: apportion(inner, weights) for name, inner in value.items() if _is_count(inner)}
    return [
        {name: counts[name][at] if name in counts else inner for name, inner in value.items()}
        for at in range(len(weights))
    ]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _usages(
    raw: bytes, parts: Sequence[Part], shares: Sequence[Sequence[Fields]]
) -> list[Mapping[str, bytes]]:
    """The `usage` field of each part; none where the batch had none."""
    usage = msgspec.json.decode(raw)
    if not isinstance(usage, dict):
        return [{} for _ in parts]
    prompt = [sum(part.tokens) for part in parts]
    completion = [sum(len(raw) for result in share for raw in result.values()) for share in shares]
    return [{"usage": msgspec.json.encode(each)} for each in share_usage(usage, prompt, completion)]


def _own_id(fields: Fields, at: int) -> Fields:
    """An `id` that no other part has, and that still tells which upstream call it was."""
    raw = fields.get("id", b"")
    return {"id": b'%s-%d"' % (raw[:-1], at)} if raw.startswith(b'"') else {}
