"""Structured logs: one event a line, as JSON or for a console. No prompt text, no keys, at any level."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

__all__ = ["configure_logging"]


def configure_logging(level: str, style: str) -> None:
    """Sends all events of that level and above to standard error; `style` is `json` or `console`.

    What libraries log through the standard library takes the same shape.
    """
    severity = logging.getLevelNamesMapping()[level.upper()]
    shaping: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
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
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shaping))
    logging.basicConfig(handlers=[handler], level=max(severity, logging.WARNING), force=True)
