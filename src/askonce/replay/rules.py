"""Under which policies, to which upstreams and at which prices a log's requests are understood: a configuration's."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from askonce.config import DEFAULT_FEATURE, loads
from askonce.config.routing import serves
from askonce.errors import Refusal
from askonce.model import Caller, Route, SemanticMode
from askonce.pipeline.fingerprint import fingerprint, parse
from askonce.wiring.adapters import policy, prices

if TYPE_CHECKING:
    from askonce.config import Settings
    from askonce.model import Ask, Endpoint, Policy, Usage

__all__ = ["Rules", "without_configuration"]

_NO_CONFIGURATION: Final = """
upstreams: [{name: upstream, type: simulated, models: ["*"]}]
defaults: {semantic: "on"}
"""
_NOBODY: Final = "default"
_REMEMBERED: Final = 4_096
_MOST_FEATURES: Final = 1_000
"""A log could name a new one in each row."""


def without_configuration() -> Settings:
    """The defaults, with the semantic tier on: any model is served."""
    return loads(_NO_CONFIGURATION, "defaults", {})


class Rules:
    """What a gateway of this configuration makes of a request.

    Features in shadow mode count as if they were on: what they would save is what is asked.

    Args:
        settings: The configuration.
        any_feature: Whether features that the configuration doesn't have are played too, by its defaults.

    Attributes:
        settings: The configuration.
        policies: By feature.
        shadowed: Features that are in shadow mode.
        prices: By model.
    """

    def __init__(self, settings: Settings, *, any_feature: bool = False) -> None:
        self.settings = settings
        self._any_feature = any_feature
        found = {name: policy(settings, name) for name in settings.feature_names}
        self.shadowed = [name for name, one in found.items() if one.semantic is SemanticMode.SHADOW]
        self.policies: dict[str, Policy] = {
            name: dataclasses.replace(one, semantic=SemanticMode.ON) if name in self.shadowed else one
            for name, one in found.items()
        }
        self.prices = prices(settings)
        self._tenants = {one.name: one for one in settings.tenants or ()}
        self._upstreams = settings.upstreams
        self.route = lru_cache(_REMEMBERED)(self._route)
        self.caller = lru_cache(_REMEMBERED)(self._caller)

    def feature(self, tenant: str, named: str) -> str:
        """The feature that a request belongs to: the one that it names and its tenant has, else the tenant's first."""
        known = self._tenants.get(tenant)
        if named and self._any_feature and named not in self.policies and len(self.policies) < _MOST_FEATURES:
            self.policies[named] = dataclasses.replace(self.policies[DEFAULT_FEATURE], feature=named)
        if named in (self.policies if known is None else known.features):
            return named
        return known.features[0] if known is not None else DEFAULT_FEATURE

    def understand(self, tenant: str, feature: str, endpoint: Endpoint, body: bytes) -> Ask:
        """What is asked, with its keys: as in `gateway.understand`, but that headers aren't known.

        Raises:
            Refusal: The gateway would refuse it.
        """
        parsed = parse(endpoint, body)
        route = self.route(parsed.model)
        if route is None:
            raise Refusal(404, "model_not_found", "No upstream serves this model.")
        caller = self.caller(tenant or _NOBODY)
        return fingerprint(parsed, caller, self.policies[feature], route, (), retry=False)

    def cost_nanousd(self, model: str, usage: Usage) -> int | None:
        """What a call costs; None where no price is known for the model, nor for its name without a provider's prefix."""
        cost = self.prices.cost_nanousd(model, usage)
        return (
            cost
            if cost is not None or "/" not in model
            else self.prices.cost_nanousd(model.rpartition("/")[2], usage)
        )

    def _route(self, model: str) -> Route | None:
        """Aliases before patterns, each in the order of the upstreams: as `Dispatcher.route`."""
        aliased = [one for one in self._upstreams if model in one.aliases]
        found = [*aliased, *(one for one in self._upstreams if serves(one, model))]
        return Route(found[0].name, found[0].aliases.get(model, model)) if found else None

    def _caller(self, tenant: str) -> Caller:
        identity = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).digest()
        return Caller(f"tenant:{tenant}", tenant, tuple(self.policies), None, identity)
