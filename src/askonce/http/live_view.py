"""What the dashboard is shown, part by part, as JSON: texts only where their feature's policy keeps them."""

from __future__ import annotations

import math
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from askonce.http.live_flights import FlightsView
from askonce.http.live_limits import limits
from askonce.model import RetainText, SemanticMode
from askonce.observe.live import SLOT_S
from askonce.observe.live_history import Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.model import Json
    from askonce.observe.live import Cell, Live
    from askonce.observe.live_history import History
    from askonce.observe.live_hits import Hit
    from askonce.pipeline.budgets import Standing
    from askonce.ports import Latency, Sums
    from askonce.wiring import Running

__all__ = ["View"]

_QUANTILES: Final = (0.5, 0.95, 0.99)
_HITS: Final = 30
_LIMITS_EVERY: Final = 3
"""Looks for one at the limits."""
_MODELS: Final = 20
_NAME_LENGTH: Final = 100
_AUDIT: Final = "audit"
_LAYER_OF: Final = {
    "exact": "exact",
    "joined": "in-flight",
    "fresh": "in-flight",
    "bypass": "in-flight",
    "semantic": "semantic",
    "semantic-joined": "semantic",
}
"""What each outcome saves by; whoever asked, by what those pay who joined it, where costs are split."""


class View:
    """Looks at a running gateway. Each part is a JSON object that says all there is to say, whatever was said before."""

    def __init__(self, running: Running, history: History) -> None:
        self._running = running
        self._live: Live = running.live
        self._history = history
        self._limits: list[Json] = []
        self._looks = 0
        self._flights = FlightsView(running.gateway, self._live.mark)

    def parts(self) -> Json:
        """All parts by name; `series` isn't among them."""
        live = self._live
        live.originals = {hit: shown for hit, shown in live.originals.items() if hit in live.hits}
        return {
            "now": self._now(),
            "flights": self._flights.show(),
            "hits": [self._hit(hit) for hit in list(live.hits)[: -_HITS - 1 : -1]],
            "budgets": [self._budget(standing) for standing in self._running.semantics.budgets.standings()],
            "limits": self._used(),
            "upstreams": self._upstreams(),
            "health": self._health(),
            "history": self._past(),
        }

    def _used(self) -> list[Json]:
        """Limits, looked at now and then: there may be thousands."""
        if self._looks % _LIMITS_EVERY == 0:
            self._limits = limits(self._running.gateway.parts.allowances)
        self._looks += 1
        return self._limits

    def series(self, count: int) -> Json:
        """Requests by outcome in the latest slots, oldest first; `number` is the last one's, which is still being filled."""
        return {"number": self._live.number, "slot_s": SLOT_S, "outcomes": self._live.series(count)}

    def _now(self) -> Json:
        """The last quarter of an hour."""
        window = self._live.window()
        return {
            "latency": _latencies(window.latencies),
            "features": _by_feature(
                (kind, [cell.requests, cell.saved_nanousd, cell.spent_nanousd])
                for kind, cell in window.cells.items()
            ),
            "layers": _live_layers(window.cells),
            "unpriced": sum(cell.unpriced for cell in window.cells.values()),
            "shadowed": window.shadowed,
        }

    def _past(self) -> Json:
        """The last day and month, from the books."""
        history = self._history
        hours, days = history.hours, history.days
        return {
            "read": history.read,
            "problem": history.problem,
            "hours": {
                "since": hours[0][0] if hours else 0,
                "outcomes": [period.outcomes() for _, period in hours],
            },
            "days": {"since": days[0][0], "outcomes": [period.outcomes() for _, period in days]},
            "today": _period(history.today()),
            "day": _period(Period.of(period for _, period in hours)),
            "month": _period(Period.of(period for _, period in days)),
        }

    def _hit(self, hit: Hit) -> Json:
        outcome = hit.outcome
        original, mark = self._original(hit)
        served = self._running.semantics.auditor.hit(hit.tenant, hit.request_id)
        return {
            "at": round(hit.at, 1),
            "request_id": hit.request_id,
            "tenant": hit.account,
            "feature": hit.feature,
            "model": hit.model[:_NAME_LENGTH],
            "outcome": outcome.name,
            "reason": outcome.reason,
            "confidence": round(outcome.confidence, 4),
            "threshold": _finite(self._running.semantics.budgets.serving(hit.feature).threshold),
            "age_s": round(outcome.age_s),
            "asked": hit.text,
            "asked_mark": hit.mark,
            "original": original,
            "original_mark": mark,
            "told": None if served is None else served.told,
            "judged": None if served is None else served.judged,
            "open": served is not None,
        }

    def _original(self, hit: Hit) -> tuple[str | None, str]:
        """The question that the answer was given to, as far as the policy of the feature that asked it lets it be shown.

        Looked up once: looking counts as a use of the answer.
        """
        known = self._live.originals.get(hit)
        if known is not None:
            return known
        parts = self._running.gateway.parts
        text, stored = parts.semantic.text(hit.outcome.entry), parts.store.peek(hit.outcome.entry)
        if stored is None:
            return self._live.mark.shown(text, RetainText.HASHED)
        policy = parts.policies.named(stored.entry.feature)
        shown = self._live.mark.shown(text, RetainText.NONE if policy is None else policy.retain_text)
        self._live.originals[hit] = shown
        return shown

    def _budget(self, standing: Standing) -> Json:
        setting, rate = standing.setting, standing.setting.among_hits
        return {
            "feature": standing.feature,
            "budget": standing.budget.error_rate,
            "confidence": standing.budget.confidence,
            "estimate": rate.estimate,
            "low": rate.low,
            "high": rate.high,
            "labels": setting.labels,
            "threshold": _finite(setting.threshold),
            "hits": standing.traffic.hits,
            "requests": standing.traffic.requests,
            "breached_at": standing.breached_at,
            "mode": self._mode(standing.feature),
        }

    def _mode(self, feature: str) -> str:
        policy = self._running.gateway.parts.policies.named(feature)
        return SemanticMode.OFF.value if policy is None else policy.semantic.value

    def _upstreams(self) -> list[Json]:
        calls = self._live.window().calls
        found: list[Json] = []
        for name, state in self._running.upstreams().items():
            seen = calls.get(name)
            models = nlargest(_MODELS, state["models"].items(), key=lambda one: one[1].get("in_use", 0))
            found.append(
                {
                    "name": name,
                    "state": state["breaker"]["state"],
                    "probes_in_s": state["breaker"]["probes_in_s"],
                    "retries_left": state["retries_left"],
                    "calls": seen.calls if seen else 0,
                    "failures": seen.failures if seen else 0,
                    "mean_s": round(seen.total_s / seen.calls, 3) if seen and seen.calls else None,
                    "models": [_model(model, line) for model, line in models],
                }
            )
        return found

    def _health(self) -> Json:
        health = self._running.health()
        purse, auditor = self._running.semantics.purse, self._running.semantics.auditor
        return {
            "status": health["status"],
            "version": health["version"],
            "store": health["store"],
            "ledger": health["ledger"],
            "semantic": health["semantic"],
            "audits": {
                "waiting": auditor.waiting,
                "spent_today_nanousd": purse.spent_nanousd,
                "daily_limit_nanousd": purse.daily_limit_nanousd,
            },
        }


