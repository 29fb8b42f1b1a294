"""How tenants' and features' limits stand."""

from __future__ import annotations

import asyncio
from heapq import nlargest
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from askonce.http.admin_fields import limit
from askonce.http.rest import json_response, refusing

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json
    from askonce.pipeline.allowances import Standing
    from askonce.wiring import Running

__all__ = ["limit_routes"]

_AT_ONCE: Final = 500
"""Limits that are looked at before others get their turn: there may be many credentials."""
_PAGE: Final = 100
_MOST: Final = 1_000
_NANO: Final = 1_000_000_000
_RATIO: Final = attrgetter("ratio")


def limit_routes(running: Running, access: AdminAccess) -> list[Route]:
    """`/admin/limits`."""

    async def limits(request: Request) -> Response:
        """The limits that are used most first: `?tenant=&feature=&limit=`."""
        access.authorise(request)
        query = request.query_params
        wanted = {name: query[name] for name in ("tenant", "feature") if name in query}
        count = limit(query.get("limit"), _PAGE, _MOST)
        fullest: list[Standing] = []
        found = 0
        for place, one in enumerate(running.gateway.parts.allowances.standings()):
            if place % _AT_ONCE == _AT_ONCE - 1:
                fullest = nlargest(count, fullest, _RATIO)
                await asyncio.sleep(0)
            if all(getattr(one, name) == value for name, value in wanted.items()):
                found += 1
                fullest.append(one)
        data = [_standing(one) for one in nlargest(count, fullest, _RATIO)]
        return json_response({"limits": data, "has_more": found > count})

    return [Route("/admin/limits", refusing(limits))]


def _standing(standing: Standing) -> Json:
    """Requests, tokens or dollars, by the limit's name."""

    def told(amount: int | None) -> float | None:
        return amount / _NANO if amount is not None and standing.limit.startswith("usd") else amount

    bound = standing.hard if standing.hard is not None else standing.soft
    return {
        "tenant": standing.tenant or None,
        "feature": standing.feature or None,
        "limit": standing.limit,
        "soft": told(standing.soft),
        "hard": told(standing.hard),
        "used": told(standing.used),
        "remaining": told(None if bound is None else max(0, bound - standing.used)),
        "resets_at": round(standing.resets_at, 3),
    }
