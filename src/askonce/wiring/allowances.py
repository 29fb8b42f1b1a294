"""Settings → who is held to which limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from askonce.pipeline.allowances import DAILY, MONTHLY, REQUESTS, TOKENS, Bound, Rulebook, Rules

if TYPE_CHECKING:
    from askonce.config import AllowanceSettings, Settings
    from askonce.config import Bound as BoundSettings
    from askonce.pipeline.allowances import Allowances
    from askonce.ports import Ledger

__all__ = ["rulebook", "take_up_spending"]

_NANO = 1_000_000_000


def rulebook(settings: Settings) -> Rulebook:
    """Every tenant's limits and every feature's."""
    general = settings.default_tenant
    each = None if general.limits is None else _rules(general.limits)
    each_in = {feature: _rules(one) for feature, one in general.feature_limits.items()}
    tenants: dict[str, Rules] = {}
    tenant_features: dict[tuple[str, str], Rules] = {}
    for tenant in settings.tenants or ():
        own = tenant.limits if tenant.limits is not None else general.limits
        if own is not None:
            tenants[tenant.name] = _rules(own)
        for feature in tenant.features:
            part = tenant.feature_limits.get(feature, general.feature_limits.get(feature))
            if part is not None:
                tenant_features[tenant.name, feature] = _rules(part)
    features = {name: settings.policy_settings(name).limits for name in settings.feature_names}
    return Rulebook(
        tenants=tenants,
        tenant_features=tenant_features,
        each_tenant=each,
        each_tenant_features=each_in,
        features={name: _rules(one) for name, one in features.items() if one is not None},
    )


async def take_up_spending(settings: Settings, allowances: Allowances, ledger: Ledger) -> None:
    """Budgets begin with what the books say was spent; with nothing, said loudly, where they can't be read."""
    if not settings.ledger.record:
        return
    try:
        await allowances.load(ledger)
    except OSError as error:
        structlog.get_logger("askonce.limits").error(
            "budgets begin anew: the books can't be read", error=str(error)
        )


def _rules(settings: AllowanceSettings) -> Rules:
    bounds: dict[str, Bound] = {}
    for name, count in ((REQUESTS, settings.requests_per_minute), (TOKENS, settings.tokens_per_minute)):
        if count is not None:
            bounds[name] = Bound(count.soft, count.hard)
    for name, usd in ((DAILY, settings.usd_per_day), (MONTHLY, settings.usd_per_month)):
        if usd is not None:
            bounds[name] = _nanousd(usd)
    return Rules(bounds, settings.count_hits, round(settings.unknown_price_usd * _NANO))


def _nanousd(usd: BoundSettings[float]) -> Bound:
    soft, hard = (None if one is None else max(1, round(one * _NANO)) for one in (usd.soft, usd.hard))
    return Bound(soft, hard)
