"""Audits at work: which cases there are, what verdicts do, and that nothing that goes wrong becomes one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from askonce.errors import AuditDropped
from askonce.matching.budget import Budget
from askonce.matching.calibration import Calibration
from askonce.model import Answer, Entry, Question, SemanticMode, Stored, Usage
from askonce.pipeline.audit import Auditor, Desk, Effects
from askonce.pipeline.budgets import Budgets
from askonce.pipeline.decision import Decision
from askonce.pipeline.judge import Judge
from askonce.pipeline.links import Links
from askonce.pipeline.outcomes import Outcomes, ServedHit
from askonce.pipeline.records import Records
from askonce.pipeline.threads import Threads
from fakes import CALLER, FakeClock, FakeObserver, FakeStore, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Link, Request

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
"""Keys: a question with its answer, another wording of it, and a third."""
RIGHT, WRONG = "It is open until nine.", "No, never."


def answer(text: str, finish: str = "stop") -> Answer:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": finish}
    return Answer(orjson.dumps({"choices": [choice]})[1:-1], b"", "m", "chatcmpl-", Usage(), 7)


def decision(
    question: bytes = B, key: bytes = A, reason: str = "match", probability: float = 0.99
) -> Decision:
    evidence = np.array([3.0], np.float32)
    return Decision(question, key, A, probability, 0.9, reason, vetoed=False, evidence=evidence)


class LinkingStore(FakeStore):
    """A store whose links can be told from entries."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.links: dict[bytes, Link] = {}

    def peek(self, key: bytes) -> Stored | None:
        link = self.links.get(key)
        entry = self.entries.get(link.target if link is not None else key)
        return None if entry is None else Stored(entry, link)

    def link(self, link: Link, question: Question | None) -> None:
        self.links[link.key] = link
        self.questions_kept[link.key] = question

    async def links_to(self, target: bytes) -> list[Link]:
        return [link for link in self.links.values() if link.target == target]

    def remove(self, key: bytes) -> None:
        if self.links.pop(key, None) is None:
            super().remove(key)


@dataclass
class Sent:
    """What a caller is sent."""

    answer: Answer | None = None


@dataclass
class Index:
    """The semantic tier, as far as audits know it."""

    weighed: Sequence[Decision] = ()
    classes: dict[bytes, bytes] = field(default_factory=dict)

    async def weigh(self, asked: Request) -> Sequence[Decision]:
        return [one for one in self.weighed if one.question == asked.ask.exact_key]

    async def describe(self, asked: Request) -> Question | None:
        key = asked.ask.exact_key or b""
        return Question(key, b"p", "?", "e", np.ones(2, np.float32), None, key)

    def add(self, question: Question) -> None:
        self.classes[question.key] = question.answer

    def reclass(self, key: bytes, answer: bytes) -> None:
        if key in self.classes:
            self.classes[key] = answer

    def forget(self, key: bytes) -> None:
        self.classes.pop(key, None)


