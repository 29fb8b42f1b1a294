"""Audits: whether semantic hits are right, found out off the serving path.

There are four sources. A known share of served hits is asked upstream after all. In shadow mode, and where the best
candidate wasn't served, the fresh answer is there anyway. And people say so. All but the last are judged by comparing
two answers; a verdict becomes a label of the feature's budget, and acts on the link at once. Whatever goes wrong on the
way ends in a count, never in a verdict.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from askonce.errors import AuditDropped
from askonce.pipeline.cases import Case, label
from askonce.pipeline.equality import Verdict
from askonce.pipeline.outcomes import Outcomes, ServedHit
from askonce.pipeline.waiting_cases import WaitingCases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from askonce.model import Answer, Owner, Request
    from askonce.pipeline.budgets import Budgets
    from askonce.pipeline.cases import Told
    from askonce.pipeline.decision import Decision
    from askonce.pipeline.judge import Judge, Ruling
    from askonce.pipeline.links import Links
    from askonce.pipeline.records import Records
    from askonce.ports import Clock, Observer, Store

__all__ = ["Auditor", "Desk", "Effects"]

_RESTORED_AT_ONCE: Final = 100
"""Earlier audits taken up between two looks at what else there is to do."""
_OTHERS: Final = 3
_EVEN: Final = 0.5
_log = structlog.get_logger("askonce.audit")


@dataclass(frozen=True, slots=True)
class Effects:
    """What a verdict acts on."""

    store: Store
    links: Links
    records: Records
    budgets: Budgets
    observer: Observer
    clock: Clock


@dataclass(frozen=True, slots=True)
class Desk:
    """How audits are worked: at most `max_queue` wait, `concurrency` run, each `timeout_s` at most."""

    max_queue: int
    concurrency: int
    timeout_s: float


class Auditor:
    """Takes cases, judges them one by one in tasks of its own, and lets the verdicts act.

    Attributes:
        restored: Set once earlier verdicts are taken up; new ones wait for that, so that the last word comes last.
    """

    def __init__(
        self,
        effects: Effects,
        judge: Judge,
        ask: Callable[[Request, int | None], Awaitable[Answer]],
        draw: Callable[[], float],
        desk: Desk,
    ) -> None:
        """`ask` gets the upstream's plain answer (raises AuditDropped); `draw` gives numbers in [0, 1)."""
        self._effects = effects
        self._judge = judge
        self._ask = ask
        self._draw = draw
        self._desk = desk
        self.restored = asyncio.Event()
        self._outcomes = Outcomes()
        self._cases = WaitingCases(desk.max_queue)
        self._under_way: dict[asyncio.Timeout, Request] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """Cases that wait."""
        return len(self._cases)

    def start(self) -> None:
        """Begins to work."""
        for number in range(self._desk.concurrency):
            task = asyncio.create_task(self._work(), name=f"audit {number}")  # noqa: TID251 - owned here
            self._tasks.append(task)

    async def restore(self) -> None:
        """Takes up what was found before a restart, for the thresholds and for the pairs not to be matched again."""
        effects = self._effects
        try:
            async for audits in effects.store.audits(None):
                for number, audit in enumerate(audits):
                    effects.records.add(audit)
                    effects.budgets.take(audit)
                    if number % _RESTORED_AT_ONCE == 0:
                        await asyncio.sleep(0)
        except Exception:  # noqa: BLE001 - what can't be read must not keep new verdicts from being made
            _log.exception("audits could not be restored")
        self.restored.set()
        await effects.budgets.settle_all()

    def served(self, request: Request, request_id: str, entry: bytes, told: Told) -> None:
        """A caller is served a semantic hit: it counts, may be told feedback on, and is audited with the known share."""
        hit = ServedHit(_without_body(request), request_id, entry)
        self._outcomes.add(hit)
        propensity = self._effects.budgets.hit(request.policy)
        if self._draw() < propensity:
            self._take(Case(request, entry, "hit", propensity, None, hit=hit, told=told))

    def compare(self, request: Request, candidates: tuple[Decision, ...], fresh: Answer) -> None:
        """A fresh answer tells, for nothing, whether the likeliest candidate's would have been right.

        The others (likeliest first, one of each answer's class) don't give labels, but the question may be of one's
        class.
        """
        likeliest, *others = candidates
        source = "shadow" if likeliest.accepted else "miss"
        request = _without_body(request)
        self._take(Case(request, likeliest.key, source, 1.0, likeliest, tuple(others[:_OTHERS]), fresh))

    async def feedback(self, tenant: str | None, name: str | bytes, *, correct: bool) -> bool:
        """What somebody says of a hit that they were served, by its request id or entry; False where it isn't known.

        The first word on a hit counts. The link is cut at every word against it.
        """
        await self.restored.wait()
        hit = self._outcomes.find(tenant, name)
        if hit is None:
            return False
        await self._tell(hit, "caller", correct=correct)
        return True

    async def ruling(self, request_id: str, account: str | None, *, correct: bool) -> int:
        """What an administrator says of a hit, whosever: as feedback. Acts where exactly one is meant; returns how many are."""
        await self.restored.wait()
        hits = self._outcomes.named(request_id, account)
        if len(hits) == 1:
            await self._tell(hits[0], "administrator", correct=correct)
        return len(hits)

    def hit(self, tenant: str | None, request_id: str) -> ServedHit | None:
        """A hit that was served lately, with what was said of it."""
        return self._outcomes.find(tenant, request_id)

    def erase(self, owner: Owner) -> None:
        """Forgets what an owner was served, and ends what is judged of it, or waits to be."""
        self._outcomes.erase(owner)
        self._cases.erase(owner)
        for limit, request in self._under_way.items():
            if owner.asked(request):
                limit.reschedule(0.0)

    async def close(self, timeout_s: float) -> None:
        """Works on what waits as long as that takes at most, then ends."""
        if self._tasks:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._cases.join()
            except TimeoutError:
                _log.warning("audits cancelled", waiting=self.waiting)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell(self, hit: ServedHit, judge: str, *, correct: bool) -> None:
        """Makes the first word on a hit a label, and cuts the link at every word against it."""
        first, verdict = hit.told is None, Verdict.SAME if correct else Verdict.DIFFERENT
        if first:
            hit.told = correct
            decision = await self._effects.links.decision(hit.request, hit.entry)
            self._record(Case(hit.request, hit.entry, "feedback", 1.0, decision, hit=hit), judge, verdict)
        if not correct:
            await self._effects.links.cut(hit.request.ask.exact_key or b"", hit.entry)

    def _take(self, case: Case) -> None:
        if not self._cases.put(case):
            self._effects.observer.audit_dropped("queue-full")

    async def _work(self) -> None:
        await self.restored.wait()
        while True:
            case, held_bytes = await self._cases.get()
            try:
                await self._audit(case)
            except AuditDropped as dropped:
                self._effects.observer.audit_dropped(dropped.reason)
            except TimeoutError:
                self._effects.observer.audit_dropped("timeout")
            except Exception:  # noqa: BLE001 - one case's bug must not end all audits
                _log.exception("audit failed")
                self._effects.observer.audit_dropped("failed")
            finally:
                self._cases.done(held_bytes)
                del case  # or it would be held until the next one comes

    async def _audit(self, case: Case) -> None:
        async with self._in_time(case):
            judged, ruling = await self._judged(case)
        await self._conclude(judged, ruling)
        if ruling.verdict is not Verdict.SAME:
            async with self._in_time(case):
                await self._find_class(judged)

    @asynccontextmanager
    async def _in_time(self, case: Case) -> AsyncIterator[None]:
        """Ends what takes too long, or is erased meanwhile, with TimeoutError."""
        async with asyncio.timeout(self._desk.timeout_s) as limit:
            self._under_way[limit] = case.request
            try:
                yield
            finally:
                del self._under_way[limit]

    async def _judged(self, case: Case) -> tuple[Case, Ruling]:
        """The case with what it hangs on, and what is said of it. Raises AuditDropped."""
        effects = self._effects
        fresh, served = case.fresh, None if case.told is None else case.told.answer
        if fresh is None:
            fresh = await self._ask(case.request, None if served is None else served.cost_nanousd)
        served = await self._served(case)
        decision = case.decision or await effects.links.decision(case.request, case.entry)
        ruling = await self._judge.compare(case.request, served, fresh, expected=_expected(decision))
        return replace(case, decision=decision, fresh=fresh), ruling

    async def _served(self, case: Case) -> Answer:
        """What the caller was sent, or would have been. Raises AuditDropped."""
        if case.told is not None:
            served = case.told.answer
        else:
            stored = await self._effects.store.get(case.entry)
            served = None if stored is None else stored.entry.answer
        if served is None:
            raise AuditDropped("answer-gone")
        return served

    async def _find_class(self, case: Case) -> None:
        """Whether the question has the answer of a less likely candidate. Raises AuditDropped."""
        for other in case.others:
            stored = await self._effects.store.get(other.key)
            if stored is None or case.fresh is None:
                continue
            if await self._judge.compare_cheaply(stored.entry.answer, case.fresh) is Verdict.SAME:
                await self._effects.links.confirm(case.request, other, served=None)
                return

    async def _conclude(self, case: Case, ruling: Ruling) -> None:
        """Lets a verdict act, all of it: no time runs out between the label and the link's cut."""
        links, decision = self._effects.links, case.decision
        self._record(case, ruling.judge, ruling.verdict)
        if ruling.verdict is Verdict.DIFFERENT and case.source == "hit":
            await links.cut(case.request.ask.exact_key or b"", case.entry)
        elif ruling.verdict is Verdict.SAME and decision is not None:
            served = case.entry if case.source == "hit" else None
            await links.confirm(case.request, decision, served=served)

    def _record(self, case: Case, judge: str, verdict: Verdict) -> None:
        """Makes a verdict a label, and says so."""
        effects, policy = self._effects, case.request.policy
        effects.observer.audit(policy.feature, case.source, verdict.value, judge)
        if verdict is Verdict.UNDECIDED:
            return
        if case.hit is not None and case.source == "hit":
            case.hit.judged = verdict is Verdict.SAME
        right, now, engine = verdict is Verdict.SAME, effects.clock.now(), effects.budgets.engine
        audit = label(case, judge, right=right, at=now, engine=engine)
        effects.store.audited(audit)
        effects.records.add(audit)
        effects.budgets.label(audit)
        _log.info(
            "audited",
            feature=audit.feature,
            request_id=audit.request_id,
            source=audit.source,
            judge=judge,
            right=audit.right,
            reason=audit.reason,
            probability=round(audit.probability, 4),
            threshold=round(audit.threshold, 4),
        )


def _without_body(request: Request) -> Request:
    """What was asked and under which policy, without what only the upstream needs."""
    return request._replace(ask=request.ask._replace(raw=b"", body={}), headers=())


def _expected(decision: Decision | None) -> Verdict:
    if decision is None:
        return Verdict.UNDECIDED
    return Verdict.SAME if decision.probability >= _EVEN else Verdict.DIFFERENT
