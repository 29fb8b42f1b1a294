"""What a reader has to know to read a report rightly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.reporting.wording import count, dollars, moment, spell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.reporting.figures import Figures

__all__ = ["cautions", "notes"]


def cautions(figures: Figures) -> Iterator[str]:
    """What the amounts leave out: to be read before them."""
    sums = figures.whole.sums
    if sums.unpriced:
        yield (
            f"{count(sums.unpriced)} requests and calls are of models without a price: their tokens are counted, their "
            "cost and savings aren't, so that the amounts are too low."
        )
    if sums.unsettled:
        yield (
            f"{count(sums.unsettled)} calls were cut off before the upstream said what they took. They may have cost "
            f"{dollars(sums.unsettled_nanousd)} more; that estimate is in no other amount."
        )
    audits = figures.whole.of("audit")
    if audits.unpriced or audits.unsettled:
        yield (
            f"{count(audits.unpriced + audits.unsettled)} of these calls are audits': what they cost isn't taken off, so that the "
            "net saving is too high by that."
        )


def notes(figures: Figures, prices_as_of: str) -> Iterator[str]:
    """How the figures are meant."""
    yield (
        "Saved is what upstream calls would have cost that weren't made, or cost less; net takes off what audits cost. "
        "The prompt cache's part is the provider's discount, most of which you would have without a gateway."
    )
    yield (
        "Tokens delivered are those of the answers that callers got; tokens billed are what upstreams said that calls "
        "took. Shares are of the requests that weren't refused."
    )
    yield (
        "Amounts were priced when they were recorded, by the configuration's `prices` and otherwise by the packaged table "
        f"(as of {prices_as_of})."
    )
    if figures.speeds:
        yield "Percentiles are upper bounds of histogram buckets 19 % apart."
    elif figures.terms.where.keys() - {"feature"}:
        yield "Latency, audits and reasons are kept by feature alone: they are left out where a tenant or a model is asked for."
    if figures.qualities is None and figures.terms.where.keys() <= {"feature"}:
        yield "Audits weren't read: there is no file of answers beside the ledger's."
    if figures.before is None and figures.covered is not None:
        yield f"The books begin at {moment(figures.covered.since_hour)} UTC: there is no whole span before to compare with."
    if figures.covered is not None:
        yield f"The books have entries from {spell(figures.covered)}. All times are UTC."
