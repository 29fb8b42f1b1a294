"""Why a request is answered as it is: its keys, what is stored, its neighbours, and what is decided, by the code that serves.

Nothing is asked of an upstream, and nothing kept; the store takes a look for a use. Texts are shown where the feature retains them in full, or where the administrator
has sent them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.administration.comparison import Side, apart_from, compared, described, document_of, shown
from askonce.administration.known import listed, shows_text
from askonce.administration.words import in_words
from askonce.matching.analysis import analyse
from askonce.matching.guards import GUARDS, pair_of
from askonce.matching.objections import objections
from askonce.matching.verifier import EVIDENCE
from askonce.model import Exact, RetainText, SemanticMode
from askonce.pipeline.stored import cache_key, young_enough
from askonce.pipeline.threads import Threads

if TYPE_CHECKING:
    from askonce.gateway import Gateway
    from askonce.model import Json, Neighbour, Outcome, Request, Stored
    from askonce.pipeline.decision import Decision
    from askonce.pipeline.semantic import Examination
    from askonce.ports import Kept, Listed

__all__ = ["Explainer", "then"]

_DIGITS: Final = 4


class Explainer:
    """Explains requests."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._threads = Threads(1, "explain")

    def close(self) -> None:
        """Ends its thread."""
        self._threads.close()

    async def explain(self, side: Side) -> Json:
        """What would become of a request now, and why."""
        request = side.request
        examined = await self._gateway.parts.semantic.examine(request)
        stored = await self._stored(request)
        equivalent = await self._equivalent(request, examined)
        outcome, reason = self._outcome(request, stored, examined, equivalent)
        if request.policy.only_if_cached and outcome in {"fresh", "bypass"}:
            outcome, reason = "refused", "not-cached"
        document = await self._threads.run(document_of, request)
        return {
            "request": described(request),
            "canonical": shown(document, full=side.full),
            "stored": stored,
            "semantic": {
                "mode": self._gateway.parts.budgets.mode(request.policy).value,
                "reason": examined.finding.reason,
                "neighbours": await self._neighbours(side, examined),
            },
            "decision": {"outcome": outcome, "reason": reason, "sentence": _sentence(outcome, reason)},
        }

    async def against_request(self, one: Side, other: Side) -> Json:
        """In what two requests differ, and what the semantic tier thinks of the one for the other."""
        told = await self._threads.run(compared, one, other)
        key = other.request.ask.exact_key
        text = other.request.ask.text
        return {**told, "verdict": await self._verdict(one, key, text, full=one.full and other.full)}

    async def against_entry(self, one: Side, kept: Kept) -> Json:
        """How a request stands to a stored entry: whether it is its own answer, and if not, what keeps them apart."""
        ask, entry, question = one.request.ask, kept.entry, kept.question
        policy = self._gateway.parts.policies.named(entry.feature)
        full = one.full and policy is not None and policy.retain_text is RetainText.FULL
        return {
            "same_key": ask.exact_key == entry.key,
            "same_partition": None if question is None else question.partition == ask.partition,
            "apart": [] if ask.exact_key == entry.key else apart_from(one.request, kept),
            "text": question.text if question is not None and full else None,
            "verdict": await self._verdict(
                one, entry.key, None if question is None else question.text, full=full
            ),
        }

    async def _verdict(self, one: Side, key: bytes | None, text: str | None, *, full: bool) -> Json:
        """What is decided about another question's answer, as far as it is among the nearest; and what the guards say."""
        examined = await self._gateway.parts.semantic.examine(one.request)
        decision = next((found for found in examined.finding.decisions if found.key == key), None)
        told: Json = {"considered": decision is not None}
        if decision is not None:
            told |= _decided(decision)
        asked = one.request.ask.text
        if asked is not None and text is not None:
            told |= await self._threads.run(_words_say, asked, text)
            if full:
                told["text"] = text
        return told

    async def _stored(self, request: Request) -> Json:
        """What is under the request's key: an answer, a link to one, or when there was one."""
        key = request.ask.exact_key
        if key is None:
            return {"state": "unshared", "reason": request.ask.unshared}
        store, now = self._gateway.parts.store, self._gateway.parts.clock.now()
        try:
            known = (await listed(self._gateway, [key])).get(key)
        except OSError:
            return {"state": "unreadable"}
        stored = await store.get(key)
        if stored is None:
            if known is None:
                return {"state": "absent"}
            return {
                "state": "expired" if known.expires_at <= now else "absent",
                "expires_at": known.expires_at,
            }
        return self._found(stored, request, now)

    def _found(self, stored: Stored, request: Request, now: float) -> Json:
        entry, link = stored.entry, stored.link
        readable = cache_key(request) is not None
        return {
            "state": "stored",
            "entry": entry.key.hex(),
            "created_at": entry.created_at,
            "expires_at": entry.expires_at,
            "age_s": max(0.0, now - entry.created_at),
            "feature": entry.feature,
            "tags": list(entry.tags),
            "link": None if link is None else {"confidence": round(link.confidence, _DIGITS)},
            "served": readable and self._gateway.outcome(stored, request) is not None,
        }

    async def _neighbours(self, side: Side, examined: Examination) -> list[Json]:
        """The nearest known questions, the likeliest first, then those that weren't judged."""
        decisions = {decision.key: decision for decision in examined.finding.decisions}
        near = sorted(
            examined.neighbours,
            key=lambda one: (_rank(decisions.get(one.key)), -one.similarity),
        )
        try:
            known = await listed(self._gateway, [one.key for one in near])
        except OSError:
            known = {}
        return [await self._neighbour(side, one, decisions.get(one.key), known.get(one.key)) for one in near]

    async def _neighbour(
        self, side: Side, near: Neighbour, decision: Decision | None, known: Listed | None
    ) -> Json:
        told: Json = {
            "key": near.key.hex(),
            "similarity": round(near.similarity, _DIGITS),
            "class": near.answer.hex(),
            "entry": None if known is None else known.key.hex(),
            "expires_at": None if known is None else known.expires_at,
        }
        if decision is None:
            own = near.key == side.request.ask.exact_key
            told |= {"reason": "the-question-itself" if own else "below-floor", "accepted": False}
        else:
            told |= _decided(decision)
        if side.request.ask.text is not None:
            told |= await self._threads.run(_words_say, side.request.ask.text, near.text)
        told["text"] = near.text if shows_text(self._gateway, known) else None
        return told

    async def _equivalent(self, request: Request, examined: Examination) -> str:
        """How an approved candidate would be served: its answer is stored, or under way; "" where it is gone."""
        gateway, parts = self._gateway, self._gateway.parts
        for decision in examined.finding.matches:
            stored = await parts.store.get(decision.key) if cache_key(request) is not None else None
            if stored is not None and young_enough(stored.entry, request, parts.clock.now()):
                return "semantic"
            if parts.equivalence.joins(decision.key, gateway.flights, request):
                return "semantic-joined"
        return ""

    def _outcome(
        self, request: Request, stored: Json, examined: Examination, equivalent: str
    ) -> tuple[str, str]:
        """How the request would be answered now, and the reason code."""
        ask, policy = request.ask, request.policy
        alone = (
            ask.unshared or ("" if policy.store else "no-store") or ("high-temperature" if ask.hot else "")
        )
        if alone:
            return "bypass", alone
        if not policy.read:
            return "fresh", "no-cache"
        if stored.get("served"):
            return ("exact", "stored") if stored["link"] is None else ("semantic", "link")
        key = self._gateway.shared_key(request)
        if key is not None and key in self._gateway.flights and ask.joinable:
            return "joined", "in-flight"
        if examined.finding.matches and self._gateway.parts.budgets.mode(policy) is SemanticMode.ON:
            return (equivalent, "match") if equivalent else ("fresh", "match-gone")
        return "fresh", self._missed(request, stored, examined)

    def _missed(self, request: Request, stored: Json, examined: Examination) -> str:
        """The most telling reason for which nothing is served."""
        if stored["state"] == "stored" and not stored["served"]:
            if cache_key(request) is None:
                return "exact-off"
            return "too-old" if stored["link"] is None else "link-below-threshold"
        if examined.finding.matches:
            return "shadow"
        if stored["state"] in {"expired", "unreadable"}:
            return str(stored["state"])
        return examined.finding.reason if examined.finding.decisions else "absent"


