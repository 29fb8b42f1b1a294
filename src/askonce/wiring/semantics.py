"""The semantic tier with all that keeps its promise: budgets, audits, judges and links."""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.embedders.packaged import packaged_verifier
from askonce.matching.budget import Budget
from askonce.pipeline.audit import Auditor, Desk, Effects
from askonce.pipeline.background import BackgroundCalls, Purse
from askonce.pipeline.budgets import Budgets
from askonce.pipeline.equivalence import Equivalence
from askonce.pipeline.judge import Judge, LanguageModelJudge
from askonce.pipeline.links import Links
from askonce.pipeline.records import Records
from askonce.pipeline.semantic import SemanticTier
from askonce.pipeline.similarity import AnswerSimilarity
from askonce.pipeline.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from askonce.config import AuditSettings, Settings
    from askonce.matching.calibration import Calibration
    from askonce.model import Question
    from askonce.pipeline.prices import Prices
    from askonce.ports import Clock, Store
    from askonce.wiring.adapters import Adapters

__all__ = ["Semantics", "semantics"]

_NANOUSD: Final = 1e9


@dataclass(frozen=True, slots=True)
class Semantics:
    """The parts, and their common life."""

    tier: SemanticTier
    budgets: Budgets
    records: Records
    links: Links
    equivalence: Equivalence
    auditor: Auditor
    purse: Purse
    similarity: AnswerSimilarity | None
    judging: Threads
    store: Store

    def start(self) -> None:
        """Begins to work; what earlier audits found is known before any stored question can be found."""
        self.budgets.load_states()
        self.purse.load()
        self.auditor.start()
        restoring = self.tier.in_background(self._restore())
        self.tier.start(self._stored_questions(restoring))

    async def close(self, timeout_s: float) -> None:
        """Ends in the order in which the parts need one another."""
        await self.auditor.close(timeout_s)
        await self.tier.close()
        await self.budgets.close()
        self.judging.close()

    @property
    def breached(self) -> list[str]:
        """Features whose error budget is breached."""
        return [one.feature for one in self.budgets.standings() if one.breached_at is not None]

    async def _restore(self) -> None:
        if self.similarity is not None:
            await self.similarity.load()
        await self.auditor.restore()

    async def _stored_questions(self, restoring: asyncio.Task[None]) -> AsyncIterator[Sequence[Question]]:
        await asyncio.wait({restoring})
        async for questions in self.store.questions():
            yield questions


def semantics(settings: Settings, adapters: Adapters, prices: Prices, clock: Clock) -> Semantics:
    """All parts, wired to one another, nothing started."""
    store, embedder, observer = adapters.store, adapters.embedder, adapters.observer
    verifier, records = packaged_verifier(), Records()
    promises = {name: Budget(settings.policy_settings(name).error_budget) for name in settings.feature_names}
    engine = f"{embedder.engine if embedder is not None else 'none'}/{_digest(verifier.calibration)}"
    budgets = Budgets(promises, verifier.calibration, engine, store, clock)
    tier = SemanticTier(
        embedder, adapters.index, verifier, budgets=budgets, records=records, observer=observer
    )
    links = Links(store, tier, records)
    judging = Threads(settings.audit.concurrency, "judging")
    similarity = AnswerSimilarity(embedder, store, judging) if embedder is not None else None
    purse = Purse(store, clock, round(settings.audit.daily_limit_usd * _NANOUSD))
    calls = BackgroundCalls(
        adapters.dispatcher,
        prices,
        purse,
        round(settings.audit.unknown_price_usd * _NANOUSD),
        settings.audit.pass_through,
    )
    judge = Judge(similarity, _model_judge(settings.audit, calls, adapters), clock, judging)
    effects = Effects(store, links, records, budgets, observer, clock)
    desk = Desk(settings.audit.max_queue, settings.audit.concurrency, settings.audit.timeout_s)
    draw = random.Random().random  # noqa: S311 - a sample, not a secret
    auditor = Auditor(effects, judge, calls.ask, draw, desk)
    equivalence = Equivalence(tier, budgets=budgets, links=links, audits=auditor, store=store, clock=clock)
    return Semantics(tier, budgets, records, links, equivalence, auditor, purse, similarity, judging, store)


def _model_judge(
    settings: AuditSettings, calls: BackgroundCalls, adapters: Adapters
) -> LanguageModelJudge | None:
    if settings.judge is None:
        return None
    return LanguageModelJudge(
        calls.ask, settings.judge.model, adapters.dispatcher.route(settings.judge.model)
    )


def _digest(calibration: Calibration) -> str:
    """Tells verifiers apart: evidence of one means nothing to another."""
    material = calibration.weights.tobytes() + repr(calibration.bias).encode()
    return hashlib.sha256(material).hexdigest()[:12]
