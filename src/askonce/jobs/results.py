"""Makes answers of what comes back for lines: kept for others, given to every job, told to whoever waits."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.job import JobState, LineResult
from askonce.jobs.charges import line_caller
from askonce.jobs.news import News
from askonce.jobs.request_file import line_number
from askonce.model import Bypass, Caller, Endpoint, Entry, Exact, Fresh, Joined, Semantic
from askonce.pipeline.answers import parse_whole
from askonce.ports import Charge, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.gateway import Gateway
    from askonce.job import Batch, Ended, Line
    from askonce.jobs.charges import LineCharges
    from askonce.model import Answer, Json, Outcome, Owner, Request
    from askonce.ports import JobStore, Observer

__all__ = ["Results"]

_OK: Final = 200
_CALLERS_ERRORS: Final = range(400, 500)
_NOT_THE_REQUESTS: Final = frozenset({401, 402, 403, 408, 409, 425, 429})
"""Refusals that say nothing of the request: of the gateway's own key, and of the moment."""
_NO_FEATURE: Final = "unknown"
_TO_LEARN: Final = 10_000
_AT_ONCE: Final = 10
"""Lines that are read and worked on at a time: their bodies may be large."""
_RECORDED_AT_ONCE: Final = 100
_OUTCOMES: Final[dict[str, Outcome]] = {
    "fresh": Fresh("batch-lane"),
    "joined": Joined(),
    "exact": Exact(b"", 0.0, 0.0),
    "semantic": Semantic(b"", 0.0, joined=False, age_s=0.0, ttl_s=0.0, reason="stored"),
    "semantic-joined": Semantic(b"", 0.0, joined=True, age_s=0.0, ttl_s=0.0, reason="in-flight"),
}
_log = structlog.get_logger("askonce.jobs")


class Results:
    """What lines come to.

    Args:
        gateway: Understands requests again; keeps answers.
        jobs: Where jobs are kept.
        charges: What lines of providers' batches come to.
        observer: Told of jobs that have ended.
        told: Called where webhooks may be due.

    Attributes:
        news: Tells those who wait.
    """

    def __init__(
        self,
        gateway: Gateway,
        jobs: JobStore,
        charges: LineCharges,
        observer: Observer,
        *,
        told: Callable[[], None],
    ) -> None:
        self.news = News()
        self._gateway = gateway
        self._jobs = jobs
        self._charges = charges
        self._observer = observer
        self._told = told
        self._to_learn: deque[Request] = deque(maxlen=_TO_LEARN)
        self._something_to_learn = asyncio.Event()

    def request(self, line: Line) -> Request:
        """The request of a line, understood again under the present configuration. Raises Refusal."""
        context = orjson.loads(line.context)
        caller = line_caller(context)
        headers = {name.encode(): value.encode("latin-1") for name, value in context["headers"].items()}
        try:
            return self._gateway.understand_as(caller, Endpoint(line.group.endpoint), headers, line.body)
        except KeyError:
            sentence = "The feature of this job is no longer configured; submit it under another one."
            raise Refusal(404, "unknown_feature", sentence) from None

    async def take(self, batch: Batch, raws: Sequence[bytes]) -> None:
        """Lines of a provider's result file: those still wanted get their results, momentary errors none."""
        found = list(filter(None, map(_numbered, raws)))
        results: list[LineResult] = []
        charges: list[Charge] = []
        late: list[Charge] = []
        for start in range(0, len(found), _AT_ONCE):
            some = found[start : start + _AT_ONCE]
            lines = {
                line.number: line for line in await self._jobs.wanted(batch.number, [one for one, _ in some])
            }
            late += await self._late(batch, [(number, said) for number, said in some if number not in lines])
            for number, said in some:
                if (
                    number in lines
                    and (result := self._result(batch, lines[number], said, charges)) is not None
                ):
                    results.append(result)
        for charge in charges:
            self._charges.begin(charge)
        # First the cache, then the jobs: whoever asks the same after a kill between them finds it there, or waits on.
        await self._gateway.parts.store.flush()
        await self.settle(results)
        for charge in (*charges, *late):
            self._charges.tell(charge)

    async def settle(self, results: Sequence[LineResult]) -> None:
        """Ends lines and their jobs, and says so."""
        if results:
            await self.announce(await self._jobs.settle(results, self._gateway.parts.clock.now()))

    async def announce(self, ended: Sequence[Ended]) -> None:
        """Jobs have ended: one line may have had thousands, over which nobody else waits."""
        if not ended:
            return
        self.news.tell(ended)
        self._told()
        now = self._gateway.parts.clock.now()
        for index, one in enumerate(ended):
            if index % _RECORDED_AT_ONCE == _RECORDED_AT_ONCE - 1:
                await asyncio.sleep(0)
            self._observer.request(_record(one, now))

    async def learn(self) -> None:
        """Embeds answered questions for the semantic tier, one at a time, for as long as it isn't cancelled."""
        parts = self._gateway.parts
        while True:
            await self._something_to_learn.wait()
            while self._to_learn:
                request = self._to_learn.popleft()
                # What can't be embedded now (the embedder is loading, or busy) the tier embeds once it can be.
                question = await parts.semantic.describe(request) or parts.semantic.question(request)
                kept = parts.store.peek(question.key) if question is not None else None
                if question is not None and kept is not None and kept.link is None:
                    parts.store.put(kept.entry, question)
                    parts.semantic.add(question)
            self._something_to_learn.clear()

    def erase(self, owner: Owner) -> None:
        """What an owner's jobs have asked isn't learned any more."""
        kept = [request for request in self._to_learn if not owner.asked(request)]
        self._to_learn.clear()
        self._to_learn.extend(kept)

    def _result(self, batch: Batch, line: Line, found: Json, charges: list[Charge]) -> LineResult | None:
        """What a line of a result file means; None where another try may bring an answer. Adds what it comes to."""
        response = found.get("response")
        if not isinstance(response, dict):
            return None  # expired, cancelled, or an error of the provider's own
        status, body = response.get("status_code"), response.get("body")
        try:
            if status == _OK:
                return self._answered(batch, line, orjson.dumps(body), charges)
            return _refused(line, status, body)
        except Refusal as refusal:
            if isinstance(refusal, UpstreamFailure) and refusal.sharing is Sharing.TRANSIENT:
                return None
            return LineResult(
                line.number, None, error=orjson.dumps(refusal.error_object()), code=refusal.code
            )
        except Exception:  # noqa: BLE001 - a bug in reading one result: it is asked again, the others go on
            _log.exception("batch result failed", line=line.number)
            return None

    async def _late(self, batch: Batch, found: Sequence[tuple[int, Json]]) -> list[Charge]:
        """What answers come to that nobody wants any more: they were given, and are paid for."""
        if not found:
            return []
        askers = await self._jobs.askers([number for number, _ in found])
        return [
            self._charges.unwanted(batch, number, answer, askers.get(number))
            for number, said in found
            for answer in self._unwanted(batch, said)
        ]

    def _unwanted(self, batch: Batch, found: Json) -> list[Answer]:
        """The answer of a line that nobody wants any more, if there is one."""
        response = found.get("response")
        if not isinstance(response, dict) or response.get("status_code") != _OK:
            return []
        group, body = batch.group, orjson.dumps(response.get("body"))
        try:
            answer, _, _ = parse_whole(
                body, Endpoint(group.endpoint), lambda usage: self._charges.cost_nanousd(group.model, usage)
            )
        except Refusal:
            return []
        return [answer]

    def _answered(self, batch: Batch, line: Line, body: bytes, charges: list[Charge]) -> LineResult:
        """The answer of a line, kept for others too. Raises Refusal."""
        group, answer, feature = line.group, None, _NO_FEATURE
        try:
            answer, _, keepable = parse_whole(
                body, Endpoint(group.endpoint), lambda usage: self._charges.cost_nanousd(group.model, usage)
            )
            with suppress(Refusal):  # it was asked and paid for: no longer served, but answered
                request = self.request(line)
                feature = request.policy.feature
                if keepable:
                    self._keep(request, answer)
        finally:
            charges.append(self._charges.of(batch, line, answer, feature))
        return LineResult(line.number, answer, spent_nanousd=answer.cost_nanousd)

    def _keep(self, request: Request, answer: Answer) -> None:
        """Stores an answer where policy and caller allow it."""
        ask, policy, parts = request.ask, request.policy, self._gateway.parts
        if ask.exact_key is None or ask.hot or not (policy.exact and policy.store) or policy.ttl_s <= 0:
            return
        now = parts.clock.now()
        entry = Entry(
            key=ask.exact_key,
            answer=answer,
            created_at=now,
            expires_at=now + policy.ttl_s,
            tenant=request.caller.tenant or "",
            feature=policy.feature,
            model=ask.route.model,
            tags=policy.tags,
            users=request.users,
        )
        parts.store.put(entry, None)
        if ask.text is not None and parts.semantic.applies(request):
            # Thousands may wait, for a while: without their bodies.
            self._to_learn.append(request._replace(ask=ask._replace(raw=b"", body={})))
            self._something_to_learn.set()


