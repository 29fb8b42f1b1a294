"""A provider's Batch API: files of requests, worked off after a while, with books of its own.

The books tell what a gateway must not do: `repeated_lines` counts requests that were handed in again although the
provider had taken them and had not failed them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.errors import UpstreamFailure
from askonce.model import Endpoint
from askonce.upstreams.simulated.dice import Dice
from askonce.upstreams.simulated.failures import invalid, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json
    from askonce.ports import Clock
    from askonce.upstreams.simulated.upstream import SimulatedUpstream

__all__ = ["BatchRules", "SimulatedBatches"]

_MAX_LINES: Final = 50_000
_MAX_BYTES: Final = 200 * 10**6
_WINDOW_S: Final = 86_400
_AT_ONCE: Final = 50
_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})
_URLS: Final = {f"/v1/{endpoint.value}": endpoint for endpoint in Endpoint}


@dataclass(frozen=True, slots=True)
class BatchRules:
    """How batches fare.

    Attributes:
        delay_s: From a batch's creation to its end.
        fail_rate: Share of batches that fail as a whole.
        expire_rate: Share of lines that aren't answered in time.
        error_rate: Share of lines that are answered with status 500.
    """

    delay_s: float = 1.0
    fail_rate: float = 0.0
    expire_rate: float = 0.0
    error_rate: float = 0.0


@dataclass(slots=True)
class _Batch:
    shown: Json
    lines: Sequence[Json]
    began: float
    fate: Dice
    digests: list[bytes] = field(default_factory=list)


class SimulatedBatches:
    """Files and batches, in memory.

    Attributes:
        books: Counts, by name.
    """

    def __init__(self, upstream: SimulatedUpstream, rules: BatchRules, clock: Clock, seed: int) -> None:
        self.books: Counter[str] = Counter()
        self._upstream = upstream
        self._rules = rules
        self._clock = clock
        self._seed = seed
        self._files: dict[str, tuple[Json, bytes]] = {}
        self._batches: dict[str, _Batch] = {}
        self._taken: set[bytes] = set()
        self._work: set[asyncio.Task[None]] = set()

    def as_json(self) -> Json:
        """The books, and how many requests are taken and not failed."""
        return {**self.books, "taken_lines": len(self._taken)}

    def upload(self, name: str, purpose: str, content: bytes) -> Json:
        """Takes a file. Raises UpstreamFailure."""
        if purpose != "batch":
            raise invalid("'purpose' must be 'batch'.", "purpose")
        if len(content) > _MAX_BYTES:
            raise refused(413, "file_too_large", "Files are limited to 200 MB.")
        self.books["files"] += 1
        return self._keep(name, purpose, content)

    def files(self, after: str, limit: int) -> Json:
        """The list of files, newest first."""
        return _page([shown for shown, _ in reversed(self._files.values())], after, limit)

    def file(self, identity: str) -> tuple[Json, bytes]:
        """A file and its content. Raises UpstreamFailure."""
        if identity not in self._files:
            raise refused(404, "file_not_found", f"No such File object: {identity}.", param="id")
        return self._files[identity]

    def delete_file(self, identity: str) -> Json:
        """Deletes a file. Raises UpstreamFailure."""
        self.file(identity)
        del self._files[identity]
        return {"id": identity, "object": "file", "deleted": True}

    def create(self, body: Any) -> Json:
        """Makes a batch of a file and begins to work it off. Raises UpstreamFailure."""
        if not isinstance(body, dict) or body.get("completion_window") != "24h":
            raise invalid("'completion_window' must be '24h'.", "completion_window")
        if body.get("endpoint") not in _URLS:
            raise invalid("'endpoint' isn't one that batches take.", "endpoint")
        shown, content = self.file(str(body.get("input_file_id")))
        now, identity = int(self._clock.now()), f"batch_{token_hex(12)}"
        batch = _Batch(
            shown={
                "id": identity, "object": "batch", "endpoint": body["endpoint"], "errors": None,
                "input_file_id": shown["id"], "completion_window": "24h", "status": "validating",
                "output_file_id": None, "error_file_id": None, "created_at": now, "expires_at": now + _WINDOW_S,
                "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": body.get("metadata"),
            },
            lines=(),
            began=asyncio.get_running_loop().time(),
            fate=Dice(self._seed, hashlib.sha256(content).digest(), self.books["batches"]),
        )  # fmt: skip
        self.books["batches"] += 1
        self._batches[identity] = batch
        error = self._read(batch, content)
        task = asyncio.create_task(self._live(batch, error), name=identity)  # noqa: TID251 - ends with the batch
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return batch.shown

    def batches(self, after: str, limit: int) -> Json:
        """The list of batches, newest first."""
        return _page([batch.shown for batch in reversed(self._batches.values())], after, limit)

    def batch(self, identity: str) -> Json:
        """A batch. Raises UpstreamFailure."""
        return self._batch(identity).shown

    def cancel(self, identity: str) -> Json:
        """Cancels a batch that hasn't ended. Raises UpstreamFailure."""
        batch = self._batch(identity)
        if batch.shown["status"] in _ENDED:
            raise refused(409, "batch_ended", "The batch has ended; it can't be cancelled.")
        batch.shown["status"] = "cancelling"
        return batch.shown

    def _batch(self, identity: str) -> _Batch:
        if identity not in self._batches:
            raise refused(404, "batch_not_found", f"No batch with id '{identity}'.", param="id")
        return self._batches[identity]

    def _keep(self, name: str, purpose: str, content: bytes) -> Json:
        shown: Json = {
            "id": f"file-{token_hex(12)}", "object": "file", "bytes": len(content), "filename": name,
            "created_at": int(self._clock.now()), "purpose": purpose, "status": "processed",
        }  # fmt: skip
        self._files[shown["id"]] = shown, content
        return shown

    def _read(self, batch: _Batch, content: bytes) -> str:
        """Reads a batch's lines and enters them in the books; why the provider won't have them, "" otherwise."""
        rows = content.splitlines()
        if len(rows) > _MAX_LINES:
            return "too_many_tasks"
        try:
            lines = [orjson.loads(row) for row in rows]
            names = {line["custom_id"] for line in lines}
            models = {line["body"]["model"] for line in lines}
            urls = {line["url"] for line in lines}
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return "invalid_json_line"
        if len(names) < len(lines) or len(models) != 1 or urls != {batch.shown["endpoint"]}:
            return "mismatched_lines"
        batch.lines = lines
        batch.shown["request_counts"]["total"] = len(lines)
        batch.digests = [_digest(line) for line in lines]
        self.books["lines"] += len(lines)
        self.books["repeated_lines"] += sum(one in self._taken for one in batch.digests)
        self._taken.update(batch.digests)
        return ""

    async def _live(self, batch: _Batch, error: str) -> None:
        """A batch's life: half of its time it is waited for, half of it worked on."""
        shown, rules = batch.shown, self._rules
        await asyncio.sleep(rules.delay_s / 4)
        if error or batch.fate.share() < rules.fail_rate:
            self._fail(batch, error or "internal_error")
            return
        if shown["status"] == "validating":
            shown["status"] = "in_progress"
        await asyncio.sleep(rules.delay_s / 2)
        answered: list[bytes] = []
        failed: list[bytes] = []
        for index, (line, digest) in enumerate(zip(batch.lines, batch.digests, strict=True)):
            if index % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if shown["status"] == "cancelling":
                failed.append(_unanswered(line, "batch_cancelled"))
                self._taken.discard(digest)
            elif batch.fate.share() < rules.expire_rate:
                failed.append(_unanswered(line, "batch_expired"))
                self._taken.discard(digest)
            else:
                status, body = self._answer(batch, line)
                (answered if status == 200 else failed).append(_answered(line, status, body))  # noqa: PLR2004 - HTTP's OK
                if status >= 500:  # noqa: PLR2004 - HTTP's server errors
                    self._taken.discard(digest)
        cancelled = shown["status"] == "cancelling"
        shown["status"] = "cancelling" if cancelled else "finalizing"
        await asyncio.sleep(rules.delay_s / 4)
        self._end(batch, answered, failed, "cancelled" if cancelled else "completed")

    def _fail(self, batch: _Batch, code: str) -> None:
        self._taken.difference_update(batch.digests)
        batch.shown["status"] = "failed"
        errors = [{"code": code, "message": f"The batch failed: {code}.", "line": None, "param": None}]
        batch.shown["errors"] = {"object": "list", "data": errors}
        self.books["failed"] += 1

    def _end(self, batch: _Batch, answered: list[bytes], failed: list[bytes], status: str) -> None:
        shown = batch.shown
        shown["request_counts"] |= {"completed": len(answered), "failed": len(failed)}
        # Real ones come in no particular order either.
        answered.sort(key=lambda line: hashlib.sha256(line).digest())
        if answered:
            content = b"\n".join(answered) + b"\n"
            shown["output_file_id"] = self._keep(f"{shown['id']}_output.jsonl", "batch_output", content)["id"]
        if failed:
            content = b"\n".join(failed) + b"\n"
            shown["error_file_id"] = self._keep(f"{shown['id']}_error.jsonl", "batch_output", content)["id"]
        shown["status"] = status
        shown["completed_at"] = int(self._clock.now())
        self.books[status] += 1
        self.books["answered_lines"] += len(answered)

    def _answer(self, batch: _Batch, line: Json) -> tuple[int, bytes]:
        if batch.fate.share() < self._rules.error_rate:
            return (
                500,
                b'{"error":{"message":"The server had an error.","type":"server_error","param":null,"code":null}}',
            )
        try:
            name = f"{batch.shown['id']}/{line['custom_id']}"
            return 200, self._upstream.offline(_URLS[line["url"]], orjson.dumps(line["body"]), name)
        except UpstreamFailure as failure:
            return failure.status, b'{"error":' + (failure.body or b"null") + b"}"


def _digest(line: Json) -> bytes:
    """What a line asks, whatever it is called."""
    asked = orjson.dumps([line["url"], line["body"]], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(asked).digest()


def _answered(line: Json, status: int, body: bytes) -> bytes:
    response = {"status_code": status, "request_id": f"req_{token_hex(8)}", "body": orjson.Fragment(body)}
    return orjson.dumps(
        {
            "id": f"batch_req_{token_hex(8)}",
            "custom_id": line["custom_id"],
            "response": response,
            "error": None,
        }
    )


def _unanswered(line: Json, code: str) -> bytes:
    error = {"code": code, "message": "This request could not be executed before the batch ended."}
    return orjson.dumps(
        {"id": f"batch_req_{token_hex(8)}", "custom_id": line["custom_id"], "response": None, "error": error}
    )


def _page(newest_first: list[Json], after: str, limit: int) -> Json:
    """A page of a list, as OpenAI cuts them."""
    names = [one["id"] for one in newest_first]
    start = names.index(after) + 1 if after in names else 0
    data = newest_first[start : start + limit]
    return {"object": "list", "data": data, "has_more": start + limit < len(names)}
