"""`askonce evaluate`: how well an embedder, a verifier and a policy judge labelled questions, beside baselines."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from askonce.config import DEFAULT_FEATURE, ConfigError, load
from askonce.errors import EmbedderUnavailable
from askonce.evaluation.comparison import BUDGETS, compare
from askonce.evaluation.embeddings import Embeddings
from askonce.evaluation.engines import EMBEDDERS, VERIFIERS
from askonce.evaluation.latency import measure_latency
from askonce.evaluation.pairs import judge_pairs
from askonce.evaluation.plots import draw
from askonce.evaluation.report import latency_text, pairs_json, pairs_text
from askonce.evaluation.sets import PAIR_SETS, BadFile, PairSet, read_pairs, sampled

if TYPE_CHECKING:
    from askonce.config import PolicySettings
    from askonce.evaluation.comparison import Comparison
    from askonce.evaluation.latency import Latency

__all__ = ["evaluate"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_STDOUT: Final = Path("-")


class _Options(TypedDict):
    pairs: tuple[Path, ...]
    limit: int | None
    seed: int
    embedder: str
    verifier: str
    policy: Path | None
    feature: str
    labels: int
    cache: Path | None


@dataclass(frozen=True, slots=True)
class _Measured:
    comparison: Comparison
    latency: Latency | None


@click.command(short_help="Measure the semantic tier on labelled questions.")
@click.option(
    "--pairs",
    type=_FILE,
    multiple=True,
    help="JSON lines of {a, b, y}, also kind; may be given more than once.",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Measure N rows of each set, chosen by --seed."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Chooses rows.")
@click.option(
    "--embedder", type=click.Choice(list(EMBEDDERS)), default=next(iter(EMBEDDERS)), show_default=True
)
@click.option(
    "--verifier", type=click.Choice(list(VERIFIERS)), default=next(iter(VERIFIERS)), show_default=True
)
@click.option("--policy", type=_FILE, help="Configuration whose similarity floor and error budget to take.")
@click.option("--feature", default=DEFAULT_FEATURE, show_default=True, help="The feature of --policy.")
@click.option(
    "--refit",
    "labels",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Refit the verifier's last layer on N pairs of each set, measure on the others.",
)
@click.option("--cache", type=_FILE, help="Keep embeddings in this file between runs.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    is_flag=False,
    flag_value=_STDOUT,
    metavar="[FILE]",
    help="Write JSON, to the standard output unless a file is named.",
)
@click.option("--png", type=_FILE, help="Plot into this file (needs the extra `evaluate`).")
def evaluate(json_file: Path | None, png: Path | None, **options: Unpack[_Options]) -> None:
    """Measure how well askonce tells questions that share an answer from look-alikes, beside plain cosine.

    Without --pairs: the evaluation sets in the folder that ASKONCE_DATA names.
    """
    if png is not None and importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException("Plots need matplotlib: pip install 'askonce[evaluate]'")
    for file in (json_file, png, options["cache"]):
        if file is not None and not file.parent.is_dir():
            raise click.ClickException(f"{file}: there is no folder {file.parent}")
    try:
        measured = asyncio.run(_measure(_sets(options), _policy(options), options))
        _show(measured, json_file)
        if png is not None:
            draw([each.comparison for each in measured], png)
    except (BadFile, ConfigError, EmbedderUnavailable) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _show(measured: list[_Measured], json_file: Path | None) -> None:
    if json_file != _STDOUT:
        for each in measured:
            click.echo("\n".join(pairs_text(each.comparison)))
            if each.latency is not None:
                click.echo(latency_text(each.latency) + "\n")
    if json_file is None:
        return
    content = orjson.dumps(_json(measured), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if json_file == _STDOUT:
        click.echo(content, nl=False)
    else:
        json_file.write_bytes(content)


def _json(measured: list[_Measured]) -> dict[str, Any]:
    """All sets by name; the only set's content on top too."""
    sets = {}
    for each in measured:
        sets[each.comparison.name] = pairs_json(each.comparison)
        sets[each.comparison.name]["latency"] = None if each.latency is None else each.latency._asdict()
    only = next(iter(sets.values())) if len(sets) == 1 else {}
    return {**only, "sets": sets}


def _policy(options: _Options) -> PolicySettings | None:
    if options["policy"] is None:
        return None
    settings = load(options["policy"], os.environ)
    if options["feature"] not in settings.feature_names:
        raise click.ClickException(f"{options['policy']} has no feature {options['feature']!r}")
    return settings.policy_settings(options["feature"])


def _sets(options: _Options) -> list[PairSet]:
    data = Path(os.environ.get("ASKONCE_DATA", "../shared/data")) / "pairs"
    named = [(path, "") for path in options["pairs"]]
    sets = []
    seen: Counter[str] = Counter()
    for path, split in named or [(data / f"{name}.jsonl", split) for name, split in PAIR_SETS]:
        rows = read_pairs(path, split)
        chosen = [rows[place] for place in sampled(len(rows), options["limit"], options["seed"])]
        if options["labels"] >= len(chosen):
            raise BadFile(
                path, None, f"--refit {options['labels']} leaves none of {len(chosen)} pairs to measure on"
            )
        seen[path.stem] += 1
        name = path.stem if seen[path.stem] == 1 else f"{path.stem}-{seen[path.stem]}"
        sets.append(PairSet(name, chosen))
    return sets


async def _measure(sets: list[PairSet], policy: PolicySettings | None, options: _Options) -> list[_Measured]:
    verifier = VERIFIERS[options["verifier"]]()
    embedder = EMBEDDERS[options["embedder"]]()
    embedder.start()
    budgets = sorted({*BUDGETS, policy.error_budget} if policy is not None else BUDGETS)
    floor = policy.similarity_floor if policy is not None else -1.0
    measured = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        embeddings = Embeddings(embedder, options["cache"])
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            for pairs in sets:
                task = progress.add_task(pairs.name, total=len(pairs.pairs))
                judged = await judge_pairs(
                    pairs,
                    embeddings,
                    verifier,
                    floor=floor,
                    advance=lambda count, task=task: progress.advance(task, count),  # type: ignore[misc]
                )
                embeddings.save()
                comparison = compare(
                    judged, verifier.calibration, budgets, labels=options["labels"], seed=options["seed"]
                )
                measured.append(_Measured(comparison, await measure_latency(pairs, embeddings, verifier)))
        embeddings.save()
    finally:
        await embedder.close()
    return measured
