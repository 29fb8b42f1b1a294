"""askonce.observe.metrics: which requests are in the log, and as what."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from askonce.observe.metrics import Metrics
from askonce.ports import Record


@pytest.mark.parametrize(
    ("status", "code", "wanted"),
    [
        (502, "upstream_garbage", ["warning", "warning"]),
        (504, "deadline_exceeded", ["warning", "warning"]),
        (504, "not_cached", [None, "info"]),
        (429, "queue_full", [None, "info"]),
    ],
)
def test_failures_are_always_in_the_log(status: int, code: str, wanted: list[str | None]) -> None:
    """As warnings, but for what a caller asked for with `only-if-cached`; everything else where that is turned on."""
    said: dict[str, Any] = dict.fromkeys(Record._fields)
    said |= {"endpoint": "chat/completions", "tenant": "acme", "feature": "default", "duration_s": 0.1}
    levels: list[str | None] = []
    for everything in (False, True):
        with capture_logs() as logs:
            Metrics(log_requests=everything).request(Record(**(said | {"status": status, "code": code})))
        levels.append(logs[0]["log_level"] if logs else None)
    assert levels == wanted
