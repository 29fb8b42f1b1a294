"""The dashboard for everybody: by keyboard, in both colour schemes, on any width, without motion, and closed to scripts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from matplotlib.image import imread
from playwright.sync_api import expect

from caller import ADMIN_KEY, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from playwright.sync_api import Page

    from servers import Server

    OpenPage = Callable[..., Page]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
LIVE = "#status-text"
FAINT = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (colour, below) => {
    canvas.globalCompositeOperation = "copy";
    canvas.fillStyle = below; canvas.fillRect(0, 0, 1, 1);
    canvas.globalCompositeOperation = "source-over";
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return `rgb(${[...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)})`;
  };
  const light = (colour) => colour.match(/\\d+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    const own = getComputedStyle(element).backgroundColor;
    return paint(own, element.parentElement ? ground(element.parentElement) : "white");
  };
  const faint = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, svg, noscript")) continue;
    if (element.closest(":disabled")) continue;
    const below = ground(element);
    const style = getComputedStyle(element);
    const [one, other] = [light(paint(style.color, below)), light(below)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < (large ? 3 : 4.5)) faint.push(`${contrast.toFixed(2)} ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return faint;
}
"""
FOCUSED = """
() => {
  const element = document.activeElement;
  const style = getComputedStyle(element.matches("label > input") ? element.parentElement : element);
  const place = element.getBoundingClientRect();
  const name = element.id || element.name || element.getAttribute("aria-label") || element.textContent.trim() || element.tagName;
  return { name: `${element.tagName.toLowerCase()} ${name}`, outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
}
"""


def picture(page: Page) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = imread(io.BytesIO(page.screenshot()))[..., :3]
    return pixels


@pytest.fixture
def busy(server: Server) -> Server:
    """A gateway that has answered something, so that there is something to see."""
    for number in range(6):
        ask(server, f"Seen {number // 2}?")
    return server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(open_page: OpenPage, busy: Server, scheme: str) -> None:
    """In both schemes, every text has the contrast that WCAG 2 asks for (AA), on the page as on the form."""
    form = open_page(busy, color_scheme=scheme)
    expect(form.get_by_role("heading", name="Sign in")).to_be_visible()
    assert form.evaluate(FAINT) == []
    page = open_page(busy, f"/login#{ADMIN_KEY}", color_scheme=scheme)
    expect(page.locator("#features tbody")).to_contain_text("shown")
    page.locator("#mix-details summary").click()
    assert page.evaluate(FAINT) == []


def test_dark_and_light_follow_the_system_unless_chosen(open_page: OpenPage, busy: Server) -> None:
    """The system's scheme is the page's; the switch overrules it, and is remembered."""
    light = open_page(busy, f"/login#{ADMIN_KEY}", color_scheme="light")
    dark = open_page(busy, f"/login#{ADMIN_KEY}", color_scheme="dark")
    for page in (light, dark):
        expect(page.locator(LIVE)).to_have_text("Live")
    assert picture(light).mean() > 0.8
    assert picture(dark).mean() < 0.25
    dark.locator("#themes label", has_text="Light").click()
    assert picture(dark).mean() > 0.8
    dark.reload()
    expect(dark.locator(LIVE)).to_have_text("Live")
    assert picture(dark).mean() > 0.8


def test_the_keyboard_reaches_everything_and_shows_where_it_is(open_page: OpenPage, busy: Server) -> None:
    """From the skip link on, Tab passes every control once, each with a visible ring, and the keys work on them."""
    page = open_page(busy)
    expect(page.get_by_label("Administrator's key")).to_be_focused()
    page.keyboard.type(ADMIN_KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#features tbody")).to_contain_text("shown")
    expect(page.locator("main")).to_be_focused()
    page.reload()
    expect(page.locator("#features tbody")).to_contain_text("shown")
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["name"].startswith("body"):
            break
        assert focused["outlined"], focused
        seen.append(focused["name"])
    assert seen[:4] == ["a Skip to the figures", "input theme", "button sign-out", "input range"]
    assert {"summary The chart's figures", "button Saved", "button Feature"} <= set(seen)
    page.locator("#ranges input:checked").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#features-range")).to_have_text("last 24 h")
    page.get_by_role("button", name="Requests", exact=True).focus()
    page.keyboard.press("Space")
    expect(page.locator("#features thead th").nth(2)).to_have_attribute("aria-sort", "descending")
    page.locator("#mix-details summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#mix-table tbody tr").first).to_be_visible()


@pytest.mark.parametrize("width", [360, 480, 768, 1024, 1440, 2560])
def test_no_width_scrolls_sideways(open_page: OpenPage, busy: Server, width: int) -> None:
    """The page fits any screen; what is wider than a phone scrolls in its own frame."""
    page = open_page(busy, f"/login#{ADMIN_KEY}", viewport={"width": width, "height": 800})
    expect(page.locator("#features tbody")).to_contain_text("shown")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_moves_for_those_who_ask_for_that(open_page: OpenPage, busy: Server) -> None:
    """With reduced motion there is no animation at all."""
    page = open_page(busy, f"/login#{ADMIN_KEY}", reduced_motion="reduce")
    expect(page.locator(LIVE)).to_have_text("Live")
    assert page.evaluate("document.getAnimations().length") == 0


def test_charts_have_names_and_figures(open_page: OpenPage, busy: Server) -> None:
    """Each picture says what it is to those who don't see it, and the chart has a table."""
    page = open_page(busy, f"/login#{ADMIN_KEY}")
    expect(page.get_by_role("img", name="How requests are answered")).to_be_visible()
    expect(page.get_by_role("img", name="Saved by:").first).to_be_visible()
    expect(page.get_by_role("meter", name="Wrong among semantic hits of hidden")).to_have_attribute(
        "aria-valuetext",
        "not measured yet, promised 1% · 0 of 0 requests hit · 0 labels · audits $0.00 in 30 days",
    )
    page.locator("#mix-details summary").click()
    expect(page.locator("#mix-table")).to_contain_text("Asked upstream")
    expect(page.get_by_role("status").first).to_be_attached()


def test_the_policy_stops_what_the_page_did_not_bring(open_page: OpenPage, busy: Server) -> None:
    """A script or style that somehow got into the page doesn't run, and nothing is fetched from elsewhere."""
    page = open_page(busy, provoked=True)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    broken = page.evaluate(
        """async () => {
          const broken = [];
          addEventListener("securitypolicyviolation", (event) => { event.stopImmediatePropagation(); broken.push(event.effectiveDirective); }, { capture: true });
          const script = document.createElement("script");
          script.textContent = "document.title = 'owned'";
          document.body.append(script);
          const frame = document.createElement("iframe");
          frame.src = "/";
          document.body.append(frame);
          await fetch("https://example.com/").catch(() => {});
          await new Promise((done) => setTimeout(done, 300));
          return broken;
        }"""
    )
    assert {"script-src-elem", "frame-src", "connect-src"} <= set(broken)
    assert page.title() == "askonce"
