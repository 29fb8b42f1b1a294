"""Whether two answers mean the same, by the embedder and by their words: a small calibrated judge, refitted from others'.

Two answers to one question look alike even where they contradict each other, so that likeness alone never makes
them the same: where a number, a name, a negation or an opposite differs, the most that likeness can say is nothing.
"""

from __future__ import annotations

import asyncio
import math
import re
from difflib import SequenceMatcher
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson
import structlog

from askonce.errors import EmbedderUnavailable
from askonce.matching.analysis import analyse
from askonce.matching.calibration import Calibration, Label, Source, refit
from askonce.matching.guards import antonyms, code, direction, entities, language, pair_of, symbols, units
from askonce.matching.lexicon.antonyms import ANTONYM_PAIRS
from askonce.matching.terms import Kind, is_light
from askonce.matching.text import MAX_CHARACTERS
from askonce.pipeline.equality import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.calibration import Evidence
    from askonce.matching.guards import Pair
    from askonce.model import Vector
    from askonce.pipeline.threads import Threads
    from askonce.ports import Embedder, Store

__all__ = ["SHIPPED", "AnswerSimilarity"]

SHIPPED: Final = Calibration(np.array([12.0, 4.0, 4.0, 6.0, -1.0, -3.0]), -19.5)
"""Set by hand, steep on purpose: what isn't clear is left to others. The places are those of `_evidence`."""
_SAME: Final = 0.95
_DIFFERENT: Final = 0.03
_WINDOW_CHARACTERS: Final = 600
_WINDOW_CHARACTERS_DENSE: Final = 150
"""Scripts beyond ASCII take a token for every character or two."""
_MOST_WINDOWS: Final = 8
_MOST_WORDS: Final = 400
_FEW_WORDS: Final = 3
_ORDERED_WORDS: Final = 40
"""In texts of up to so many words, the order of those in common says who does what to whom."""
_TRIES: Final = 5
_PAUSE_S: Final = 0.2
_REST: Final = 3.0
"""Pause after each window, in its own durations: comparing takes a quarter of the embedder at most."""
_LABELS: Final = 400
_REFIT_EVERY: Final = 20
_KEPT: Final = "answer-similarity"
_log = structlog.get_logger("askonce.audit")
_LIST_MARK: Final = re.compile(r"^[ \t]*(?:\d{1,2}[.)]|[-*])[ \t]+", re.MULTILINE)
_YES: Final = frozenset({"yes", "yeah", "yep", "correct", "true", "right", "certainly", "absolutely"})
_NO: Final = frozenset({"no", "not", "nope", "incorrect", "false", "wrong"})
_OPPOSITES: Final = frozenset(frozenset(pair) for pair in ANTONYM_PAIRS)
_MOST_OPPOSED: Final = 50
_GUARDS: Final = (language, units, symbols, code, antonyms, entities, direction)


class AnswerSimilarity:
    """The judge between form and a language model.

    Its own labels are the language model's verdicts on answers that it compared; they are kept, and once there are
    enough, they refit its calibration, if that is better on labels held back.
    """

    def __init__(self, embedder: Embedder, store: Store, threads: Threads) -> None:
        self._embedder = embedder
        self._store = store
        self._threads = threads
        self._turn = asyncio.Lock()
        self._labels: list[Label] = []
        self._calibration = SHIPPED

    @property
    def calibration(self) -> Calibration:
        """The one in use."""
        return self._calibration

    async def compare(self, pairs: Sequence[tuple[str, str]]) -> tuple[Verdict, Evidence | None]:
        """The verdict on texts that have to agree pair by pair, and what it rests on where that is a single pair.

        Raises:
            EmbedderUnavailable: `embedder-…`; texts that can't be embedded are undecided.
        """
        verdicts = set()
        evidence = None
        for one, other in pairs:
            verdict, evidence = await self._compare(one, other)
            if verdict is Verdict.DIFFERENT:
                return verdict, evidence if len(pairs) == 1 else None
            verdicts.add(verdict)
        verdict = Verdict.UNDECIDED if Verdict.UNDECIDED in verdicts else Verdict.SAME
        return verdict, evidence if len(pairs) == 1 else None

    async def learn(self, evidence: Evidence, *, same: bool, at: float) -> None:
        """Takes over what another judge, or a person, said of two answers (Unix seconds)."""
        self._labels.append(_label(evidence, same=same, at=at))
        del self._labels[:-_LABELS]
        if len(self._labels) % _REFIT_EVERY == 0:
            await self._refit()
            rows = [[label.at, label.right, *map(float, label.evidence)] for label in self._labels]
            self._store.keep(_KEPT, orjson.dumps(rows))

    async def load(self) -> None:
        """Takes up what was learned before a restart, before anything new is; begins anew where that can't be done."""
        kept = self._store.kept(_KEPT)
        if kept is None:
            return
        try:
            self._labels = [
                _label(np.array(places, np.float32), same=same, at=at)
                for at, same, *places in orjson.loads(kept)
                if len(places) == len(SHIPPED.weights)
            ]
            await self._refit()
        except Exception:  # noqa: BLE001 - audits go on without it
            _log.exception("what was learned of answers can't be taken up")
            self._labels = []

    async def _refit(self) -> None:
        fitted = await self._threads.run(refit, SHIPPED, list(self._labels))
        self._calibration = fitted.calibration

    async def _compare(self, one: str, other: str) -> tuple[Verdict, Evidence | None]:
        pair, short = await self._threads.run(_read, one, other)
        whole = max(len(one), len(other)) <= MAX_CHARACTERS
        if whole and short is not None:
            return short, None
        try:
            vectors = [await self._embed(text) for text in (one, other)]
        except EmbedderUnavailable as unavailable:
            if unavailable.reason != "text-too-long":
                raise
            return Verdict.UNDECIDED, None
        evidence = await self._threads.run(_evidence, pair, *vectors)
        probability = self._calibration.probability(evidence)
        if probability <= _DIFFERENT:
            return Verdict.DIFFERENT, evidence
        whole = whole and max(len(_windows(text)) for text in (one, other)) <= _MOST_WINDOWS
        sure = probability >= _SAME and whole and not evidence[-1]
        return (Verdict.SAME if sure else Verdict.UNDECIDED), evidence

    async def _embed(self, text: str) -> Vector:
        """Vectors of a text's windows, (windows, dimensions). Those that ask for answers go first."""
        return np.stack([await self._embed_window(window) for window in _windows(text)[:_MOST_WINDOWS]])

    async def _embed_window(self, window: str) -> Vector:
        """One window at a time, with pauses: requests wait for the same embedder."""
        for attempt in range(_TRIES):
            async with self._turn:
                began = perf_counter()
                try:
                    return (await self._embedder.embed(window)).vector
                except EmbedderUnavailable as unavailable:
                    if unavailable.reason != "embedder-busy" or attempt == _TRIES - 1:
                        raise
                finally:
                    await asyncio.sleep(_REST * (perf_counter() - began))
            await asyncio.sleep(_PAUSE_S * 2**attempt)
        raise AssertionError


