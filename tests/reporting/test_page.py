"""The page: complete in itself, safe with hostile texts, in light and dark, with words for every picture."""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from askonce.matching.bounds import Interval
from askonce.ports import Span, Sums, TopQuestion
from askonce.reporting.figures import Figures, Speed, draw_up
from askonce.reporting.page import as_html
from askonce.reporting.quality import Judged, Quality
from askonce.reporting.suggestions import suggest
from askonce.reporting.terms import Terms
from askonce.reporting.text import write_text
from ledgers import books_of

_HOSTILE = (
    "<script>alert(1)</script>`<img src=x onerror=alert(2)>`\x1b[31m\u202e[bold]$x_1$ ' \" &amp; {{ 7*7 }}"
)
_HOUR = 480_000


def _figures() -> Figures:
    rows = {
        (_HOUR + place * 5, tenant, feature, _HOSTILE, outcome): Sums(
            requests=40 + place,
            calls=20,
            spent_nanousd=10**7,
            saved_exact_nanousd=3 * 10**7,
            unpriced=3,
            unsettled=2,
        )
        for place, outcome in enumerate(
            ("exact", "joined", "semantic", "fresh", "bypass", "refused", "audit")
        )
        for tenant in ("acme", _HOSTILE)
        for feature in ("support", _HOSTILE)
    }
    reasons = {(_HOUR, _HOSTILE, "refused", _HOSTILE): 400}
    figures = draw_up(
        books_of(rows, reasons=reasons), Terms(Span(_HOUR, _HOUR + 100), ("tenant", "feature", "model"))
    )
    judged = Judged(10, 1, Interval(0.1, 0.01, 0.3))
    return replace(
        figures,
        terms=figures.terms._replace(where={"feature": _HOSTILE}),
        qualities=(Quality(_HOSTILE, judged, judged, 0.01),),
        speeds=(Speed("exact", 9, 0.0001, 0.001, 0.01), Speed("fresh", 9, 0.1, 1.0, 10.0)),
        questions=(
            TopQuestion("acme", _HOSTILE, "m", b"\x01" * 32, _HOSTILE, 9, 10**7, 0.0),
            TopQuestion("acme", "support", "m", b"\x02" * 32, None, 9, 10**7, 0.0),
        ),
    )


class _Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def source() -> str:
    figures = _figures()
    return as_html(figures, suggest(figures), "2026-01-01")


@pytest.fixture(scope="module")
def page(source: str) -> _Page:
    return _Page(source)


def test_it_needs_nothing_from_elsewhere(source: str, page: _Page) -> None:
    """No address but names of formats, no script, no frame, no image, no handler; and the page itself forbids them."""
    assert page.tags.keys().isdisjoint(
        {"script", "img", "link", "iframe", "object", "embed", "image", "base", "form"}
    )
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    addresses = page.values("src", "href", "xlink:href", "action", "data", "srcset")
    assert all(address.startswith("#") for address in addresses)
    assert not re.findall(r"https?://", source)
    assert not re.findall(r"url\((?!#)", source)
    assert "@import" not in source
    assert "default-src 'none'" in source


def test_hostile_texts_are_only_text(page: _Page) -> None:
    """Questions, names of models, tenants and features come out as they went in, but for what nobody can see."""
    shown = _HOSTILE.replace("\x1b", " ").replace("\u202e", " ")
    assert page.text.count(shown) > 5
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_a_question_that_is_not_kept_goes_by_its_key(page: _Page) -> None:
    """And nothing else of it is there."""
    assert "#020202020202" in page.text


def test_pictures_have_words_and_tables(source: str, page: _Page) -> None:
    """Each is labelled and described by elements that exist, and stands beside the same figures as a table."""
    pictures = source.count('role="img"')
    assert pictures == page.tags["svg"] == page.tags["figcaption"] == page.tags["details"] == 5
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(page.values("aria-labelledby", "aria-describedby")) <= set(ids)
    referred = {address.removeprefix("#") for address in page.values("href", "xlink:href")}
    referred |= set(re.findall(r"url\(#([^)]*)\)", source))
    assert referred <= set(ids)
    assert page.tags["caption"] == page.tags["table"] >= pictures


def test_both_themes_give_every_colour(source: str) -> None:
    """Light, dark and paper define the same variables, among which is each that is used."""
    themes = [
        set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    ]
    assert len(themes) == 3
    assert themes[0] == themes[1] == themes[2]
    assert "prefers-color-scheme: dark" in source
    assert set(re.findall(r"var\((--[\w-]+)\)", source)) <= themes[0]
    drawn = "".join(re.findall(r"<svg.*?</svg>", source, re.DOTALL))
    assert not re.findall(r"#fe..ef", drawn)
    assert not re.findall(r"(?:fill|stroke): #(?!000000|ffffff)", drawn)


def test_what_amounts_leave_out_stands_before_them(page: _Page) -> None:
    """Calls without a price and calls without usage are said, with their numbers."""
    assert "84 requests and calls are of models without a price" in page.text
    assert "56 calls were cut off" in page.text
    assert page.text.index("84 requests") < page.text.index("How requests were answered")


@pytest.mark.parametrize(
    ("audits", "says"), [(10**9, "instead of $5.00: 40.0% less"), (6 * 10**9, "instead of $5.00: 60.0% more")]
)
def test_audits_may_cost_more_than_hits_save(audits: int, says: str) -> None:
    """A net saving below nothing is called what it is."""
    rows = {
        (_HOUR, "acme", "support", "m", "semantic"): Sums(requests=9, saved_semantic_nanousd=3 * 10**9),
        (_HOUR, "acme", "support", "m", "fresh"): Sums(requests=9, calls=9, spent_nanousd=2 * 10**9),
        (_HOUR, "acme", "support", "m", "audit"): Sums(calls=9, spent_nanousd=audits),
    }
    shown = _Page(as_html(draw_up(books_of(rows), Terms(Span(_HOUR, _HOUR + 1))), (), "2026-01-01")).text
    assert says in shown
    assert "too high" not in shown


def test_audits_whose_cost_is_unknown_are_spoken_of() -> None:
    """They are taken off nothing, so that the net saving is too high: that isn't among what is too low."""
    rows = {
        (_HOUR, "acme", "support", "m", "semantic"): Sums(requests=9, saved_semantic_nanousd=3 * 10**9),
        (_HOUR, "acme", "support", "judge", "audit"): Sums(
            calls=4, unpriced=4, unsettled=1, unsettled_nanousd=10**6
        ),
    }
    shown = _Page(as_html(draw_up(books_of(rows), Terms(Span(_HOUR, _HOUR + 1))), (), "2026-01-01")).text
    assert "5 of these calls are audits': what they cost isn't taken off" in shown


def test_text_for_terminals_obeys_no_stranger() -> None:
    """No escape sequences, no markup taken for style, every line within the width."""
    figures, file = _figures(), io.StringIO()
    write_text(Console(file=file, width=100, color_system=None), figures, suggest(figures), "2026-01-01")
    assert "\x1b" not in file.getvalue()
    assert "[bold]" in file.getvalue()
    assert max(map(len, file.getvalue().splitlines())) <= 100
