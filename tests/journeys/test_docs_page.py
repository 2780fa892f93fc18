"""Our own pages in a real browser, which may reach nothing but the API and says what it refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Request

from tests.chromium import browser_marks, running_chromium
from tests.server import Server

pytestmark = browser_marks


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as running:
        yield running


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


@pytest.mark.usefixtures("portal")
def test_the_pages_obey_their_own_policy(server: Server, browser: Browser) -> None:
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(server.base_url)
    assert page.locator("main").evaluate("main => getComputedStyle(main).maxWidth") == "640px"
    page.get_by_role("link", name="Documentation").click()
    page.get_by_text("/api/health").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    page.locator(".live-responses-table").get_by_text("healthy").first.wait_for(timeout=60_000)
    assert complaints == []


@pytest.mark.chaos
def test_what_somebody_puts_into_a_page_does_not_run(server: Server, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{server.base_url}/api/docs")
    page.get_by_text("/api/bookings/list").wait_for(timeout=60_000)

    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            const image = "<img src=x onerror='window.ran = true'>";
            document.body.insertAdjacentHTML("beforeend", image);
        }"""
    )

    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.ran") is None
    assert page.evaluate("fetch('http://127.0.0.1:1/').then(() => true, () => false)") is False
