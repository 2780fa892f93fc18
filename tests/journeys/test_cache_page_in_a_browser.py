"""The cache page in a real browser: what staff see, and removing entries step by step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal, Student
from tests.manage import manage
from tests.migrated import copy_migrated_file
from tests.sandbox import SandboxHandle
from tests.server import Server, serving

CHROMIUM = shutil.which("chromium")
PROMISED = "BROWSER_PROMISED" in os.environ
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PASSWORD = "a long enough one"
PATIENCE_MS = 30_000
TOKEN = "0123456789abcdef0123456789abcdef01234567"
STAFF = (
    "from django.contrib.auth.models import Permission, User;"
    "from rest_framework.authtoken.models import Token;"
    f"sam = User.objects.create_user('sam', password={PASSWORD!r}, is_staff=True);"
    "sam.user_permissions.add(Permission.objects.get(codename='view_entries'));"
    f"olga = User.objects.create_superuser('olga', password={PASSWORD!r});"
    f"Token.objects.create(user=olga, key={TOKEN!r})"
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and not PROMISED, reason="no chromium here"),
]


def managed(folder: Path, *arguments: str) -> None:
    database = f"sqlite:///{folder / 'db.sqlite3'}"
    done = manage(*arguments, DEBUG="true", DATABASE_URL=database)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the administrator olga, who has a token, and sam, who may see the cache's
    entries and do nothing."""
    folder: Path = tmp_path_factory.mktemp("staffed")
    copy_migrated_file(folder / "db.sqlite3")
    managed(folder, "shell", "-c", STAFF)
    return folder


@pytest.fixture(scope="module")
def serving_staff(sandbox_process: SandboxHandle, staffed: Path) -> Iterator[Server]:
    with serving(sandbox_process, staffed) as api:
        yield api


@pytest.fixture
def administered(sandbox: SandboxHandle, serving_staff: Server) -> Server:
    """An API whose cache is empty."""
    emptied = serving_staff.post(
        "/api/admin/cache/invalidate",
        {"all": True, "reason": "the next test"},
        Authorization=f"Token {TOKEN}",
    )
    assert emptied.status == 200, emptied.body
    return serving_staff


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        expect.set_options(timeout=PATIENCE_MS)
        yield launched
        launched.close()


@pytest.fixture
def alice(sandbox: SandboxHandle, administered: Server) -> Student:
    """Alice, whose list has been read twice, so that it is cached."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    student = portal.student("alice")
    portal.bookings(student, [portal.exam(in_days=day) for day in (3, 5, 8)])
    for _ in range(2):
        assert administered.get("/api/bookings/list", **student.pair).status == 200
    return student


def logged_in(browser: Browser, server: Server, name: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{server.base_url}/admin/")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("[type=submit]")
    return page


def cache_page(browser: Browser, server: Server, name: str = "olga") -> Page:
    """The page as one gets to it: from the admin's index."""
    page = logged_in(browser, server, name)
    page.locator("#content a[href='/admin/cache/cachepage/']").first.click()
    expect(page.get_by_role("heading", name="Families")).to_be_visible()
    return page


def test_the_page_is_found_from_the_index_and_loads_nothing_from_outside(
    browser: Browser, administered: Server, alice: Student
) -> None:
    asked: list[str] = []
    page = logged_in(browser, administered, "olga")

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.locator("#content a[href='/admin/cache/cachepage/']").first.click()

    expect(page.get_by_text("locmem")).to_be_visible()
    expect(page.get_by_role("img", name="Hits and misses by minute")).to_be_visible()
    expect(page.get_by_role("rowheader", name="booking-pages")).to_be_visible()
    outside = [url for url in asked if not url.startswith((administered.base_url, "data:"))]
    assert outside == []
    assert any(url.endswith("console.css") for url in asked)


def test_a_family_is_removed_after_a_preview_and_stays_on_record(
    browser: Browser, administered: Server, alice: Student
) -> None:
    page = cache_page(browser, administered)

    page.get_by_label("A whole family").select_option("booking-pages")
    page.locator("form:has(#cp-family)").get_by_role("button", name="Preview").click()
    expect(page.get_by_text("would go")).to_be_visible()
    page.get_by_label("Why, for the record").fill("Alice called")
    page.get_by_role("button", name="Remove 1 entry").click()

    expect(page.get_by_text("removed: the family booking-pages")).to_be_visible()
    row = page.get_by_role("row", name="Alice called")
    expect(row).to_contain_text("olga")
    expect(row).to_contain_text("family: booking-pages")


def test_cancelling_removes_nothing(browser: Browser, administered: Server, alice: Student) -> None:
    page = cache_page(browser, administered)

    page.locator("form:has(input[value=all])").get_by_role("button", name="Preview").click()
    page.get_by_role("link", name="Cancel").click()

    pages = page.locator("tr", has=page.get_by_role("rowheader", name="booking-pages"))
    expect(pages).to_contain_text("KB")


def test_a_key_is_looked_up_with_all_that_is_known_of_it(
    browser: Browser, administered: Server, alice: Student
) -> None:
    page = cache_page(browser, administered)

    page.get_by_label("Key", exact=True).fill(f"contact:{alice.id}:details")
    page.get_by_role("button", name="Look up").click()

    entry = page.locator(".c-list")
    expect(entry).to_contain_text('"firstname": "Alice"')
    expect(entry).to_contain_text(f"contact:{alice.id}")
    assert alice.id not in page.url


def test_a_comparison_shows_what_drifted(
    browser: Browser, administered: Server, alice: Student, sandbox: SandboxHandle
) -> None:
    sandbox.edit(load_profile("default").object_types.contacts, alice.id, firstname="Alicia")
    page = cache_page(browser, administered)

    page.get_by_label("Entries of each family").fill("1000")
    page.get_by_role("button", name="Validate now").click()

    expect(page.get_by_role("status")).to_contain_text("drifted")
    expect(page.get_by_role("cell", name="firstname").first).to_be_visible()


def test_a_bad_pattern_is_explained(browser: Browser, administered: Server, alice: Student) -> None:
    page = cache_page(browser, administered)

    page.get_by_label("Keys like a pattern").fill("*")
    page.locator("form:has(#cp-pattern)").get_by_role("button", name="Preview").click()

    expect(page.get_by_role("alert")).to_contain_text("must start with a word")


def test_staff_without_the_permission_see_numbers_and_no_removal(
    browser: Browser, administered: Server, alice: Student
) -> None:
    page = cache_page(browser, administered, "sam")

    expect(page.get_by_text("cache.invalidate")).to_be_visible()
    expect(page.get_by_role("button", name="Preview")).to_have_count(0)


def test_the_admins_pages_obey_their_policy(
    browser: Browser, administered: Server, alice: Student
) -> None:
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{administered.base_url}/admin/")
    page.fill("input[name=username]", "olga")
    page.fill("input[name=password]", PASSWORD)
    page.click("[type=submit]")

    for path in ("cache/cachepage/", "auth/user/", "auth/user/add/", "booking_api/journalentry/"):
        page.goto(f"{administered.base_url}/admin/{path}")
        expect(page.locator("#content, main").first).to_be_visible()

    assert [text for text in complaints if "favicon" not in text and "404" not in text] == []
