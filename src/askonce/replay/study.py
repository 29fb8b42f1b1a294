"""A log played as configured, and under all the scenarios of the sensitivity table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from askonce.replay import estimate
from askonce.replay.meaning import Meaning, embedded, sampled
from askonce.replay.scenario import BUDGETS, LAYERS, TTLS_S, Scenario, applied
from askonce.replay.simulation import play

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.matching.verifier import Verifier
    from askonce.ports import Embedder
    from askonce.replay.estimate import Audits, Beyond, Latency, Period, Sums, Wrong
    from askonce.replay.rules import Rules
    from askonce.replay.scenario import FeatureRules
    from askonce.replay.simulation import Played
    from askonce.replay.traffic import Traffic
    from askonce.replay.watching import Watcher

__all__ = ["Cell", "Sample", "Study", "prepare", "study"]

_GROUPS: Final = 50
_CONFIGURED: Final = Scenario()


class Sample(NamedTuple):
    """For how many of a log's questions the semantic tier is played, and how many texts it had to embed."""

    questions: int
    taken: int
    texts: int


class Cell(NamedTuple):
    """One scenario, and what it came to."""

    scenario: Scenario
    sums: Sums
    audits: Audits

    @property
    def net_nanousd(self) -> int:
        """What is saved, less what audits cost."""
        return self.sums.saved_nanousd - self.audits.cost_nanousd


class Study(NamedTuple):
    """All that is known of a log.

    Attributes:
        traffic: The log.
        total: As configured.
        features: The same by feature.
        tenants: The same by tenant, those with most calls avoided.
        models: The same by model.
        before: What callers wait without the gateway.
        after: What they wait with it.
        periods: Outcomes over the log's span.
        wrong: What is known of wrong semantic hits.
        audits: What checking semantic hits costs.
        beyond: What the sample leaves out; None where it is all.
        sample: What the semantic tier was played for.
        cells: The sensitivity table.
    """

    traffic: Traffic
    total: Sums
    features: dict[str, Sums]
    tenants: dict[str, Sums]
    models: dict[str, Sums]
    before: Latency
    after: Latency
    periods: Sequence[Period]
    wrong: Wrong
    audits: Audits
    beyond: Beyond | None
    sample: Sample
    cells: Sequence[Cell]

    @property
    def net_nanousd(self) -> int:
        """What is saved, less what audits cost."""
        return self.total.saved_nanousd - self.audits.cost_nanousd


async def prepare(
    traffic: Traffic, rules: Rules, embedder: Embedder, verifier: Verifier, *, most: int, watcher: Watcher
) -> tuple[Meaning, Sample]:
    """Embeds the log's questions, at most `most` of them.

    Raises:
        EmbedderUnavailable: The embedder can't load.
    """
    taken = sampled(traffic.questions, most)
    chosen = [traffic.questions[place].text for place in np.flatnonzero(taken).tolist()]
    different = list(dict.fromkeys(chosen))
    with watcher.step("Embedding questions", len(different)) as advance:
        texts = await embedded(embedder, different, advance)
    floor = min((policy.similarity_floor for policy in rules.policies.values()), default=0.0)
    with watcher.step("Finding neighbours", None):
        meaning = Meaning(traffic.questions, taken, texts, _classes(traffic), verifier=verifier, floor=floor)
    return meaning, Sample(len(traffic.questions), int(taken.sum()), len(different))


def study(
    traffic: Traffic,
    rules: Rules,
    verifier: Verifier,
    prepared: tuple[Meaning, Sample] | None,
    watcher: Watcher,
) -> Study:
    """Plays the log as configured and, with one preparation for all, under each scenario.

    Args:
        traffic: The log.
        rules: The gateway's.
        verifier: Whose calibration sets thresholds.
        prepared: As `prepare` gives it; None plays without a semantic tier.
        watcher: Shown how far it is.
    """
    meaning, sample = prepared or (None, Sample(len(traffic.questions), 0, 0))
    with watcher.step("Playing as configured", len(traffic)) as advance:
        treated = applied(_CONFIGURED, rules, verifier.calibration)
        played = play(traffic, treated, meaning, advance)
        configured = _cell(_CONFIGURED, traffic, played, treated)
    scenarios = list(_scenarios(semantic=meaning is not None))
    cells = []
    with watcher.step("Playing scenarios", len(scenarios)) as advance:
        for scenario in scenarios:
            treated = applied(scenario, rules, verifier.calibration)
            cells.append(_cell(scenario, traffic, play(traffic, treated, meaning), treated))
            advance(1)
    return _study(traffic, played, sample, configured, cells)


def _cell(scenario: Scenario, traffic: Traffic, played: Played, rules: Sequence[FeatureRules]) -> Cell:
    total = estimate.sums(traffic, played)
    return Cell(scenario, total, estimate.audits(traffic, played, rules, total))


def _study(
    traffic: Traffic, played: Played, sample: Sample, configured: Cell, cells: Sequence[Cell]
) -> Study:
    feature = np.array([kind.feature for kind in traffic.kinds], np.int32)[traffic.kind]
    return Study(
        traffic=traffic,
        total=configured.sums,
        features=estimate.by_group(traffic, played, feature, traffic.features, _GROUPS),
        tenants=estimate.by_group(traffic, played, traffic.tenant, traffic.tenants, _GROUPS),
        models=estimate.by_group(traffic, played, traffic.model, traffic.models, _GROUPS),
        before=estimate.latency(traffic, None),
        after=estimate.latency(traffic, played),
        periods=estimate.periods(traffic, played),
        wrong=estimate.wrong(traffic, played),
        audits=configured.audits,
        beyond=estimate.beyond(traffic, played),
        sample=sample,
        cells=cells,
    )


def _scenarios(*, semantic: bool) -> Iterator[Scenario]:
    """Every TTL with every budget, and at every TTL each layer left out; without the TTL what doesn't depend on it."""
    for ttl_s in TTLS_S:
        for budget in BUDGETS if semantic else ():
            yield Scenario(ttl_s, budget)
        for layer in LAYERS:
            if layer != "exact":
                yield Scenario(ttl_s, None, frozenset({layer}))
    yield Scenario(None, None, frozenset({"exact"}))


def _classes(traffic: Traffic) -> list[int]:
    """What tells the answer of each question apart: that of the first request that asked it and has one."""
    classes = [-1] * len(traffic.questions)
    kinds = traffic.kinds
    for kind, answer in zip(traffic.kind.tolist(), traffic.answer.tolist(), strict=True):
        question = kinds[kind].question
        if answer >= 0 and question >= 0 and classes[question] < 0:
            classes[question] = answer
    return classes