class House:
    """An auditor with all that it acts on; `A` is stored, with RIGHT as its answer."""

    def __init__(self, fresh: str | Exception = RIGHT, draw: float = 0.0, **desk: Any) -> None:
        self.clock = FakeClock()
        self.store = LinkingStore(self.clock)
        self.index = Index()
        self.records = Records()
        self.observer = FakeObserver()
        self.links = Links(self.store, self.index, self.records)
        self.budgets = Budgets(
            {"default": Budget(0.01)},
            Calibration(np.array([1.0]), 0.0),
            "e",
            self.store,
            self.clock,
            gather_s=0,
            rest=0,
        )
        self.asked: list[tuple[Request, int | None]] = []
        self.fresh: list[str | Exception] = [fresh]
        self.gate = asyncio.Event()
        self.gate.set()
        effects = Effects(self.store, self.links, self.records, self.budgets, self.observer, self.clock)
        judge = Judge(None, None, self.clock, Threads(1, "judging"))
        self.auditor = Auditor(
            effects,
            judge,
            self.ask,
            lambda: draw,
            Desk(**({"max_queue": 9, "concurrency": 2, "timeout_s": 5} | desk)),
        )
        self.auditor.restored.set()
        now = self.clock.now()
        self.store.put(Entry(A, answer(RIGHT), now, now + 60, "t", "default", "m"), None)
        self.index.classes[A] = A

    async def ask(self, asked: Request, expected: int | None) -> Answer:
        self.asked.append((asked, expected))
        await self.gate.wait()
        said = self.fresh[0] if len(self.fresh) == 1 else self.fresh.pop(0)
        if isinstance(said, Exception):
            raise said
        return answer(said)

    def serve(self, question: bytes = B, request_id: str = "r1", made: Decision | None = None) -> None:
        self.links.made(said(question), made or decision(question), self.store.entries[A])
        self.auditor.served(said(question), request_id, A, Sent(self.store.entries[A].answer))

    async def settle(self) -> None:
        """Works until nothing waits."""
        self.auditor.start()
        await self.auditor.close(10)
        await self.budgets.close()


def said(question: bytes = B, **policy: Any) -> Request:
    return request(question, semantic=SemanticMode.ON, **policy)


async def test_a_hit_is_judged_by_a_fresh_answer() -> None:
    """The upstream is asked for the hit's own question, at the expected price; the label says how it was drawn."""
    house = House('{"open": 9}')
    house.store.entries[A] = replace(house.store.entries[A], answer=answer('{"open": 9.0}'))
    house.serve()
    await house.settle()
    asked, expected = house.asked[0]
    assert (asked.ask.exact_key, expected) == (B, 7)
    label = house.store.audits_kept[0]
    assert (label.right, label.source, label.judge, label.request_id) == (True, "hit", "equality", "r1")
    assert (label.propensity, label.probability, label.threshold, label.reason) == (1.0, 0.99, 0.9, "match")
    assert house.records.of(A).right > 0
    assert house.store.links[B].confidence == 1.0
    assert house.index.classes[B] == A
    assert house.observer.audits == [("default", "hit", "same", "equality")]


async def test_a_wrong_hit_loses_its_link_and_nothing_else() -> None:
    """The link goes from store and index, the answer stays, and the pair is remembered; so go links that came of it."""
    house = House('{"open": 9}')
    house.store.entries[A] = replace(house.store.entries[A], answer=answer('{"open": 5}'))
    house.index.classes[B] = A
    house.serve()
    house.links.made(said(), decision(C, key=B), house.store.entries[A])
    house.links.made(said(), decision(b"d" * 32, key=C), house.store.entries[A])
    await house.settle()
    assert house.store.links == {}
    assert set(house.store.entries) == {A}
    assert house.index.classes == {A: A}
    assert house.records.refused(B, A)
    assert not house.records.refused(A, A)
    assert not house.store.audits_kept[0].right


async def test_only_the_drawn_share_is_audited() -> None:
    """After the first fifty hits the share is the policy's; the propensity of each label is the share at its time."""
    house = House(draw=0.5, max_queue=500)
    for number in range(200):
        house.serve(request_id=str(number))
    await house.settle()
    propensities = [audit.propensity for audit in house.store.audits_kept]
    assert len(propensities) == 99  # 50 / hits falls to the draw at the hundredth
    assert propensities[49] == 1.0
    assert propensities[-1] == pytest.approx(50 / 99)


async def test_what_was_forgotten_is_decided_anew() -> None:
    """A link from before a restart: its decision is made again for the label; where that fails, the link is still cut."""
    house = House('{"open": 9}')
    house.store.entries[A] = replace(house.store.entries[A], answer=answer('{"open": 5}'))
    house.index.weighed = [decision(B, probability=0.95)]
    house.serve()
    house.links._decisions.clear()
    await house.settle()
    assert house.store.audits_kept[0].probability == 0.95
    assert house.store.links == {}
    gone = House('{"open": 9}')
    gone.store.entries[A] = replace(gone.store.entries[A], answer=answer('{"open": 5}'))
    gone.serve()
    gone.links._decisions.clear()
    await gone.settle()
    assert gone.store.audits_kept[0].evidence is None
    assert gone.store.links == {}
    assert gone.budgets.standings()[0].setting.labels == 0


