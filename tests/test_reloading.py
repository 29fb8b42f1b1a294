"""A reload puts all in force, or nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from askonce.config import Settings, loads
from askonce.errors import Refusal
from askonce.wiring.reload import Part, Reload, changed_fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASE = "upstreams: [{type: simulated}]\ndefaults: {semantic: 'off'}\n"


def settings(text: str = "") -> Settings:
    return loads(BASE + text, "test", {})


def test_changes_are_named_as_the_file_names_them() -> None:
    """By their keys, nested ones by their path, lists whole; what is the same isn't named."""
    after = settings(
        "limits: {max_body_bytes: 1MiB}\nfeatures: {support: {ttl: 1h}, search: {}}\nlog: {level: debug}\n"
        "listen: 127.0.0.1:1\nadmin: {keys: ['sha256:" + "a" * 64 + "']}\n"
    )
    before = settings("features: {support: {ttl: 2h}, gone: {}}\n")
    assert set(changed_fields(before, after)) == {
        "limits.max_body_bytes",
        "features.support.ttl",
        "features.search",
        "features.gone",
        "log.level",
        "listen",
        "admin.keys",
    }
    assert not list(changed_fields(after, after))


def test_a_feature_that_begins_to_say_what_it_took_from_the_defaults_has_changed() -> None:
    """The value is the same now, but not when the defaults change next."""
    one, other = settings("features: {a: {}}\n"), settings("features: {a: {ttl: 1d}}\n")
    assert list(changed_fields(one, other)) == ["features.a"]


def told(
    log: list[str], name: str, error: Exception | None = None
) -> Callable[[Settings], Callable[[], None]]:
    def prepare(_: Settings) -> Callable[[], None]:
        if error is not None:
            raise error
        return lambda: log.append(name)

    return prepare


@pytest.mark.parametrize("error", [ValueError("bad"), Refusal(409, "no", "No.")])
async def test_nothing_is_in_force_where_one_part_fails(tmp_path: Path, error: Exception) -> None:
    """Parts that were prepared before the failing one, and those after it, stay as they were."""
    file = tmp_path / "a.yaml"
    file.write_text(BASE + "features: {search: {}}\nlimits: {max_body_bytes: 1MiB}\n")
    log: list[str] = []
    reload = Reload(file, settings(), embeds=True)
    reload.parts += [Part(("features",), told(log, "first")), Part(("limits",), told(log, "second", error))]
    before = reload.settings
    with pytest.raises(Refusal):
        await reload.now()
    assert (log, reload.settings) == ([], before)
    reload.parts[1] = Part(("limits.max_body_bytes",), told(log, "second"))
    done = await reload.now()
    assert set(done.applied) == {"features.search", "limits.max_body_bytes"}
    assert log == ["first", "second"]
    assert reload.settings.limits.max_body_bytes == 2**20
    assert (await reload.now()).applied == ()
    await reload.close()


async def test_what_waits_for_a_restart_is_not_in_force(tmp_path: Path) -> None:
    """The settings in force keep the old value beside the new ones of the same section, and it is named each time."""
    file = tmp_path / "a.yaml"
    file.write_text(BASE + "limits: {max_body_bytes: 1MiB, drain_timeout: 1s}\nlisten: 127.0.0.1:9\n")
    reload = Reload(file, settings(), embeds=True)
    reload.parts.append(Part(("limits.max_body_bytes",), told([], "limits")))
    for _ in range(2):
        assert set((await reload.now()).needs_restart) == {"limits.drain_timeout", "listen"}
        assert reload.settings.limits.max_body_bytes == 2**20
        assert reload.settings.limits.drain_timeout_s == settings().limits.drain_timeout_s
        assert reload.settings.listen == settings().listen
    await reload.close()


async def test_matching_semantically_needs_an_embedder_that_has_started(tmp_path: Path) -> None:
    """Where none did, features that would match are named."""
    file = tmp_path / "a.yaml"
    file.write_text(BASE + "features: {search: {semantic: 'on'}, other: {}}\n")
    for embeds, named in ((False, ("features.search.semantic",)), (True, ())):
        reload = Reload(file, settings(), embeds=embeds)
        reload.parts.append(Part(("features",), told([], "features")))
        assert (await reload.now()).needs_restart == named
        await reload.close()


async def test_signals_that_come_together_read_once_more(tmp_path: Path) -> None:
    """One reads, one waits and will see the file as it is then; further ones would see nothing else."""
    file = tmp_path / "a.yaml"
    file.write_text(BASE)
    reload, results = Reload(file, settings(), embeds=True), asyncio.Queue[Any]()
    for _ in range(50):
        reload.soon(results.put_nowait)
    await asyncio.sleep(0)
    file.write_text(BASE + "listen: 127.0.0.1:9\n")
    for _ in range(50):
        reload.soon(results.put_nowait)
    await results.get()
    assert (await results.get()).needs_restart == ("listen",)
    await reload.now()
    assert results.empty()
    await reload.close()