def _model(name: str, line: Json) -> Json:
    return {
        "model": name[:_NAME_LENGTH],
        "in_use": line.get("in_use", 0),
        "limit": line.get("limit"),
        "queued": sum(line.get("queued", {}).values()),
        "refused_429": line.get("refused_429", 0),
        "state": line.get("breaker", {}).get("state", "closed"),
    }


def _period(period: Period) -> Json:
    """A period's sums by feature and outcome (requests, saved and spent nano-dollars), and by what saved them."""
    sums = period.sums.values()
    audits = [one for (_, outcome), one in period.sums.items() if outcome == _AUDIT]
    return {
        "latency": _latencies(period.latencies),
        "features": _by_feature(
            (kind, [one.requests, one.saved_nanousd, one.spent_nanousd]) for kind, one in period.sums.items()
        ),
        "layers": {
            "exact": _sum(sums, "saved_exact_nanousd"),
            "in-flight": _sum(sums, "saved_inflight_nanousd"),
            "semantic": _sum(sums, "saved_semantic_nanousd"),
            "prompt cache": _sum(sums, "saved_prompt_cache_nanousd"),
            "batch": _sum(sums, "saved_batch_nanousd"),
        },
        "shadowed": period.shadowed,
        "audits_nanousd": _sum(audits, "spent_nanousd"),
        "unpriced": _sum(sums, "unpriced"),
        "unsettled": _sum(sums, "unsettled"),
        "unsettled_nanousd": _sum(sums, "unsettled_nanousd"),
    }


def _live_layers(cells: Mapping[tuple[str, str], Cell]) -> Json:
    layers = dict.fromkeys(("exact", "in-flight", "semantic"), 0)
    for (_, outcome), cell in cells.items():
        layer = _LAYER_OF.get(outcome)
        if layer is not None:
            layers[layer] += cell.saved_nanousd
    return layers


def _by_feature(sums: Iterable[tuple[tuple[str, str], list[int]]]) -> Json:
    features: Json = {}
    for (feature, outcome), values in sums:
        if any(values):
            features.setdefault(feature, {})[outcome] = values
    return features


def _latencies(latencies: Mapping[str, Latency]) -> Json:
    """By outcome: how many, and the seconds that half, 95 and 99 % of them didn't exceed."""
    found: Json = {}
    for outcome, latency in latencies.items():
        count = sum(latency.counts)
        if count:
            found[outcome] = [count, *(round(latency.quantile(share), 6) for share in _QUANTILES)]
    return found


def _sum(sums: Iterable[Sums], name: str) -> int:
    return sum(getattr(one, name) for one in sums)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) and number <= 1 else None