@pytest.mark.parametrize(("reason", "source"), [("match", "shadow"), ("low-confidence", "miss")])
async def test_a_fresh_answer_is_compared_for_nothing(reason: str, source: str) -> None:
    """Nobody is asked: the same answer makes both questions one class, another one leaves them apart."""
    house = House()
    house.index.classes[B] = B
    house.auditor.compare(said(), (decision(reason=reason),), answer(RIGHT))
    house.index.classes[C] = C
    house.auditor.compare(said(C), (decision(C, reason=reason),), answer("[1]"))
    await house.settle()
    assert not house.asked
    assert house.index.classes == {A: A, B: A, C: C}
    labels = house.store.audits_kept
    assert [(label.source, label.right, label.propensity) for label in labels] == [(source, True, 1.0)]


async def test_a_question_may_have_a_less_likely_candidates_answer() -> None:
    """Only the likeliest candidate is labelled; but the question joins the class whose answer its own turns out to be."""
    house = House()
    now = house.clock.now()
    house.store.put(Entry(C, answer("[2]"), now, now + 60, "t", "default", "m"), None)
    house.store.entries[A] = replace(house.store.entries[A], answer=answer("[1]"))
    house.index.classes |= {B: B, C: C}
    others = (replace(decision(key=C), answer=b"gone", key=b"gone"), replace(decision(key=C), answer=C))
    house.auditor.compare(said(), (decision(), *others), answer("[2.0]"))
    await house.settle()
    assert house.index.classes == {A: A, B: C, C: C}
    assert [(one.answer, one.right) for one in house.store.audits_kept] == [(A, False)]


@pytest.mark.parametrize(
    ("fresh", "reason"),
    [
        (AuditDropped("upstream-failed"), "upstream-failed"),
        (AuditDropped("spend-limit"), "spend-limit"),
        (ValueError("a bug"), "failed"),
    ],
)
async def test_failures_are_counted_and_never_judged(fresh: Exception, reason: str) -> None:
    """No label, the link stays, and the next case is worked on."""
    house = House()
    house.fresh = [fresh, RIGHT]
    house.serve()
    house.serve(request_id="r2")
    await house.settle()
    assert house.observer.audits_dropped == [reason]
    assert [audit.request_id for audit in house.store.audits_kept] == ["r2"]
    assert B in house.store.links


async def test_what_cannot_be_compared_is_dropped() -> None:
    """The stored answer is gone, or the fresh one was cut short: no verdict. Open verdicts are counted, not kept."""
    house = House()
    house.serve()
    house.auditor.compare(said(C), (decision(C),), answer("x", "content_filter"))
    house.auditor.compare(said(C), (decision(C),), answer("Other words."))
    house.auditor.compare(said(C), (decision(C, key=b"gone"),), answer("x"))
    await house.settle()
    assert sorted(house.observer.audits_dropped) == ["answer-gone", "not-comparable"]
    assert ("default", "shadow", "undecided", "equality") in house.observer.audits
    assert [audit.source for audit in house.store.audits_kept] == ["hit"]


async def test_the_queue_is_bounded() -> None:
    """Beyond it cases are dropped and counted: serving never waits for an audit. Free ones leave half of it to hits."""
    free = House(max_queue=4)
    for _ in range(4):
        free.auditor.compare(said(), (decision(),), answer(RIGHT))
    assert free.observer.audits_dropped == ["queue-full"] * 2
    free.serve()
    assert free.auditor.waiting == 3
    await free.settle()
    house = House(max_queue=2, concurrency=1)
    house.gate.clear()
    for number in range(5):
        house.serve(request_id=str(number))
    assert house.observer.audits_dropped == ["queue-full"] * 3
    assert house.auditor.waiting == 2
    house.gate.set()
    await house.settle()
    assert len(house.store.audits_kept) == 2