def _read(one: str, other: str) -> tuple[Pair, Verdict | None]:
    """What two answers say, and what can be said of them already; for a thread, since answers can be long."""
    pair = pair_of(*(analyse(_LIST_MARK.sub("", text)) for text in (one, other)))
    return pair, _short_verdict(pair)


def _short_verdict(pair: Pair) -> Verdict | None:
    """What can be said of answers that embedding can't tell apart: yes and no, a label, a name."""
    one, other = pair.asked, pair.stored
    if one.normal == other.normal:
        return Verdict.UNDECIDED if _objects(pair) else Verdict.SAME
    if _opposite_openings(one.normal, other.normal):
        return Verdict.DIFFERENT
    if min(len(one.normal), len(other.normal)) > _FEW_WORDS:
        return None
    heavy = [{term.key for term in side.terms if not is_light(term)} for side in (one, other)]
    matched = any(not is_light(term) for term, _ in pair.alignment.pairs)
    return Verdict.DIFFERENT if all(heavy) and not matched else Verdict.UNDECIDED


def _opposite_openings(one: Sequence[str], other: Sequence[str]) -> bool:
    opening = {*one[:1]} | {*other[:1]}
    return bool(opening & _YES) and bool(opening & _NO)


def _objects(pair: Pair) -> bool:
    """Whether something differs over which no likeness helps."""
    numbers = [{term.key for term in side.terms if term.kind is Kind.NUMBER} for side in pair[:2]]
    negations = {side.grammar.negations for side in pair[:2]}
    short = max(len(side.normal) for side in pair[:2]) <= _ORDERED_WORDS
    return (
        numbers[0] != numbers[1]
        or len(negations) > 1
        or (short and bool(pair.alignment.inverted))
        or _opposed(pair)
        or any(guard(pair) is not None for guard in _GUARDS)
    )


def _opposed(pair: Pair) -> bool:
    """Whether a word of one is the opposite of a word of the other, those included that carry no subject matter."""
    words = set(pair.asked.normal), set(pair.stored.normal)
    one, other = (sorted(mine - theirs)[:_MOST_OPPOSED] for mine, theirs in (words, words[::-1]))
    return any(frozenset((left, right)) in _OPPOSITES for left in one for right in other)


def _evidence(pair: Pair, one: Vector, other: Vector) -> Evidence:
    """What the calibration weighs, (6,).

    Likeness of the windows on average, and of the least alike; words in common, and how far in the same order; the
    difference in length; and whether anything objects.
    """
    cosines = one @ other.T
    nearest = cosines.max(axis=1), cosines.max(axis=0)
    words = pair.asked.normal[:_MOST_WORDS], pair.stored.normal[:_MOST_WORDS]
    common = _common(*words)
    order = SequenceMatcher(None, words[0], words[1], autojunk=False).ratio()
    gap = abs(math.log(max(1, len(words[0])) / max(1, len(words[1]))))
    likeness = float(nearest[0].mean() + nearest[1].mean()) / 2
    least = float(min(nearest[0].min(), nearest[1].min()))
    return np.array(
        [likeness, least, common, order / max(common, 0.01), min(gap, 3.0), _objects(pair)], np.float32
    )


def _common(one: Sequence[str], other: Sequence[str]) -> float:
    """Dice's coefficient of the words."""
    left, right = set(one), set(other)
    return 2 * len(left & right) / max(1, len(left) + len(right))


def _windows(text: str) -> list[str]:
    """The text's beginning, as far as it is compared, in pieces that the embedder can take whole, cut between words."""
    text = text[:MAX_CHARACTERS]
    width = _WINDOW_CHARACTERS if text.isascii() else _WINDOW_CHARACTERS_DENSE
    windows = [""]
    for word in text.split():
        piece = word[:width]
        if len(windows[-1]) + len(piece) >= width:
            windows.append("")
        windows[-1] += (" " if windows[-1] else "") + piece
    return windows


def _label(evidence: Evidence, *, same: bool, at: float) -> Label:
    return Label(evidence, same, propensity=1.0, at=at, served=False, source=Source.SHADOW)
