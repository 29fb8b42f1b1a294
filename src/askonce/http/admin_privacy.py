"""The right to erasure, in one call: a tenant's data, or one of its users'."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from askonce.errors import Refusal
from askonce.http.admin_fields import KEY_ACCOUNT, TENANT_NAME, bad, flag, known_fields, text
from askonce.http.rest import json_body, json_response, refusing
from askonce.model import Owner

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json
    from askonce.wiring import Running
    from askonce.wiring.erasing import Erasure

__all__ = ["privacy_routes"]

_FIELDS: Final = ("tenant", "user", "dry_run")
_CREDENTIAL: Final = re.compile(r"sha256:([0-9a-f]{64})(/.+)?")
_RETRY_S: Final = 5.0


def privacy_routes(running: Running, access: AdminAccess) -> list[Route]:
    """The route of erasure."""
    privacy = _Privacy(running, access)
    return [Route("/admin/erase", refusing(privacy.erase), methods=["POST"])]


class _Privacy:
    def __init__(self, running: Running, access: AdminAccess) -> None:
        self._running = running
        self._access = access

    async def erase(self, request: Request) -> Response:
        """Erases `{"tenant": …}` or `{"tenant": …, "user": …}`; with `dry_run`, says what that would be."""
        actor = self._access.authorise(request)
        body = await json_body(request)
        known_fields(body, _FIELDS)
        dry_run = flag(body, "dry_run")
        owner = self._owner(body)
        erasing, done = self._running.erasing, False
        try:
            erased = await (erasing.look(owner) if dry_run else erasing.erase(owner))
            done = True
        except OSError as error:
            raise Refusal(
                503,
                "not_erased",
                f"Not everything could be erased now ({error}); repeat the call.",
                retry_after_s=_RETRY_S,
            ) from None
        finally:
            self._note(actor, owner, dry_run=dry_run, done=done)
        return json_response({"dry_run": dry_run, "erased": _shown(erased)})

    def _owner(self, body: Json) -> Owner:
        """Whose data is meant. Raises Refusal."""
        gateway = self._running.gateway
        user = text(body, "user")
        if "user" in body and not user:
            raise bad("user", "must be a string that isn't empty")
        mark = gateway.parts.users.mark(user) if user else None
        return Owner(self._tenant(text(body, "tenant")), mark)

    def _tenant(self, named: str) -> str:
        """A tenant's identity, as the store has it. Raises Refusal."""
        if self._running.settings.tenants is not None:
            # One that is no longer configured may have left data all the same.
            if not TENANT_NAME.fullmatch(named):
                raise bad("tenant", "must be the name of a tenant")
            return f"tenant:{named}"
        credential = _CREDENTIAL.fullmatch(named)
        if credential is not None:
            return self._running.gateway.parts.identity.tenant_of(bytes.fromhex(credential[1])) + (
                credential[2] or ""
            )
        if not KEY_ACCOUNT.fullmatch(named):
            sentence = "must be `sha256:` and the SHA-256 of a credential, or `key:` and at least 12 digits as in reports"
            raise bad("tenant", sentence)
        return named

    def _note(self, actor: str, owner: Owner, *, dry_run: bool, done: bool) -> None:
        """The trail says whose data it was: a user by a keyed hash."""
        detail: Json = {"tenant": owner.tenant, "dry_run": dry_run, "done": done}
        if owner.user is not None:
            detail["user"] = owner.user.hex()
        self._access.acted(actor, "erase", detail)


def _shown(erased: Erasure) -> Json:
    return {
        "answers": erased.answers,
        "links": erased.links,
        "questions": erased.questions,
        "jobs": erased.jobs,
        "top_questions": erased.top_questions,
        "calls_under_way": erased.flights,
        "files_deleted": list(erased.files),
    }
