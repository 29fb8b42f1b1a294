"""What the tier decides: by the verifier's evidence, the feature's threshold and what was judged before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from threading import Event, current_thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from askonce.errors import EmbedderUnavailable
from askonce.matching.budget import Budget
from askonce.matching.calibration import Calibration
from askonce.matching.verifier import Asked, Candidate, Judgement
from askonce.model import Audit, Neighbour, Question, SemanticMode, Tokens
from askonce.pipeline.budgets import Budgets
from askonce.pipeline.records import Records
from askonce.pipeline.semantic import SemanticTier
from askonce.ports import Embedding
from fakes import FakeClock, FakeObserver, FakeStore, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from threading import Thread

    from askonce.matching.vocabulary import Vocabulary
    from askonce.model import Request, Vector

TOKENS = Tokens(np.zeros(3, np.uint16), np.zeros((3, 64), np.int8))
SHIPPED = Calibration(np.array([1.0]), 0.0)
TEXT = "How do I change the channel of my router?"


class Verifier:
    """Says of each stored text what it was told to: log odds, and perhaps a veto or a doubt."""

    calibration = SHIPPED

    def __init__(self, **words: tuple[str, str, float]) -> None:
        self.words = words
        self.seen: list[Candidate] = []
        self.thread: Thread | None = None
        self.gate: Event | None = None

    def judge(
        self,
        asked: Asked,
        candidates: Sequence[Candidate],
        vocabulary: Vocabulary,
        crowd: Sequence[float] = (),
    ) -> list[Judgement]:
        assert asked.text
        assert vocabulary is not None
        assert not crowd
        self.seen, self.thread = list(candidates), current_thread()
        if self.gate is not None:
            assert self.gate.wait(10)
        told = [self.words[candidate.text] for candidate in candidates]
        return [Judgement(veto, doubt, np.array([logit], np.float32)) for veto, doubt, logit in told]


class Embedder:
    """Embeds everything alike, or fails as told."""

    engine, dimensions = "e", 2

    def __init__(self, failure: str = "", tokens: Tokens | None = TOKENS) -> None:
        self.failure, self.tokens = failure, tokens

    async def embed(self, _: str) -> Embedding:
        if self.failure:
            raise EmbedderUnavailable(self.failure)
        return Embedding(np.ones(2, np.float32), self.tokens)


class Index:
    """Finds what it was given."""

    def __init__(self, *found: Neighbour) -> None:
        self.found = found

    async def search(self, partition: bytes, vector: Vector, count: int) -> list[Neighbour]:
        assert partition == b"p"
        assert vector is not None
        return list(self.found[:count])


def near(
    text: str, similarity: float = 0.9, tokens: Tokens | None = TOKENS, answer: bytes = b""
) -> Neighbour:
    return Neighbour(text.encode(), text, similarity, tokens, answer or text.encode())


def asked(text: str = TEXT, turns: int = 1, **policy: Any) -> Request:
    chosen: dict[str, Any] = {"semantic": SemanticMode.ON, "similarity_floor": 0.8} | policy
    base = request(b"key", **chosen)
    return base._replace(ask=base.ask._replace(text=text, partition=b"p", turns=turns))


class House:
    """A tier with all its fakes; its threshold is 0.9."""

    def __init__(self, *found: Neighbour, embedder: Any = None, **words: tuple[str, str, float]) -> None:
        clock = FakeClock()
        self.verifier, self.records, self.observer = Verifier(**words), Records(), FakeObserver()
        self.budgets = Budgets({"default": Budget(0.05)}, SHIPPED, "e", FakeStore(clock), clock)
        feature = self.budgets._features["default"]
        feature.setting = feature.setting._replace(threshold=0.9)
        index: Any = Index(*found)
        embedding: Any = Embedder() if embedder is None else embedder
        self.tier = SemanticTier(
            embedding,
            index,
            self.verifier,
            budgets=self.budgets,
            records=self.records,
            observer=self.observer,
        )


async def test_the_likeliest_candidate_that_nothing_forbids_comes_first() -> None:
    """All that clear the threshold match, likeliest first; vetoed ones never, however likely."""
    house = House(
        near("one"), near("two"), near("three"), near("four"),
        one=("", "", 3.0), two=("number-differs", "", 9.0), three=("", "", 5.0), four=("", "", 0.0),
    )  # fmt: skip
    finding = await house.tier.find(asked())
    assert [match.key for match in finding.matches] == [b"three", b"one"]
    assert [one.reason for one in finding.decisions] == ["match", "match", "low-confidence", "number-differs"]
    assert finding.candidates == finding.decisions[:3]
    assert finding.decisions[0].probability == pytest.approx(1 / (1 + np.exp(-5.0)))
    assert house.observer.semantics == [("default", "on", "match")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (("negation-differs", "tense-differs", 9.0), "negation-differs"),
        (("", "tense-differs", 1.0), "tense-differs"),
        (("", "", 1.0), "low-confidence"),
    ],
)
async def test_the_reason_says_what_spoke_against_it(word: tuple[str, str, float], reason: str) -> None:
    """A veto, else a doubt where the probability isn't enough, else just that."""
    house = House(near("one"), one=word)
    finding = await house.tier.find(asked())
    assert (finding.reason, finding.matches) == (reason, [])
    assert (finding.candidates == ()) == bool(word[0])


