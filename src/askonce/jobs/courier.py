"""Tells webhooks of jobs that have ended, as the Standard Webhooks specification has it.

A delivery carries `webhook-id` (the same at every attempt: a receiver that has seen it drops the second),
`webhook-timestamp` (Unix seconds) and `webhook-signature` (`v1,` and the base64 HMAC-SHA256 of
`id.timestamp.body` under the tenant's secret).
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from askonce.errors import Refusal
from askonce.job import Delivery, DeliveryState
from askonce.jobs.desk import signing_secret
from askonce.jobs.document import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.job import Job
    from askonce.jobs.carrier import Pauses
    from askonce.ports import Clock, JobStore, Postman

__all__ = ["Courier", "signature"]

_IDLE_S: Final = 60.0
_log = structlog.get_logger("askonce.jobs")


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` (Standard Webhooks, symmetric)."""
    key = b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, b"%s.%d.%s" % (identity.encode(), timestamp, body), "sha256")
    return "v1," + b64encode(digest).decode()


class Courier:
    """Delivers webhooks, a few at a time, again and again for a while.

    Args:
        jobs: Where deliveries are kept.
        postman: Delivers.
        secret: What tenants' signing secrets are derived from.
        pauses: Between two attempts at one webhook.
        clock: Wall-clock time.
        count: Told how each attempt ended: `delivered`, `failed`, or `dead` once a webhook is given up.
        limits: Deliveries at a time, and attempts at one webhook.
    """

    def __init__(
        self,
        jobs: JobStore,
        postman: Postman,
        secret: bytes,
        *,
        pauses: Pauses,
        clock: Clock,
        count: Callable[[str], None],
        limits: tuple[int, int],
    ) -> None:
        self._jobs = jobs
        self._postman = postman
        self._secret = secret
        self._pauses = pauses
        self._clock = clock
        self._count = count
        self._concurrency, self._max_attempts = limits
        self._running: dict[int, asyncio.Task[None]] = {}
        self._work = asyncio.Event()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._work.set()

    async def run(self) -> None:
        """Delivers whatever is due, for as long as it isn't cancelled."""
        while True:
            self._work.clear()
            pause_s: float | None = _IDLE_S
            room = self._concurrency - len(self._running)
            if room > 0:
                try:
                    pause_s = await self._start(room)
                except Refusal as refusal:
                    pause_s = refusal.retry_after_s
            try:
                async with asyncio.timeout(pause_s):
                    await self._work.wait()
            except TimeoutError:
                pass

    async def close(self) -> None:
        """Gives up what is under way: it is delivered after the next start."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _start(self, room: int) -> float | None:
        """Starts what is due; how long until something else is, None where nothing is."""
        now = self._clock.now()
        deliveries, next_at = await self._jobs.take_deliveries(list(self._running), room, now)
        for delivery in deliveries:
            task = asyncio.create_task(self._deliver(delivery), name="webhook")  # noqa: TID251 - ended by `close`
            self._running[delivery.job] = task
            task.add_done_callback(lambda _, job=delivery.job: self._ended(job))  # type: ignore[misc]
        return None if next_at is None else min(_IDLE_S, next_at - now)

    def _ended(self, job: int) -> None:
        self._running.pop(job, None)
        self._work.set()

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            owner = await self._jobs.owner(delivery.job)
            job = await self._jobs.find(*owner) if owner is not None else None
            if job is None:
                return
            taken, detail = await self._post(job, delivery.url)
            attempts = delivery.attempts + 1
            dead = not taken and attempts >= self._max_attempts
            state = (
                DeliveryState.DELIVERED if taken else DeliveryState.DEAD if dead else DeliveryState.PENDING
            )
            due_at = self._clock.now() + self._pauses.after(attempts - 1)
            await self._jobs.attempted(
                dataclasses.replace(delivery, state=state, attempts=attempts, due_at=due_at, detail=detail)
            )
            self._count("delivered" if taken else "dead" if dead else "failed")
            if dead:
                _log.warning("webhook given up", job=job.request_id, tenant=job.label, detail=detail)
        except Refusal as refusal:  # the store: the delivery is due again
            await asyncio.sleep(refusal.retry_after_s or 1.0)
        except Exception:  # noqa: BLE001 - a bug costs one attempt, not all deliveries
            _log.exception("webhook failed", job=delivery.job)
            await asyncio.sleep(1.0)

    async def _post(self, job: Job, url: str) -> tuple[bool, str]:
        now = int(self._clock.now())
        identity = "msg_" + hashlib.sha256(orjson.dumps([job.tenant, job.request_id])).hexdigest()[:32]
        body = orjson.dumps(
            {"type": f"inference.job.{job.state.value}", "timestamp": now, "data": document(job)}
        )
        secret = signing_secret(self._secret, job.tenant)
        headers = (
            ("Content-Type", "application/json"),
            ("webhook-id", identity),
            ("webhook-timestamp", str(now)),
            ("webhook-signature", signature(secret, identity, now, body)),
        )
        return await self._postman.post(url, headers, body)