async def test_large_answers_do_not_pile_up() -> None:
    """Fresh answers that wait to be compared are bounded in bytes too."""
    house = House(max_queue=100)
    large = answer("x" * 20_000_000, "content_filter")
    for _ in range(5):
        house.auditor.compare(said(), (decision(),), large)
    assert house.observer.audits_dropped == ["queue-full"] * 2
    await house.settle()
    house.auditor.compare(said(), (decision(),), large)
    assert house.observer.audits_dropped.count("queue-full") == 2


async def test_large_requests_do_not_pile_up() -> None:
    """Neither those that wait, nor those of served hits that feedback may come on."""
    house = House(max_queue=100)
    large = said()
    large = large._replace(ask=large.ask._replace(raw=b"x" * 10_000_000))
    for number in range(4):
        house.auditor.served(large, f"r{number}", A, Sent())
    assert house.observer.audits_dropped == ["queue-full"] * 2
    hit = house.auditor._outcomes.find(CALLER.tenant, "r3")
    assert hit is not None
    assert (hit.request.ask.raw, hit.request.ask.exact_key) == (b"", B)
    await house.settle()


async def test_a_verdict_in_between_keeps_a_link_from_being_made() -> None:
    """A hit that was decided before its pair was judged wrong leaves no link behind."""
    house = House(draw=1.0)
    house.serve()
    assert await house.auditor.feedback(CALLER.tenant, "r1", correct=False)
    house.links.made(said(), decision(), house.store.entries[A])
    assert house.store.links == {}


async def test_the_end_waits_for_what_is_under_way_but_not_for_ever() -> None:
    """Closing works through the queue, within its time."""
    house = House()
    house.gate.clear()
    house.serve()
    house.auditor.start()
    await asyncio.sleep(0)
    await house.auditor.close(0.01)
    assert house.store.audits_kept == []
    slow = House(timeout_s=0.01)
    slow.gate.clear()
    slow.serve()
    await slow.settle()
    assert slow.observer.audits_dropped == ["timeout"]


async def test_feedback_is_heard_once_and_of_the_served_alone() -> None:
    """By request id or entry, within the tenant; the first word is the label, a later objection still cuts."""
    house = House(draw=1.0)
    house.serve()
    tell = house.auditor.feedback
    assert not await tell("tenant:other", "r1", correct=False)
    assert not await tell(None, "r1", correct=False)
    assert not await tell(CALLER.tenant, "r2", correct=False)
    assert B in house.store.links
    assert await tell(CALLER.tenant, "r1", correct=True)
    assert await tell(CALLER.tenant, A, correct=True)
    assert B in house.store.links
    assert await tell(CALLER.tenant, A, correct=False)
    assert B not in house.store.links
    assert [(one.source, one.judge, one.right) for one in house.store.audits_kept] == [
        ("feedback", "caller", True)
    ]
    await house.settle()
    assert not house.asked


async def test_an_administrator_judges_whosever_hit_it_is() -> None:
    """One ruling acts as feedback does; where several tenants gave the same request id, none is judged unless one is named."""
    house = House(draw=1.0)
    house.serve()
    other = replace(CALLER, tenant="tenant:other", label="other")
    house.auditor.served(said()._replace(caller=other), "r1", A, Sent())
    assert await house.auditor.ruling("r2", None, correct=False) == 0
    assert await house.auditor.ruling("r1", None, correct=False) == 2
    assert await house.auditor.ruling("r1", "nobody", correct=False) == 0
    assert house.store.audits_kept == []
    assert B in house.store.links
    assert await house.auditor.ruling("r1", "acme", correct=False) == 1
    assert B not in house.store.links
    assert [(one.source, one.judge, one.right) for one in house.store.audits_kept] == [
        ("feedback", "administrator", False)
    ]
    hit = house.auditor.hit(CALLER.tenant, "r1")
    assert hit is not None
    assert hit.told is False
    await house.settle()