def then(outcome: Outcome | None, status: int, code: str) -> Json:
    """How a request was answered when it was asked."""
    if outcome is None:
        return {"outcome": "refused", "status": status, "reason": code}
    told: Json = {"outcome": outcome.name, "status": status, "reason": outcome.reason}
    if isinstance(outcome, Exact):
        told["entry"] = outcome.entry.hex()
    return told


def _rank(decision: Decision | None) -> tuple[int, float]:
    if decision is None:
        return 2, 0.0
    return int(decision.vetoed), -decision.probability


def _decided(decision: Decision) -> Json:
    return {
        "probability": round(decision.probability, _DIGITS),
        "threshold": round(decision.threshold, _DIGITS) if decision.threshold <= 1 else None,
        "margin": round(decision.probability - decision.threshold, _DIGITS),
        "reason": decision.reason,
        "vetoed": decision.vetoed,
        "accepted": decision.accepted,
        "evidence": {
            name: round(float(value), _DIGITS)
            for name, value in zip(EVIDENCE, decision.evidence.tolist(), strict=False)
        },
    }


def _words_say(asked: str, other: str) -> Json:
    """What each guard says of two texts ("" where it has no objection), and what merely speaks against them."""
    pair = pair_of(analyse(asked), analyse(other))
    return {
        "guards": {guard.__name__: guard(pair) or "" for guard in GUARDS},
        "objections": list(objections(pair)),
    }


def _sentence(outcome: str, reason: str) -> str:
    """The decision in words."""
    beginning = {
        "exact": "It is answered from the store",
        "semantic": "It is answered as an equivalent request was",
        "joined": "It joins a request under way",
        "semantic-joined": "It joins an equivalent request under way",
        "refused": "It is refused",
        "bypass": "The upstream is asked for it alone",
    }.get(outcome, "The upstream is asked")
    return f"{beginning}: {in_words(reason)}."
