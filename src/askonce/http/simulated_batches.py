"""The simulated provider's Batch API on the wire: `/v1/files` and `/v1/batches`."""

from __future__ import annotations

import re
from email.message import Message
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import orjson

from askonce.http.asgi import read_body
from askonce.upstreams.simulated.failures import invalid, refused

if TYPE_CHECKING:
    from askonce.http.asgi import Receive, Scope
    from askonce.model import Json
    from askonce.upstreams.simulated.batches import SimulatedBatches

__all__ = ["batch_api"]

_MAX_BYTES: Final = 220 * 10**6
_TIMEOUT_S: Final = 600.0
_MAX_PAGE: Final = 100
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


async def batch_api(batches: SimulatedBatches, scope: Scope, receive: Receive) -> Json | bytes | None:
    """Answers one request with JSON or a file's content; None for a path that isn't of the Batch API.

    Raises:
        UpstreamFailure: the request is refused.
    """
    method, (kind, identity, action) = scope["method"], _parts(scope["path"])
    if kind not in {"files", "batches"}:
        return None
    if method == "POST":
        body = await read_body(receive, _MAX_BYTES, _TIMEOUT_S)
        return _post(batches, (kind, identity, action), body, _content_type(scope))
    if method == "DELETE" and kind == "files" and identity and not action:
        return batches.delete_file(identity)
    if method != "GET":
        raise refused(405, "method_not_allowed", f"{scope['path']} doesn't take {method}.")
    if kind == "files" and action == "content":
        return batches.file(identity)[1]
    if action:
        raise refused(404, "unknown_url", f"Unknown request URL: {method} {scope['path']}.")
    if identity:
        return batches.file(identity)[0] if kind == "files" else batches.batch(identity)
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
    limit = query.get("limit", "20")
    if not _NUMBER.fullmatch(limit) or not 0 < int(limit) <= _MAX_PAGE:
        raise invalid("'limit' is a number from 1 to 100.", "limit")
    listed = batches.files if kind == "files" else batches.batches
    return listed(query.get("after", ""), int(limit))


def _post(batches: SimulatedBatches, parts: tuple[str, str, str], body: bytes, content_type: str) -> Json:
    match parts:
        case ("files", "", ""):
            fields = _multipart(body, content_type)
            if "file" not in fields or "purpose" not in fields:
                raise invalid("'file' and 'purpose' are required.", "file")
            name, content = fields["file"]
            return batches.upload(name, fields["purpose"][1].decode("utf-8", "replace"), content)
        case ("batches", "", ""):
            try:
                return batches.create(orjson.loads(body))
            except orjson.JSONDecodeError:
                raise invalid("We could not parse the JSON body of your request.", None) from None
        case ("batches", identity, "cancel"):
            return batches.cancel(identity)
        case _:
            raise refused(404, "unknown_url", "Unknown request URL.")


def _parts(path: str) -> tuple[str, str, str]:
    """Kind, id and action of a path below `/v1/`."""
    below = path.removeprefix("/v1/").split("/") if path.startswith("/v1/") else []
    if not 1 <= len(below) <= 3:  # noqa: PLR2004 - kind, id, action
        return "", "", ""
    kind, identity, action = [*below, "", ""][:3]
    return kind, identity, action


def _content_type(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"), "")


def _multipart(body: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    """The fields of a form (RFC 7578) by name: file name, content. Raises UpstreamFailure."""
    boundary = _parameter("content-type", content_type, "boundary")
    if not boundary:
        raise invalid("The body must be multipart/form-data.", None)
    fields = {}
    mark = b"\r\n--" + boundary.encode()
    for part in (b"\r\n" + body).split(mark)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-disposition":
                field = _parameter(name, value.strip(), "name")
                fields[field] = (_parameter(name, value.strip(), "filename"), content)
    return fields


def _parameter(header: str, value: str, name: str) -> str:
    message = Message()
    message[header] = value
    found = message.get_param(name, "", header)
    return found if isinstance(found, str) else ""
