"""What a study comes to, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.replay.tables import amount
from askonce.reporting.wording import count, seconds, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.replay.study import Study

__all__ = ["findings"]


def findings(study: Study) -> Iterator[str]:
    """The weightiest first."""
    total, before, after, audits = study.total, study.before, study.after, study.audits
    if total.cost_nanousd:
        yield (
            f"Net saving: {amount(total, study.net_nanousd)} of {amount(total, total.cost_nanousd)} "
            f"({share(study.net_nanousd / total.cost_nanousd)})"
            + (
                f", about {count(round(audits.calls))} audits of semantic hits taken off."
                if audits.calls
                else "."
            )
        )
    if total.unpriced:
        yield (
            f"{count(total.unpriced)} requests are for models without a known price: they count as calls, but in no sum of dollars. "
            "Name their prices in the configuration."
        )
    yield (
        f"Callers wait {seconds(after.median_s)} instead of {seconds(before.median_s)} in the median, 95 % of them at most "
        f"{seconds(after.p95_s)} instead of {seconds(before.p95_s)}; all together {after.total_s / 3600:,.1f} h instead of "
        f"{before.total_s / 3600:,.1f} h."
    )
    if study.wrong.known:
        yield (
            f"Of {count(study.wrong.known)} semantic hits whose own answer the log has, {count(study.wrong.different)} got "
            "another one by form."
        )
    if study.beyond is not None:
        yield (
            f"Beyond the sample are {count(study.beyond.requests)} requests: {study.beyond.hits:,.0f} ± "
            f"{study.beyond.error:,.0f} further semantic hits are to be expected of them."
        )
