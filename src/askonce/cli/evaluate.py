"""`askonce evaluate`: how well an embedder, a verifier and a policy judge labelled questions, beside baselines."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict, Unpack

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from askonce.config import DEFAULT_FEATURE, ConfigError, load
from askonce.errors import EmbedderUnavailable
from askonce.evaluation.comparison import BUDGETS, Comparison, compare
from askonce.evaluation.embeddings import Embeddings
from askonce.evaluation.engines import EMBEDDERS, VERIFIERS
from askonce.evaluation.latency import measure_latency
from askonce.evaluation.pairs import judge_pairs
from askonce.evaluation.plots import draw
from askonce.evaluation.report import latency_json, latency_text, pairs_json, pairs_text
from askonce.evaluation.sets import (
    PAIR_SETS,
    STREAM_SETS,
    BadFile,
    PairSet,
    StreamSet,
    arriving,
    read_pairs,
    read_stream,
    sampled,
)
from askonce.evaluation.stream_report import stream_json, stream_text
from askonce.evaluation.traffic import STREAM_BUDGETS, StreamComparison, Tier, compare_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from askonce.evaluation.latency import Latency
    from askonce.matching.verifier import Verifier

__all__ = ["evaluate"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_STDOUT: Final = Path("-")


class _Options(TypedDict):
    pairs: tuple[Path, ...]
    streams: tuple[Path, ...]
    limit: int | None
    shuffle: int | None
    seed: int
    embedder: str
    verifier: str
    policy: Path | None
    feature: str
    labels: int
    cache: Path | None


class _Terms(NamedTuple):
    """Under which terms to measure: similarity floor, budgets, pairs to refit on, and the seed of all choices."""

    floor: float
    budgets: list[float]
    labels: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a set came to; `latency` only with pairs."""

    result: Comparison | StreamComparison
    latency: Latency | None = None


