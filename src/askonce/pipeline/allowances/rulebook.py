"""Who is held to which limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from askonce.pipeline.allowances.allowance import Whose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from askonce.pipeline.allowances.allowance import Rules

__all__ = ["Rulebook"]


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Limits by tenant and feature.

    Attributes:
        tenants: Of single tenants by name, all features together. Rules without bounds lift the general ones.
        tenant_features: Of single tenants in single features, by both names.
        each_tenant: Of each other tenant; without tenants, of each credential.
        each_tenant_features: Of each other tenant, by feature.
        features: Of all tenants together, by feature.
    """

    tenants: Mapping[str, Rules] = field(default_factory=dict)
    tenant_features: Mapping[tuple[str, str], Rules] = field(default_factory=dict)
    each_tenant: Rules | None = None
    each_tenant_features: Mapping[str, Rules] = field(default_factory=dict)
    features: Mapping[str, Rules] = field(default_factory=dict)

    def of(self, tenant: str, feature: str) -> Iterator[tuple[Whose, Rules]]:
        """All that a tenant's requests of a feature are held to."""
        whole = self.tenants.get(tenant, self.each_tenant)
        part = self.tenant_features.get((tenant, feature), self.each_tenant_features.get(feature))
        for whose, rules in (
            (Whose(tenant, ""), whole),
            (Whose(tenant, feature), part),
            (Whose("", feature), self.features.get(feature)),
        ):
            if rules is not None and rules.bounds:
                yield whose, rules

    def rules_of(self, whose: Whose) -> Rules | None:
        """The limits of one account; None where it has none."""
        if not whose.tenant:
            return self.features.get(whose.feature)
        return next((rules for one, rules in self.of(*whose) if one == whose), None)

    def names(self, whose: Whose) -> bool:
        """Whether the configuration names somebody, rather than holding all others to the same."""
        return not whose.tenant or whose.tenant in self.tenants or whose in self.tenant_features

    def named(self) -> Iterator[tuple[Whose, Rules]]:
        """Those that are named, whether they have asked for anything yet or not."""
        named = {Whose(tenant, ""): rules for tenant, rules in self.tenants.items()}
        named |= {Whose(*both): rules for both, rules in self.tenant_features.items()}
        named |= {Whose("", feature): rules for feature, rules in self.features.items()}
        return ((whose, rules) for whose, rules in named.items() if rules.bounds)

    @property
    def all_rules(self) -> list[Rules]:
        """Every set of limits that anybody may be held to."""
        single = [
            *self.tenants.values(),
            *self.tenant_features.values(),
            *self.each_tenant_features.values(),
            *self.features.values(),
            *([self.each_tenant] if self.each_tenant is not None else []),
        ]
        return [rules for rules in single if rules.bounds]
