"""The batch lane with all that it is made of."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from askonce.config import OpenAIUpstream as OpenAISettings
from askonce.jobs.carrier import Carrier, Pauses
from askonce.jobs.charges import LineCharges
from askonce.jobs.courier import Courier
from askonce.jobs.desk import Desk, Terms
from askonce.jobs.engine import Engine, Gathering
from askonce.jobs.results import Results
from askonce.jobs.sender import Sender
from askonce.stores.job_room import JobLimits
from askonce.stores.jobs import SqliteJobs
from askonce.stores.sqlite import SqliteStore
from askonce.stores.transactions import Transactions, volatile_transactions
from askonce.upstreams.batch_api import OpenAIBatchApi
from askonce.upstreams.postman import HttpPostman
from askonce.wiring.adapters import server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.config import JobSettings, Settings
    from askonce.gateway import Gateway
    from askonce.ports import Clock, JobStore
    from askonce.wiring.adapters import Adapters

__all__ = ["Jobs", "jobs"]

_LINE_RETRY_S = 1.0
_LONGEST_LINE_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Jobs:
    """The parts, and their common life."""

    desk: Desk
    engine: Engine
    store: JobStore
    results: Results
    apis: Mapping[str, OpenAIBatchApi]
    postman: HttpPostman

    def start(self) -> None:
        """Takes up what is open."""
        self.engine.start()

    async def close(self, timeout_s: float) -> None:
        """Lets what is being asked one by one end in time, then stops where it stands."""
        await self.engine.close(timeout_s)
        for api in self.apis.values():
            await api.close()
        await self.postman.close()


def jobs(settings: Settings, gateway: Gateway, adapters: Adapters, secret: bytes) -> Jobs:
    """All parts, wired to one another, nothing started."""
    chosen, clock = settings.jobs, gateway.parts.clock
    store = SqliteJobs(_transactions(adapters), JobLimits(chosen.max_open_per_tenant, chosen.max_bytes))
    apis = {
        one.name: OpenAIBatchApi(server(one, settings), clock)
        for one in settings.upstreams
        if isinstance(one, OpenAISettings) and one.batch_api
    }
    hooks = chosen.webhooks
    postman = HttpPostman(
        allow_private=hooks.allow_private, allowed_hosts=hooks.allowed_hosts, timeout_s=hooks.timeout_s
    )
    signing = secret if hooks.secret is None else hooks.secret.get_secret_value().encode()
    draw = random.Random().random  # noqa: S311 - jitter, not a secret
    courier = Courier(
        store,
        postman,
        signing,
        pauses=Pauses(hooks.first_retry_s, hooks.max_retry_s, draw),
        clock=clock,
        count=adapters.metrics.webhook,
        limits=(hooks.concurrency, hooks.max_attempts),
    )
    charges = LineCharges(adapters.billing, chosen.price_factor)
    results = Results(gateway, store, charges, adapters.observer, told=courier.wake)
    engine = Engine(
        store,
        _carriers(chosen, store, apis, results, clock),
        results=results,
        sender=Sender(
            gateway,
            store,
            results,
            pauses=Pauses(_LINE_RETRY_S, _LONGEST_LINE_RETRY_S, draw),
            clock=clock,
            concurrency=chosen.concurrency,
            batching=apis,
        ),
        courier=courier,
        gathering=Gathering(
            chosen.batch_requests,
            chosen.batch_bytes,
            chosen.batch_wait_s,
            chosen.max_batches,
            chosen.retention_s,
        ),
        clock=clock,
    )
    desk = Desk(
        gateway,
        store,
        results,
        postman,
        terms=Terms(chosen.deadline_s, chosen.max_deadline_s, chosen.fallback_before_deadline_s, apis),
        clock=clock,
        secret=signing,
        submitted=engine.submitted,
    )
    return Jobs(desk, engine, store, results, apis, postman)


def _transactions(adapters: Adapters) -> Transactions:
    store = adapters.store
    if not isinstance(store, SqliteStore):
        return volatile_transactions()
    return Transactions(store.transact, durable=True, close=lambda: None, seals=adapters.seals)


def _carriers(
    settings: JobSettings,
    store: JobStore,
    apis: Mapping[str, OpenAIBatchApi],
    results: Results,
    clock: Clock,
) -> dict[str, Carrier]:
    draw = random.Random().random  # noqa: S311 - jitter, not a secret
    pauses = Pauses(settings.poll_interval_s, settings.max_poll_interval_s, draw)
    return {
        name: Carrier(store, api, results, pauses=pauses, clock=clock, max_attempts=settings.max_attempts)
        for name, api in apis.items()
    }
