"""What the demonstration tells at its end, as somebody reads it."""

from __future__ import annotations

import io

from rich.console import Console

from askonce.cli.scoreboard import Score, outcome_table


def test_the_table_fits_a_terminal_of_80_columns() -> None:
    """Nothing is cut, even where requests are many and latencies long."""
    outcomes = dict.fromkeys(("fresh", "joined", "exact", "semantic", "semantic-joined", "failed"), 12_345)
    latency_ms = dict.fromkeys(outcomes, (0.42, 99.94, 23_456.7))
    score = Score(74_070, 12_345, outcomes, latency_ms, 1, 1, 1.0, 1.0, 24_690, 0, 60.0)
    shown = io.StringIO()
    Console(file=shown, width=80).print(outcome_table(score))
    assert "…" not in shown.getvalue()
    for said in ("semantic-joined", "asked upstream", "requests", "0.4", "99.9", "23,457"):
        assert said in shown.getvalue()
