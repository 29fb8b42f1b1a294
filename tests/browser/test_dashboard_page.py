"""The dashboard as somebody sees it: signing in, what moves, what is sorted, what is judged."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from caller import ADMIN_KEY, ask, asking_together, config, traffic
from servers import Server, gateway, running, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    OpenPage = Callable[..., Page]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
LIVE = "#status-text"


def figure(page: Page, tile: str) -> str:
    return page.locator(".tile", has_text=tile).locator(".value").inner_text()


def test_only_an_administrators_key_opens_the_page(open_page: OpenPage, server: Server) -> None:
    """A wrong key is told so and shows nothing; the right one opens; signing out closes, for the next visit too."""
    page = open_page(server)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Administrator's key").fill("ak-acme-of-tests")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is no administrator's key.")
    expect(page.locator(".tile")).to_have_count(0)
    page.get_by_label("Administrator's key").fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    expect(page.locator(LIVE)).to_have_text("Live")
    expect(page.locator(".tile")).to_have_count(6)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_link_signs_in_and_leaves_no_key_behind(open_page: OpenPage, server: Server) -> None:
    """The key after `#` signs in; neither the address nor the history nor any script has it afterwards."""
    page = open_page(server, f"/login#{ADMIN_KEY}")
    expect(page.locator(LIVE)).to_have_text("Live")
    assert page.url == f"{server.root}/"
    assert page.evaluate("document.cookie") == ""
    assert ADMIN_KEY not in page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}]) + document.body.innerHTML"
    )
    page.reload()
    expect(page.locator(LIVE)).to_have_text("Live")


def test_without_an_admin_key_the_page_says_how_to_make_one(open_page: OpenPage, tmp_path: Path) -> None:
    """A gateway without administrators shows nothing but that."""
    with gateway(tmp_path, "upstreams: [{type: simulated}]\ndefaults: {semantic: 'off'}") as bare:
        page = open_page(bare)
        expect(page.get_by_role("heading", name="Nobody can sign in yet")).to_be_visible()
        expect(page.locator("main")).to_contain_text("askonce keys new admin")
        expect(page.get_by_label("Administrator's key")).not_to_be_visible()


def test_figures_appear_and_move(page: Page, server: Server) -> None:
    """While requests run, savings, rates and the chart change by themselves, for every range."""
    with traffic(server):
        expect(page.locator("#mix-legend")).to_contain_text("Exact hit")
        before = figure(page, "Saved in 15 min")
        until(lambda: figure(page, "Saved in 15 min") != before, "more is saved")
        until(lambda: figure(page, "Saved today") not in {"$0.00", ""}, "today's books are shown")
        drawn = page.locator("path.area.of-exact")
        path = drawn.get_attribute("d")
        until(lambda: drawn.get_attribute("d") != path, "the chart moves")
    for name in ("24 h", "30 d"):
        page.locator("#ranges label", has_text=name).click()
        expect(page.locator("#latency-range")).to_have_text(re.compile("last 24 h|last 30 days"))
        expect(page.locator("#mix-legend")).to_contain_text("Exact hit")
        expect(page.locator("#features tbody")).to_contain_text("shown")


def test_callers_that_share_a_call_are_seen(page: Page, server: Server) -> None:
    """Seven callers of one slow stream are one flight with seven callers, with its state and its question."""
    with asking_together(server, "Who waits for this answer with me?", 7):
        flight = page.locator(".flight", has_text="Who waits for this answer with me?")
        expect(flight.locator(".many")).to_have_text("7")
        expect(flight).to_contain_text("shown · slow-model")
        expect(flight.locator(".how")).to_have_text(
            re.compile("^answering for .* · slow · stream · first word after")
        )
        expect(page.locator("#flight-groups")).to_contain_text("slow · slow-model")
    expect(page.locator("#flights-empty")).to_be_visible()


def test_texts_that_are_not_kept_are_not_shown(page: Page, server: Server) -> None:
    """A feature that keeps no texts has flights without: a mark stands for the question, in the stream as on the page."""
    with asking_together(server, "What nobody may read elsewhere?", 2, "hidden"):
        flight = page.locator(".flight", has_text="hidden")
        expect(flight.locator(".text")).to_have_text(re.compile("^#[0-9a-f]{8}$"))
        assert "nobody may read" not in page.content()


def test_hostile_questions_stay_text(page: Page, server: Server) -> None:
    """A question that is markup is shown as it was written, and nothing of it runs."""
    hostile = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>{{7*7}}"
    with asking_together(server, hostile, 2):
        expect(page.locator(".flight .text", has_text="<script>")).to_have_text(hostile)
        assert page.title() == "askonce"
        assert page.locator(".flight img, .flight script").count() == 0


def test_a_wrong_answer_is_told_and_its_link_is_cut(page: Page, server: Server) -> None:
    """A semantic hit shows both questions; `Wrong` records a verdict, and the question is asked anew from then on."""
    until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is there")
    ask(server, "How do I turn on dark mode?", "matched")
    hit: dict[str, str] = {}

    def matched() -> bool:
        hit.update(ask(server, "How can I turn on the dark mode?", "matched"))
        return hit["x-askonce-outcome"] == "semantic"

    until(matched, "a semantic hit")
    shown = page.locator(".hit").first
    expect(shown.locator(".asked")).to_have_text("How can I turn on the dark mode?")
    expect(shown.locator(".original")).to_have_text("How do I turn on dark mode?")
    expect(shown.locator(".original mark").first).to_have_text("do")
    expect(shown.locator(".sureness")).to_contain_text("% sure")
    shown.get_by_role("button", name="Wrong").click()
    expect(shown.locator(".told")).to_have_text("Judged wrong, link cut")
    expect(shown.get_by_role("button", name="Right")).to_be_disabled()
    audits = admin(server, "/admin/audits?feature=matched")["audits"]
    assert [(one["judge"], one["right"], one["request_id"]) for one in audits] == [
        ("administrator", False, hit["x-request-id"])
    ]
    assert ask(server, "How can I turn on the dark mode?", "matched")["x-askonce-outcome"] == "fresh"


def admin(server: Server, path: str) -> dict[str, list[dict[str, object]]]:
    status, _, body = server.send("GET", path, None, {"Authorization": f"Bearer {ADMIN_KEY}"})
    assert status == 200
    found: dict[str, list[dict[str, object]]] = json.loads(body)
    return found


def test_the_table_is_sorted_by_what_is_asked_for(page: Page, server: Server) -> None:
    """A heading sorts by its column, and again the other way; the sum stays last."""
    for number in range(3):
        ask(server, f"Sort {number}?", "shown")
    ask(server, "Sort me?", "hidden")
    names = page.locator("#features tbody th")
    expect(names.filter(has_text="hidden")).to_be_visible()
    page.get_by_role("button", name="Feature").click()
    expect(page.locator("#features thead th").first).to_have_attribute("aria-sort", "ascending")
    first = [name for name in names.all_inner_texts() if name != "All"]
    assert first == sorted(first)
    page.get_by_role("button", name="Feature").click()
    until(lambda: names.all_inner_texts() == [*sorted(first, reverse=True), "All"], "the other way round")


def test_the_page_comes_back_when_the_gateway_does(open_page: OpenPage, tmp_path: Path) -> None:
    """While nothing is heard the page says so, and goes on when it can; after a restart it asks for the key again."""
    with gateway(tmp_path, config(tmp_path)) as first:
        page = open_page(first, f"/login#{ADMIN_KEY}")
        expect(page.locator(LIVE)).to_have_text("Live")
        first.process.send_signal(signal.SIGSTOP)
        expect(page.locator(LIVE)).to_contain_text("Disconnected")
        first.process.send_signal(signal.SIGCONT)
        expect(page.locator(LIVE)).to_have_text("Live")
        port = first.root.rpartition(":")[2]
        first.stop()
        expect(page.locator(LIVE)).to_contain_text("Disconnected, trying again")
    file = tmp_path / "askonce.yaml"
    file.write_text(file.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    with running("serve", "-c", str(file), log=tmp_path / "second.log"):
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.get_by_label("Administrator's key").fill(ADMIN_KEY)
        page.keyboard.press("Enter")
        expect(page.locator(LIVE)).to_have_text("Live")
