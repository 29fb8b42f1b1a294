"""What administrators do to stored answers: forget them, by what is known of them or by what they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from askonce.administration.asking import understood
from askonce.administration.invalidation import equivalents, equivalents_of_text, forget
from askonce.config import DEFAULT_FEATURE
from askonce.errors import Refusal
from askonce.http.admin_fields import (
    DESCRIBING,
    SELECTING,
    bad,
    described,
    flag,
    known_fields,
    selection,
    share,
    text,
)
from askonce.http.rest import json_body, json_response, refusing

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from askonce.administration.invalidation import Equivalent, Equivalents, Forgotten
    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json
    from askonce.ports import Listed
    from askonce.wiring import Running

__all__ = ["cache_routes", "listed_json"]

_INVALIDATING: Final = (*SELECTING, "equivalent_to", "threshold", "dry_run")
_QUESTION: Final = ("text", "tenant", "feature", "model")


def cache_routes(running: Running, access: AdminAccess) -> list[Route]:
    """Routes under `/admin/cache/`."""
    cache = _Cache(running, access)
    return [Route("/admin/cache/invalidate", refusing(cache.invalidate), methods=["POST"])]


class _Cache:
    def __init__(self, running: Running, access: AdminAccess) -> None:
        self._running = running
        self._access = access

    async def invalidate(self, request: Request) -> Response:
        """Forgets answers; with `dry_run`, tells which ones it would forget."""
        actor = self._access.authorise(request)
        gateway = self._running.gateway
        body = await json_body(request, self._running.settings.limits.max_body_bytes)
        known_fields(body, _INVALIDATING)
        dry_run = flag(body, "dry_run")
        meant = selection(body, gateway.parts.clock.now(), named=self._named)
        similar = await self._equivalents(body)
        if similar is not None:
            meant = similar.among(meant)
        elif all(body.get(name) is None for name in SELECTING):
            raise Refusal(
                400, "nothing_selected", f"Say what to forget: {', '.join(SELECTING)}, equivalent_to."
            )
        found = None
        try:
            found = await forget(gateway, meant, dry_run=dry_run)
        finally:
            count = None if found is None else found.entries
            self._access.acted(
                actor, "cache.invalidate", {**_detail(body), "dry_run": dry_run, "forgotten": count}
            )
        return json_response(_forgotten(found, similar, dry_run=dry_run))

    @property
    def _named(self) -> bool:
        """Whether tenants have names in the configuration."""
        return self._running.settings.tenants is not None

    async def _equivalents(self, body: Json) -> Equivalents | None:
        """What is equivalent to the question that a body names, if it names one. Raises Refusal."""
        question, threshold = body.get("equivalent_to"), share(body, "threshold")
        if question is None:
            if threshold is not None:
                raise bad("threshold", "goes with `equivalent_to`")
            return None
        if not isinstance(question, dict):
            raise bad("equivalent_to", "must be an object with `text` or `request`")
        gateway = self._running.gateway
        if "request" in question:
            known_fields(question, DESCRIBING)
            return await equivalents(gateway, understood(gateway, described(question)), threshold)
        known_fields(question, _QUESTION)
        if not text(question, "text").strip():
            raise bad("text", "must be a question")
        inner = {name: question[name] for name in _QUESTION[1:] if name in question}
        among = selection(inner, 0, named=self._named)
        feature = text(question, "feature") or DEFAULT_FEATURE
        return await equivalents_of_text(gateway, question["text"], feature, threshold, among)


def listed_json(one: Listed) -> Json:
    """What administrators are told of an entry: nothing that was asked or answered."""
    return {
        "entry": one.key.hex(),
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "tenant": one.account,
        "feature": one.feature,
        "model": one.model,
        "tags": list(one.tags),
        "size_bytes": one.size_bytes,
    }


def _forgotten(found: Forgotten, similar: Equivalents | None, *, dry_run: bool) -> Json:
    told: Json = {
        "dry_run": dry_run,
        "forgotten": found.entries,
        "links": None if dry_run else found.links,
        "size_bytes": found.size_bytes,
        "sample": [listed_json(one) for one in found.sample],
    }
    if similar is not None:
        told["chosen"] = similar.chosen
        told["questions"] = [_equivalent(one) for one in similar.questions]
    return told


def _equivalent(one: Equivalent) -> Json:
    return {
        "key": one.key.hex(),
        "similarity": round(one.similarity, 4),
        "probability": round(one.probability, 4),
        "threshold": round(one.threshold, 4),
        "reason": one.reason,
        "chosen": one.chosen,
        "text": one.text,
    }


def _detail(body: Json) -> Json:
    """What the trail keeps of a call: never a question."""
    kept: Json = {name: body[name] for name in SELECTING if name in body}
    if "equivalent_to" in body:
        question = body["equivalent_to"]
        kept["equivalent_to"] = {
            name: question[name] for name in ("tenant", "feature", "model") if name in question
        }
        kept["threshold"] = body.get("threshold")
    return kept