async def test_short_questions_and_conversations_need_more() -> None:
    """Between the threshold and the tightened one, the reason names what tightened it."""
    house = House(near("one"), one=("", "", 2.5))
    assert (await house.tier.find(asked())).reason == "match"
    assert (await house.tier.find(asked("What is love?"))).reason == "too-short"
    assert (await house.tier.find(asked(turns=2))).reason == "conversation"
    assert (await house.tier.find(asked("and the second one?", turns=2))).reason == "refers-back"


async def test_what_was_judged_wrong_is_not_served_again() -> None:
    """The pair is out, by the class of the answer; the answer's record reaches the verifier."""
    house = House(near("one", answer=b"A"), near("two", answer=b"A"), one=("", "", 9.0), two=("", "", 9.0))
    wrong = Audit(
        "default", 0.0, b"key", b"A", "", "hit", "equality", False, 1.0, 0.9, 0.9, "match", None, "e"  # noqa: FBT003
    )  # fmt: skip
    house.records.add(wrong)
    finding = await house.tier.find(asked())
    assert [one.reason for one in finding.decisions] == ["judged-wrong"] * 2
    assert finding.candidates == ()
    assert house.verifier.seen[0].record.wrong == pytest.approx(0.9)
    house.records.add(replace(wrong, right=True))
    again = await house.tier.find(asked())
    assert again.reason == "match"
    assert [one.key for one in again.candidates] == [again.decisions[0].key]  # both are of one class


async def test_what_was_judged_wrong_stays_so_in_another_class() -> None:
    """The candidate was judged wrong under its own name; that its answer was found to be another's changes nothing."""
    house = House(near("one", answer=b"A"), one=("", "", 9.0))
    wrong = Audit(
        "default", 0.0, b"key", b"one", "", "hit", "equality", False, 1.0, 0.9, 0.9, "match", None, "e"  # noqa: FBT003
    )  # fmt: skip
    house.records.add(wrong)
    assert (await house.tier.find(asked())).reason == "judged-wrong"


async def test_a_verifier_that_fails_fails_no_request() -> None:
    """A bug in the judgement of some text costs this look-up, not the answer; the question can still be found later."""
    house = House(near("one"))  # of which this verifier knows nothing
    finding = await house.tier.find(asked())
    assert (finding.decisions, finding.reason) == ((), "verifier-failed")
    assert finding.question is not None


async def test_texts_that_take_long_are_judged_in_a_thread() -> None:
    """Few tokens may be many characters: one word of thousands of letters is a single unknown one."""
    house = House(near("one"), one=("", "", 3.0))
    await house.tier.find(asked())
    assert house.verifier.thread is current_thread()
    await house.tier.find(asked("a" * 4_000))
    assert house.verifier.thread is not current_thread()


async def test_nothing_near_is_nothing_to_decide() -> None:
    """Below the floor, without tokens, the question itself: the verifier isn't asked, or its word isn't taken."""
    words = {"one": ("", "", 9.0), "far": ("", "", 9.0)}
    assert (await House(**words).tier.find(asked())).reason == "no-neighbour"
    assert (await House(near("far", 0.7), **words).tier.find(asked())).reason == "below-floor"
    assert (await House(near("one", tokens=None), **words).tier.find(asked())).reason == "no-neighbour"
    assert (await House(near("key"), **words).tier.find(asked())).reason == "no-neighbour"
    tokenless = Embedder(tokens=None)
    assert (await House(near("one"), embedder=tokenless, **words).tier.find(asked())).reason == "no-neighbour"
    both = await House(near("one"), near("far", 0.7), **words).tier.find(asked())
    assert [one.key for one in both.decisions] == [b"one"]


