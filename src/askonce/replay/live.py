"""A log sent to a running gateway at the times at which it was recorded: a load generator with an open loop.

Requests leave when they are due, whether or not earlier ones have been answered. Each one's time is measured from when it
was due, too: a generator or gateway that falls behind can't hide its delay (coordinated omission).
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from askonce.replay.arrival import Arrival

__all__ = ["Answered", "Plan", "Shooting", "authorisation", "is_loopback"]

_LATE_S: Final = 0.1
"""A request that leaves this much later than it was due is counted as late."""
_TAIL_BYTES: Final = 4_096
_NO_OUTCOME: Final = "none"
_OK: Final = 300


class Plan(NamedTuple):
    """How to send.

    Attributes:
        base_url: The gateway's, with `/v1`.
        speed: How many times as fast as recorded.
        concurrency_limit: Requests that may be under way; when there are so many, later ones leave late.
        timeout_s: How long an answer is waited for.
        keys: Credentials by tenant; under "" that of tenants that have none of their own.
    """

    base_url: str
    speed: float
    concurrency_limit: int
    timeout_s: float
    keys: Mapping[str, str]


class Answered(NamedTuple):
    """How one request fared.

    Attributes:
        outcome: The gateway's word; `none` where it said none.
        reason: Why, in its word; "" where it said none.
        error: The error's code; "" where there was an answer.
        seconds: From when it left to the end of its answer.
        due_seconds: From when it was due.
        saved_usd: As the gateway said; None where it didn't.
    """

    outcome: str
    reason: str
    error: str
    seconds: float
    due_seconds: float
    saved_usd: float | None


class Shooting:
    """Sends a log.

    Args:
        plan: How.
        seen: Told of each request as it ends.

    Attributes:
        answered: How each fared, in the order in which they ended.
        late: Requests that left late.
        latest_s: By how much the latest one did.
        wall_s: How long it all took.
    """

    def __init__(self, plan: Plan, seen: Callable[[Answered], None] = lambda _: None) -> None:
        self._plan = plan
        self._seen = seen
        self._free = asyncio.Semaphore(plan.concurrency_limit)
        self.answered: list[Answered] = []
        self.late = 0
        self.latest_s = 0.0
        self.wall_s = 0.0

    @property
    def outcomes(self) -> Counter[str]:
        """Requests that were answered, by outcome."""
        return Counter(one.outcome for one in self.answered if not one.error)

    @property
    def errors(self) -> Counter[str]:
        """Requests that weren't, by code."""
        return Counter(one.error for one in self.answered if one.error)

    async def send(self, arrivals: Sequence[Arrival]) -> None:
        """Sends all, which have to be in order of arrival; what was sent is counted even if this is cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._plan.timeout_s)
        connector = aiohttp.TCPConnector(limit=0)
        began = time.monotonic()
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                asyncio.TaskGroup() as group,
            ):
                for arrival in arrivals:
                    due = began + (arrival.at - arrivals[0].at) / self._plan.speed
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    await self._free.acquire()
                    self._note_delay(time.monotonic() - due)
                    group.create_task(self._send_one(session, arrival, due), name="replayed request")
        finally:
            self.wall_s = time.monotonic() - began

    def _note_delay(self, delay_s: float) -> None:
        self.latest_s = max(self.latest_s, delay_s)
        self.late += delay_s > _LATE_S

    async def _send_one(self, session: aiohttp.ClientSession, arrival: Arrival, due: float) -> None:
        began = time.monotonic()
        outcome, reason, error, saved_usd = _NO_OUTCOME, "", "", None
        try:
            url = f"{self._plan.base_url}/{arrival.endpoint.value}"
            async with session.post(
                url, data=arrival.body, headers=self._headers(arrival), allow_redirects=False
            ) as response:
                outcome = response.headers.get("x-askonce-outcome", _NO_OUTCOME)
                reason = response.headers.get("x-askonce-reason", "")
                saved_usd = _dollars(response.headers.get("x-askonce-saved-usd"))
                tail = b""
                async for part in response.content.iter_any():
                    tail = (tail + part)[-_TAIL_BYTES:]
                error = _error(response, tail)
        except TimeoutError:
            error = "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as failure:  # a log's feature may be no header
            error = type(failure).__name__
        finally:
            self._free.release()
        now = time.monotonic()
        answered = Answered(outcome, reason, error, now - began, now - due, saved_usd)
        self.answered.append(answered)
        self._seen(answered)

    def _headers(self, arrival: Arrival) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        key = authorisation(self._plan.keys, arrival.tenant)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if arrival.feature:
            headers["X-Askonce-Feature"] = arrival.feature
        return headers


def authorisation(keys: Mapping[str, str], tenant: str) -> str:
    """A tenant's credential: its own, or the one for all others; "" where there is none."""
    return keys.get(tenant) or keys.get("", "")


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, as far as can be told without asking anybody."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _dollars(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _error(response: aiohttp.ClientResponse, tail: bytes) -> str:
    """The code of an error, or what is wrong with a stream's end; "" for a good answer."""
    if response.status >= _OK:
        try:
            return str(orjson.loads(tail)["error"]["code"] or response.status)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return str(response.status)
    if response.content_type == "text/event-stream" and b"[DONE]" not in tail:
        return "stream-broke-off"
    return ""
