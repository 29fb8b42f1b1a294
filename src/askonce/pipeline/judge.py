"""Whether two answers to one question are the same: by form, else by likeness, else by a language model.

Each judge is cheaper than the next and says so where it can't tell. None of them ever turns a failure into a verdict.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from askonce.errors import AuditDropped, EmbedderUnavailable
from askonce.model import Ask, Endpoint
from askonce.pipeline.equality import Comparison, Said, Verdict, compare, said

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from askonce.matching.calibration import Evidence
    from askonce.model import Answer, Request, Route
    from askonce.pipeline.similarity import AnswerSimilarity
    from askonce.pipeline.threads import Threads
    from askonce.ports import Clock

__all__ = ["Judge", "LanguageModelJudge", "Ruling", "brief"]

_TRIES: Final = 2
_MOST_CHARACTERS: Final = 20_000
"""Longer answers aren't sent to a language model."""


class Ruling(NamedTuple):
    """What was said of two answers, and by whom: `equality`, `similarity` or `model`.

    `likeness` is the evidence that the judge of similarity weighed, where it was asked.
    """

    verdict: Verdict
    judge: str
    likeness: Evidence | None = None


class LanguageModelJudge:
    """Asks a model, as `data/judge.md` says; its output counts only where it is exactly what was asked for."""

    def __init__(
        self, ask: Callable[[Request, int | None], Awaitable[Answer]], model: str, route: Route
    ) -> None:
        """`ask` gets an upstream's plain answer, given what it may cost; raises AuditDropped."""
        self._ask = ask
        self._model = model
        self._route = route
        self._instructions = importlib.resources.files("askonce.data").joinpath("judge.md").read_text("utf-8")

    async def compare(self, request: Request, one: str, other: str) -> Verdict:
        """The model's verdict on two answers to a request's question; undecided where it gives none.

        Raises:
            AuditDropped: it can't be asked.
        """
        if max(len(one), len(other)) > _MOST_CHARACTERS:
            return Verdict.UNDECIDED
        asking = self._request(request, brief(request.ask.text or "", one, other))
        for _ in range(_TRIES):
            told = said(await self._ask(asking, None))
            verdict = _read(told.text) if told is not None else None
            if verdict is not None:
                return verdict
        return Verdict.UNDECIDED

    def _request(self, request: Request, material: str) -> Request:
        body = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": self._instructions},
                {"role": "user", "content": material},
            ],
        }
        ask = Ask(
            endpoint=Endpoint.CHAT,
            route=self._route,
            model=self._model,
            raw=orjson.dumps(body),
            body=body,
            stream=False,
            include_usage=False,
            exact_key=None,
            partition=None,
            text=None,
            turns=1,
            unshared="audit",
            unmatched="audit",
            hot=False,
        )
        caller = request.caller
        if (
            self._route.upstream != request.ask.route.upstream
        ):  # another provider gets no key that wasn't sent to it
            caller = replace(caller, credential=None)
        return request._replace(ask=ask, caller=caller, headers=())


class Judge:
    """All judges, the cheapest first."""

    def __init__(
        self,
        similarity: AnswerSimilarity | None,
        model: LanguageModelJudge | None,
        clock: Clock,
        threads: Threads,
    ) -> None:
        self._similarity = similarity
        self._model = model
        self._clock = clock
        self._threads = threads

    async def compare(
        self, request: Request, one: Answer, other: Answer, *, expected: Verdict = Verdict.UNDECIDED
    ) -> Ruling:
        """A ruling on two answers to a request's question; `expected` is the likelier verdict, where there is one.

        A model errs at times, and rare errors among frequent agreement would be most of what looks wrong: where its
        verdict is a surprise, it is shown the answers once more, the other way round, and that verdict counts.

        Raises:
            AuditDropped: they can't be compared, now or at all.
        """
        ruling, first, second = await self._compare(one, other)
        if ruling.verdict is not Verdict.UNDECIDED or self._model is None:
            return ruling
        verdict = await self._model.compare(request, first.text, second.text)
        if Verdict.UNDECIDED not in {verdict, expected} and verdict is not expected:
            verdict = await self._model.compare(request, second.text, first.text)
        await self._learn(ruling.likeness, verdict)
        return Ruling(verdict, "model", ruling.likeness)

    async def compare_cheaply(self, one: Answer, other: Answer) -> Verdict:
        """What the judges say that cost nothing. Raises as `compare` does."""
        return (await self._compare(one, other))[0].verdict

    async def _learn(self, likeness: Evidence | None, verdict: Verdict) -> None:
        """Lets the judge of similarity know what the model said of answers that it has compared.

        It judges for all tenants, so it learns from nothing that a caller says.
        """
        if self._similarity is not None and likeness is not None and verdict is not Verdict.UNDECIDED:
            same = verdict is Verdict.SAME
            await self._similarity.learn(likeness, same=same, at=self._clock.now())

    async def _compare(self, one: Answer, other: Answer) -> tuple[Ruling, Said, Said]:
        first, second, form = await self._threads.run(_by_form, one, other)
        if form.verdict is Verdict.UNDECIDED:
            return await self._by_likeness(form.rest), first, second
        return Ruling(form.verdict, "equality"), first, second

    async def _by_likeness(self, pairs: tuple[tuple[str, str], ...]) -> Ruling:
        if self._similarity is None:
            return Ruling(Verdict.UNDECIDED, "equality")
        try:
            verdict, likeness = await self._similarity.compare(pairs)
        except EmbedderUnavailable:
            raise AuditDropped("embedder") from None
        return Ruling(verdict, "similarity", likeness)


def _by_form(one: Answer, other: Answer) -> tuple[Said, Said, Comparison]:
    """What both say, and what form tells; for a thread, since answers can be large."""
    first, second = said(one), said(other)
    if first is None or second is None:
        raise AuditDropped("not-comparable")
    return first, second, compare(first, second)


def brief(question: str, one: str, other: str) -> str:
    """What a language model is shown: data in one JSON object, so that nothing in it can pose as anything else."""
    return orjson.dumps({"question": question, "answer_1": one, "answer_2": other}).decode()


def _read(text: str) -> Verdict | None:
    """The verdict in a model's output; None for anything but the one form that was asked for."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict) or body.keys() != {"verdict"} or not isinstance(body["verdict"], str):
        return None
    try:
        return Verdict(body["verdict"])
    except ValueError:
        return None
