"""The dashboard where there is nothing, too much, or something odd: what callers name, and who may not look."""

from __future__ import annotations

import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from caller import ADMIN_KEY, ask, config
from servers import gateway, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from servers import Server

    OpenPage = Callable[..., Page]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
LIVE = "#status-text"
VIEWERS = 32


def test_models_that_look_alike_stay_as_many_as_they_are(open_page: OpenPage, server: Server) -> None:
    """Callers name models: two whose shown beginnings are the same are two rows, however often they are shown anew."""
    for end in ("one", "other"):
        ask(server, "Who are you?", model=f"quick-{'x' * 120}-{end}")
    page = open_page(server, f"/login#{ADMIN_KEY}")
    rows = page.locator(".upstream .models tr", has_text="xxx")
    expect(rows).to_have_count(2)
    calls = page.locator(".upstream", has_text="quick").locator(".calls")
    for number in range(3):
        before = calls.inner_text()
        ask(server, f"Who are you, {number}, and who were you?")
        expect(calls).not_to_have_text(before)
    expect(rows).to_have_count(2)


@pytest.mark.parametrize("said", ["%", "50%off", "%ff"])
def test_a_link_with_anything_behind_it_ends_at_the_form(
    open_page: OpenPage, server: Server, said: str
) -> None:
    """What isn't even an encoded text is a wrong key like others."""
    page = open_page(server, f"/login#{said}")
    expect(page.get_by_role("alert")).to_contain_text("no administrator's key")
    expect(page.get_by_label("Administrator's key")).to_be_visible()


def test_nothing_sticks_out_of_a_phone(open_page: OpenPage, tmp_path: Path) -> None:
    """With long names everywhere, no card is wider than a narrow screen: what is longer is cut or scrolls in its frame."""
    name = "a-feature-with-the-rather-long-name-of-a-whole-department"
    text = config(tmp_path).replace("matched", name)
    with gateway(tmp_path, text) as server:
        until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is there")
        ask(server, "How do I turn on dark mode?", name)
        until(
            lambda: ask(server, "How can I turn on the dark mode?", name)["x-askonce-outcome"] == "semantic",
            "a semantic hit",
        )
        page = open_page(server, f"/login#{ADMIN_KEY}", viewport={"width": 360, "height": 800})
        expect(page.locator(".hit").first).to_be_visible()
        wide = """() => [...document.querySelectorAll(".card:not([hidden]), .hit, .flight, .budget, .allowance")]
            .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.className)"""
        assert page.evaluate(wide) == []
        expect(
            page.locator(".hit").first.get_by_role("button", name="Wrong: How can I turn on")
        ).to_be_visible()


def test_a_newcomer_is_told_where_to_send_requests(open_page: OpenPage, tmp_path: Path) -> None:
    """Where nothing was ever asked, the page says so in each place, and where to."""
    with gateway(tmp_path, config(tmp_path)) as server:
        page = open_page(server, f"/login#{ADMIN_KEY}")
        expect(page.locator("#mix-chart")).to_contain_text(
            f"No requests yet. Their base_url: {server.base_url}"
        )
        for empty in ("#latency-empty", "#features-empty", "#flights-empty", "#hits-empty"):
            expect(page.locator(empty)).to_be_visible()
        expect(page.locator("#limits-card")).to_be_hidden()
        expect(page.locator(".tile", has_text="Saved in 30 days").locator(".note")).to_contain_text("spent")
        ask(server, "Is anybody there?")
        expect(page.locator("#mix-chart .none")).to_be_hidden()
        expect(page.locator("#features-empty")).to_be_hidden()


def test_use_of_limits_is_shown_the_fullest_first(open_page: OpenPage, tmp_path: Path) -> None:
    """Each limit with what is used of it, in its unit, and red once nothing is left."""
    text = config(tmp_path).replace(
        "features: [shown, hidden, matched]}",
        "features: [shown, hidden, matched], limits: {usd_per_day: {soft: 0.0001, hard: 100}}, "
        "feature_limits: {hidden: {requests_per_minute: 2}}}",
    )
    with gateway(tmp_path, text) as server:
        page = open_page(server, f"/login#{ADMIN_KEY}")
        limits = page.locator(".allowance")
        expect(limits).to_have_count(2)
        for number in range(2):
            ask(server, f"How much is left of {number}?", "hidden")
        expect(limits.first).to_contain_text("acme in hidden")
        expect(limits.first).to_contain_text("2 of 2 requests a minute")
        expect(limits.first).to_have_class("allowance bad")
        expect(limits.nth(1)).to_contain_text("of $100.00 a day, anew in")
        expect(limits.nth(1)).to_have_class("allowance warn")
        expect(page.get_by_role("meter", name="acme in hidden, requests a minute")).to_have_attribute(
            "aria-valuenow", "100"
        )


def test_who_finds_no_place_is_told_so(open_page: OpenPage, tmp_path: Path) -> None:
    """With as many viewers as may look, the next one's page says why it shows nothing, and shows all once one leaves."""
    with gateway(tmp_path, config(tmp_path)) as server:
        bearer = {"Authorization": f"Bearer {ADMIN_KEY}"}
        request = urllib.request.Request(f"{server.root}/admin/live", headers=bearer)
        with ExitStack() as looking:
            for _ in range(VIEWERS):
                looking.enter_context(urllib.request.urlopen(request, timeout=30))
            page = open_page(server, f"/login#{ADMIN_KEY}")
            expect(page.locator(LIVE)).to_contain_text("Too many viewers, trying again")
        expect(page.locator(LIVE)).to_have_text("Live")