@pytest.mark.parametrize("correct", [True, False])
async def test_a_verdict_concerns_the_entry_that_was_served(correct: bool) -> None:  # noqa: FBT001
    """A question that is linked to another entry since: what is said of the former hit leaves that one alone."""
    house = House(draw=1.0)
    house.serve()
    now = house.clock.now()
    house.store.put(Entry(C, answer(WRONG), now, now + 60, "t", "default", "m"), None)
    house.links.made(said(), replace(decision(key=C), answer=C), house.store.entries[C])
    assert await house.auditor.feedback(CALLER.tenant, "r1", correct=correct)
    assert [audit.answer for audit in house.store.audits_kept] == [A]
    assert not house.records.refused(B, C)
    assert house.records.refused(B, A) is not correct
    assert house.store.links[B].target == C


async def test_a_late_verdict_confirms_no_other_link() -> None:
    """The audit of a former hit, found right, says nothing of the entry that the question is linked to since."""
    house = House()
    house.serve()
    now = house.clock.now()
    house.store.put(Entry(C, answer(WRONG), now, now + 60, "t", "default", "m"), None)
    house.links.made(said(), replace(decision(key=C), answer=C), house.store.entries[C])
    house.index.weighed = [decision()]
    await house.settle()
    assert [(audit.answer, audit.right) for audit in house.store.audits_kept] == [(A, True)]
    assert house.store.links[B].confidence < 1


async def test_a_hit_on_a_running_answer_is_audited_too() -> None:
    """Streams are audited by what their caller had in the end: by the time the fresh answer is there, that is known."""
    house = House()
    house.gate.clear()
    house.links.remember(decision(), A)
    sent = Sent()
    house.auditor.served(said(), "r1", A, sent)
    house.auditor.start()
    while not house.asked:  # noqa: ASYNC110 - what is waited for knows no event
        await asyncio.sleep(0)
    sent.answer = answer(RIGHT)
    house.gate.set()
    await house.settle()
    assert [audit.right for audit in house.store.audits_kept] == [True]


async def test_the_served_answer_is_judged_and_not_a_newer_one() -> None:
    """The entry is refreshed between the hit and its audit, for the better or the worse: the caller's answer counts."""
    for served, since, right in (("[1]", "[2]", True), ("[2]", "[1]", False)):
        house = House("[1.0]")
        house.store.entries[A] = replace(house.store.entries[A], answer=answer(served))
        house.serve()
        house.store.entries[A] = replace(house.store.entries[A], answer=answer(since))
        await house.settle()
        assert [audit.right for audit in house.store.audits_kept] == [right]


async def test_who_left_in_the_middle_of_an_answer_gives_no_label() -> None:
    """What of it would have been right nobody can tell; the stored answer may be another one."""
    house = House()
    house.auditor.served(said(), "r1", A, Sent())
    await house.settle()
    assert house.store.audits_kept == []
    assert house.observer.audits_dropped == ["answer-gone"]


async def test_running_answers_do_not_unbalance_the_memory_that_waits() -> None:
    """What a case was counted with when it came is what is given back, however long its answer became."""
    house = House()
    sent = Sent()
    house.auditor.served(said(), "r1", A, sent)
    sent.answer = answer("x" * 1_000_000)
    await house.settle()
    assert house.auditor._cases.held_bytes == 0


