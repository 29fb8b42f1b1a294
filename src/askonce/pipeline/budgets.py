"""Every feature's error budget: its labels, how it serves by them, and whether the budget is breached.

`matching.budget` decides; here its input is gathered, it is run off the event loop when labels have come, and its
decision is applied, kept across restarts, and said loudly where it is a breach.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from askonce.matching.budget import Budget, Setting, Traffic, audit_share, settle
from askonce.matching.calibration import label_of
from askonce.model import SemanticMode
from askonce.pipeline.account import Account, state_name
from askonce.pipeline.strictness import clears
from askonce.pipeline.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from askonce.matching.calibration import Calibration, Label
    from askonce.model import Audit, Policy, Request
    from askonce.ports import Clock, Store

__all__ = ["Budgets", "Standing"]

_GATHER_S: Final = 1.0
"""How long labels are gathered before they are weighed together."""
_REST: Final = 50.0
"""The same in durations of the last weighing: with many labels it takes tenths of seconds."""
_log = structlog.get_logger("askonce.budget")


class Standing(NamedTuple):
    """Where a feature stands: its promise, what was seen so far, how it serves, and since when it is breached."""

    feature: str
    budget: Budget
    traffic: Traffic
    setting: Setting
    breached_at: float | None


class Budgets:
    """Keeps each feature's promise.

    Attributes:
        engine: Whose evidence the labels are: another verifier's or embedder's are left alone.
    """

    def __init__(
        self,
        promises: Mapping[str, Budget],
        shipped: Calibration,
        engine: str,
        store: Store,
        clock: Clock,
        *,
        gather_s: float = _GATHER_S,
        rest: float = _REST,
    ) -> None:
        self.engine = engine
        self._shipped = shipped
        self._store = store
        self._clock = clock
        self._gather_s = gather_s
        self._rest = rest
        self._threads = Threads(1, "budgets")
        self._restoring = False
        nothing, now = Traffic(0, 0), clock.now()
        self._unlabelled = {
            budget: settle(shipped, (), budget, traffic=nothing, now=now) for budget in set(promises.values())
        }
        """How to serve under each budget while there are no labels."""
        self._features = {
            name: Account(name, budget, self._unlabelled[budget]) for name, budget in promises.items()
        }
        self._promised = frozenset(promises)

    def promising(self, promises: Mapping[str, Budget]) -> Callable[[], None]:
        """What puts other promises in place: features may come, go and change theirs.

        A changed one serves by the higher threshold until its labels have been weighed anew. Labels of a feature that
        was unknown so far are taken up with the next restart.
        """
        nothing, now = Traffic(0, 0), self._clock.now()
        unlabelled = {
            budget: self._unlabelled.get(budget)
            or settle(self._shipped, (), budget, traffic=nothing, now=now)
            for budget in set(promises.values())
        }

        def commit() -> None:
            self._unlabelled |= unlabelled
            self._promised = frozenset(promises)
            for name, budget in promises.items():
                self._promise(name, budget)

        return commit

    @property
    def features(self) -> Collection[str]:
        """The names of all features, those included that only requests under way still have."""
        return self._features.keys()

    def serving(self, feature: str) -> Setting:
        """The calibration and the threshold to serve by."""
        return self._features[feature].setting

    def mode(self, policy: Policy) -> SemanticMode:
        """What the tier may do now: a feature whose budget is breached is only shadowed."""
        if policy.semantic is SemanticMode.ON and self._features[policy.feature].breached_at is not None:
            return SemanticMode.SHADOW
        return policy.semantic

    def serves_link(self, request: Request, confidence: float) -> bool:
        """Whether a link of that confidence serves a request: it may be stricter than the one that made the link.

        Features share keys, thresholds rise, and a breached feature serves none.
        """
        text = request.ask.text
        if text is None or self.mode(request.policy) is not SemanticMode.ON:
            return False
        threshold = self.serving(request.policy.feature).threshold
        return clears(confidence, threshold, text, request.ask.turns)

    def missed(self, feature: str) -> None:
        """A request that the tier has business with was answered otherwise."""
        self._features[feature].requests += 1

    def hit(self, policy: Policy) -> float:
        """A semantic hit was served; returns the probability with which it is to be audited."""
        feature = self._features[policy.feature]
        feature.requests += 1
        feature.hits += 1
        return audit_share(policy.audit_share, feature.hits)

    def label(self, audit: Audit) -> None:
        """One more label; how the feature serves follows shortly."""
        feature = self._features.get(audit.feature)
        if feature is not None:
            feature.set_back(audit.at)
            if self.take(audit):
                self._weigh(feature)

    def resume(self, name: str) -> bool:
        """Serves a breached feature again, on somebody's word; False where there is no such feature."""
        feature = self._features.get(name)
        if feature is None:
            return False
        if feature.breached_at is not None:
            feature.breached_at = None
            feature.resumed_at = self._clock.now()
            _log.warning("semantic serving resumed by hand", feature=name)
            self._keep(feature)
            self._weigh(feature)
        return True

    def standings(self) -> list[Standing]:
        """Where every feature stands."""
        return [
            Standing(one.name, one.budget, Traffic(one.requests, one.hits), one.setting, one.breached_at)
            for one in self._features.values()
            if one.name in self._promised
        ]

    def load_states(self) -> None:
        """Takes up counts, breaches and thresholds from before a restart; needs a store that has started.

        The labels follow: until `settle_all`, nothing is served that wasn't before.
        """
        self._restoring = True
        for feature in self._features.values():
            kept = self._store.kept(state_name(feature.name))
            if kept is not None:
                feature.restore(kept)
                if feature.breached_at is not None:
                    _log.error("error budget still breached: semantic serving is off", feature=feature.name)

    def take(self, audit: Audit) -> bool:
        """Takes up a label without acting on it; False for an audit that says nothing here."""
        feature = self._features.get(audit.feature)
        label = label_of(audit, self._shipped) if audit.engine == self.engine else None
        if feature is None or label is None:
            return False
        feature.add(label)
        return True

    async def settle_all(self) -> None:
        """Weighs what all features have, now."""
        self._restoring = False
        for feature in self._features.values():
            feature.set_back(self._clock.now())
            if feature.labels:
                await self._settle(feature)
            else:
                feature.setting = self._unlabelled[feature.budget]

    async def close(self) -> None:
        """Ends what runs, and keeps the counts."""
        tasks = [feature.task for feature in self._features.values() if feature.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.close()
        for feature in self._features.values():
            self._keep(feature)

    def _promise(self, name: str, budget: Budget) -> None:
        unlabelled = self._unlabelled[budget]
        feature = self._features.get(name)
        if feature is None:
            feature = self._features[name] = Account(name, budget, unlabelled)
            kept = self._store.kept(state_name(name))
            if kept is not None:
                feature.restore(kept)
        elif feature.budget != budget:
            feature.budget = budget
            if not feature.labels:
                feature.setting = unlabelled
                return
            threshold = max(feature.setting.threshold, unlabelled.threshold)
            feature.setting = feature.setting._replace(threshold=threshold)
            self._weigh(feature)

    def _weigh(self, feature: Account) -> None:
        feature.stale = True
        if feature.task is None and not self._restoring:
            name = f"budget {feature.name}"
            feature.task = asyncio.create_task(self._follow(feature), name=name)  # noqa: TID251 - owned here

    async def _follow(self, feature: Account) -> None:
        """Weighs labels as long as there are new ones, with pauses in which they gather."""
        try:
            while feature.stale:
                await asyncio.sleep(max(self._gather_s, self._rest * feature.took_s))
                feature.stale = False
                began = perf_counter()
                await self._settle(feature)
                feature.took_s = perf_counter() - began
        finally:
            feature.task = None

    async def _settle(self, feature: Account) -> None:
        try:
            await self._weigh_now(feature)
        except Exception:  # noqa: BLE001 - a feature goes on as it did before; the next label tries again
            _log.exception("budget could not be settled", feature=feature.name)

    async def _weigh_now(self, feature: Account) -> None:
        breached_at = feature.breached_at
        labels, resumed_at, now = feature.labels, feature.resumed_at, self._clock.now()
        traffic = Traffic(feature.requests, feature.hits)

        def weighed() -> Setting:
            counted = _counted(labels, resumed_at)
            return settle(
                self._shipped, counted, feature.budget, traffic=traffic, now=now, breached_at=breached_at
            )

        setting = await self._threads.run(weighed)
        if feature.breached_at != breached_at:  # resumed by hand meanwhile
            feature.stale = True
            return
        feature.setting = setting
        if setting.breached and breached_at is None:
            feature.breached_at = self._clock.now()
            _log.error("error budget breached: semantic serving is off", **_told(feature))
        elif breached_at is not None and not setting.breached:
            feature.breached_at = None
            feature.resumed_at = self._clock.now()
            _log.warning("error budget kept again: semantic serving is on", **_told(feature))
        self._keep(feature)

    def _keep(self, feature: Account) -> None:
        self._store.keep(state_name(feature.name), feature.state())


def _counted(labels: Sequence[Label], resumed_at: float) -> list[Label]:
    """All labels; those that somebody has answered for still teach, but count in no rate."""
    return [
        replace(label, served=False) if label.served and label.at <= resumed_at else label for label in labels
    ]


def _told(feature: Account) -> dict[str, object]:
    """What a log line says of it."""
    rate = feature.setting.among_hits
    return {
        "feature": feature.name,
        "error_budget": feature.budget.error_rate,
        "wrong_among_hits": round(rate.estimate, 5),
        "at_least": round(rate.low, 5),
        "at_most": round(rate.high, 5),
        "labels": feature.setting.labels,
    }