@click.command(short_help="Measure the semantic tier on labelled questions.")
@click.option(
    "--pairs",
    type=_FILE,
    multiple=True,
    help="JSON lines of {a, b, y}, also kind; may be given more than once.",
)
@click.option(
    "--stream",
    "streams",
    type=_FILE,
    multiple=True,
    help="JSON lines of {t, c}: a question and its intent, in order of arrival; may be given more than once.",
)
@click.option(
    "--shuffle",
    type=click.IntRange(0),
    metavar="SEED",
    help="Let streams arrive in the random order of SEED.",
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

    Without --pairs and --stream: the evaluation sets in the folder that ASKONCE_DATA names.
    """
    if png is not None and importlib.util.find_spec("matplotlib") is None:
        raise click.ClickException("Plots need matplotlib: pip install 'askonce[evaluate]'")
    for file in (json_file, png, options["cache"]):
        if file is not None and not file.parent.is_dir():
            raise click.ClickException(f"{file}: there is no folder {file.parent}")
    try:
        measured = asyncio.run(_measure(_pair_sets(options), _stream_sets(options), _terms(options), options))
        _show(measured, json_file)
        if png is not None:
            draw([each.result for each in measured], png)
    except (BadFile, ConfigError, EmbedderUnavailable) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _show(measured: list[_Measured], json_file: Path | None) -> None:
    if json_file != _STDOUT:
        for each in measured:
            click.echo("\n".join(_text(each)))
    if json_file is None:
        return
    sets = {each.result.name: _json(each) for each in measured}
    # The only set's content stands on top too.
    content = {**(next(iter(sets.values())) if len(sets) == 1 else {}), "sets": sets}
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if json_file == _STDOUT:
        click.echo(text, nl=False)
    else:
        json_file.write_bytes(text)


def _text(measured: _Measured) -> Iterator[str]:
    match measured.result:
        case Comparison():
            yield from pairs_text(measured.result)
        case StreamComparison():
            yield from stream_text(measured.result)
    if measured.latency is not None:
        yield latency_text(measured.latency) + "\n"


def _json(measured: _Measured) -> dict[str, Any]:
    match measured.result:
        case Comparison():
            latency = measured.latency
            return {
                **pairs_json(measured.result),
                "latency": None if latency is None else latency_json(latency),
            }
        case StreamComparison():
            return stream_json(measured.result)


def _terms(options: _Options) -> _Terms:
    floor, budgets = -1.0, set(BUDGETS)
    if options["policy"] is not None:
        settings = load(options["policy"], os.environ)
        if options["feature"] not in settings.feature_names:
            raise click.ClickException(f"{options['policy']} has no feature {options['feature']!r}")
        policy = settings.policy_settings(options["feature"])
        floor = policy.similarity_floor
        budgets.add(policy.error_budget)
    return _Terms(floor, sorted(budgets), options["labels"], options["seed"])


def _data(folder: str) -> Path:
    return Path(os.environ.get("ASKONCE_DATA", "../shared/data")) / folder


def _given(options: _Options) -> bool:
    return bool(options["pairs"] or options["streams"])


def _pair_sets(options: _Options) -> list[PairSet]:
    named = [(path, "") for path in options["pairs"]]
    if not _given(options):
        named = [(_data("pairs") / f"{name}.jsonl", split) for name, split in PAIR_SETS]
    sets = []
    for (path, split), name in zip(named, _names([path for path, _ in named]), strict=True):
        rows = read_pairs(path, split)
        chosen = [rows[place] for place in sampled(len(rows), options["limit"], options["seed"])]
        if options["labels"] >= len(chosen):
            raise BadFile(
                path, None, f"--refit {options['labels']} leaves none of {len(chosen)} pairs to measure on"
            )
        sets.append(PairSet(name, chosen))
    return sets


def _stream_sets(options: _Options) -> list[StreamSet]:
    """The files given, in their order unless it is to be shuffled; the evaluation data's are sorted by intent."""
    limit, shuffle = options["limit"], options["shuffle"]
    files = [[path] for path in options["streams"]]
    if not _given(options):
        folder = _data("intents")
        files = [[folder / f"{name}_{part}.jsonl" for part in ("train", "test")] for name in STREAM_SETS]
        shuffle = options["seed"] if shuffle is None else shuffle
    names = _names(options["streams"]) if _given(options) else STREAM_SETS
    sets = []
    for paths, name in zip(files, names, strict=True):
        parts = [read_stream(path) for path in paths]
        texts = [text for part, _ in parts for text in part]
        intents = [intent for _, part in parts for intent in part]
        sets.append(arriving(name, texts, intents, limit=limit, shuffle=shuffle))
    return sets


def _names(paths: Sequence[Path]) -> list[str]:
    """Files' names without their endings, told apart by numbers where they are the same."""
    seen: Counter[str] = Counter()
    names = []
    for path in paths:
        seen[path.stem] += 1
        names.append(path.stem if seen[path.stem] == 1 else f"{path.stem}-{seen[path.stem]}")
    return names


async def _measure(
    pair_sets: list[PairSet], stream_sets: list[StreamSet], terms: _Terms, options: _Options
) -> list[_Measured]:
    chosen = VERIFIERS[options["verifier"]]()
    embedder = EMBEDDERS[options["embedder"]](chosen.projection)
    embedder.start()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    measured = []
    try:
        embeddings = Embeddings(embedder, options["cache"])
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            for pairs in pair_sets:
                advance = partial(progress.advance, progress.add_task(pairs.name, total=len(pairs.pairs)))
                measured.append(await _measure_pairs(pairs, embeddings, chosen.verifier, terms, advance))
            for stream in stream_sets:
                advance = partial(progress.advance, progress.add_task(stream.name, total=len(stream.texts)))
                questions = await embeddings.questions(stream.texts)
                embeddings.save()
                budgets = sorted({*STREAM_BUDGETS, *terms.budgets})
                tier = Tier(chosen.verifier, budgets, terms.floor, terms.seed)
                measured.append(_Measured(compare_on(stream, questions, tier, advance)))
    finally:
        await embedder.close()
    return measured


async def _measure_pairs(
    pairs: PairSet,
    embeddings: Embeddings,
    verifier: Verifier,
    terms: _Terms,
    advance: Callable[[int], None],
) -> _Measured:
    judged = await judge_pairs(pairs, embeddings, verifier, floor=terms.floor, advance=advance)
    latency = await measure_latency(pairs, embeddings, verifier)
    embeddings.save()
    comparison = compare(judged, verifier.calibration, terms.budgets, labels=terms.labels, seed=terms.seed)
    return _Measured(comparison, latency)
