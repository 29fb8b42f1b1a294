"""The dashboard of a real gateway in a real browser; every test also shows that the page asks nobody else for anything."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from caller import ADMIN_KEY, config
from servers import Server, gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
_PATIENCE_MS = 20_000


def chromium() -> str | None:
    named = os.environ.get("ASKONCE_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.fail("no Chromium: `apt-get install chromium`, or say in ASKONCE_CHROMIUM where one is")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dashboard")
    with gateway(folder, config(folder)) as server:
        yield server


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of a gateway; afterwards, none must have complained, broken its policy or asked anybody else.

    Unless it was `provoked`.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(server: Server, path: str = "/", *, provoked: bool = False, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        if provoked:
            page.goto(server.root + path)
            return page
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda said: complaints.append(f"{said.type}: {said.text}") if _is_complaint(said) else None,
        )
        page.on(
            "request",
            lambda one: None if one.url.startswith(server.root) else complaints.append(f"asked {one.url}"),
        )
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error('policy', event.violatedDirective))"
        )
        page.goto(server.root + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def _is_complaint(said: Any) -> bool:
    """A failed request is the browser's to note where a test makes one fail: a 401, or a gateway that is gone."""
    return said.type in {"error", "warning"} and "Failed to load resource" not in said.text


@pytest.fixture
def page(open_page: Callable[..., Page], server: Server) -> Page:
    """The dashboard, signed in."""
    page = open_page(server, f"/login#{ADMIN_KEY}")
    expect(page.locator("#status-text")).to_have_text("Live")
    return page
