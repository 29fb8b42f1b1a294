"""Measures whether error budgets are kept on streams of questions, and how many hits they leave.

    python bench/budget.py [--words] [--parts PART ...] [--seeds N] [--data NAME ...] [--budgets PERCENT ...]
                           [--length N] [--curves N] [--workers N] [--folder DIR] [--cache DIR] [--json FILE]

The right answer of a question is its intent. The last layer is trained on streams of the one data set and serves the
other. Budgets: each seed is played with and without drift (a tenth of the intents turn up half-way, 2 % of the
intents change their answer there), with a judge that is always right and with one that is wrong 5 % of the time. Curves:
hits at equal shares of wrong hits, beside cosine thresholds and vCache, all chosen with hindsight.

With --words the same streams are played by all of what ships: guards, aligner, last layer, stricter bars for few words.
Those weights have learned from the training parts of both data sets: --parts test plays unseen questions alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from askonce.embedders.packaged import packaged_projection, packaged_verifier
from askonce.evaluation.baselines import VCachePolicy
from askonce.evaluation.budgeted import BudgetedPolicy, Rules, train
from askonce.evaluation.streams import CosinePolicy, Drift, Tally, arrivals, best, load, play, stream_of
from askonce.evaluation.tier import WordEyes
from askonce.matching.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from askonce.evaluation.streams import Questions
    from askonce.matching.calibration import Calibration
    from askonce.matching.verifier import Verifier

NAMES = ("banking77", "clinc150")
TRAINING_SEEDS = range(1000, 1008)
TRAINING_LENGTH = 4000
TRAINING_DRIFT = Drift(changed=0.15)
"""More changes than are played, so that the record's part is learned from more than a handful."""
CURVE_SEEDS_FROM = 500
RATES = (0.01, 0.02, 0.03, 0.04, 0.05)
COSINES = tuple(float(level) for level in np.arange(0.70, 0.991, 0.01))
DELTAS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
KNOBS = (0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.13)


class Condition(NamedTuple):
    """What goes wrong in a stream."""

    drift: bool
    judge_error: float

    def __str__(self) -> str:
        return f"{'drift' if self.drift else 'steady'}, judge wrong {self.judge_error:.0%}"


class System(NamedTuple):
    """What is measured: a last layer over what neighbours say, or over all that the verifier sees."""

    calibration: Calibration
    verifier: Verifier | None = None

    def policy(self, questions: Questions, order: NDArray[np.int64], rules: Rules) -> BudgetedPolicy:
        """A fresh policy for these questions in this order."""
        if self.verifier is None:
            return BudgetedPolicy(rules, len(order))
        return BudgetedPolicy(
            rules, len(order), WordEyes([questions.known[place] for place in order], self.verifier)
        )


class Played(NamedTuple):
    """One stream under one budget."""

    condition: Condition
    budget: float
    tally: Tally
    breaches: int


CONDITIONS = tuple(Condition(drift, error) for drift in (False, True) for error in (0.0, 0.05))


def budgets_on(
    questions: Questions, system: System, budgets: Sequence[float], length: int, seed: int
) -> list[Played]:
    """One seed under all conditions and budgets."""
    played = []
    for condition in CONDITIONS:
        drift = Drift() if condition.drift else None
        stream = stream_of(questions, seed, length, drift)
        order = arrivals(questions, seed, length, drift).order
        for budget in budgets:
            rules = Rules(system.calibration, Budget(budget), judge_error=condition.judge_error, seed=seed)
            policy = system.policy(questions, order, rules)
            played.append(Played(condition, budget, play(stream, policy), policy.breaches))
    return played


def curves_on(
    questions: Questions, calibration: Calibration, length: int, seed: int
) -> dict[str, list[Tally]]:
    """One seed under each setting of each system."""
    stream = stream_of(questions, seed, length)
    budgeted = [Rules(calibration, Budget(knob), seed=seed) for knob in KNOBS]
    return {
        "cosine": [play(stream, CosinePolicy(level, length)) for level in COSINES],
        "vcache": [play(stream, VCachePolicy(delta, length, seed)) for delta in DELTAS],
        "askonce": [play(stream, BudgetedPolicy(rules, length)) for rules in budgeted],
    }


def most_hits(tallies: Sequence[Sequence[Tally]], rate: float) -> float:
    """The best setting's hits among all questions, over all seeds, at no more than a share of wrong hits."""
    chosen = best(dict(enumerate(map(Tally.total, zip(*tallies, strict=True)))), rate)
    return 0.0 if chosen is None else chosen[1].hit_rate


