"""A person follows a signal, requeues a dead letter and halts an executor on the page in a real browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.browsing import ORDER_ID, Visitor, chromium
from tests.acceptance.system import ROOT, System, a_signal
from tests.waiting import patience

pytestmark = pytest.mark.timeout(240)

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def up(browser: Browser, system: Callable[..., System]) -> System:
    """A system without a worker for argo and with an empty record."""
    made = system(executors="config/executors.load.toml").up("--source", "none", "--without", "argo")
    made.until(lambda: _answers(made.services()["web_url"]), within_s=30, what="the web process answers")
    return made


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=patience(5)).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def visitor(up: System, browser: Browser) -> Iterator[Visitor]:
    services = up.services()
    made = Visitor(browser, services["web_url"], services["api_token"], **LOOKS["light"])
    made.log_in()
    yield made
    made.context.close()


@pytest.fixture
def work(up: System) -> Iterator[Callable[[], None]]:
    """Start the worker that is missing."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "pipeline.entrypoints.cli", "work", "argo"]
        log = (up.home / "argo.log").open("ab")
        environment = {**os.environ, **up.environment, "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen(command, cwd=up.home, env=environment, stdout=log, stderr=log))
        log.close()

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def test_a_signal_is_followed_a_dead_letter_requeued_and_an_executor_halted(
    up: System, visitor: Visitor, work: Callable[[], None]
) -> None:
    page = visitor.page
    expect(page.get_by_text("No signal yet.")).to_be_visible()
    page.evaluate("window.loadedOnce = true")

    # A row turns from queued to an order id by itself.
    up.send([a_signal("QAAA")])
    expect(visitor.cell("QAAA", "argo")).to_contain_text("queued")
    visitor.picture("queued")
    work()
    expect(visitor.cell("QAAA", "argo")).to_contain_text(ORDER_ID)
    assert page.evaluate("window.loadedOnce") is True

    # The keyboard opens the history of the execution, and closing it returns the focus.
    cell = visitor.cell("QAAA", "argo")
    dialog = visitor.press(cell)
    expect(dialog.locator(".wanted .timeline li").first).to_contain_text(" ms")
    expect(dialog).to_contain_text("submitting")
    visitor.picture("life")
    page.keyboard.press("Escape")
    expect(cell).to_be_focused()

    # A dead letter appears without a reload, and is requeued.
    up.admin("faults", {"faults": [{"on": "submit", "kind": "drop_before", "symbol": "QAAB"}]})
    up.send([a_signal("QAAB", executors=["argo"])])
    requeue = page.get_by_role("link", name="Requeue BUY QAAB at argo")
    expect(requeue).to_be_visible()
    assert page.evaluate("window.loadedOnce") is True
    up.admin("faults", {"faults": []})
    visitor.picture("dead_letter")
    visitor.say(visitor.press(requeue), "Requeue", why="the broker is well again")
    expect(page.locator("#done")).to_contain_text("Requeued")
    expect(visitor.cell("QAAB", "argo")).to_contain_text(ORDER_ID)
    expect(page.get_by_text("Nothing needs you: there are no dead letters.")).to_be_visible()

    # An executor is halted, and the next signal shows that as its reason.
    visitor.say(visitor.press(page.get_by_role("link", name="Halt argo")), "Halt", why="news at 14:00")
    expect(page.locator("#done")).to_contain_text("Halted")
    expect(page.locator("#executor-argo")).to_contain_text("by ann (api@page): news at 14:00")
    up.send([a_signal("QAAC", executors=["argo"])])
    expect(visitor.cell("QAAC", "argo")).to_contain_text("halted")
    visitor.picture("halted")

    assert up.json("executions", "--executor", "argo", "--status", "skipped")[0]["reason_code"] == "halted"
    assert (visitor.complaints, visitor.foreign) == ([], [])


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(
    up: System, browser: Browser, work: Callable[[], None], look: str
) -> None:
    services = up.services()
    up.run("dead", "list")
    up.admin("faults", {"faults": [{"on": "submit", "kind": "reject", "symbol": "QAAB"}]})
    up.send([a_signal("QAAA"), a_signal("QAAB"), {"symbol": "?"}])
    up.run("pause", "prop_firm", "--why", "a look")
    visitor = Visitor(browser, services["web_url"], services["api_token"], **LOOKS[look])
    page = visitor.page
    page.goto("/login")
    faults = {"login": visitor.faults()}
    visitor.log_in()
    work()
    expect(visitor.cell("QAAB", "argo")).to_contain_text("rejected")

    faults["page"] = visitor.faults()
    visitor.picture(look)
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    visitor.press(visitor.cell("QAAB", "argo"))
    faults["life"] = visitor.faults()
    page.keyboard.press("Escape")
    visitor.press(page.get_by_role("link", name="Flatten argo"))
    faults["flatten"] = visitor.faults()
    visitor.context.close()

    assert faults == {"login": [], "page": [], "life": [], "flatten": []}
    assert wider <= 0
