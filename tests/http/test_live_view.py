"""What the dashboard shows of the last quarter of an hour."""

from __future__ import annotations

from askonce.http.live_view import _live_layers
from askonce.observe.live import Cell


def test_savings_are_shown_by_what_saved_them() -> None:
    """Where costs are split, who asked has saved too: what those pay who joined."""
    cells = {}
    for number, outcome in enumerate(
        ("exact", "joined", "fresh", "bypass", "semantic", "semantic-joined", "refused")
    ):
        cells["support", outcome] = Cell([])
        cells["support", outcome].saved_nanousd = 10**number
    assert _live_layers(cells) == {"exact": 1, "in-flight": 1_110, "semantic": 110_000}
