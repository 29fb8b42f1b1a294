"""Trains the packaged verifier: the aligner from licence-clean pairs, then its last layer.

A maintainer runs it and commits what it writes; users and the test suite never do. It needs torch beside the project:

    python3 -m venv build/verifier
    build/verifier/bin/pip install torch==2.13.0 -e .
    build/verifier/bin/python -m scripts.train_verifier

It takes less than half an hour on two cores. Teachers (the same network with other seeds and other draws of the
data) are trained on labels; the student that ships learns their mean log odds on all pairs, so that one small model has
the judgement of several (Hinton et al. 2015, arXiv 1503.02531). Trained on: PAWS-Wiki's training split, the synthetic
pairs' training split, near neighbours within CLINC150's and BANKING77's training questions, edits of their texts
and of public prompts, and the groups of questions beside this script. The trap suite trains nothing. Same data, seed and versions: the same file but for the order of floating-point sums.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from scripts.verifier_last_layer import last_layer
from scripts.verifier_network import Network
from scripts.verifier_texts import (
    QUESTIONS,
    Pair,
    edited_pairs,
    grouped_pairs,
    intent_pairs,
    labelled_pairs,
    read,
    written,
)
from scripts.verifier_training import TEXTS, embed_all, fit, score
from torch.nn import functional

from askonce.matching.aligner import Aligner

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "src" / "askonce" / "data" / "verifier" / "verifier.npz"
SEED: Final = 11
TEACHERS: Final = 4
EDITS_WEIGHT: Final = 0.4
EDITS_DRAWN: Final = 15_000
INTENTS_DRAWN: Final = 9_000
TEACHER_EPOCHS: Final = 3
STUDENT_EPOCHS: Final = 4
MOST_LOGIT: Final = 9.0


def main() -> None:
    """Reads the command line, trains, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = Path(os.environ.get("ASKONCE_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="folder of pairs/, intents/ and prompts/")
    parser.add_argument("--target", type=Path, default=TARGET, help="the file to write")
    parser.add_argument("--last-layer-only", action="store_true", help="keep the target's aligner")
    arguments = parser.parse_args()
    began = time.monotonic()
    arrays: dict[str, Any]
    if arguments.last_layer_only:
        with np.load(arguments.target, allow_pickle=False) as known:
            arrays = {name: known[name] for name in known.files}
    else:
        sources = sources_of(arguments.data, random.Random(SEED))  # noqa: S311 - a training run, not a secret
        print({name: len(pairs) for name, pairs in sources.items()}, flush=True)
        arrays = student_of(sources).arrays()
    arrays |= last_layer(arguments.data, Aligner.of(arrays))
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.target, **arrays)
    print(f"wrote {arguments.target} after {time.monotonic() - began:.0f} s")


def student_of(sources: dict[str, list[Pair]]) -> Network:
    """The student of several teachers."""
    with ProcessPoolExecutor(2, get_context("fork")) as processes:
        logits = list(processes.map(teach, range(TEACHERS), [sources] * TEACHERS))
    taught = np.clip(np.mean(logits, axis=0), -MOST_LOGIT, MOST_LOGIT)
    goals = torch.from_numpy(taught.astype(np.float32))
    torch.manual_seed(SEED)
    student = Network(closeness=1.0, dropout=0.0)

    def loss(odds: Tensor, places: list[int]) -> Tensor:
        return functional.smooth_l1_loss(odds, goals[places])

    fit(student, [pair for pairs in sources.values() for pair in pairs], loss, STUDENT_EPOCHS, seed=SEED)
    return student


def sources_of(data: Path, rng: random.Random) -> dict[str, list[Pair]]:
    """All pairs by source; embeds their texts on the way."""
    sources = {
        "paws": labelled_pairs(data, "paws_wiki"),
        "synthetic": labelled_pairs(data, "synthetic"),
        "edits": edited_pairs(written(data, rng), rng),
        "questions": grouped_pairs(QUESTIONS, apart=False),
    }
    intents = {name: read(data / "intents" / f"{name}_train.jsonl") for name in ("clinc150", "banking77")}
    wanted = {text for pairs in sources.values() for pair in pairs for text in (pair.one, pair.other)}
    wanted |= {row["t"] for rows in intents.values() for row in rows}
    embed_all(sorted(wanted))
    sources |= {name: intent_pairs(rows, TEXTS, rng) for name, rows in intents.items()}
    return {
        name: [pair for pair in pairs if pair.one in TEXTS and pair.other in TEXTS]
        for name, pairs in sources.items()
    }


def teach(seed: int, sources: dict[str, list[Pair]]) -> NDArray[np.float32]:
    """Trains a teacher on a draw of the pairs; its log odds for all of them, (n,)."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = random.Random(seed)  # noqa: S311 - a training run, not a secret
    # In the written questions look-alikes share more words than paraphrases do; elsewhere it is the other way round.
    # Half of the teachers know them: the mean doesn't take overlap for a sign of either.
    drawn = sources["paws"] + sources["synthetic"] + (sources["questions"] if seed < TEACHERS // 2 else [])
    edits = rng.sample(sources["edits"], min(EDITS_DRAWN, len(sources["edits"])))
    weights = torch.tensor([1.0] * len(drawn) + [EDITS_WEIGHT] * len(edits))
    drawn += edits
    for name in ("clinc150", "banking77"):
        drawn += rng.sample(sources[name], min(INTENTS_DRAWN, len(sources[name])))
    weights = torch.cat([weights, torch.ones(len(drawn) - len(weights))])
    labels = torch.tensor([pair.same for pair in drawn])
    # Every other teacher leans on the cosine less: their errors differ, and so cancel better.
    teacher = Network(closeness=1.0 if seed % 2 == 0 else 0.01, dropout=0.1)

    def loss(odds: Tensor, places: list[int]) -> Tensor:
        entropy = functional.binary_cross_entropy_with_logits(odds, labels[places], reduction="none")
        return (entropy * weights[places]).mean()

    fit(teacher, drawn, loss, TEACHER_EPOCHS, seed=seed)
    return score(teacher, [pair for pairs in sources.values() for pair in pairs])


if __name__ == "__main__":
    main()
