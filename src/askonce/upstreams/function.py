"""A Python function in the gateway's own process as an upstream: for engines that are a library, not a server.

    async def generate(calls: list[Call]) -> list[...]

It is given one or more calls of one endpoint and model (see `askonce.model.Call`: `body` is the request's JSON) and
returns as many results in the same order. A result is OpenAI's whole answer for the endpoint, as a dict or as JSON bytes,
or an exception for that call alone: a `Refusal` is told as it is, any other one as a failure of the upstream. What it
raises itself concerns all its calls.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson
import structlog

from askonce.errors import Refusal, Sharing, UpstreamFailure
from askonce.sending.batches.bodies import read_bodies, write_outcomes
from askonce.sending.batches.form import Mismatch, read_fields
from askonce.sending.whole import WholeReply
from askonce.upstreams.refusals import transient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from askonce.model import Call, Json

__all__ = ["FunctionUpstream", "Generate", "find_function"]

Generate: TypeAlias = "Callable[[list[Call]], Awaitable[Sequence[object]]]"
"""What answers calls."""

_log = structlog.get_logger("askonce.upstreams")
_CREATED: Final = 1_700_000_000
_TRANSIENT: Final = frozenset({408, 409, 425, 429})
_SERVER_ERROR: Final = 500


def find_function(path: str) -> Generate:
    """The function that `package.module:attribute` names; attributes may be dotted.

    Raises:
        ValueError: there is none, it can't be imported, or it isn't a coroutine function. The sentence says which.
    """
    module_name, _, attribute = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for name in attribute.split("."):
            found = getattr(found, name)
    except Exception as error:
        raise ValueError(f"{path} can't be imported ({type(error).__name__}: {error})") from error
    asked = found if inspect.isroutine(found) else getattr(type(found), "__call__", None)  # noqa: B004 - to look at it
    if not inspect.iscoroutinefunction(asked):
        raise ValueError(f"{path} must be an async function of a list of calls")
    generate: Generate = found
    return generate


class FunctionUpstream:
    """Calls a function, and holds it to its promise. Whatever it raises or returns, the gateway goes on."""

    def __init__(self, name: str, generate: Generate, models: Sequence[str], timeout_s: float) -> None:
        """`models` are those that it is said to answer; `timeout_s` bounds one call of the function."""
        self._name = name
        self._generate = generate
        self._models = models
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self._name

    async def open(self, call: Call) -> WholeReply:
        """Has a call answered, or several whose bodies come as a list. Raises UpstreamFailure."""
        bodies = read_bodies(call.body)
        if bodies is None:
            (outcome,) = await self._outcomes([call])
            if isinstance(outcome, UpstreamFailure):
                raise outcome
            return WholeReply(outcome)
        return WholeReply(write_outcomes(await self._outcomes([replace(call, body=body) for body in bodies])))

    async def models(self, credential: str | None) -> list[Json]:  # noqa: ARG002 - the port's shape
        """The models that it is said to answer."""
        return [
            {"id": name, "object": "model", "created": _CREATED, "owned_by": self._name}
            for name in self._models
        ]

    async def close(self) -> None:
        """Holds nothing to close."""

    async def _outcomes(self, calls: list[Call]) -> list[bytes | UpstreamFailure]:
        """What became of each call. Raises UpstreamFailure where there is nothing to tell them apart."""
        results = await self._results(calls)
        if not isinstance(results, list | tuple) or len(results) != len(calls):
            given = f"{len(results)} results" if isinstance(results, list | tuple) else type(results).__name__
            raise transient(
                502, "upstream_garbage", f"{self._name} answered {len(calls)} calls with {given}."
            )
        return [self._outcome(result) for result in results]

    async def _results(self, calls: list[Call]) -> object:
        """What the function returns, in a task of its own: one that won't be cancelled holds nobody up."""
        task = asyncio.create_task(self._asked(calls), name=f"function-{self._name}")  # noqa: TID251 - ends with the call
        try:
            await asyncio.wait({task}, timeout=self._timeout_s)
        finally:
            in_time = task.done()
            task.cancel()
        if not in_time:
            raise transient(504, "upstream_timeout", f"{self._name} did not answer in time; try again.")
        if task.cancelled():
            raise transient(500, "upstream_failed", f"{self._name} cancelled its own work; try again.")
        result = task.result()
        if isinstance(result, _Raised):
            raise self._failure(result.error) from result.error
        return result

    async def _asked(self, calls: list[Call]) -> object:
        """The function's result or what it raised, as a value: a task's own exception might be left unread."""
        try:
            return await self._generate(calls)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an engine does, the gateway goes on
            return _Raised(error)

    def _outcome(self, result: object) -> bytes | UpstreamFailure:
        if isinstance(result, Exception):
            return self._failure(result)
        try:
            body = (
                result
                if isinstance(result, bytes)
                else orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY)
            )
            read_fields(body)
        except (Mismatch, TypeError) as error:
            sentence = f"{self._name} answered with something that isn't a JSON object ({error})."
            return transient(502, "upstream_garbage", sentence)
        return body

    def _failure(self, error: BaseException) -> UpstreamFailure:
        """What a caller is told of an exception: all of a Refusal, of another one only that there was one.

        It is always a new one: calls that share a failure count as one call, and functions may raise the same for ever.
        """
        if isinstance(error, UpstreamFailure):
            return UpstreamFailure(
                error.status,
                error.code,
                error.message,
                sharing=error.sharing,
                retry_after_s=error.retry_after_s,
                body=error.body,
                headers=error.headers,
                began=error.began,
            )
        if isinstance(error, Refusal):
            passing = error.status in _TRANSIENT or error.status >= _SERVER_ERROR
            sharing = Sharing.TRANSIENT if passing else Sharing.FATAL
            return UpstreamFailure(
                error.status, error.code, error.message, sharing=sharing, retry_after_s=error.retry_after_s
            )
        _log.error("function failed", upstream=self._name, error=type(error).__name__, at=_place(error))
        sentence = f"{self._name} failed ({type(error).__name__}); try again."
        return transient(500, "upstream_failed", sentence, began=False)


class _Raised(NamedTuple):
    """An exception as a result."""

    error: BaseException


def _place(error: BaseException) -> str:
    """Where it was raised. Its text is left out: it may hold a prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
