"""How a log that was sent to a gateway fared, as JSON and as text."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.text import Text

from askonce.reporting.tables import Table
from askonce.reporting.text import drawn, inert
from askonce.reporting.wording import count, seconds, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from askonce.model import Json
    from askonce.replay.live import Answered, Plan, Shooting

__all__ = ["live_json", "write_live_text"]

_QUANTILES: Final = {"p50_s": 0.5, "p95_s": 0.95, "p99_s": 0.99}
_AVOIDING: Final = frozenset({"exact", "joined", "semantic", "semantic-joined"})


def live_json(shooting: Shooting, plan: Plan) -> dict[str, Any]:
    """Counts, dollars and seconds; latencies from when requests left, and (`due`) from when they should have."""
    good = [one for one in shooting.answered if not one.error]
    by_outcome = {
        name: _group([one for one in good if one.outcome == name])
        for name, _ in shooting.outcomes.most_common()
    }
    avoided = sum(one.outcome in _AVOIDING for one in good)
    return {
        "sent": len(shooting.answered),
        "answered": len(good),
        "wall_s": shooting.wall_s,
        "speed": plan.speed,
        "calls_avoided": avoided,
        "calls_avoided_share": avoided / max(1, len(good)),
        "saved_usd": sum(one.saved_usd or 0.0 for one in good),
        "outcomes": by_outcome,
        "reasons": _reasons(good),
        "errors": dict(shooting.errors.most_common()),
        "latency": {
            "sent": _quantiles([one.seconds for one in good]),
            "due": _quantiles([one.due_seconds for one in good]),
        },
        "schedule": {"late": shooting.late, "latest_s": shooting.latest_s},
    }


def write_live_text(console: Console, shooting: Shooting, plan: Plan) -> None:
    """Prints the same; what a gateway says is never taken for markup."""
    found = live_json(shooting, plan)
    rate = found["sent"] / max(1e-9, found["wall_s"])
    console.print(
        Text(
            f"{count(found['sent'])} requests in {found['wall_s']:.1f} s ({rate:.1f}/s), {plan.speed:g} times as fast as recorded\n"
            f"{count(found['calls_avoided'])} calls avoided ({share(found['calls_avoided_share'])}), ${found['saved_usd']:.6f} saved "
            "as the gateway says\n"
        )
    )
    console.print(drawn(_outcomes(found)))
    for outcome, reasons in found["reasons"].items():
        console.print(
            inert(f"{outcome}: " + ", ".join(f"{name} {count(number)}" for name, number in reasons.items()))
        )
    for code, number in found["errors"].items():
        console.print(inert(f"error {code}: {count(number)}"))
    if shooting.late:
        console.print(
            f"The generator fell behind: {count(shooting.late)} requests left more than 0.1 s late, the latest by "
            f"{shooting.latest_s:.2f} s. Latencies from when they were due count that."
        )


def _outcomes(found: Json) -> Table:
    """Each outcome's requests, dollars and latencies, then all latencies from when requests left and were due."""
    groups = [
        [name, count(group["requests"]), f"${group['saved_usd']:.6f}", *_waits(group)]
        for name, group in found["outcomes"].items()
    ]
    whole = [[f"all, from {name}", "", "", *_waits(found["latency"][name])] for name in ("sent", "due")]
    return Table(
        "Answered",
        ["outcome"],
        ["requests", "saved", "p50", "p95", "p99"],
        [*groups, *whole],
        frozenset({len(groups)}),
    )


def _waits(group: Json) -> list[str]:
    return [seconds(group[name]) for name in _QUANTILES]


def _group(some: Sequence[Answered]) -> dict[str, float]:
    return {
        "requests": len(some),
        "saved_usd": sum(one.saved_usd or 0.0 for one in some),
        **_quantiles([one.seconds for one in some]),
    }


def _reasons(good: Sequence[Answered]) -> dict[str, dict[str, int]]:
    """Why answers were not the cache's, by outcome: what kept them from being shared or matched."""
    reasons: dict[str, Counter[str]] = {}
    for one in good:
        if one.outcome not in _AVOIDING and one.reason:
            reasons.setdefault(one.outcome, Counter())[one.reason] += 1
    return {name: dict(counts.most_common()) for name, counts in reasons.items()}


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return dict.fromkeys(_QUANTILES, math.nan)  # null in JSON
    return dict(zip(_QUANTILES, np.quantile(seconds, list(_QUANTILES.values())).tolist(), strict=True))
