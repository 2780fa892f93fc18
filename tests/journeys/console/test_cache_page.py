"""The cache page in a real browser: what staff see, and removing entries step by step."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal, Student
from tests.journeys.console.visiting import Visitors
from tests.sandbox import SandboxHandle
from tests.server import Server


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


def cache_page(visitors: Visitors, name: str = "olga") -> Page:
    """The page as one gets to it: from the admin's index."""
    page = visitors.open(name=name)
    page.locator("#content a[href='/admin/cache/cachepage/']").first.click()
    expect(page.get_by_role("heading", name="Families")).to_be_visible()
    return page


@pytest.mark.chaos
def test_the_page_is_found_from_the_index(visitors: Visitors, alice: Student) -> None:
    page = cache_page(visitors)

    expect(page.get_by_text("locmem")).to_be_visible()
    expect(page.get_by_role("img", name="Hits and misses by minute")).to_be_visible()
    expect(page.get_by_role("rowheader", name="booking-pages")).to_be_visible()


def test_a_family_is_removed_after_a_preview_and_stays_on_record(
    visitors: Visitors, alice: Student
) -> None:
    page = cache_page(visitors)

    page.get_by_label("A whole family").select_option("booking-pages")
    page.locator("form:has(#cp-family)").get_by_role("button", name="Preview").click()
    expect(page.get_by_text("would go")).to_be_visible()
    page.get_by_label("Why, for the record").fill("Alice called")
    page.get_by_role("button", name="Remove 1 entry").click()

    expect(page.get_by_text("removed: the family booking-pages")).to_be_visible()
    row = page.get_by_role("row", name="Alice called")
    expect(row).to_contain_text("olga")
    expect(row).to_contain_text("family: booking-pages")


@pytest.mark.chaos
def test_cancelling_removes_nothing(visitors: Visitors, alice: Student) -> None:
    page = cache_page(visitors)

    page.locator("form:has(input[value=all])").get_by_role("button", name="Preview").click()
    page.get_by_role("link", name="Cancel").click()

    pages = page.locator("tr", has=page.get_by_role("rowheader", name="booking-pages"))
    expect(pages).to_contain_text("KB")


@pytest.mark.chaos
def test_a_key_is_looked_up_with_all_that_is_known_of_it(
    visitors: Visitors, alice: Student
) -> None:
    page = cache_page(visitors)

    page.get_by_label("Key", exact=True).fill(f"contact:{alice.id}:details")
    page.get_by_role("button", name="Look up").click()

    entry = page.locator(".c-list")
    expect(entry).to_contain_text('"firstname": "Alice"')
    expect(entry).to_contain_text(f"contact:{alice.id}")
    assert alice.id not in page.url


@pytest.mark.chaos
def test_a_comparison_shows_what_drifted(
    visitors: Visitors, alice: Student, sandbox: SandboxHandle
) -> None:
    sandbox.edit(load_profile("default").object_types.contacts, alice.id, firstname="Alicia")
    page = cache_page(visitors)

    page.get_by_label("Entries of each family").fill("1000")
    page.get_by_role("button", name="Validate now").click()

    expect(page.get_by_role("status")).to_contain_text("drifted")
    expect(page.get_by_role("cell", name="firstname").first).to_be_visible()


@pytest.mark.chaos
def test_a_bad_pattern_is_explained(visitors: Visitors, alice: Student) -> None:
    page = cache_page(visitors)

    page.get_by_label("Keys like a pattern").fill("*")
    page.locator("form:has(#cp-pattern)").get_by_role("button", name="Preview").click()

    expect(page.get_by_role("alert")).to_contain_text("must start with a word")


@pytest.mark.chaos
def test_staff_without_the_permission_see_numbers_and_no_removal(
    visitors: Visitors, alice: Student
) -> None:
    page = cache_page(visitors, "sam")

    expect(page.get_by_text("cache.invalidate")).to_be_visible()
    expect(page.get_by_role("button", name="Preview")).to_have_count(0)
