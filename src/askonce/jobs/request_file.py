"""A provider's file of requests: one JSON object a line, made from a batch's lines and kept on disk on its way."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from askonce.job import Batch, Line
    from askonce.ports import JobStore

__all__ = ["custom_id", "line_number", "request_file"]

_AT_ONCE: Final = 200
_NAME: Final = re.compile(r"line-([0-9]{1,18})")
_STREAMING: Final = frozenset({"stream", "stream_options"})


def custom_id(number: int) -> str:
    """A line's name in a file."""
    return f"line-{number}"


def line_number(name: object) -> int | None:
    """The number of the line of that name; None for what isn't the name of one."""
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    return int(found[1]) if found else None


@asynccontextmanager
async def request_file(jobs: JobStore, batch: Batch) -> AsyncIterator[IO[bytes] | None]:
    """The file of a batch, for as long as it is needed; None where none of its lines is wanted any more.

    It has no name, so that a kill leaves nothing of what was asked on the disk.
    """
    file = await asyncio.to_thread(_unnamed)
    try:
        after, empty = 0, True
        while lines := await jobs.lines(batch.number, after, _AT_ONCE):
            await asyncio.to_thread(_append, file, lines)
            after, empty = lines[-1].number, False
        await asyncio.to_thread(file.seek, 0)
        yield None if empty else file
    finally:
        await asyncio.to_thread(file.close)


def _unnamed() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="askonce-batch-")


def _append(file: IO[bytes], lines: Sequence[Line]) -> None:
    file.writelines(_written(line) for line in lines)


def _written(line: Line) -> bytes:
    """One request, under the upstream's own name of the model."""
    try:
        body: Any = orjson.loads(line.body)
    except orjson.JSONDecodeError:  # integers beyond 64 bits: rare, and exact in the standard library alone
        body = json.loads(line.body)
    body = {name: value for name, value in body.items() if name not in _STREAMING} | {
        "model": line.group.model
    }
    request = {
        "custom_id": custom_id(line.number),
        "method": "POST",
        "url": f"/v1/{line.group.endpoint}",
        "body": body,
    }
    try:
        return orjson.dumps(request, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(request, separators=(",", ":")).encode() + b"\n"
