"""`askonce evaluate`: how well an embedder, a verifier and a policy judge labelled questions, beside baselines."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from askonce.errors import EmbedderUnavailable
from askonce.evaluation.comparison import BUDGETS, compare
from askonce.evaluation.embeddings import Embeddings
from askonce.evaluation.engines import EMBEDDERS, VERIFIERS
from askonce.evaluation.pairs import judge_pairs
from askonce.evaluation.report import pairs_json, pairs_text
from askonce.evaluation.sets import PAIR_SETS, BadFile, PairSet, read_pairs, sampled

if TYPE_CHECKING:
    from askonce.evaluation.comparison import Comparison

__all__ = ["evaluate"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_STDOUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    pair_sets: tuple[PairSet, ...]
    embedder: str
    verifier: str
    cache: Path | None
    labels: int
    seed: int
    floor: float
    budgets: tuple[float, ...]


@click.command(short_help="Measure the semantic tier on labelled questions.")
@click.option("--pairs", type=_FILE, multiple=True, help="JSON lines of {a, b, y}; may be given again.")
@click.option(
    "--limit", type=click.IntRange(1), help="Measure at most so many pairs of each set, chosen by --seed."
)
@click.option("--embedder", type=click.Choice(list(EMBEDDERS)), default="minilm", show_default=True)
@click.option(
    "--verifier", type=click.Choice(list(VERIFIERS)), default=next(iter(VERIFIERS)), show_default=True
)
@click.option(
    "--refit", "labels", type=click.IntRange(0), default=0, help="Refit on so many pairs of each set."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--cache", type=_FILE, help="Keep embeddings in this file between runs.")
@click.option("--json", "json_file", is_flag=False, flag_value=_STDOUT, metavar="[FILE]", help="Write JSON.")
def evaluate(json_file: str | None, **options: Any) -> None:
    """Measure how well askonce tells questions with the same answer from look-alikes, beside plain cosine."""
    try:
        plan = _plan(**options)
        comparisons = asyncio.run(_measure(plan))
    except (BadFile, EmbedderUnavailable) as error:
        raise click.ClickException(str(error)) from None
    results = {each.name: pairs_json(each) for each in comparisons}
    content: dict[str, Any] = {"sets": results}
    if len(results) == 1:
        content |= next(iter(results.values()))
    if json_file != _STDOUT:
        for comparison in comparisons:
            click.echo("\n".join(pairs_text(comparison)))
    if json_file is not None:
        text = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
        if json_file == _STDOUT:
            click.echo(text)
        else:
            Path(json_file).write_text(text + "\n", encoding="utf-8")


def _plan(
    *,
    pairs: tuple[Path, ...],
    limit: int | None,
    embedder: str,
    verifier: str,
    labels: int,
    seed: int,
    cache: Path | None,
) -> Plan:
    data = Path(os.environ.get("ASKONCE_DATA", "../shared/data")) / "pairs"
    named = [(path, "") for path in pairs] or [(data / f"{name}.jsonl", split) for name, split in PAIR_SETS]
    sets = []
    for path, split in named:
        rows = read_pairs(path, split)
        sets.append(PairSet(path.stem, [rows[place] for place in sampled(len(rows), limit, seed)]))
    return Plan(tuple(sets), embedder, verifier, cache, labels, seed, -1.0, BUDGETS)


async def _measure(plan: Plan) -> list[Comparison]:
    verifier = VERIFIERS[plan.verifier]()
    embedder = EMBEDDERS[plan.embedder]()
    embedder.start()
    try:
        embeddings = Embeddings(embedder, plan.cache)
        comparisons = []
        for pairs in plan.pair_sets:
            judged = await judge_pairs(pairs, embeddings, verifier, plan.floor)
            embeddings.save()
            comparisons.append(
                compare(judged, verifier.calibration, plan.budgets, labels=plan.labels, seed=plan.seed)
            )
        return comparisons
    finally:
        await embedder.close()
