"""Which questions share an answer: links made by hits, confirmed or cut by verdicts.

Cutting takes a link away, never an answer: the question is asked anew, and whoever asks what the answer was given to
in the first place still gets it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from askonce.model import Link

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from askonce.model import Entry, Question, Request
    from askonce.pipeline.decision import Decision
    from askonce.pipeline.records import Records
    from askonce.ports import Store

__all__ = ["Links", "Questions"]

_REMEMBERED: Final = 10_000
_CERTAIN: Final = 1.0


class Questions(Protocol):
    """What is asked of the semantic tier."""

    async def weigh(self, request: Request) -> Sequence[Decision]:
        """What would be decided about a request now, the likeliest first."""
        ...

    async def describe(self, request: Request) -> Question | None:
        """A request's question, embedded; None where that can't be done now."""
        ...

    def add(self, question: Question) -> None:
        """Makes a question findable."""
        ...

    def reclass(self, key: bytes, answer: bytes) -> None:
        """Gives a question another answer's class."""
        ...

    def forget(self, key: bytes) -> None:
        """Makes a question unfindable."""
        ...


class Links:
    """Makes and cuts links, in the store and in the index alike."""

    def __init__(self, store: Store, questions: Questions, records: Records) -> None:
        self._store = store
        self._questions = questions
        self._records = records
        self._decisions: OrderedDict[bytes, tuple[Decision, bytes]] = OrderedDict()

    def made(self, request: Request, decision: Decision, entry: Entry) -> None:
        """A question was answered by an entry, as decided: its repetitions need no look-up.

        Unless a verdict against it came in between.
        """
        if self._records.refused(decision.question, decision.answer, decision.key):
            return
        self.remember(decision, entry.key)
        link = Link(
            key=decision.question,
            target=entry.key,
            confidence=decision.probability,
            expires_at=entry.expires_at,
            tenant=request.caller.tenant or "",
            users=request.users,
        )
        self._store.link(link, None)

    def remember(self, decision: Decision, entry: bytes) -> None:
        """Keeps what a hit on an entry was decided on, for those who judge it later."""
        self._decisions[decision.question] = decision, entry
        self._decisions.move_to_end(decision.question)
        if len(self._decisions) > _REMEMBERED:
            self._decisions.popitem(last=False)

    def erase(self, keys: Collection[bytes]) -> None:
        """Forgets what hits were decided on that concern any of the keys."""
        for question, (decision, entry) in list(self._decisions.items()):
            if not {question, decision.key, decision.answer, entry}.isdisjoint(keys):
                del self._decisions[question]

    async def decision(self, request: Request, entry: bytes) -> Decision | None:
        """What the hit of a request on an entry was decided on; made anew where it is forgotten, None where gone."""
        known = self._decisions.get(request.ask.exact_key or b"")
        if known is not None and known[1] == entry:
            return known[0]
        decisions = await self._questions.weigh(request)
        return next((one for one in decisions if entry in {one.key, one.answer}), None)

    async def confirm(self, request: Request, decision: Decision, *, served: bytes | None) -> None:
        """The answer is right for the question: both are one class from now on.

        After a hit (`served` is its entry) the question becomes findable too, and its link doesn't depend on any
        threshold any more.
        """
        if served is None:
            self._store.reclass(decision.question, decision.answer)
            self._questions.reclass(decision.question, decision.answer)
            return
        question = await self._questions.describe(request)
        stored = await self._store.get(decision.question)
        if question is None or stored is None or stored.link is None or stored.link.target != served:
            return
        question = replace(question, answer=decision.answer)
        self._store.link(replace(stored.link, confidence=_CERTAIN), question)
        self._questions.add(question)

    async def cut(self, question: bytes, entry: bytes) -> None:
        """An entry is wrong for the question: the two are parted, and so are those that met through this question.

        Where the question is linked to another entry by now, that link stays: nobody has objected to it.
        """
        stored = await self._store.get(question)
        if stored is not None and stored.link is not None and stored.link.target != entry:
            return
        left = [question]
        if stored is not None and stored.link is not None and stored.link.confidence == _CERTAIN:
            left += await self._perhaps_through(stored.link)
        while left:
            parted = left.pop()
            await self._part(parted)
            left += [one.question for one, _ in self._decisions.values() if one.key == parted]

    async def _perhaps_through(self, link: Link) -> list[bytes]:
        """Questions that may have come to the same entry through a confirmed link, and that no verdict vouches for.

        How a link came about is forgotten in the end, at the latest with a restart.
        """
        others = await self._store.links_to(link.target)
        return [one.key for one in others if one.confidence < _CERTAIN and one.key not in self._decisions]

    async def _part(self, question: bytes) -> None:
        self._decisions.pop(question, None)
        stored = await self._store.get(question)
        if stored is not None and stored.link is None:  # it has got an answer of its own since
            self._store.reclass(question, question)
            self._questions.reclass(question, question)
            return
        self._store.remove(question)
        self._questions.forget(question)
