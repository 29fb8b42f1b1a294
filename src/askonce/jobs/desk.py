"""Where callers hand in jobs, ask for them, and call them off."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.errors import LimitExceeded, Refusal
from askonce.gateway import SAID_HEADERS
from askonce.job import Group, NewJob, NewLine, Ready
from askonce.model import SemanticMode
from askonce.pipeline.stored import cache_key

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from askonce.gateway import Gateway
    from askonce.job import Job, JobState, Receipt
    from askonce.jobs.results import Results
    from askonce.model import Caller, JobTerms, Json, Request
    from askonce.ports import Clock, JobStore, Postman

__all__ = ["Desk", "Terms", "signing_secret"]

_SANE_ID: Final = re.compile(r"[A-Za-z0-9_.:+=-]{1,128}")
_LANE: Final = "x-askonce-lane"


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What jobs may be: seconds, and which upstreams have a Batch API."""

    deadline_s: float
    max_deadline_s: float
    fallback_before_deadline_s: float
    batching: Container[str]


def signing_secret(secret: bytes, tenant: str) -> str:
    """What a tenant's webhooks are signed with, in the form of the Standard Webhooks specification."""
    return "whsec_" + b64encode(hmac.digest(secret, b"webhook:" + tenant.encode(), "sha256")).decode()


