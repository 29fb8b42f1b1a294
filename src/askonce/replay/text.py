"""A study as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from askonce.replay import tables
from askonce.replay.findings import findings
from askonce.replay.tables import moment, span_name
from askonce.reporting.text import drawn, inert
from askonce.reporting.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from askonce.replay.reading import Reading
    from askonce.replay.study import Study
    from askonce.reporting.tables import Table

__all__ = ["write_text"]

_MOST_BAD_LINES: Final = 5


def write_text(console: Console, study: Study, reading: Reading, assumed: Sequence[str]) -> None:
    """Prints everything; what stands in the log is never taken for markup."""
    traffic = study.traffic
    begin, end = float(traffic.at[0]), float(traffic.at[-1])
    console.print(
        Text(
            f"{count(len(traffic))} requests over {span_name(end - begin)} from {moment(begin)} UTC; "
            f"{count(traffic.keys)} different ones",
            style="bold",
        )
    )
    for path, name in reading.formats.items():
        console.print(inert(f"  {path}: {name}"))
    for finding in findings(study):
        console.print(Text(finding))
    for table in _tables(study, reading):
        console.print()
        console.print(drawn(table))
    console.print()
    console.print(Text("What this assumes", style="bold"))
    for one in assumed:
        console.print(inert(f"- {one}"))


def _tables(study: Study, reading: Reading) -> Iterator[Table]:
    if reading.bad:
        yield tables.bad_lines(reading, _MOST_BAD_LINES)
    yield tables.layers(study)
    yield tables.scenarios(study.cells)
    yield from tables.by_whom(study)
