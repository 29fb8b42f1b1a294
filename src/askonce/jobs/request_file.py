"""A provider's file of requests: one JSON object a line, made from a batch's lines and kept on disk on its way."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from askonce.job import Batch, Line
    from askonce.ports import JobStore

__all__ = ["custom_id", "request_file"]

_AT_ONCE: Final = 200
_STREAMING: Final = frozenset({"stream", "stream_options"})


def custom_id(line: Line) -> str:
    """A line's name in a file."""
    return f"line-{line.number}"


@asynccontextmanager
async def request_file(jobs: JobStore, batch: Batch) -> AsyncIterator[Path | None]:
    """The file of a batch, for as long as it is needed; None where none of its lines is wanted any more."""
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="askonce-batch-")
    try:
        path = Path(folder.name) / "requests.jsonl"
        after, written = 0, 0
        while lines := await jobs.lines(batch.number, after, _AT_ONCE):
            await asyncio.to_thread(_append, path, lines)
            after, written = lines[-1].number, written + len(lines)
        yield path if written else None
    finally:
        await asyncio.to_thread(folder.cleanup)


def _append(path: Path, lines: Sequence[Line]) -> None:
    with path.open("ab") as file:
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
        "custom_id": custom_id(line),
        "method": "POST",
        "url": f"/v1/{line.group.endpoint}",
        "body": body,
    }
    try:
        return orjson.dumps(request, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(request, separators=(",", ":")).encode() + b"\n"
