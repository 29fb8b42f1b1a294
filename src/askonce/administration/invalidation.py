"""Forgetting answers: those that a selection means, and those that answer what is equivalent to a question."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.administration.known import listed, shows_text
from askonce.errors import Refusal
from askonce.ports import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.gateway import Gateway
    from askonce.model import Neighbour, Policy, Question, Request
    from askonce.pipeline.decision import Decision
    from askonce.pipeline.semantic import Examination
    from askonce.ports import Listed

__all__ = ["Equivalent", "Equivalents", "Forgotten", "equivalents", "equivalents_of_text", "forget"]

_SAMPLE: Final = 20
_NEIGHBOURS: Final = 100
"""Looked at in each partition: what has more paraphrases than that takes a second call."""
_SHOWN: Final = 50
_MOST_CHOSEN: Final = 1_000
"""Questions that are shown: of those that go more than of those that stay."""


@dataclass(slots=True)
class Forgotten:
    """What went, or would go.

    Attributes:
        entries: Answers.
        links: Paraphrases that led to them; not counted where nothing goes.
        size_bytes: What the answers take in memory.
        sample: Some of the answers.
    """

    entries: int = 0
    links: int = 0
    size_bytes: int = 0
    sample: list[Listed] = field(default_factory=list)


class Equivalent(NamedTuple):
    """A stored question near the one that was named; `text` is None where its feature doesn't keep texts, or isn't known."""

    key: bytes
    similarity: float
    probability: float
    threshold: float
    reason: str
    chosen: bool
    text: str | None


class Equivalents(NamedTuple):
    """What answers what is equivalent.

    Attributes:
        entries: The answers' keys.
        chosen: How many questions are equivalent.
        questions: Those that were looked at, the chosen ones first, the likeliest first of each; the first of them alone.
    """

    entries: frozenset[bytes]
    chosen: int
    questions: tuple[Equivalent, ...]

    def among(self, selection: Selection) -> Selection:
        """Those of the entries that a selection means."""
        named = selection.entries
        return replace(selection, entries=self.entries if named is None else named & self.entries)


async def forget(gateway: Gateway, selection: Selection, *, dry_run: bool) -> Forgotten:
    """Forgets what a selection means, with the links to it and out of the index, some thousand at a time.

    Raises:
        Refusal: 503, the disk can't be read now; what memory knew is forgotten. Tags, where nothing else is named, are
            remembered besides: what only the disk knows goes once it is back, as long as this process lives.
    """
    parts, found = gateway.parts, Forgotten()
    by_tags = not dry_run and selection == Selection(tags=selection.tags)
    now = parts.clock.now()
    try:
        async for batch in parts.store.select(selection):
            _count(found, (one for one in batch if one.expires_at > now))
            if batch and not dry_run:
                keys = [one.key for one in batch]
                gone = await parts.store.discard(keys)
                found.links += len(gone) - len(keys)
                for key in gone:
                    if parts.store.peek(key) is None:  # it may have been put again meanwhile
                        parts.semantic.forget(key)
            await asyncio.sleep(0)
    except OSError:
        sentence = (
            f"The store's disk can't be read now: {found.entries} answers in memory were looked at, those that only "
            "the disk knows weren't. Send this again once /healthz says that the store is durable."
        )
        if by_tags:
            await parts.store.invalidate(sorted(selection.tags))
            sentence += " The tags are remembered until then, by this process."
        raise Refusal(503, "store_unreadable", sentence, retry_after_s=5) from None
    return found


async def equivalents(gateway: Gateway, request: Request, threshold: float | None) -> Equivalents:
    """What answers a request, or anything equivalent to it within its own partition. Raises Refusal."""
    own = [request.ask.exact_key] if request.ask.exact_key is not None else []
    question = await gateway.parts.semantic.describe(request)
    if question is None:
        if request.ask.text is not None:
            raise _no_vector()
        why = request.ask.unmatched or request.ask.unshared
        if not own:
            raise Refusal(400, "not_shared", f"Nothing is ever stored for this request: {why}.")
        return Equivalents(await _entries(gateway, own), 0, ())
    _check_threshold(gateway, request.policy, threshold)
    return await _around(gateway, question, [question.partition], request.policy, threshold, own)


async def equivalents_of_text(
    gateway: Gateway, text: str, feature: str, threshold: float | None, among: Selection
) -> Equivalents:
    """What answers a text, or anything equivalent to it, in every partition that has an entry among those meant.

    It is judged as the feature is served now. Raises Refusal.
    """
    parts = gateway.parts
    policy = parts.policies.named(feature)
    if policy is None:
        raise Refusal(404, "unknown_feature", "There is no such feature.", param="feature")
    _check_threshold(gateway, policy, threshold)
    question = await parts.semantic.embedded(text)
    if question is None:
        raise _no_vector()
    partitions: dict[bytes, None] = {}
    async for batch in parts.store.select(among):
        for one in batch:
            partition = parts.semantic.partition(one.key)
            if partition is not None:
                partitions[partition] = None
    return await _around(gateway, question, partitions, policy, threshold, [])


async def _around(  # noqa: PLR0917 - one search, told twice
    gateway: Gateway,
    question: Question,
    partitions: Iterable[bytes],
    policy: Policy,
    threshold: float | None,
    own: list[bytes],
) -> Equivalents:
    keys, seen = list(own), []
    for partition in partitions:
        examined = await gateway.parts.semantic.neighbourhood(question, partition, policy, _NEIGHBOURS)
        known = await _known(gateway, examined)
        for decision, near in _decided(examined):
            least = decision.threshold if threshold is None else threshold
            chosen = not decision.vetoed and decision.probability >= least
            if chosen:
                keys.append(decision.key)
            seen.append(
                Equivalent(
                    decision.key,
                    near.similarity,
                    decision.probability,
                    least,
                    decision.reason,
                    chosen,
                    near.text if shows_text(gateway, known.get(decision.key)) else None,
                )
            )
        await asyncio.sleep(0)
    seen.sort(key=lambda one: (not one.chosen, -one.probability))
    count = sum(one.chosen for one in seen)
    shown = seen[: max(_SHOWN, min(count, _MOST_CHOSEN))]
    return Equivalents(await _entries(gateway, keys), count, tuple(shown))


def _decided(examined: Examination) -> Iterable[tuple[Decision, Neighbour]]:
    near = {one.key: one for one in examined.neighbours}
    return ((decision, near[decision.key]) for decision in examined.finding.decisions)


async def _known(gateway: Gateway, examined: Examination) -> Mapping[bytes, Listed]:
    """What is known of the entries that were looked at, as far as the disk can be read."""
    try:
        return await listed(gateway, [decision.key for decision in examined.finding.decisions])
    except OSError:
        return {}


async def _entries(gateway: Gateway, keys: Iterable[bytes]) -> frozenset[bytes]:
    """The keys, and those of the entries that they are links to."""
    found = set(keys)
    for key in tuple(found):
        stored = await gateway.parts.store.get(key)
        if stored is not None:
            found.add(stored.entry.key)
    return frozenset(found)


def _count(found: Forgotten, batch: Iterable[Listed]) -> None:
    for one in batch:
        found.entries += 1
        found.size_bytes += one.size_bytes
        if len(found.sample) < _SAMPLE:
            found.sample.append(one)


def _check_threshold(gateway: Gateway, policy: Policy, threshold: float | None) -> None:
    """Refuses where nothing would be served, so that nothing would be found, unless a threshold is named."""
    if threshold is None and gateway.parts.budgets.serving(policy.feature).threshold > 1:
        sentence = (
            f"The feature {policy.feature!r} serves no equivalent answers now: name the least probability yourself, as "
            "`threshold`."
        )
        raise Refusal(409, "no_threshold", sentence, param="threshold")


def _no_vector() -> Refusal:
    return Refusal(
        503,
        "no_vector",
        "This text has no vector now: the embedder is off, still loading or busy, or the text is too long.",
    )
