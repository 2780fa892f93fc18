"""The front page in a real browser: numbers that keep up, for everybody, and what is said when they
cannot."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.console import PASSWORD
from tests.desk import create_body
from tests.journeys.console.visiting import (
    DESKTOP,
    TELEPHONE,
    Visitors,
    check_axe,
    check_contrast,
    check_width,
    keep_screenshot,
)
from tests.sandbox import SandboxHandle
from tests.server import Server
from tests.waiting import eventually

TEN_SECONDS_MS = 10_000
PATIENCE_S = 30


@pytest.fixture
def page(visitors: Visitors, administered: Server) -> Page:
    """The front page before olga, whose time passes when it is told to."""
    return visitors.open(stands_still=True)


def fact(page: Page, key: str) -> str:
    return page.locator(f'[data-fact="{key}"] dd').first.inner_text().strip()


def pass_time(page: Page) -> None:
    """Let ten seconds pass, and wait for what is asked then."""
    with page.expect_response("**/admin/now/"):
        page.clock.run_for(TEN_SECONDS_MS + 100)


def book(server: Server, portal: Portal) -> None:
    body = create_body(portal.student("alice"), portal.exam())
    assert server.post("/api/bookings/create", body).status == 201


def test_numbers_and_charts_follow_the_traffic_without_a_reload(
    page: Page, administered: Server, sandbox: SandboxHandle
) -> None:
    made, calls = int(fact(page, "create")), int(fact(page, "calls-hour"))
    said_at = page.locator("#as-of").inner_text()

    book(administered, Portal(sandbox, load_profile("default")))

    def follows() -> bool:
        pass_time(page)
        told = int(fact(page, "create")) == made + 1 and int(fact(page, "calls-hour")) > calls
        return told and page.locator("#as-of").inner_text() != said_at

    eventually(follows)
    expect(page.locator("#chart-hubspot canvas")).to_be_visible()


@pytest.mark.chaos
def test_a_refresh_leaves_focus_and_what_was_opened(page: Page) -> None:
    page.locator("#hubspot-hour > summary").click()
    page.get_by_role("link", name="Made:").focus()

    pass_time(page)

    expect(page.get_by_role("link", name="Made:")).to_be_focused()
    assert page.locator("#hubspot-hour").get_attribute("open") is not None


def test_what_goes_wrong_meanwhile_is_said_and_changes_nothing_else(
    page: Page, staffed: Path
) -> None:
    page.get_by_role("button", name="Pause").focus()
    page.get_by_label("the last 24 hours").check()
    before = page.locator("#problems li").count()
    with closing(sqlite3.connect(staffed / "db.sqlite3", timeout=PATIENCE_S)) as database, database:
        database.execute(
            "INSERT INTO booking_api_jobrun (job, began_at, ended_at, failure)"
            " VALUES ('prune', datetime('now'), datetime('now'), 'OSError')"
        )

    pass_time(page)

    expect(page.locator("#problems li")).to_have_count(before + 1)
    expect(page.get_by_label("the last 24 hours")).to_be_checked()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_refresh_that_fails_says_since_when_and_a_session_that_has_ended_that_it_has(
    page: Page,
) -> None:
    said_at = page.locator("#as-of").inner_text()
    page.route("**/admin/now/", lambda route: route.abort())
    page.clock.run_for(TEN_SECONDS_MS + 100)

    status = page.get_by_role("status")
    expect(status).to_have_text(f"Not refreshed since {said_at}: the server does not answer.")

    page.unroute("**/admin/now/")
    pass_time(page)
    expect(status).to_be_hidden()

    page.context.clear_cookies()
    pass_time(page)

    expect(status).to_contain_text("You are not logged in any more.")
    assert asked_within_a_minute(page) == []
    status.get_by_role("link", name="Log in again").click()
    expect(page.locator("input[name=username]")).to_be_visible()


@pytest.mark.chaos
def test_nobody_looks_and_nothing_is_asked(page: Page) -> None:
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert asked_within_a_minute(page) == []

    with page.expect_response("**/admin/now/"):
        page.evaluate(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )


@pytest.mark.chaos
def test_it_can_be_paused_by_the_keyboard(page: Page) -> None:
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    assert asked_within_a_minute(page) == []


def asked_within_a_minute(page: Page) -> list[str]:
    """What the page asks for while a minute passes."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.clock.run_for(6 * TEN_SECONDS_MS)
    page.remove_listener("request", note)
    return asked


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("size", "dark"),
    # `test_pages` looks at it on a telephone, in the dark too.
    [(DESKTOP, False), pytest.param(TELEPHONE, True, marks=pytest.mark.chaos)],
    ids=["desktop", "telephone, dark"],
)
@pytest.mark.parametrize("name", ["olga", "sam"])
def test_it_can_be_used_by_anybody_everywhere(
    visitors: Visitors, administered: Server, name: str, size: tuple[int, int], dark: bool
) -> None:
    page = visitors.open(name=name, size=size, dark=dark)
    expect(page.locator("#chart-requests .n-drawing")).to_be_attached()
    for details in page.locator("#now details").all():
        details.evaluate("each => { each.open = true }")
    check_width(page)
    (check_contrast if dark else check_axe)(page)
    keep_screenshot(page, f"now-{name}-{size[0]}-{'dark' if dark else 'light'}")


@pytest.mark.chaos
def test_it_works_without_javascript(browser: Browser, administered: Server) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{administered.base_url}/admin/")
    page.fill("input[name=username]", "olga")
    page.fill("input[name=password]", PASSWORD)
    page.click("[type=submit]")

    assert fact(page, "create").isdecimal()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_role("link", name="Made:").click()
    expect(page.locator("#changelist")).to_be_visible()
    context.close()
