"""Why a request was answered as it was, and what would become of one now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from askonce.administration.asking import understood
from askonce.administration.comparison import Side
from askonce.administration.explanation import then
from askonce.errors import Refusal
from askonce.http.admin_fields import DESCRIBING, bad, described, hex_key, known_fields, text
from askonce.http.rest import json_body, json_response, refusing
from askonce.model import RetainText

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest
    from starlette.responses import Response

    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json
    from askonce.ports import Record
    from askonce.wiring import Running

__all__ = ["explain_routes"]

_EXPLAINING: Final = (*DESCRIBING, "request_id", "against")
_AGAINST: Final = (*DESCRIBING, "request_id", "entry")


def explain_routes(running: Running, access: AdminAccess) -> list[Route]:
    """The route of explanations."""
    return [Route("/admin/explain", refusing(_Explain(running, access).explain), methods=["POST"])]


class _Explain:
    def __init__(self, running: Running, access: AdminAccess) -> None:
        self._running = running
        self._access = access

    async def explain(self, request: HttpRequest) -> Response:
        """Explains a request: `request_id` of a recent one, or `request` with who asks; perhaps `against` another."""
        self._access.authorise(request)
        # Two bodies, and what JSON puts around them.
        body = await json_body(request, 2 * self._running.settings.limits.max_body_bytes + 65_536)
        known_fields(body, _EXPLAINING)
        record, side = self._side(body)
        explainer = self._running.administration.explainer
        told = await explainer.explain(side)
        if record is not None:
            told["then"] = then(record.outcome, record.status, record.code)
        if body.get("against") is not None:
            told["against"] = await self._against(side, body["against"])
        return json_response(told)

    async def _against(self, side: Side, named: Any) -> Json:
        explainer = self._running.administration.explainer
        if isinstance(named, str):
            named = {"request_id": named}
        if not isinstance(named, dict):
            raise bad("against", "must be a request id, or an object with `request_id`, `entry` or `request`")
        known_fields(named, _AGAINST)
        if "entry" in named:
            key = hex_key(named["entry"], "entry")
            try:
                kept = await self._running.gateway.parts.store.contents([key])
            except OSError:
                raise Refusal(
                    503, "store_unreadable", "The store's disk can't be read now; try again."
                ) from None
            if not kept:
                raise Refusal(404, "unknown_entry", "Nothing is stored under this key.", param="entry")
            return await explainer.against_entry(side, kept[0])
        return await explainer.against_request(side, self._side(named)[1])

    def _side(self, body: Json) -> tuple[Record | None, Side]:
        """The request that a body names or describes. Raises Refusal."""
        if ("request_id" in body) == ("request" in body):
            raise bad("request_id", "or `request` says what to explain: give one of them")
        if "request" in body:
            return None, Side(understood(self._running.gateway, described(body)), full=True)
        for name in DESCRIBING:
            if name in body:
                raise bad(name, "goes with `request`")
        record = self._running.administration.recent.find(text(body, "request_id"))
        retained = self._retained(record)
        if record is None or record.request is None or retained is RetainText.NONE:
            sentence = (
                "This request isn't known: it is too long ago, was refused before it was understood, or its feature "
                "retains no text. Send its body as `request` instead."
            )
            raise Refusal(404, "unknown_request", sentence, param="request_id")
        return record, Side(record.request, retained is RetainText.FULL)

    def _retained(self, record: Record | None) -> RetainText:
        """What may be shown of a request: as its policy said then, and as it says now."""
        if record is None or record.request is None:
            return RetainText.NONE
        now = self._running.gateway.parts.policies.named(record.feature)
        said = {record.request.policy.retain_text, RetainText.NONE if now is None else now.retain_text}
        if RetainText.NONE in said:
            return RetainText.NONE
        return RetainText.HASHED if RetainText.HASHED in said else RetainText.FULL