async def test_earlier_verdicts_come_first_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found while the old audits are read waits for them: it counts once, and is the last word."""
    house = House()
    house.serve()
    await house.settle()
    again = House('{"open": 9}')
    again.auditor.restored.clear()
    again.store = house.store
    object.__setattr__(again.auditor._effects, "store", house.store)
    monkeypatch.setattr(again.links, "_store", house.store)
    again.store.entries[A] = replace(again.store.entries[A], answer=answer("[1]"))
    again.serve(request_id="r2")
    again.auditor.start()
    speaking = asyncio.ensure_future(again.auditor.feedback(CALLER.tenant, "r2", correct=False))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not speaking.done()
    assert len(house.store.audits_kept) == 1
    again.budgets.load_states()
    await again.auditor.restore()
    assert await speaking
    await again.auditor.close(10)
    assert again.records.refused(B, A)
    assert sorted(audit.source for audit in house.store.audits_kept) == ["feedback", "hit", "hit"]
    assert len(again.budgets._features["default"].labels) == 2
    await again.budgets.close()


async def test_audits_that_cannot_be_read_keep_no_new_ones_from_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A store that fails while it is read: new verdicts are made and weighed all the same."""
    house = House()
    house.auditor.restored.clear()
    monkeypatch.setattr(house.store, "audits", lambda _: 1 / 0)
    house.serve()
    await house.auditor.restore()
    await house.settle()
    assert [audit.right for audit in house.store.audits_kept] == [True]


async def test_followers_from_before_a_restart_are_cut_too() -> None:
    """How links came about is forgotten: with a confirmed one go all to its entry that no verdict vouches for."""
    house = House(draw=1.0)
    house.serve()
    entry = house.store.entries[A]
    house.links.made(said(), decision(C, key=B), entry)
    house.links.made(said(), decision(b"d" * 32, key=A), entry)
    house.store.links[B] = replace(house.store.links[B], confidence=1.0)
    vouched = b"v" * 32
    house.store.links[vouched] = replace(house.store.links[B], key=vouched)
    house.links._decisions.clear()
    house.links.made(said(), decision(b"e" * 32, key=A), entry)
    await house.links.cut(B, A)
    assert set(house.store.links) == {vouched, b"e" * 32}


async def test_a_link_that_nobody_could_find_takes_no_others_along() -> None:
    """Before a verdict confirms it, a link's question isn't findable: no other link can have come through it."""
    house = House(draw=1.0)
    house.serve()
    house.links.made(said(), decision(C), house.store.entries[A])
    house.links._decisions.clear()
    await house.links.cut(B, A)
    assert set(house.store.links) == {C}


async def test_no_time_runs_out_between_a_verdict_and_its_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit's time is over while the link is being cut: the label is kept, and so is what follows from it."""
    house = House("[1]", timeout_s=0.05)
    house.store.entries[A] = replace(house.store.entries[A], answer=answer("[2]"))
    house.serve()
    get = house.store.get

    async def slowly(key: bytes) -> Stored | None:
        await asyncio.sleep(0.1)
        return await get(key)

    monkeypatch.setattr(house.store, "get", slowly)
    await house.settle()
    assert [audit.right for audit in house.store.audits_kept] == [False]
    assert house.store.links == {}


async def test_a_question_with_an_answer_of_its_own_is_only_parted() -> None:
    """Where a fresh answer was stored since, a late verdict against the old link doesn't touch it."""
    house = House(draw=1.0)
    house.serve()
    house.store.links.clear()
    now = house.clock.now()
    house.store.put(Entry(B, answer(WRONG), now, now + 60, "t", "default", "m"), None)
    house.index.classes[B] = A
    assert await house.auditor.feedback(CALLER.tenant, "r1", correct=False)
    assert set(house.store.entries) == {A, B}
    assert house.index.classes[B] == B


def test_memories_are_bounded() -> None:
    """Served hits and decisions are remembered up to a number, the latest of them."""
    house, outcomes = House(), Outcomes(remembered=3)
    for number in range(10_100):
        house.links.remember(decision(number.to_bytes(32)), A)
    assert len(house.links._decisions) == 10_000
    for number in range(10):
        outcomes.add(ServedHit(said(), f"r{number}", number.to_bytes(32)))
    assert outcomes.find(CALLER.tenant, "r6") is None
    assert outcomes.find(CALLER.tenant, (6).to_bytes(32)) is None
    assert outcomes.find(CALLER.tenant, "r8") is outcomes.find(CALLER.tenant, (8).to_bytes(32)) is not None
