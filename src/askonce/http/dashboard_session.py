"""Signing in to the dashboard: an administrator's key for a cookie, which the key's removal from the configuration ends.

The cookie names a session that only this process knows. It is sent by no other site's page (`SameSite=Strict`) and read
by no script (`HttpOnly`); requests that change something must also say that they come from our own page.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.errors import Refusal
from askonce.http.rest import json_body, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json

__all__ = ["Sessions", "Throttle"]

_COOKIE: Final = "askonce_session"
_LIFETIME_S: Final = 12 * 3_600
_MOST: Final = 200
_FREE_FAILURES: Final = 5
_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 60.0
_FORGOTTEN_S: Final = 900.0
_ADDRESSES: Final = 1_000


class _Session(NamedTuple):
    """Who has signed in, with which key (by its digest), until when in event-loop time."""

    actor: str
    until: float


class Throttle:
    """Makes guessing slow: after some failures, an address has to wait, longer each time."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until the address may try again; 0 for at once."""
        failures, at = self._failures.get(address, (0, 0.0))
        if failures < _FREE_FAILURES or now - at > _FORGOTTEN_S:
            return 0.0
        pause_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(failures - _FREE_FAILURES, 10))
        return max(0.0, at + pause_s - now)

    def failed(self, address: str, now: float) -> None:
        """A wrong key came from the address."""
        failures, at = self._failures.get(address, (0, now))
        self._failures[address] = (1 if now - at > _FORGOTTEN_S else failures + 1, now)
        self._failures.move_to_end(address)
        if len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """The right key came from the address."""
        self._failures.pop(address, None)


class Sessions:
    """Who is signed in: bounded in number, the oldest goes."""

    def __init__(self, access: AdminAccess) -> None:
        self._access = access
        self._throttle = Throttle()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    async def begin(self, request: Request) -> Response:
        """`POST /admin/session` with `{"key": …}`: signs in."""
        _refuse_other_sites(request)
        key = (await json_body(request)).get("key")
        # Nothing is awaited from here on: guesses that come together are counted one after the other.
        address, now = request.client.host if request.client else "", _now()
        wait_s = self._throttle.wait_s(address, now)
        if wait_s:
            raise Refusal(
                429, "too_many_attempts", "Too many wrong keys; wait a moment.", retry_after_s=wait_s
            )
        actor = self._access.actor(f"Bearer {key}") if isinstance(key, str) else None
        if actor is None:
            self._throttle.failed(address, now)
            self._access.note_refusal()
            raise Refusal(401, "invalid_admin_key", "This is no administrator's key.")
        self._throttle.succeeded(address)
        response = _answer({"signed_in": True})
        self._forget(request)
        name = secrets.token_urlsafe(32)
        self._sessions[_digest(name)] = _Session(actor, now + _LIFETIME_S)
        if len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)
        self._access.acted(actor, "dashboard.sign-in", {})
        _set_cookie(response, request, name, _LIFETIME_S)
        return response

    async def end(self, request: Request) -> Response:
        """`DELETE /admin/session`: signs out."""
        _refuse_other_sites(request)
        self._forget(request)
        response = _answer({"signed_in": False})
        _set_cookie(response, request, "", 0)
        return response

    async def tell(self, request: Request) -> Response:
        """`GET /admin/session`: whether the page is signed in, and whether anybody can be."""
        actor = self.actor(request)
        if actor is None:
            self._note_guess(request)
        return _answer({"signed_in": actor is not None, "configured": self._access.configured})

    def actor(self, request: Request) -> str | None:
        """Who a request comes from: an administrator's key as bearer token, or a session; None for anybody else."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return self._access.actor(authorization)
        name = _digest(request.cookies.get(_cookie(request), ""))
        session = self._sessions.get(name)
        if session is None:
            return None
        if session.until <= _now() or not self._access.stands(session.actor):
            del self._sessions[name]
            return None
        return session.actor

    def _forget(self, request: Request) -> None:
        """Ends the session that a request belongs to, if any."""
        self._sessions.pop(_digest(request.cookies.get(_cookie(request), "")), None)

    def authorise(self, request: Request) -> str:
        """The actor behind a request; one that changes something must come from our own page. Raises Refusal."""
        actor = self.actor(request)
        if actor is None:
            self._note_guess(request)
            raise Refusal(401, "not_signed_in", "Sign in, or send an administrator's key as bearer token.")
        if request.method not in {"GET", "HEAD"} and "authorization" not in request.headers:
            _refuse_other_sites(request, certain=True)
        return actor

    def _note_guess(self, request: Request) -> None:
        """A wrong key, unlike a cookie that is over, stands in the trail."""
        if "authorization" in request.headers:
            self._access.note_refusal()


def _refuse_other_sites(request: Request, *, certain: bool = False) -> None:
    """Refuses what another site's page sends; with `certain` also what doesn't say where it comes from."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = site in {"same-origin", "none"} if site is not None else not certain
    if origin is not None:
        own = (site is None or own) and origin.partition("://")[2] == request.headers.get("host")
    if not own:
        raise Refusal(403, "cross_site", "This is for the dashboard's own page.")


def _answer(content: Json) -> Response:
    response = json_response(content)
    response.headers["cache-control"] = "no-store"
    return response


def _set_cookie(response: Response, request: Request, value: str, lifetime_s: int) -> None:
    forwarded = request.headers.get("x-forwarded-proto", "").split(",")[0].strip()
    secure = "https" in {request.url.scheme, forwarded}
    response.set_cookie(
        _cookie(request), value, max_age=lifetime_s, path="/", httponly=True, samesite="strict", secure=secure
    )


def _cookie(request: Request) -> str:
    """The cookie's name: browsers share cookies among all ports of a host, gateways don't."""
    _, _, port = request.headers.get("host", "").rpartition(":")
    return f"{_COOKIE}_{port}" if re.fullmatch("[0-9]{1,5}", port) else _COOKIE


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _now() -> float:
    return asyncio.get_running_loop().time()
