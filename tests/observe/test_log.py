"""What is logged, and what never is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson
import pytest
import structlog

from askonce.observe.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "my blood type is AB"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Other tests log as they did before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("style", ["json", "console"])
def test_an_exception_is_told_without_its_message(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Types and places, those of causes too; no words that an exception quotes."""
    configure_logging("debug", style)
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise KeyError(SECRET) from error
    except KeyError:
        structlog.get_logger("ours").exception("it failed")
        logging.getLogger("theirs").exception("a library failed")
    said = capsys.readouterr().err
    assert SECRET not in said
    assert said.count("builtins.KeyError") == said.count("builtins.ValueError") == 2
    assert said.count("test_log.py") == 4
    assert "it failed" in said
    assert "a library failed" in said


def test_objects_that_asyncio_shows_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a library's event only its first line is logged."""
    configure_logging("info", "json")
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %s>", SECRET)
    line = orjson.loads(capsys.readouterr().err)
    assert line["event"] == "Task exception was never retrieved"


def test_an_event_without_exception_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    """`exc_info` of nothing says nothing."""
    configure_logging("info", "json")
    structlog.get_logger("ours").info("fine", exc_info=True)
    assert "exception" not in orjson.loads(capsys.readouterr().err)