def print_budgets(name: str, played: Sequence[Played], budgets: Sequence[float]) -> list[dict[str, object]]:
    """A line for each condition and budget."""
    print(
        f"\n{name}: budgets\n{'':30}{'budget':>8}{'kept':>10}{'hits':>8}{'wrong':>8}{'worst':>8}{'audits':>8}{'alarms':>8}"
    )
    rows: list[dict[str, object]] = []
    for condition in CONDITIONS:
        for budget in budgets:
            some = [one for one in played if (one.condition, one.budget) == (condition, budget)]
            tallies = [one.tally for one in some]
            kept = sum(tally.false_hit_rate <= budget for tally in tallies)
            hits = float(np.mean([tally.hit_rate for tally in tallies]))
            wrong = sum(tally.wrong for tally in tallies) / max(1, sum(tally.hits for tally in tallies))
            worst = max(tally.false_hit_rate for tally in tallies)
            audits = sum(tally.asked_beside for tally in tallies) / max(
                1, sum(tally.hits for tally in tallies)
            )
            alarms = sum(one.breaches for one in some)
            print(
                f"{condition!s:30}{budget:8.1%}{kept:6}/{len(some):<3}{hits:8.1%}{wrong:8.2%}{worst:8.2%}{audits:8.1%}{alarms:8}"
            )
            rows.append(
                {
                    "condition": str(condition),
                    "budget": budget,
                    "kept": kept,
                    "of": len(some),
                    "hits": hits,
                    "wrong": wrong,
                }
            )
    return rows


def print_curves(name: str, curves: Sequence[dict[str, list[Tally]]]) -> list[dict[str, float]]:
    """A line for each share of wrong hits."""
    print(
        f"\n{name}: hits at equal shares of wrong hits\n{'wrong':>8}{'askonce':>10}{'cosine':>10}{'vcache':>10}{'ratios':>16}"
    )
    rows = []
    for rate in RATES:
        most = {system: most_hits([curve[system] for curve in curves], rate) for system in curves[0]}
        ratios = [most["askonce"] / max(1e-9, most[other]) for other in ("cosine", "vcache")]
        shown = "".join(f"{ratio:8.2f}" if ratio < 1e3 else f"{'inf':>8}" for ratio in ratios)
        print(f"{rate:8.1%}{most['askonce']:10.1%}{most['cosine']:10.1%}{most['vcache']:10.1%}{shown}")
        rows.append({"wrong": rate, **most})
    return rows


def measure(name: str, options: argparse.Namespace, sets: dict[str, Questions]) -> dict[str, object]:
    """Everything about one data set."""
    if options.words:
        system = System(packaged_verifier().calibration, packaged_verifier())
    else:
        other = next(each for each in NAMES if each != name)
        streams = [stream_of(sets[other], seed, TRAINING_LENGTH, TRAINING_DRIFT) for seed in TRAINING_SEEDS]
        system = System(train(streams))
    budgets = [percent / 100 for percent in options.budgets]
    with ProcessPoolExecutor(options.workers) as workers:
        one = partial(budgets_on, sets[name], system, budgets, options.length)
        played: Iterable[list[Played]] = workers.map(one, range(options.seeds))
        rows = print_budgets(name, [each for some in played for each in some], budgets)
        if options.words:
            return {"budgets": rows}
        curve = partial(curves_on, sets[name], system.calibration, options.length)
        seeds = range(CURVE_SEEDS_FROM, CURVE_SEEDS_FROM + options.curves)
        curves = list(workers.map(curve, seeds))
        return {"budgets": rows, "curves": print_curves(name, curves) if curves else []}


def main() -> None:
    """Reads the options, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--words", action="store_true", help="all of what ships rather than neighbours alone")
    parser.add_argument("--parts", nargs="+", choices=("train", "test"), default=("train", "test"))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--data", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--budgets", nargs="+", type=float, default=[1.0, 2.0, 5.0], metavar="PERCENT")
    parser.add_argument("--length", type=int, default=8000)
    parser.add_argument("--curves", type=int, default=5, help="seeds for the curves")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("ASKONCE_DATA", "../shared/data")))
    parser.add_argument("--cache", type=Path, help="folder that keeps embeddings between runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ending = "-words.npz" if options.words else ".npz"
    files = {name: options.cache and options.cache / f"{name}{ending}" for name in NAMES}
    project = packaged_projection() if options.words else None
    sets = {
        name: asyncio.run(load(options.folder, name, files[name], parts=options.parts, project=project))
        for name in (options.data if options.words else NAMES)
    }
    results = {name: measure(name, options, sets) for name in options.data}
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
