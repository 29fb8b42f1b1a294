"""How a log that was sent to a gateway fared, as JSON and as text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.replay.live import Answered, Plan, Shooting

__all__ = ["live_json", "live_text"]

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


def live_text(shooting: Shooting, plan: Plan) -> Iterator[str]:
    """The same in lines."""
    found = live_json(shooting, plan)
    rate = found["sent"] / max(1e-9, found["wall_s"])
    yield f"{found['sent']:,} requests in {found['wall_s']:.1f} s ({rate:.1f}/s), {plan.speed:g} times as fast as recorded"
    yield f"{found['calls_avoided']:,} calls avoided ({found['calls_avoided_share']:.1%}), ${found['saved_usd']:.6f} saved as the gateway says"
    yield ""
    yield f"  {'outcome':16}{'requests':>10}{'saved':>14}{'p50':>10}{'p95':>10}{'p99':>10}"
    for name, group in found["outcomes"].items():
        waits = "".join(f"{group[quantile]:>9.3f}s" for quantile in _QUANTILES)
        yield f"  {name:16}{group['requests']:>10,}{group['saved_usd']:>14.6f}{waits}"
    for name in ("sent", "due"):
        waits = "".join(f"{found['latency'][name][quantile]:>9.3f}s" for quantile in _QUANTILES)
        yield f"  {'all, from ' + name:40}{waits}"
    for name, reasons in found["reasons"].items():
        yield f"  {name}: " + ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
    for code, count in found["errors"].items():
        yield f"  error {code}: {count:,}"
    if shooting.late:
        yield (
            f"  The generator fell behind: {shooting.late:,} requests left more than 0.1 s late, the latest by "
            f"{shooting.latest_s:.2f} s. Latencies from when they were due count that."
        )


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
        return dict.fromkeys(_QUANTILES, 0.0)
    return dict(zip(_QUANTILES, np.quantile(seconds, list(_QUANTILES.values())).tolist(), strict=True))
