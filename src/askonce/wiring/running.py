"""A gateway with all that it is made of, from its opening to its close."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from askonce import __version__
from askonce.config import MemoryStore as MemoryStoreSettings
from askonce.wiring.erasing import Erasing
from askonce.wiring.upstreams import upstream_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.config import Settings
    from askonce.gateway import Gateway
    from askonce.model import Json
    from askonce.wiring.adapters import Adapters
    from askonce.wiring.administration import Administration
    from askonce.wiring.jobs import Jobs
    from askonce.wiring.semantics import Semantics

__all__ = ["Running"]


class Running:
    """A gateway with all that it is made of, from its opening to its close.

    Attributes:
        gateway: Answers requests.
        semantics: What decides, audits and accounts for semantic hits.
        jobs: The batch lane.
        metrics: What `/metrics` shows.
        observer: Told of what happens: the metrics, the ledger and whoever else wants to know.
        ledger: What was spent and saved.
        administration: What administrators act on.
        begin_trace: Makes a request's span of its headers; None where requests aren't traced.
        erasing: The right to erasure.
        live: The last quarter of an hour, for the dashboard.
        ready: Whether requests can be served.
        draining: Whether the server is about to close: whoever only looks on has to leave.
    """

    def __init__(
        self,
        gateway: Gateway,
        adapters: Adapters,
        semantics: Semantics,
        jobs: Jobs,
        administration: Administration,
    ) -> None:
        self.gateway = gateway
        self.semantics = semantics
        self.jobs = jobs
        self.metrics = adapters.metrics
        self.observer = adapters.observer
        self.ledger = adapters.ledger
        self.live = adapters.live
        self.begin_trace = adapters.telemetry.begin if adapters.telemetry is not None else None
        self.administration = administration
        self.erasing = Erasing(gateway, adapters, semantics, jobs)
        self.ready = True
        self.draining = False
        self._adapters = adapters
        self._began = time.monotonic()

    @property
    def settings(self) -> Settings:
        """The configuration that is in force."""
        return self.administration.reload.settings

    @property
    def admin_digests(self) -> Sequence[bytes]:
        """SHA-256 digests of the administrators' keys."""
        return self.settings.admin.keys

    def drain(self) -> None:
        """The server takes no more requests, and is about to close: nobody is left waiting for a job."""
        self.draining = True
        self.jobs.engine.drain()

    async def close(self) -> None:
        """Lets flights end, commits what is to be stored, and closes everything."""
        self.ready = False
        await self.administration.close()
        log = structlog.get_logger("askonce")
        timeout_s = self.settings.limits.drain_timeout_s / 4
        began = time.monotonic()
        await self.jobs.close(timeout_s)
        late = await self.gateway.flights.drain(max(0.0, began + timeout_s - time.monotonic()))
        if late:
            log.warning("flights cancelled", count=late)
        await self.semantics.close(timeout_s)
        self._adapters.index.close()
        await self._adapters.dispatcher.close()
        if self._adapters.telemetry is not None:
            await self._adapters.telemetry.close(timeout_s)
        self.live.close()
        await self._adapters.ledger.close()
        await self._adapters.store.close()
        log.info("stopped")

    def health(self) -> Json:
        """What each part is doing."""
        store, flights = self._adapters.store.health(), self.gateway.flights
        return {
            "status": "ok" if store.durable or self._volatile() else "degraded",
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._began, 3),
            "store": {
                "durable": store.durable,
                "detail": store.detail,
                "entries": store.entries,
                "memory_bytes": store.memory_bytes,
                "disk_bytes": store.disk_bytes,
                "pending_writes": store.pending_writes,
                "lost_writes": store.lost_writes,
                "encrypted": store.rows_to_seal is not None,
                "rows_to_encrypt": store.rows_to_seal or 0,
                "unreadable": store.unreadable,
            },
            "ledger": self._ledger_health(),
            "semantic": self._semantic_health(),
            "jobs": self._jobs_health(),
            "flights": {"running": flights.running, "callers": flights.waiting},
            "upstreams": {one.name: one.breakers.upstream.state for one in self._adapters.dispatcher.outlets},
        }

    def upstreams(self) -> Json:
        """How each upstream's calls leave, model by model."""
        return {one.name: upstream_state(one) for one in self._adapters.dispatcher.outlets}

    def _ledger_health(self) -> Json:
        ledger = self.ledger.health()
        return {
            "recording": self.settings.ledger.record,
            "durable": ledger.durable,
            "detail": ledger.detail,
            "pending_calls": ledger.pending_calls,
            "unsettled_calls": ledger.unsettled_calls,
            "missed_records": ledger.missed_records,
            "prices_as_of": self._adapters.prices.as_of,
        }

    def _semantic_health(self) -> Json:
        embedder, semantic = self._adapters.embedder, self.semantics.tier
        if embedder is None:
            return {"embedder": "none"}
        return {
            "embedder": embedder.engine,
            "state": embedder.state.value,
            "detail": embedder.detail,
            "questions": self._adapters.index.rows,
            "rebuilding": semantic.loading,
            "rebuilt": semantic.loaded,
            "backlog": semantic.backlog,
            "breached": self.semantics.breached,
        }

    def _jobs_health(self) -> Json:
        totals = self.jobs.engine.totals
        durable = self.jobs.desk.durable
        if totals is None:
            return {"durable": durable}
        return {
            "durable": durable,
            "open": totals.jobs.get("open", 0),
            "batches": totals.batches,
            "webhooks_pending": totals.deliveries.get("pending", 0),
            "webhooks_given_up": totals.deliveries.get("dead", 0),
            "size_bytes": totals.size_bytes,
        }

    def _volatile(self) -> bool:
        return isinstance(self.settings.store, MemoryStoreSettings)
