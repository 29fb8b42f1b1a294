"""What administrators change while the gateway runs: its configuration, and tenants' keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from askonce.config.units import parse_duration
from askonce.errors import Refusal
from askonce.http.admin_access import note
from askonce.http.admin_fields import bad, known_fields, text
from askonce.http.rest import json_body, json_response, refusing

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from askonce.administration.keys import NewKey
    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json
    from askonce.ports.keys import IssuedKey
    from askonce.wiring import Running
    from askonce.wiring.reload import Reloaded

__all__ = ["gateway_routes", "reload_on_signal"]

_MOST_NOTE: Final = 200
_LONGEST_OVERLAP_S: Final = 90 * 86_400.0
_ID_LENGTH: Final = 8
_SIGNAL: Final = "SIGHUP"


def gateway_routes(running: Running, access: AdminAccess) -> list[Route]:
    """Routes of keys and of the configuration."""
    admin = _Gateway(running, access)
    return [
        Route("/admin/reload", refusing(admin.reload), methods=["POST"]),
        Route("/admin/keys", refusing(admin.keys), methods=["GET"]),
        Route("/admin/keys", refusing(admin.issue), methods=["POST"]),
        Route("/admin/keys/{key}", refusing(admin.revoke), methods=["DELETE"]),
        Route("/admin/keys/{key}/rotate", refusing(admin.rotate), methods=["POST"]),
    ]


def reload_on_signal(running: Running) -> None:
    """Reads the configuration again in the background, and writes into the trail what came of it."""
    running.administration.reload.soon(lambda result: _note_reload(running, _SIGNAL, result))


class _Gateway:
    def __init__(self, running: Running, access: AdminAccess) -> None:
        self._running = running
        self._access = access

    async def reload(self, request: Request) -> Response:
        """Reads the configuration's file again: all that can change is in force then, or nothing has changed."""
        actor = self._access.authorise(request)
        try:
            result = await self._running.administration.reload.now()
        except Refusal as refusal:
            _note_reload(self._running, actor, refusal)
            raise
        _note_reload(self._running, actor, result)
        return json_response(result._asdict())

    async def keys(self, request: Request) -> Response:
        """All tenants' keys: those issued here and those of the configuration, never a key itself."""
        self._access.authorise(request)
        administration = self._running.administration
        given = self._running.gateway.parts.identity.given_digests
        return json_response(
            {
                "durable": administration.keys.durable,
                "keys": [
                    *(_configured(digest, tenant) for digest, tenant in given.items()),
                    *(self._issued(key) for key in administration.keys.issued),
                ],
            }
        )

    async def issue(self, request: Request) -> Response:
        """A new key: `{"tenant": …, "note": …}`. It is in this answer and nowhere else."""
        actor = self._access.authorise(request)
        body = await json_body(request)
        known_fields(body, ("tenant", "note"))
        comment = text(body, "note")
        if len(comment) > _MOST_NOTE:
            raise bad("note", f"has at most {_MOST_NOTE} characters")
        new = await self._running.administration.keys.issue(text(body, "tenant"), comment)
        self._access.acted(actor, "keys.issue", {"tenant": new.kept.tenant, "id": _id(new.kept)})
        return json_response(self._new(new), 201)

    async def revoke(self, request: Request) -> Response:
        """Ends a key at once."""
        actor = self._access.authorise(request)
        ended = await self._running.administration.keys.revoke(request.path_params["key"])
        self._access.acted(actor, "keys.revoke", {"tenant": ended.tenant, "id": _id(ended)})
        return json_response(self._issued(ended))

    async def rotate(self, request: Request) -> Response:
        """A new key in place of one that stays valid for `{"overlap": "1h"}`."""
        actor = self._access.authorise(request)
        body = await json_body(request)
        known_fields(body, ("overlap",))
        try:
            overlap_s = parse_duration(body.get("overlap", 0))
        except ValueError as error:
            raise bad("overlap", str(error)) from None
        if overlap_s > _LONGEST_OVERLAP_S:
            raise bad("overlap", "must be 90 days at most")
        new, old = await self._running.administration.keys.rotate(request.path_params["key"], overlap_s)
        detail = {"tenant": old.tenant, "id": _id(old), "successor": _id(new.kept), "until": old.revoked_at}
        self._access.acted(actor, "keys.rotate", detail)
        return json_response({**self._new(new), "replaces": self._issued(old)}, 201)

    def _issued(self, key: IssuedKey) -> Json:
        return {
            "id": _id(key),
            "tenant": key.tenant,
            "source": "issued",
            "created_at": key.created_at,
            "revoked_at": key.revoked_at,
            "usable": self._running.administration.keys.usable(key),
            "note": key.note,
        }

    def _new(self, new: NewKey) -> Json:
        return {
            "key": new.key,
            **self._issued(new.kept),
            "durable": self._running.administration.keys.durable,
        }


def _configured(digest: str, tenant: str) -> Json:
    return {"id": digest[:_ID_LENGTH], "tenant": tenant, "source": "configuration", "usable": True}


def _id(key: IssuedKey) -> str:
    return key.digest.hex()[:_ID_LENGTH]


def _note_reload(running: Running, actor: str, result: Reloaded | Refusal) -> None:
    if isinstance(result, Refusal):
        note(running, actor, "reload", {"refused": result.code})
        return
    note(running, actor, "reload", {"applied": result.applied, "needs_restart": result.needs_restart})
