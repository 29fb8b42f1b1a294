"""Settings → a running gateway: the only place that knows every adapter.

`adapters` are chosen, `semantics` puts the semantic tier together with what keeps its promise, `running` is the whole,
and `readings` what its metrics show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.gateway import Gateway, Parts
from askonce.observe.clock import SystemClock
from askonce.pipeline.broadcast import LogMemory
from askonce.pipeline.fetch import Fetcher
from askonce.pipeline.policy import Policies
from askonce.pipeline.split import CostPolicy
from askonce.pipeline.users import Users
from askonce.wiring.adapters import choose, identity, policy
from askonce.wiring.administration import administration
from askonce.wiring.allowances import take_up_spending
from askonce.wiring.families import FAMILIES
from askonce.wiring.jobs import jobs
from askonce.wiring.readings import readings
from askonce.wiring.running import Running
from askonce.wiring.semantics import semantics

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.config import Settings

__all__ = ["Running", "open_gateway"]


async def open_gateway(settings: Settings, source: Path | None = None) -> Running:
    """A gateway that takes requests; what loads slowly (embedder, index) goes on loading in the background.

    `source` is the file that the settings are from, to be read again on demand.
    """
    clock = SystemClock()
    adapters = choose(settings, clock)
    await adapters.store.start()
    secret = await adapters.store.secret()
    adapters.live.start()
    await adapters.ledger.start(secret)
    await take_up_spending(settings, adapters.allowances, adapters.ledger)
    priced = adapters.prices
    matching = semantics(settings, adapters, priced, clock)
    gateway = Gateway(
        Parts(
            identity=identity(settings, secret),
            users=Users(secret),
            policies=Policies({name: policy(settings, name) for name in settings.feature_names}),
            allowances=adapters.allowances,
            dispatcher=adapters.dispatcher,
            fetcher=Fetcher(
                adapters.dispatcher, adapters.store, priced, clock, CostPolicy(settings.ledger.cost_policy)
            ),
            store=adapters.store,
            semantic=matching.tier,
            budgets=matching.budgets,
            equivalence=matching.equivalence,
            audits=matching.auditor,
            clock=clock,
            log_memory=LogMemory(settings.limits.flight_log_bytes, settings.limits.total_log_bytes),
        )
    )
    if adapters.embedder is not None:
        adapters.embedder.start()
    matching.start()
    lane = jobs(settings, gateway, adapters, secret)
    lane.start()
    administrators = administration(settings, source, gateway, adapters, matching)
    await administrators.start()
    adapters.metrics.read(FAMILIES, lambda: readings(gateway, adapters, matching, lane))
    return Running(gateway, adapters, matching, lane, administrators)