def _numbered(raw: bytes) -> tuple[int, Json] | None:
    """A line of a result file by our number; None for what isn't ours."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    number = line_number(found.get("custom_id")) if isinstance(found, dict) else None
    if number is None:
        _log.warning("batch result not understood", size_bytes=len(raw))
        return None
    return number, found


def _refused(line: Line, status: object, body: object) -> LineResult | None:
    """A provider's refusal of one request, as its caller is told; None where it wasn't at fault."""
    if not isinstance(status, int) or status not in _CALLERS_ERRORS or status in _NOT_THE_REQUESTS:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        error = {"message": f"The provider refused this request ({status}).", "code": f"upstream_{status}"}
    shape: Json = {"message": None, "type": "invalid_request_error", "param": None, "code": None}
    return LineResult(
        line.number, None, error=orjson.dumps({**shape, **error}), code=str(error.get("code") or status)
    )


def _record(ended: Ended, now: float) -> Record:
    """A job for the metrics: an endpoint of its own, since it may have taken hours."""
    completed = ended.state is JobState.COMPLETED
    known = _OUTCOMES.get(ended.outcome, Bypass(ended.outcome))
    return Record(
        request_id=ended.request_id,
        endpoint="inference/jobs",
        tenant=ended.label,
        feature=ended.feature,
        model=ended.model,
        outcome=known if completed else None,
        status=200 if completed else 499 if ended.state is JobState.CANCELLED else 422,
        code="" if completed else "job_" + ended.state.value,
        duration_s=max(0.0, now - ended.created_at),
        first_byte_s=max(0.0, now - ended.created_at),
        overhead_s=None,
        usage=ended.usage,
        spent_nanousd=ended.spent_nanousd,
        saved_nanousd=ended.saved_nanousd,
        account=Caller(ended.tenant, ended.label, (), None, b"").account,
        upstream_model=ended.upstream_model,
    )
