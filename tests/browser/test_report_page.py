"""`askonce report`'s page in a real browser, from a file: whole, in both themes, by keyboard, asking nobody for anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from askonce.ports import Span, Sums, TopQuestion
from askonce.reporting.figures import draw_up
from askonce.reporting.page import as_html
from askonce.reporting.terms import Terms
from ledgers import books_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
_HOSTILE = (
    "<script>document.title='taken'</script><img src='https://example.org/x' onerror='document.title=1'>"
)
_HOUR = 480_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = {
        (_HOUR + place, "acme", feature, "m", outcome): Sums(
            requests=40, calls=20, spent_nanousd=10**9, saved_exact_nanousd=3 * 10**9
        )
        for place, outcome in enumerate(("exact", "joined", "semantic", "fresh", "bypass", "refused"))
        for feature in ("support", _HOSTILE)
    }
    figures = draw_up(books_of(rows), Terms(Span(_HOUR, _HOUR + 30)))
    asked = TopQuestion("acme", "support", "m", b"k", _HOSTILE, 9, 10**9, 0.0)
    page = tmp_path_factory.mktemp("page") / "report.html"
    page.write_text(as_html(replace(figures, questions=(asked,)), (), "2026-01-01"), encoding="utf-8")
    return page


@pytest.fixture
def pages(browser: Browser, file: Path) -> Iterator[dict[str, Page]]:
    """The page by theme; afterwards, neither must have complained, or asked for more than the file."""
    complaints: list[str] = []
    shown: dict[str, Page] = {}
    contexts = []
    for theme in ("light", "dark"):
        context = browser.new_context(color_scheme=theme, viewport={"width": 1000, "height": 900})
        contexts.append(context)
        page = shown[theme] = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(file.as_uri())
    yield shown
    for context in contexts:
        context.close()
    assert complaints == [file.as_uri()] * 2


def test_both_themes_draw_every_picture_in_their_own_colours(pages: dict[str, Page]) -> None:
    """Pictures are as wide as their frames, their words are read, and a bar's colour differs between the themes."""
    colours = {}
    for theme, page in pages.items():
        boxes = page.locator(".plot svg").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().width)"
        )
        assert len(boxes) == 3
        assert min(boxes) > 600
        assert page.get_by_role("img", name="What was spent and saved").count() == 1
        colours[theme] = [
            page.locator(selector).first.evaluate(f"one => getComputedStyle(one).{what}")
            for selector, what in (
                ("body", "backgroundColor"),
                ("body", "color"),
                (".plot svg path[style*=exact]", "fill"),
            )
        ]
        assert page.title().startswith("askonce report, ")
    assert all(light != dark for light, dark in zip(*colours.values(), strict=True))


def test_tables_open_by_keyboard(pages: dict[str, Page]) -> None:
    """Each picture's table is one key away."""
    page = pages["light"]
    table = page.get_by_role("region", name="Dollars over time")
    assert not table.is_visible()
    page.locator("summary").nth(1).focus()
    page.keyboard.press("Enter")
    assert table.is_visible()


def test_narrow_screens_scroll_pictures_not_the_page(pages: dict[str, Page]) -> None:
    """A telephone shows all of it without sideways scrolling of the page."""
    page = pages["dark"]
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
