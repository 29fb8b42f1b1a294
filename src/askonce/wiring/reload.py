"""The configuration read again while the gateway runs: all that can change takes effect together, or nothing does.

What is replaced is told in two steps. `prepare` builds the new value of one part and may fail; only when all parts are
prepared are they put in place, which can't fail, without anybody in between. A request that was understood before goes
on with the policy that it began with.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from askonce.config import DEFAULT_FEATURE, ConfigError, load, warnings
from askonce.config.section import Section, yaml_key
from askonce.errors import Refusal
from askonce.pipeline.threads import Threads
from askonce.wiring.batching import check_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from askonce.config import Settings

__all__ = ["Part", "Reload", "Reloaded", "changed_fields"]

_log = structlog.get_logger("askonce.reload")


class Part(NamedTuple):
    """Something that can change while the gateway runs.

    Attributes:
        fields: Which fields of the configuration it is made of: `features`, `log.level`.
        prepare: Makes its new value, in a thread, and returns what puts it in place. Raises ValueError, Refusal.
    """

    fields: tuple[str, ...]
    prepare: Callable[[Settings], Callable[[], None]]


class Reloaded(NamedTuple):
    """What a reload did: fields by name, never their values.

    Attributes:
        applied: Changed, and in force.
        needs_restart: Changed in the file, but in force only after a restart.
        warnings: What `askonce check` advises.
    """

    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]
    warnings: tuple[str, ...]


class Reload:
    """Reads the file that the gateway was started with.

    Args:
        source: The file; None where the environment alone configures the gateway.
        settings: What is in force.
        embeds: Whether an embedder has started.

    Attributes:
        settings: What is in force, now.
        parts: What can change; whoever can be changed adds itself.
    """

    def __init__(self, source: Path | None, settings: Settings, *, embeds: bool) -> None:
        self.settings = settings
        self._embeds = embeds
        self.parts: list[Part] = []
        self._source = source
        self._reading = asyncio.Lock()
        self._signalled = False
        self._threads = Threads(1, "reload")
        self._tasks: set[asyncio.Task[None]] = set()

    def soon(self, told: Callable[[Reloaded | Refusal], None]) -> None:
        """The same as `now`, for a signal: what came of it is logged and `told`.

        Nothing for one that comes while another hasn't begun to read: that one will see the file as it is now.
        """
        if self._signalled:
            return
        self._signalled = True

        async def work() -> None:
            try:
                told(await self.now())
            except Refusal as refusal:
                told(refusal)

        task = asyncio.create_task(work(), name="reload")  # noqa: TID251 - ended by `close`
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def then(self, work: Coroutine[None, None, None]) -> None:
        """Something that what was put in force wants done, and that takes longer."""
        task = asyncio.create_task(work, name="reloaded")  # noqa: TID251 - ended by `close`
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def now(self) -> Reloaded:
        """Reads the file and puts what has changed in force.

        Raises:
            Refusal: 409 where there is no file, or where what has changed can't change now; 422 where the file is
                invalid, with what `askonce check` says. Nothing has changed then.
        """
        async with self._reading:
            self._signalled = False
            try:
                return await self._now()
            except Refusal as refusal:
                _log.error("configuration not reloaded", code=refusal.code, reason=refusal.message)
                raise

    async def close(self) -> None:
        """Ends what runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.close()

    async def _now(self) -> Reloaded:
        if self._source is None:
            sentence = "The gateway was started without a configuration file: there is nothing to read again."
            raise Refusal(409, "no_configuration_file", sentence)
        try:
            read = await self._threads.run(_read, self._source)
        except ConfigError as error:
            raise Refusal(422, "invalid_configuration", str(error)) from None
        if (read.tenants is None) != (self.settings.tenants is None):
            sentence = (
                "`tenants` has come or gone: whether callers are told apart by the gateway's keys or by their "
                "own can't change without a restart. Nothing was changed."
            )
            raise Refusal(409, "needs_restart", sentence)
        changed = tuple(changed_fields(self.settings, read))
        live = tuple(field for part in self.parts for field in part.fields)
        applied = tuple(field for field in changed if _within(field, live))
        settings = _with(self.settings, read, applied)
        try:
            commits = [await self._threads.run(part.prepare, settings) for part in self.parts]
        except ValueError as error:
            raise Refusal(422, "invalid_configuration", f"Nothing was changed: {error}") from None
        for commit in commits:
            commit()
        self.settings = settings
        advice = tuple(warnings(settings))
        needs_restart = (*(field for field in changed if field not in applied), *self._unembedded(settings))
        _log.warning("configuration reloaded", applied=applied, needs_restart=needs_restart, advice=advice)
        return Reloaded(applied, needs_restart, advice)

    def _unembedded(self, settings: Settings) -> Iterator[str]:
        """Features that would match semantically, had an embedder been needed at the start."""
        if self._embeds or settings.embedder.type == "none":
            return
        for name in settings.feature_names:
            if settings.policy_settings(name).semantic != "off":
                yield "defaults.semantic" if name == DEFAULT_FEATURE else f"features.{name}.semantic"


def changed_fields(before: Section, after: Section, path: str = "") -> Iterator[str]:
    """The fields in which two settings differ, as the file names them: `limits.max_body_bytes`, `features.support.ttl`.

    Lists are compared whole.
    """
    for name in type(before).model_fields:
        yield from _changed(getattr(before, name), getattr(after, name), f"{path}{yaml_key(name)}")


def _changed(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, Section) and type(before) is type(after):
        # What was written and what is taken from elsewhere are not the same, though the values may be.
        if before.model_fields_set != after.model_fields_set and before == after:
            yield path
        yield from changed_fields(before, after, f"{path}.")
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from _changed(before.get(key), after.get(key), f"{path}.{key}")
    elif before != after:
        yield path


def _within(field: str, parts: tuple[str, ...]) -> bool:
    return any(field == part or field.startswith(f"{part}.") for part in parts)


def _with(before: Settings, after: Settings, applied: tuple[str, ...]) -> Settings:
    """The settings in force with those fields of the new ones."""
    changes: dict[str, Any] = {}
    for name in type(before).model_fields:
        key, old, new = yaml_key(name), getattr(before, name), getattr(after, name)
        own = [field for field in applied if field == key or field.startswith(f"{key}.")]
        if not own:
            continue
        if isinstance(old, Section) and name != "defaults":
            within = {field.removeprefix(f"{key}.").partition(".")[0] for field in own}
            chosen = {one: getattr(new, one) for one in type(old).model_fields if yaml_key(one) in within}
            changes[name] = old.model_copy(update=chosen)
        else:
            changes[name] = new
    return before.model_copy(update=changes)


def _read(source: Path) -> Settings:
    settings = load(source, os.environ)
    check_functions(settings, str(source))
    return settings
