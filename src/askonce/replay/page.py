"""A study as a page that needs nothing but itself: no script, no font, no address."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from askonce.replay.charts import OUTCOME_CLASSES, budgets_chart, periods_chart
from askonce.replay.report import (
    LAYER_NAMES,
    group_rows,
    layer_rows,
    moment,
    sensitivity_rows,
    span_name,
    usd,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.replay.reading import Reading
    from askonce.replay.study import Study

__all__ = ["as_page"]

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2024;--quiet:#5f6b76;--page:#fff;--line:#d9dee3;--card:#f6f8fa;
--exact:#2a6fbb;--inflight:#2f9e6b;--semantic:#b5651d;--left:#c3cad1}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--quiet:#9aa6b2;--page:#14171a;--line:#343b42;--card:#1d2226;
--exact:#6aa9ee;--inflight:#5cc896;--semantic:#e0a062;--left:#4b555f}}
*{box-sizing:border-box}body{margin:0 auto;max-width:70rem;padding:2rem 1.25rem;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
p{margin:.3rem 0}.quiet{color:var(--quiet)}.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin-top:1.2rem}
.card{flex:1 1 11rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}
.card b{display:block;font-size:1.5rem}.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;min-width:60%}
th,td{text-align:right;padding:.3rem .7rem;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;max-width:22rem;overflow:hidden;text-overflow:ellipsis}th{color:var(--quiet);font-weight:600}
svg{width:100%;height:auto;display:block}svg text{fill:var(--quiet);font:12px system-ui,sans-serif}
.exact{fill:var(--exact)}.inflight{fill:var(--inflight)}.semantic{fill:var(--semantic)}.left{fill:var(--left)}
.axis{stroke:var(--line)}.key span{margin-right:1.2rem}.key svg{display:inline;width:.8em;height:.8em;margin-right:.35em}
li{margin:.25rem 0}
"""
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>What askonce would save</title><style>{style}</style></head><body>
{body}
</body></html>
"""


def as_page(study: Study, reading: Reading, assumed: Sequence[str]) -> str:
    """The page, light or dark as the reader's system is."""
    parts = [
        *_head(study, reading),
        "<h2>By layer</h2>",
        _table(layer_rows(study.total)),
        "<h2>Over time</h2>",
        _key(),
        periods_chart(study.periods),
        "<h2>How long answers are kept, and how much may be wrong</h2>",
        "<p class=quiet>Calls avoided, and what they would have cost. The columns <i>without</i> leave a layer out.</p>",
        budgets_chart(study.cells),
        _table(sensitivity_rows(study.cells)),
    ]
    for title, groups in (("Feature", study.features), ("Tenant", study.tenants), ("Model", study.models)):
        parts += [f"<h2>By {title.lower()}</h2>", _table(group_rows(title, groups))]
    listed = "".join(f"<li>{escape(one)}</li>" for one in assumed)
    parts += [f"<h2>What this assumes</h2><ul>{listed}</ul>", *_bad_lines(reading)]
    return _PAGE.format(style=_STYLE, body="\n".join(parts))


def _head(study: Study, reading: Reading) -> Iterator[str]:
    traffic, total, before, after = study.traffic, study.total, study.before, study.after
    begin, end = float(traffic.at[0]), float(traffic.at[-1])
    logs = ", ".join(f"{escape(path)} ({escape(name)})" for path, name in reading.formats.items())
    yield "<h1>What askonce would save</h1>"
    yield (
        f"<p class=quiet>{len(traffic):,} requests over {span_name(end - begin)}, from {moment(begin)}; "
        f"{traffic.keys:,} different ones. {logs}</p>"
    )
    cards = (
        ("calls avoided", f"{total.hit_share:.1%}", f"{total.calls_avoided:,} of {total.requests:,}"),
        ("saved", usd(total.saved_nanousd), f"of {usd(total.cost_nanousd)}"),
        ("callers wait, median", f"{after.median_s:.3f} s", f"{before.median_s:.3f} s without"),
        ("95 % wait at most", f"{after.p95_s:.2f} s", f"{before.p95_s:.2f} s without"),
    )
    shown = "".join(
        f"<div class=card>{name}<b>{value}</b><span class=quiet>{more}</span></div>"
        for name, value, more in cards
    )
    yield f"<div class=cards>{shown}</div>"
    if study.audits.calls:
        yield (
            f"<p class=quiet>Audits of semantic hits take about {study.audits.calls:,.0f} calls, "
            f"{usd(study.audits.cost_nanousd)}, off that.</p>"
        )
    if study.wrong.known:
        yield (
            f"<p class=quiet>Of {study.wrong.known:,} semantic hits whose own answer the log has, {study.wrong.different:,} got "
            "another one by form.</p>"
        )
    if study.beyond is not None:
        yield (
            f"<p class=quiet>Beyond the sample are {study.beyond.requests:,} requests with {study.beyond.hits:,.0f} ± "
            f"{study.beyond.error:,.0f} further semantic hits to be expected.</p>"
        )


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _key() -> str:
    names = {**LAYER_NAMES, "left": "calls left"}
    squares = (
        f'<span><svg viewBox="0 0 1 1" aria-hidden="true"><rect width="1" height="1" class="{one}"/></svg>{names[one]}</span>'
        for one in OUTCOME_CLASSES
    )
    return f"<p class=key>{''.join(squares)}</p>"


def _bad_lines(reading: Reading) -> Iterator[str]:
    if reading.shown:
        listed = "".join(
            f"<li>{escape(f'{one.path}, line {one.line}: {one.reason}')}</li>" for one in reading.shown
        )
        yield f"<h2>Lines that are no requests ({reading.bad:,})</h2><ul>{listed}</ul>"
