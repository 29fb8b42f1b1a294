"""What is played: the configuration's policies, with another TTL, another budget, or a layer left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.budget import Budget, Traffic, settle
from askonce.model import SemanticMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.calibration import Calibration
    from askonce.model import Policy
    from askonce.replay.rules import Rules

__all__ = ["BUDGETS", "LAYERS", "TTLS_S", "FeatureRules", "Scenario", "applied"]

BUDGETS: Final = (0.01, 0.02, 0.03, 0.05)
TTLS_S: Final = (600.0, 3_600.0, 86_400.0, 604_800.0)
LAYERS: Final = ("exact", "inflight", "semantic")


class Scenario(NamedTuple):
    """Changes to the configuration; None leaves its value.

    Attributes:
        ttl_s: How long answers are kept, in every feature.
        error_budget: Largest share of wrong semantic hits, in every feature that has the semantic tier.
        without: Layers that are off in every feature.
    """

    ttl_s: float | None = None
    error_budget: float | None = None
    without: frozenset[str] = frozenset()


class FeatureRules(NamedTuple):
    """How one feature's requests are treated; the threshold is a probability, above 1 where there is no semantic tier."""

    exact: bool
    inflight: bool
    semantic: bool
    ttl_s: float
    threshold: float
    floor: float
    longest_flight_s: float
    audit_share: float


def applied(scenario: Scenario, rules: Rules, calibration: Calibration) -> Sequence[FeatureRules]:
    """Each feature's rules, in the order of the rules' policies; thresholds as the gateway has them before any label."""
    budgets = [_budget(scenario, policy) for policy in rules.policies.values()]
    # A threshold takes milliseconds to find, and there may be a thousand features.
    thresholds = {
        budget: settle(calibration, (), Budget(budget), traffic=Traffic(0, 0), now=0.0).threshold
        for budget in set(budgets)
    }
    policies = zip(rules.policies.values(), budgets, strict=True)
    return [_of(scenario, policy, thresholds[budget]) for policy, budget in policies]


def _budget(scenario: Scenario, policy: Policy) -> float:
    return policy.error_budget if scenario.error_budget is None else scenario.error_budget


def _of(scenario: Scenario, policy: Policy, threshold: float) -> FeatureRules:
    semantic = policy.semantic is not SemanticMode.OFF and "semantic" not in scenario.without
    return FeatureRules(
        exact=policy.exact and "exact" not in scenario.without,
        inflight=policy.inflight and "inflight" not in scenario.without,
        semantic=semantic,
        ttl_s=policy.ttl_s if scenario.ttl_s is None else scenario.ttl_s,
        threshold=threshold,
        floor=policy.similarity_floor,
        longest_flight_s=policy.max_flight_age_s,
        audit_share=policy.audit_share,
    )
