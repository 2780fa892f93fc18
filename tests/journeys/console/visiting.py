"""Somebody of the staff before a browser, and what a page has to be for anybody."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.console import PASSWORD

PATIENCE_MS: Final = 30_000
DESKTOP: Final = (1280, 900)
TELEPHONE: Final = (375, 812)
SCREENSHOTS: Final = Path(__file__).resolve().parents[3] / ".run" / "screenshots"
WANTED: Final = "SCREENSHOTS" in os.environ
# How wide the page is and how wide it may be, and what sticks out furthest.
OVERFLOW: Final = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return "";
  const wide = [...document.querySelectorAll("body *")]
    .filter(e => e.getBoundingClientRect().right > room + 1 && !e.closest(".c-scroll, .results"))
    .map(e => e.tagName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right));
  return document.documentElement.scrollWidth + " of " + room + ": " + wide.slice(0, 5).join("; ");
}"""

# Colours that fade into others have none of the contrasts that they are to have.
FADED: Final = """() => Promise.allSettled(document.getAnimations()
  .filter(each => each instanceof CSSTransition).map(each => each.finished))"""


being_checked: set[str] = set()
"""The addresses of pages that axe looks at right now."""


def page_of(message: ConsoleMessage) -> str:
    return "" if message.page is None else message.page.url


class Visitors:
    """Opens pages of one server as whoever is named, each in a session of his own."""

    def __init__(self, browser: Browser, base_url: str, sessions: Mapping[str, str]) -> None:
        self.base_url = base_url
        self._browser = browser
        self._sessions: dict[str, Any] = {
            name: {"cookies": [{"name": "sessionid", "value": key, "url": base_url}]}
            for name, key in sessions.items()
        }
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []

    def open(
        self,
        path: str = "/admin/",
        *,
        name: str = "olga",
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        stands_still: bool = False,
    ) -> Page:
        """Return a page at this address; `name` "" for somebody who is not logged in. Where it
        stands still, its time passes when it is told to."""
        if name and name not in self._sessions:
            self._sessions[name] = self._log_in(name)
        page = self._new_page(size, dark=dark, session=self._sessions.get(name))
        if stands_still:
            page.clock.install()
        page.goto(f"{self.base_url}{path}")
        return page

    def forget(self, name: str) -> None:
        """Have somebody log in again, after a session that a test has ended."""
        self._sessions.pop(name)

    def leave(self) -> None:
        """Close what is open; raise AssertionError for what the pages complained of meanwhile."""
        for context in self._contexts:
            context.close()
        complaints, self._complaints, self._contexts = self._complaints, [], []
        assert complaints == [], "\n".join(complaints)

    def _log_in(self, name: str) -> Any:
        page = self._new_page(DESKTOP)
        page.goto(f"{self.base_url}/admin/")
        page.fill("input[name=username]", name)
        page.fill("input[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.locator("#user-tools").wait_for()
        return page.context.storage_state()

    def _new_page(self, size: tuple[int, int], *, dark: bool = False, session: Any = None) -> Page:
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            storage_state=session,
        )
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._note_said)
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("request", lambda request: self._note_outside(request.url))
        return page

    def _note_said(self, message: ConsoleMessage) -> None:
        # What is said of an answer that is no 200 is left out: a test asks for it on purpose. axe
        # sets styles of its own.
        expected = "Failed to load resource" in message.text or page_of(message) in being_checked
        if message.type in {"error", "warning"} and not expected:
            self._complaints.append(f"{page_of(message)}: {message.text}")

    def _note_outside(self, url: str) -> None:
        if not url.startswith((f"{self.base_url}/", "about:")):
            self._complaints.append(f"asked {url}")


def check_axe(page: Page, **options: Any) -> None:
    """Raise AssertionError, in words, where axe finds that somebody could not use the page."""
    page.evaluate(FADED)
    being_checked.add(page.url)
    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
    # What it caused is heard of before the answer to any question that is asked after it.
    page.evaluate("1")
    being_checked.discard(page.url)
    said = [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"][:3]
    ]
    assert said == [], f"{page.url}\n" + "\n".join(said)


def check_contrast(page: Page) -> None:
    """The part of `check_axe` that another colour scheme may change."""
    check_axe(page, runOnly=["color-contrast"])


def check_width(page: Page) -> None:
    """Raise AssertionError where the page scrolls sideways."""
    page.wait_for_load_state()  # a click does not wait for all style sheets
    overflow = page.evaluate(OVERFLOW)
    assert overflow == "", f"{page.url} is {overflow}"


def keep_screenshot(page: Page, name: str) -> None:
    """Keep how the whole page looks, in `.run/screenshots/`, for whoever sets SCREENSHOTS: to draw
    a page costs a browser as much as all else that it does with it."""
    if not WANTED:
        return
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    safe = re.sub(r"[^\w-]+", "-", name).strip("-")
    page.screenshot(path=SCREENSHOTS / f"{safe}.png", full_page=True)
