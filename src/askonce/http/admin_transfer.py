"""Stored answers out of the gateway and in again, as streams of lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from askonce.administration.stream import Lines
from askonce.administration.transfer import Import, export
from askonce.errors import Refusal
from askonce.http.admin_fields import SELECTING, bad, known_fields, selection
from askonce.http.rest import json_response, refusing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from askonce.http.admin_access import AdminAccess
    from askonce.model import Json
    from askonce.wiring import Running

__all__ = ["transfer_routes"]

_AROUND: Final = 2 * 2**20
"""Bytes of a line beside the answer: the question, its vector and states, its links."""
_LINES: Final = "application/x-ndjson"
_ENCODINGS: Final = ("", "identity", "gzip")


def transfer_routes(running: Running, access: AdminAccess) -> list[Route]:
    """Routes of exports and imports."""
    transfer = _Transfer(running, access)
    return [
        Route("/admin/cache/export", refusing(transfer.export)),
        Route("/admin/cache/import", refusing(transfer.take), methods=["POST"]),
    ]


class _Transfer:
    def __init__(self, running: Running, access: AdminAccess) -> None:
        self._running = running
        self._access = access

    async def export(self, request: Request) -> Response:
        """The entries that the query means, as lines: `?tenant=&feature=&model=&tags=…`; all of them without one."""
        actor = self._access.authorise(request)
        asked: Json = {name: request.query_params.getlist(name) for name in request.query_params}
        known_fields(asked, SELECTING)
        for name in ("older_than", "created_before"):
            if name in asked:
                if len(asked[name]) > 1:
                    raise bad(name, "can be given once")
                asked[name] = _moment(asked[name][0])
        gateway = self._running.gateway
        named = self._running.settings.tenants is not None
        meant = selection(asked, gateway.parts.clock.now(), named=named)
        compressed = _takes_gzip(request.headers.get("accept-encoding", ""))
        headers = {"content-encoding": "gzip"} if compressed else {}
        if request.method == "HEAD":
            return Response(headers=headers, media_type=_LINES)
        self._access.acted(actor, "cache.export", asked)
        lines = export(gateway, meant, self._running.administration.transfers, compressed=compressed)
        return StreamingResponse(lines, headers=headers, media_type=_LINES)

    async def take(self, request: Request) -> Response:
        """Takes an export in; with `?dry_run=true`, only reads it."""
        actor = self._access.authorise(request)
        dry_run = request.query_params.get("dry_run", "false").lower()
        if dry_run not in {"true", "false"}:
            raise bad("dry_run", "must be true or false")
        encoding = request.headers.get("content-encoding", "").lower()
        if encoding not in _ENCODINGS:
            raise Refusal(415, "unsupported_encoding", "Send the lines as they are, or with gzip.")
        threads = self._running.administration.transfers
        max_entry_bytes = self._running.settings.cache.max_entry_bytes
        work = Import(self._running.gateway, threads, max_entry_bytes, dry_run=dry_run == "true")
        lines = Lines(2 * max_entry_bytes + _AROUND, compressed=encoding == "gzip")
        try:
            await self._read(request.stream(), lines, work)
        except ClientDisconnect:
            raise Refusal(400, "incomplete_body", "The body broke off; what came is kept.") from None
        except ValueError as error:
            raise Refusal(400, "invalid_encoding", f"What came is kept, but {error}.") from None
        finally:
            told = _told(work)
            kept = {name: told[name] for name in ("imported", "links", "bad", "complete", "dry_run")}
            self._access.acted(actor, "cache.import", kept)
        if work.same_secret is None:
            raise Refusal(400, "not_an_export", "The body has no line.")
        return json_response(told)

    async def _read(self, body: AsyncIterator[bytes], lines: Lines, work: Import) -> None:
        threads = self._running.administration.transfers
        async for piece in body:
            lines.feed(piece)
            while (batch := await threads.run(lines.take)) is not None:
                await work.take(batch)
        while (batch := await threads.run(lambda: lines.take(ended=True))) is not None:
            await work.take(batch)


def _takes_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` names gzip, with a weight that isn't 0."""
    codings = (one.partition(";") for one in accepted.lower().split(","))
    return any(
        name.strip() == "gzip" and not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight)
        for name, _, weight in codings
    )


def _moment(text: str) -> float | str:
    """A number where a query has one; otherwise the text, with the offset's plus sign that a query takes for a space."""
    try:
        return float(text)
    except ValueError:
        return text.replace(" ", "+")


def _told(work: Import) -> Json:
    return {
        "dry_run": work.dry_run,
        "imported": work.entries,
        "links": work.links,
        "skipped": dict(work.skipped),
        "bad": work.bad,
        "bad_lines": [{"line": number, "problem": problem} for number, problem in work.problems],
        "unindexed": work.unindexed,
        "complete": work.complete,
        "same_secret": work.same_secret,
    }
