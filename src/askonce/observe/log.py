"""Structured logs: one event a line, as JSON or for a console. No prompt text, no keys, at any level.

Exceptions are logged by their types and where they come from, without their messages: those of libraries quote what
they choked on, which may be what somebody asked.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["configure_logging"]


def configure_logging(level: str, style: str) -> None:
    """Sends all events of that level and above to standard error; `style` is `json` or `console`.

    What libraries log through the standard library takes the same shape.
    """
    severity = logging.getLevelNamesMapping()[level.upper()]
    shaping: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace,
    ]
    renderer: Processor = structlog.processors.JSONRenderer()
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shaping, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=[*shaping, _first_line])
    )
    logging.basicConfig(handlers=[handler], level=max(severity, logging.WARNING), force=True)


def _trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Puts where an exception comes from in place of the exception."""
    told = event.pop("exc_info", None)
    error = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
    if isinstance(error, BaseException):
        event["exception"] = "".join(_told(error))
    return event


def _first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Of what libraries log, the first line: asyncio shows objects below it, with all that they hold."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _told(error: BaseException) -> Iterator[str]:
    """An exception's causes first, each with its frames and its type alone."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _told(before)
        yield "\nwhich led to:\n\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}\n"
