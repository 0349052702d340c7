"""Drive a real, headless browser as a person would, and check pages with axe-core."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

#: Pictures of the last run, for people to look at; git ignores the folder.
PICTURES = Path(__file__).parents[2] / "build/screenshots"
ORDER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_WAIT_MS = 40_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run this machine's Chromium, which `.ci/run` installs; skip the test if there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium): the page is not looked at")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


class Visitor:
    """A person at the page, with the scopes of a token."""

    def __init__(self, browser: Browser, url: str, token: str, **look: Any) -> None:
        self.context: BrowserContext = browser.new_context(base_url=url, **look)
        self.context.set_default_timeout(_WAIT_MS)
        expect.set_options(timeout=_WAIT_MS)
        self.page: Page = self.context.new_page()
        #: Errors that the browser reported: a blocked script, or an error in our code.
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.foreign: list[str] = []
        self.page.on("request", lambda asked: None if asked.url.startswith(url) else self.foreign.append(asked.url))
        self._token = token

    def log_in(self) -> None:
        """Log in, and wait until the page is live."""
        self.page.goto("/")
        self.page.get_by_label("Token").fill(self._token)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.locator("#live-says")).to_have_text("live")

    def cell(self, symbol: str, executor: str) -> Locator:
        """Return the cell of the newest signal for *symbol* at *executor*."""
        row = self.page.locator("#rows tr").filter(has_text=symbol).first
        return row.locator(f'td[data-label="{executor}"] a')

    def press(self, link: Locator) -> Locator:
        """Open *link* with the keyboard, and return the dialog."""
        link.focus()
        self.page.keyboard.press("Enter")
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        return dialog

    def say(self, dialog: Locator, button: str, *, why: str) -> None:
        """Fill in the form that asks who and why, and send it."""
        dialog.get_by_label("Your name").fill("ann")
        dialog.get_by_label("Reason").fill(why)
        tick = dialog.get_by_label(re.compile("^Yes, "))
        if tick.count():
            tick.check()
        dialog.get_by_role("button", name=button, exact=True).click()

    def faults(self) -> list[str]:
        """Return the serious and critical findings of axe-core on the page as it is now."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['impact']} {each['id']}: {node['html']}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def picture(self, name: str) -> None:
        """Save a picture of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
