"""What administrators act on: the parts of a running gateway that can change, and what they are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from askonce.administration.explanation import Explainer
from askonce.administration.keys import Keys
from askonce.matching.budget import Budget
from askonce.observe.log import configure_logging
from askonce.pipeline.threads import Threads
from askonce.wiring.adapters import policy, price_table, tenants
from askonce.wiring.allowances import rulebook, take_up_spending
from askonce.wiring.reload import Part, Reload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from askonce.config import Settings
    from askonce.gateway import Gateway
    from askonce.observe.recent import Recent
    from askonce.wiring.adapters import Adapters
    from askonce.wiring.semantics import Semantics

__all__ = ["Administration", "administration"]

_NANOUSD = 1e9


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts, and their common life."""

    keys: Keys
    recent: Recent
    reload: Reload
    explainer: Explainer
    transfers: Threads

    async def start(self) -> None:
        """Takes up the issued keys."""
        await self.keys.start()

    async def close(self) -> None:
        """Ends what runs."""
        await self.reload.close()
        self.explainer.close()
        self.transfers.close()
        await self.keys.close()


def administration(
    settings: Settings, source: Path | None, gateway: Gateway, adapters: Adapters, semantics: Semantics
) -> Administration:
    """All parts, wired to one another, nothing started."""
    parts = gateway.parts
    keys = Keys(adapters.ledger.keys, parts.identity, parts.clock, gateway.forget_understood)
    reload = Reload(source, settings, embeds=adapters.embedder is not None)
    reload.parts += [
        Part(("features", "defaults", "tenants"), lambda new: _requests(new, gateway)),
        Part(("admin",), lambda _: _at_once),
        Part(("default_tenant",), lambda new: _limits(new, adapters, reload)),
        Part(("prices",), lambda new: adapters.prices.replacing(price_table(new))),
        Part(("audit.daily_limit_usd",), lambda new: _purse(new, semantics)),
        Part(("log.level", "log.requests"), lambda new: _logging(new, adapters, reload)),
    ]
    return Administration(keys, adapters.recent, reload, Explainer(gateway), Threads(1, "transfer"))


def _at_once() -> None:
    """What is looked up in the settings each time needs nothing else."""


def _requests(settings: Settings, gateway: Gateway) -> Callable[[], None]:
    """Who may ask, and what is done for them."""
    parts, names = gateway.parts, settings.feature_names
    policies = {name: policy(settings, name) for name in names}
    promises = parts.budgets.promising({name: Budget(policies[name].error_budget) for name in names})
    known = tenants(settings)

    def commit() -> None:
        promises()
        parts.policies.replace(policies)
        parts.identity.replace(known, names)
        gateway.forget_understood()

    return commit


def _limits(settings: Settings, adapters: Adapters, reload: Reload) -> Callable[[], None]:
    """What tenants and features may use; what they have used goes on counting."""
    rules, allowances = rulebook(settings), adapters.allowances

    def commit() -> None:
        if rules != allowances.rules:
            allowances.replace(rules)
            reload.then(take_up_spending(settings, allowances, adapters.ledger))

    return commit


def _purse(settings: Settings, semantics: Semantics) -> Callable[[], None]:
    limit_nanousd = round(settings.audit.daily_limit_usd * _NANOUSD)

    def commit() -> None:
        semantics.purse.daily_limit_nanousd = limit_nanousd

    return commit


def _logging(settings: Settings, adapters: Adapters, reload: Reload) -> Callable[[], None]:
    def commit() -> None:
        if settings.log != reload.settings.log:
            configure_logging(settings.log.level, settings.log.format)
            adapters.metrics.log_requests = settings.log.requests

    return commit
