"""Texts with their token states, and the labelled pairs that a verifier may be trained on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from scripts.verifier_edits import Editor, phrases

from askonce.embedders.minilm import FOLDER
from askonce.embedders.onnx import OnnxModel, Projection, read_manifest
from askonce.errors import EmbedderUnavailable

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from askonce.model import Vector

__all__ = [
    "QUESTIONS",
    "Pair",
    "Text",
    "edited_pairs",
    "embedded",
    "grouped_pairs",
    "intent_pairs",
    "labelled_pairs",
    "read",
    "written",
]

QUESTIONS: Final = Path(__file__).resolve().parent / "questions"
_PROMPTS: Final = ("arena_hard_v01", "mtbench", "selfinst_seed", "selfinst_user", "vicuna")
_SHORTEST: Final = 4
_LONGEST: Final = 35
_NEAREST: Final = 12
_DRAWN: Final = 2
_LEAST_SIMILARITY: Final = 0.5
_SLOPE: Final = 16.0
_MIDDLE: Final = 0.80
_MOST_TOKENS: Final = 126
_AT_ONCE: Final = 500
_APART: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A text as the embedder sees it: token ids (n,), states (n, 384) as float16, and the unit vector."""

    ids: NDArray[np.uint16]
    states: NDArray[np.float16]
    vector: Vector


class Pair(NamedTuple):
    """Two texts and the probability that both have the same answer."""

    one: str
    other: str
    same: float


def read(file: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def labelled_pairs(data: Path, name: str, split: str = "train") -> list[Pair]:
    """A set's labelled pairs of a split."""
    rows = read(data / "pairs" / f"{name}.jsonl")
    return [Pair(row["a"], row["b"], float(row["y"])) for row in rows if row["split"] == split]


def grouped_pairs(folder: Path, *, apart: bool) -> list[Pair]:
    """Pairs of the groups in a folder's files; `questions/README.md` says what a group is.

    Every eighth group is set `apart` for the last layer, which has to learn from what the aligner hasn't seen.
    """
    pairs = []
    for file in sorted(folder.glob("*.jsonl")):
        for place, group in enumerate(read(file)):
            if (place % _APART == 0) != apart:
                continue
            alike = [group["q"], *group["same"]]
            pairs += [Pair(one, other, 1.0) for one, other in combinations(alike, 2)]
            pairs += [Pair(one, other, 0.0) for one in alike for other in group["other"]]
    return pairs


def written(data: Path, rng: random.Random) -> list[str]:
    """Licence-clean texts to edit: questions, sentences of an encyclopaedia, sentences of prompts."""
    texts = []
    for name, count in (("clinc150_train", 5_000), ("banking77_train", 4_000)):
        texts += [row["t"] for row in rng.sample(read(data / "intents" / f"{name}.jsonl"), count)]
    texts += [pair.one for pair in rng.sample(labelled_pairs(data, "paws_wiki"), 4_500)]
    for name in _PROMPTS:
        for row in read(data / "prompts" / f"{name}.jsonl"):
            texts += [
                sentence
                for line in row["t"].splitlines()
                for sentence in line.replace("? ", "?\n").replace(". ", ".\n").splitlines()[:3]
                if _SHORTEST <= len(sentence.split()) <= _LONGEST
            ][:3]
    return [" ".join(text.split()) for text in texts]


def edited_pairs(texts: Sequence[str], rng: random.Random) -> list[Pair]:
    """For each text one pair that keeps its meaning and one that doesn't, where edits apply; sides at random."""
    details = [words[start:end] for words in map(str.split, texts) for start, end in phrases(words)]
    editor = Editor(rng, details)
    pairs = []
    for text in texts:
        for made in (editor.keep(text), editor.change(text)):
            if made is not None and made.edited != made.text:
                sides = [made.text, made.edited]
                rng.shuffle(sides)
                pairs.append(Pair(sides[0], sides[1], made.same))
    return pairs


def intent_pairs(rows: Sequence[dict[str, Any]], texts: dict[str, Text], rng: random.Random) -> list[Pair]:
    """Questions with near neighbours: other intents surely have other answers, the same intent perhaps the same.

    For lack of better knowledge the probability of the latter is sigmoid(16 * (cosine - 0.80)).
    """
    known = {row["t"]: row["c"] for row in rows if row["t"] in texts}
    names = list(known)
    vectors = np.array([texts[name].vector for name in names])
    pairs = []
    for place, similarities in enumerate(_rows(vectors)):
        name = names[place]
        similarities[place] = -1.0
        nearest = np.argpartition(-similarities, _NEAREST)[:_NEAREST]
        for other in rng.sample(sorted(nearest.tolist()), _DRAWN):
            similarity = float(similarities[other])
            if similarity >= _LEAST_SIMILARITY:
                likely = 1 / (1 + math.exp(-_SLOPE * (similarity - _MIDDLE)))
                pairs.append(Pair(name, names[other], likely if known[name] == known[names[other]] else 0.0))
    return pairs


def _rows(vectors: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Each vector's cosines to all, (n,)."""
    for start in range(0, len(vectors), _AT_ONCE):
        yield from vectors[start : start + _AT_ONCE] @ vectors.T


def embedded(texts: Iterable[str]) -> Iterator[tuple[str, Text]]:
    """Each text that the embedder takes, as it sees it."""

    def keep(states: NDArray[np.float32]) -> NDArray[np.int8]:
        return cast("NDArray[np.int8]", states.astype(np.float16))

    model = OnnxModel(FOLDER, read_manifest(FOLDER), Projection(keep, "states"))
    for text in texts:
        try:
            embedding = model.embed(text)
        except EmbedderUnavailable:
            continue
        tokens = embedding.tokens
        if tokens is not None and 0 < len(tokens.ids) <= _MOST_TOKENS:
            yield text, Text(tokens.ids, cast("NDArray[np.float16]", tokens.states), embedding.vector)
