"""The documentation in a real browser, which may reach nothing but the API."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Request, sync_playwright

from tests.server import Server

CHROMIUM = shutil.which("chromium")
PROMISED = "BROWSER_PROMISED" in os.environ

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and not PROMISED, reason="no chromium here"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def test_the_documentation_renders_without_any_outside_host(
    server: Server, browser: Browser
) -> None:
    asked: list[str] = []
    page = browser.new_page()

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(f"{server.base_url}/api/docs")
    page.get_by_text("/api/bookings/list").wait_for(timeout=60_000)

    outside = [url for url in asked if not url.startswith((server.base_url, "data:", "blob:"))]
    assert outside == []
    assert page.title() == "Mock Exam Booking API"
