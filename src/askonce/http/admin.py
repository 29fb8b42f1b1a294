"""What administrators ask and order: budgets, audits, upstreams, and the trail of what they did. Never a prompt's text."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from askonce.errors import Refusal
from askonce.http.admin_cache import cache_routes
from askonce.http.admin_explain import explain_routes
from askonce.http.admin_fields import limit
from askonce.http.admin_gateway import gateway_routes
from askonce.http.admin_ledger import ledger_routes
from askonce.http.admin_limits import limit_routes
from askonce.http.admin_privacy import privacy_routes
from askonce.http.admin_transfer import transfer_routes
from askonce.http.rest import json_body, json_response, refusing

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from askonce.http.admin_access import AdminAccess
    from askonce.matching.bounds import Interval
    from askonce.model import Audit, Json
    from askonce.pipeline.budgets import Standing
    from askonce.wiring import Running

__all__ = ["admin_routes"]

_AUDITS: Final = 100
_ACTS: Final = 100
_MOST: Final = 1_000


def admin_routes(running: Running, access: AdminAccess) -> list[Route]:
    """All routes under `/admin/`."""
    admin = _Admin(running, access)
    return [
        Route("/admin/budgets", refusing(admin.budgets)),
        Route("/admin/budgets/{feature}", refusing(admin.order), methods=["POST"]),
        Route("/admin/audits", refusing(admin.audits)),
        Route("/admin/upstreams", refusing(admin.upstreams)),
        Route("/admin/trail", refusing(admin.trail)),
        *cache_routes(running, access),
        *privacy_routes(running, access),
        *transfer_routes(running, access),
        *explain_routes(running, access),
        *gateway_routes(running, access),
        *limit_routes(running, access),
        *ledger_routes(running, access),
    ]


class _Admin:
    def __init__(self, running: Running, access: AdminAccess) -> None:
        self._running = running
        self._access = access

    async def budgets(self, request: Request) -> Response:
        """Every feature's promise and how it is kept."""
        self._access.authorise(request)
        semantics = self._running.semantics
        return json_response(
            {
                "features": {one.feature: _standing(one) for one in semantics.budgets.standings()},
                "audits": {
                    "spent_today_usd": semantics.purse.spent_nanousd * 1e-9,
                    "daily_limit_usd": semantics.purse.daily_limit_nanousd * 1e-9,
                    "waiting": semantics.auditor.waiting,
                },
            }
        )

    async def order(self, request: Request) -> Response:
        """Serves a feature again whose budget is breached: `{"action": "resume"}`."""
        actor = self._access.authorise(request)
        if (await json_body(request)).get("action") != "resume":
            raise Refusal(400, "invalid_field", '`action` must be "resume".', param="action")
        feature = request.path_params["feature"]
        if not self._running.semantics.budgets.resume(feature):
            raise Refusal(404, "unknown_feature", "There is no such feature.")
        self._access.acted(actor, "budget.resume", {"feature": feature})
        standings = self._running.semantics.budgets.standings()
        return json_response(next(_standing(one) for one in standings if one.feature == feature))

    async def audits(self, request: Request) -> Response:
        """The latest audits, newest first: `?feature=&limit=`."""
        self._access.authorise(request)
        feature = request.query_params.get("feature")
        latest: deque[Audit] = deque(maxlen=limit(request.query_params.get("limit"), _AUDITS, _MOST))
        async for audits in self._running.gateway.parts.store.audits(feature or None):
            latest.extend(audits)
        return json_response({"audits": [_audit(audit) for audit in reversed(latest)]})

    async def upstreams(self, request: Request) -> Response:
        """What each upstream is sent and bears, and what becomes of its failures."""
        self._access.authorise(request)
        return json_response({"upstreams": self._running.upstreams()})

    async def trail(self, request: Request) -> Response:
        """What administrators did, newest first: `?limit=`."""
        self._access.authorise(request)
        count = limit(request.query_params.get("limit"), _ACTS, _MOST)
        try:
            acts = await self._running.ledger.read(lambda books: books.acts(count))
        except OSError:
            raise Refusal(503, "ledger_unreadable", "The ledger can't be read now; try again.") from None
        return json_response({"acts": [act._asdict() for act in acts]})


def _standing(standing: Standing) -> Json:
    setting = standing.setting
    return {
        "error_budget": standing.budget.error_rate,
        "confidence": standing.budget.confidence,
        "wrong_among_hits": _interval(setting.among_hits),
        "wrong_among_requests": _interval(setting.among_all),
        "threshold": setting.threshold if setting.threshold <= 1 else None,
        "labels": setting.labels,
        "calibration": "refitted" if setting.refitted else "shipped",
        "requests": standing.traffic.requests,
        "hits": standing.traffic.hits,
        "breached": standing.breached_at is not None,
        "breached_at": standing.breached_at,
    }


def _interval(rate: Interval) -> Json:
    return {"estimate": rate.estimate, "lower": rate.low, "upper": rate.high}


def _audit(audit: Audit) -> Json:
    return {
        "at": audit.at,
        "feature": audit.feature,
        "request_id": audit.request_id,
        "question": audit.question.hex(),
        "answer": audit.answer.hex(),
        "source": audit.source,
        "judge": audit.judge,
        "right": audit.right,
        "propensity": audit.propensity,
        "probability": audit.probability,
        "threshold": audit.threshold,
        "reason": audit.reason,
    }