@pytest.mark.parametrize("failure", ["embedder-busy", "embedder-loading", "text-too-long"])
async def test_an_embedder_that_fails_says_so(failure: str) -> None:
    """The question is kept for later, unless it can never be embedded; audits get nothing, not an error."""
    house = House(near("one"), embedder=Embedder(failure), one=("", "", 9.0))
    finding = await house.tier.find(asked())
    assert finding.reason == failure
    assert (finding.question is None) == (failure == "text-too-long")
    assert await house.tier.weigh(asked()) == ()
    assert await house.tier.describe(asked()) is None


async def test_weighing_for_audits_is_not_counted() -> None:
    """The same decisions, but no decision in the metrics."""
    house = House(near("one"), one=("", "", 9.0))
    assert [one.reason for one in await house.tier.weigh(asked())] == ["match"]
    described = await house.tier.describe(asked())
    assert isinstance(described, Question)
    assert described.vector is not None
    assert house.observer.semantics == []
    await house.tier.find(asked())
    assert house.observer.semantics == [("default", "on", "match")]


async def test_long_texts_queue_for_a_thread_of_their_own_and_not_for_ever() -> None:
    """Slow verdicts use none of the event loop's own threads, and beyond a few that wait, requests go upstream."""
    text = "word " * 2_000
    house = House(near("one"), one=("", "", 9.0))
    gate = house.verifier.gate = Event()
    finding = [asyncio.ensure_future(house.tier.find(asked(text))) for _ in range(12)]
    done, waiting = await asyncio.wait(finding, timeout=0.2)
    assert {task.result().reason for task in done} == {"verifier-busy"}
    assert (len(done), len(waiting)) == (4, 8)
    house.verifier.gate = None
    assert (await house.tier.find(asked())).reason == "match"
    gate.set()
    assert {task.result().reason for task in (await asyncio.wait(waiting))[0]} == {"match"}
    assert house.verifier.thread is not None
    assert house.verifier.thread.name.startswith("askonce-matching")
    house.tier._verdicts.close()


class Kept:
    """An index that says what it was given."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def add(self, question: Question) -> None:
        self.keys.append(question.key)

    def remove(self, key: bytes) -> None:
        self.keys = [one for one in self.keys if one != key]

    def partition(self, key: bytes) -> bytes | None:
        return b"p" if key in self.keys else None

    def texts(self, partition: bytes, count: int) -> list[str]:
        assert partition == b"p"
        return [key.decode() for key in self.keys[:count]]


class SlowEmbedder(Embedder):
    """Embeds once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.gate = asyncio.Event()

    async def ready(self) -> bool:
        return True

    async def embed(self, text: str) -> Embedding:
        self.asked.append(text)
        await self.gate.wait()
        return await super().embed(text)

    async def close(self) -> None:
        """Nothing to end."""


async def test_a_question_that_is_erased_while_it_is_embedded_is_not_found() -> None:
    """Neither that one nor those that wait behind it come back; the others are embedded."""
    embedder = SlowEmbedder()
    house = House(embedder=embedder)
    index: Any = Kept()
    house.tier._index = index
    names = (b"embedded", b"waiting", b"other")

    async def stored() -> AsyncIterator[list[Question]]:
        yield [Question(name, b"p", name.decode(), "e", None, None, name) for name in names]

    house.tier.start(stored())
    while not embedder.asked:  # noqa: ASYNC110 - a fake's list
        await asyncio.sleep(0)
    await house.tier.erase({b"embedded", b"waiting"})
    embedder.gate.set()
    while b"other" not in index.keys:  # noqa: ASYNC110 - a fake's list
        await asyncio.sleep(0)
    assert index.keys == [b"other"]
    assert embedder.asked == ["embedded", "other"]
    await house.tier.close()


async def test_what_an_erased_question_taught_is_forgotten_at_once() -> None:
    """And what the others taught is learned anew, in a thread: unless something else is erased meanwhile."""
    house = House()
    index: Any = Kept()
    house.tier._index = index
    for name in (b"secret", b"other", b"third"):
        house.tier.add(Question(name, b"p", name.decode(), "e", np.ones(2, np.float32), None, name))
    learned = house.tier._verdicts._vocabularies
    await house.tier.erase({b"secret"})
    assert learned[b"p"].texts == 0
    (first,) = house.tier._tasks
    await asyncio.sleep(0)
    await house.tier.erase({b"third"})
    await first
    assert learned[b"p"].texts == 0
    await asyncio.gather(*house.tier._tasks)
    assert learned[b"p"].texts == 1