class Desk:
    """One side of the batch lane: callers and their jobs.

    Args:
        gateway: Knows what is asked, and what is stored.
        jobs: Where jobs are kept.
        results: Tells of jobs that end here.
        postman: Knows which webhooks are possible.
        terms: What jobs may be.
        secret: What tenants' signing secrets are derived from.
        submitted: Called once there is a new job.
    """

    def __init__(
        self,
        gateway: Gateway,
        jobs: JobStore,
        results: Results,
        postman: Postman,
        *,
        terms: Terms,
        clock: Clock,
        secret: bytes,
        submitted: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._jobs = jobs
        self._results = results
        self._postman = postman
        self._terms = terms
        self._clock = clock
        self._secret = secret
        self._submitted = submitted

    @property
    def durable(self) -> bool:
        """Whether jobs outlive the process."""
        return self._jobs.durable

    @property
    def closing(self) -> bool:
        """Whether the gateway is about to end: nobody is left waiting."""
        return self._results.news.closed

    async def submit(self, request: Request, headers: Mapping[bytes, bytes], request_id: str) -> Job:
        """Takes a job; once this returns it is kept.

        Raises:
            Refusal: it can't be one, or can't be kept now.
        """
        terms, tenant = request.terms, request.caller.tenant
        if terms is None:
            raise RuntimeError("a request without terms is no job")
        if tenant is None:
            sentence = "A job belongs to whoever hands it in: send a key as `Authorization: Bearer …`."
            raise Refusal(401, "missing_api_key", sentence)
        self._check(request, terms, request_id)
        now = self._clock.now()
        ready = await self._ready(request, request_id)
        job = self._job(request, headers, request_id, now, ready)
        receipt = await self._take(request, job)
        await self._results.announce(receipt.ended)
        if receipt.new:
            self._submitted()
        return receipt.job

    async def find(self, caller: Caller, request_id: str, wait_s: float = 0.0) -> Job:
        """A caller's job, once it has ended or `wait_s` are over, or the gateway is about to end.

        Raises:
            Refusal: 404, there is none of that name.
        """
        tenant = caller.tenant or ""
        with self._results.news.about(tenant, request_id) as ended:
            job = await self._jobs.find(tenant, request_id)
            if job is None:
                raise Refusal(
                    404, "job_not_found", "You have no job of that id; results are kept for a while only."
                )
            if job.state.ended or wait_s <= 0:
                return job
            try:
                async with asyncio.timeout(wait_s):
                    await ended.wait()
            except TimeoutError:
                pass
        return await self._jobs.find(tenant, request_id) or job

    async def cancel(self, caller: Caller, request_id: str) -> Job:
        """Calls a job off; one that has ended stays as it is. Raises Refusal: 404."""
        ended = await self._jobs.cancel(caller.tenant or "", request_id, self._clock.now())
        if ended is not None:
            await self._results.announce([ended])
        return await self.find(caller, request_id)

    async def page(self, caller: Caller, state: JobState | None, after: str, count: int) -> list[Job]:
        """A caller's jobs, newest first, those handed in before the job `after` ("": all). Raises Refusal: 404."""
        number = (await self.find(caller, after)).number if after else 0
        return await self._jobs.page(caller.tenant or "", state, number, count)

    def signing_secret(self, caller: Caller) -> str:
        """What a caller's webhooks are signed with. Raises Refusal: 401."""
        if caller.tenant is None:
            raise Refusal(401, "missing_api_key", "Send a key as `Authorization: Bearer …`.")
        return signing_secret(self._secret, caller.tenant)

    def _check(self, request: Request, terms: JobTerms, request_id: str) -> None:
        if request.ask.stream:
            sentence = "A job's answer can't be streamed: leave `stream` out, or choose another lane."
            raise Refusal(400, "job_not_streamed", sentence, param="stream")
        if not _SANE_ID.fullmatch(request_id):
            sentence = "A job's request id is made of up to 128 letters, digits and any of `_.:+=-`."
            raise Refusal(400, "invalid_request_id", sentence, param="request_id")
        if request.policy.only_if_cached:
            raise Refusal(400, "invalid_header", "A job can't be only-if-cached: ask without the batch lane.")
        limit_s = self._terms.max_deadline_s
        if terms.deadline_s is not None and not 0 < terms.deadline_s <= limit_s:
            sentence = f"A job's deadline is a number of seconds up to {limit_s:g}."
            raise Refusal(400, "invalid_deadline", sentence, param="deadline")
        if terms.webhook and (why := self._postman.refuses(terms.webhook)):
            raise Refusal(400, "invalid_webhook", f"The webhook's URL {why}.", param="webhook")
        if self._gateway.parts.dispatcher.spends_callers_key(request):
            sentence = (
                "The batch lane needs a key of the gateway's own for this model: yours isn't kept until the job is "
                "asked. Choose another lane, or ask the gateway's operator for an `api_key` there."
            )
            raise Refusal(400, "batch_lane_unavailable", sentence)

    async def _take(self, request: Request, job: NewJob) -> Receipt:
        """Keeps a job; what isn't stored yet counts against the limits of whoever hands it in, once. Raises Refusal."""
        counted = None
        try:
            counted = None if job.ready is not None else self._gateway.parts.allowances.submit(request)
        except LimitExceeded:
            if await self._jobs.find(job.tenant, job.request_id) is None:
                raise
        taken = False
        try:
            receipt = await self._jobs.submit(job)
            taken = receipt.new
        finally:
            if counted is not None and not taken:
                counted.withdraw()
        return receipt

    async def _ready(self, request: Request, request_id: str) -> Ready | None:
        """The answer, where it is stored already: to this request or, where it will be batched, to an equivalent one.

        What is sent one by one meets the semantic tier then: it isn't looked up twice. Nor is what would only be
        looked at (`shadow`): there is no fresh answer to compare it with now.
        """
        if cache_key(request) is None:
            return None
        policy = dataclasses.replace(request.policy, only_if_cached=True)
        serves = self._gateway.parts.budgets.mode(policy) is SemanticMode.ON
        if not serves or request.ask.route.upstream not in self._terms.batching:
            policy = dataclasses.replace(policy, semantic=SemanticMode.OFF)
        reply = self._gateway.answer(request._replace(policy=policy), submitted=True)
        try:
            await reply.start()
            if reply.answer is None or reply.outcome is None:
                return None
            self._gateway.served(reply, request_id)
            return Ready(reply.answer, reply.outcome.name)
        except Refusal:  # not stored, or not found in time
            return None
        finally:
            reply.leave()

    def _job(
        self,
        request: Request,
        headers: Mapping[bytes, bytes],
        request_id: str,
        now: float,
        ready: Ready | None,
    ) -> NewJob:
        ask, caller, terms, own = request.ask, request.caller, self._terms, request.terms
        window_s = own.deadline_s if own is not None and own.deadline_s is not None else terms.deadline_s
        group = Group(ask.route.upstream, ask.endpoint.value, ask.route.model)
        feature = request.policy.feature
        return NewJob(
            tenant=caller.tenant or "",
            request_id=request_id,
            digest=hashlib.sha256(
                orjson.dumps([ask.endpoint.value, feature]) + _canonical(ask.body, ask.raw)
            ).digest(),
            label=caller.label,
            feature=feature,
            model=ask.model,
            native=own is not None and own.native,
            created_at=self._clock.now(),
            looked_at=now,
            deadline_at=now + window_s,
            fallback_at=now + window_s - min(terms.fallback_before_deadline_s, window_s / 2),
            webhook=own.webhook if own is not None else "",
            line=NewLine(
                key=self._gateway.shared_key(request) if ask.joinable and request.policy.read else None,
                group=group,
                context=_context(caller, headers),
                body=ask.raw,
                batched=group.upstream in terms.batching,
            ),
            ready=ready,
            users=request.users,
        )


def _context(caller: Caller, headers: Mapping[bytes, bytes]) -> bytes:
    """What the request can be understood by again: who asks, without the credential, and what the headers say."""
    said = {name.decode(): headers[name].decode("latin-1") for name in SAID_HEADERS if name in headers}
    who: list[Any] = [caller.tenant, caller.label, caller.features, caller.identity.hex()]
    return orjson.dumps({"caller": who, "headers": {**said, _LANE: "batch"}})


def _canonical(body: Json, raw: bytes) -> bytes:
    """A body's bytes whatever the order of its keys; numbers beyond 64 bits leave it as it came."""
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return raw
