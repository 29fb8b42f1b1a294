"""What audits are about: an answer that was served, or might have been, and what it is to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from askonce.model import Audit

if TYPE_CHECKING:
    from askonce.model import Answer, Request
    from askonce.pipeline.decision import Decision
    from askonce.pipeline.outcomes import ServedHit

__all__ = ["Case", "Told", "label"]


class Told(Protocol):
    """What a caller is sent."""

    @property
    def answer(self) -> Answer | None:
        """The whole answer; None until the caller has had all of it, where it is an answer under way."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """An answer to be judged.

    Attributes:
        request: What was asked.
        entry: Key of the entry whose answer was, or would have been, served.
        source: `hit`, `shadow` or `miss`.
        propensity: Probability with which this case was chosen.
        decision: What the tier decided; None where that has to be found out.
        others: What it decided about answers of other classes, likeliest first.
        fresh: The upstream's own answer; None where it has to be asked.
        hit: The served hit, where there is one.
        told: What its caller is sent: the entry may hold another answer by the time that this is judged.
    """

    request: Request
    entry: bytes
    source: str
    propensity: float
    decision: Decision | None
    others: tuple[Decision, ...] = ()
    fresh: Answer | None = None
    hit: ServedHit | None = None
    told: Told | None = None

    @property
    def held_bytes(self) -> int:
        """Memory that the case keeps alive from the start: the body twice, once parsed, and the answers."""
        answers = (self.fresh, self.told.answer if self.told is not None else None)
        return 3 * len(self.request.ask.raw) + sum(one.size_bytes for one in answers if one is not None)


def label(case: Case, judge: str, *, right: bool, at: float, engine: str) -> Audit:
    """What a verdict on a case says to its feature's budget: `at` is Unix time, `engine` whose evidence it is."""
    decision, hit = case.decision, case.hit
    return Audit(
        feature=case.request.policy.feature,
        at=at,
        question=case.request.ask.exact_key or b"",
        answer=case.entry if decision is None else decision.answer,
        request_id="" if hit is None else hit.request_id,
        source=case.source,
        judge=judge,
        right=right,
        propensity=case.propensity,
        probability=0.0 if decision is None else decision.probability,
        threshold=0.0 if decision is None else decision.threshold,
        reason="" if decision is None else decision.reason,
        evidence=None if decision is None else decision.evidence,
        engine=engine,
        tenant=case.request.caller.tenant or "",
        users=case.request.users,
    )
