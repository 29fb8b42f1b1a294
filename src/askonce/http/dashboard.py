"""The dashboard: one page at `/`, its files, and what it asks for. Nothing of it comes from anywhere else."""

from __future__ import annotations

import hashlib
import importlib.resources
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response
from starlette.routing import Route

from askonce.errors import Refusal
from askonce.http.dashboard_session import Sessions
from askonce.http.live import EventStream, Feed
from askonce.http.live_view import View
from askonce.http.rest import json_body, json_response, refusing
from askonce.observe.live_history import History

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from askonce.http.admin_access import AdminAccess
    from askonce.wiring import Running

__all__ = ["dashboard_routes"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE: Final = "index.html"
_ICON: Final = "icon.svg"
_NOT_MODIFIED: Final = 304


class _File(NamedTuple):
    """A file of the page; `tag` is its ETag."""

    content: bytes
    media_type: str
    tag: str


def dashboard_routes(running: Running, access: AdminAccess) -> list[Route]:
    """The page, its files, signing in and out, what is live, and verdicts."""
    dashboard = _Dashboard(running, access, _files())
    return [
        Route("/", dashboard.page),
        Route("/login", dashboard.page),
        Route("/favicon.ico", dashboard.icon),
        Route("/static/{name}", refusing(dashboard.file)),
        Route("/admin/session", refusing(dashboard.sessions.begin), methods=["POST"]),
        Route("/admin/session", refusing(dashboard.sessions.end), methods=["DELETE"]),
        Route("/admin/session", refusing(dashboard.sessions.tell)),
        Route("/admin/live", dashboard.live),
        Route("/admin/feedback", refusing(dashboard.feedback), methods=["POST"]),
    ]


class _Dashboard:
    """The endpoints.

    Attributes:
        sessions: Who is signed in.
    """

    def __init__(self, running: Running, access: AdminAccess, files: Mapping[str, _File]) -> None:
        self.sessions = Sessions(access)
        self._running = running
        self._access = access
        self._files = files
        history = History(running.ledger, running.gateway.parts.clock)
        self._feed = Feed(View(running, history), history)

    async def page(self, request: Request) -> Response:
        """The page; it shows nothing but a form to whoever isn't signed in."""
        return _sent(self._files[_PAGE], request)

    async def icon(self, request: Request) -> Response:
        """What browsers ask for unasked."""
        return _sent(self._files[_ICON], request)

    async def file(self, request: Request) -> Response:
        """One of the page's files, which are known by name. Raises Refusal."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise Refusal(404, "unknown_url", "The dashboard has no such file.")
        return _sent(found, request)

    async def live(self, request: Request) -> Response | EventStream:
        """Server-sent events, to whoever is signed in, for as long as that holds."""

        async def refused(_: Request) -> Response:
            self.sessions.authorise(request)
            raise Refusal(503, "too_many_viewers", "Too many viewers are looking already.", retry_after_s=5)

        if self._feed.full or self.sessions.actor(request) is None:
            return await refusing(refused)(request)
        if request.method == "HEAD":
            return Response(headers=_HEADERS, media_type="text/event-stream")
        headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
        return EventStream(
            self._feed, lambda: self._welcome(request), [*headers, (b"cache-control", b"no-store")]
        )

    async def feedback(self, request: Request) -> Response:
        """An administrator's verdict on a semantic hit: `{"request_id": …, "tenant": …, "correct": …}`. Raises Refusal."""
        actor = self.sessions.authorise(request)
        body = await json_body(request)
        request_id, tenant, correct = body.get("request_id"), body.get("tenant"), body.get("correct")
        if not isinstance(correct, bool):
            raise Refusal(400, "invalid_field", "`correct` must be true or false.", param="correct")
        if not isinstance(request_id, str):
            raise Refusal(400, "invalid_field", "`request_id` must be a string.", param="request_id")
        if tenant is not None and not isinstance(tenant, str):
            raise Refusal(400, "invalid_field", "`tenant` must be a string.", param="tenant")
        found = await self._running.semantics.auditor.ruling(request_id, tenant, correct=correct)
        if not found:
            raise Refusal(404, "unknown_answer", "There was no semantic hit of that id lately.")
        if found > 1:
            sentence = f"{found} tenants have had a semantic hit of that id: name the `tenant`."
            raise Refusal(409, "ambiguous_answer", sentence, param="tenant")
        self._access.acted(actor, "feedback", {"request_id": request_id[:128], "correct": correct})
        return json_response({"recorded": True})

    def _welcome(self, request: Request) -> bool:
        return not self._running.draining and self.sessions.actor(request) is not None


def _files() -> dict[str, _File]:
    """The packaged files by name."""
    found: dict[str, _File] = {}
    for file in importlib.resources.files("askonce.http").joinpath("static").iterdir():
        media_type = _TYPES.get("." + file.name.rpartition(".")[2])
        if media_type is not None:
            content = file.read_bytes()
            found[file.name] = _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


def _sent(file: _File, request: Request) -> Response:
    """The file, or that the browser's copy is as good: it asks each time, so that a new version is seen at once."""
    headers = {**_HEADERS, "cache-control": "no-cache", "etag": file.tag}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
