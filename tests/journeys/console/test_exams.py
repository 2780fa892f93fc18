"""The exams' pages in a real browser: a wrong count is seen, explained and put right."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from hubspot_sync.portal.profile import load_profile
from tests.builders import Exam, Portal
from tests.desk import stored_total
from tests.journeys.console.visiting import (
    TELEPHONE,
    Visitors,
    check_axe,
    check_contrast,
    check_width,
    keep_screenshot,
)
from tests.sandbox import SandboxHandle
from tests.server import Server

PAGE = "/admin/booking_api/exampage/"


@pytest.fixture
def portal(sandbox: SandboxHandle, administered: Server) -> Portal:
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    return portal


@pytest.fixture
def exam(portal: Portal) -> Exam:
    """Today's, whose stored count is wrong; and others, one of them odd."""
    portal.exam(in_days=1, location="A place with a long name, second floor, behind the library")
    portal.exam(capacity=0, total_bookings=-3, location="")
    exam, _ = portal.exam_with_bookings(4, in_days=0, total_bookings=6)
    return exam


def look(page: Page, name: str) -> None:
    """What every page of ours has to be."""
    check_axe(page)
    keep_screenshot(page, name)


@pytest.mark.sampled
@pytest.mark.parametrize(
    "looked_at", ["exams-list", "exams-not-true", "exams-recount-asked", "exams-recounted"]
)
def test_a_wrong_count_is_seen_and_recounted(
    visitors: Visitors, portal: Portal, exam: Exam, looked_at: str
) -> None:
    def look_if_drawn(page: Page, name: str) -> None:
        if name == looked_at:
            look(page, name)

    reason = f"The dry run said so, {looked_at}"  # of each case its own: they stay on record
    page = visitors.open()
    page.locator(f"#content a[href='{PAGE}']").first.click()
    expect(page.get_by_text("3 upcoming exams, 1 of them today.")).to_be_visible()
    look_if_drawn(page, "exams-list")
    page.get_by_role("link", name="Today").click()
    expect(page.get_by_text("14 of 20 seats are left.")).to_be_visible()

    page.get_by_role("link", name="Dry run…").click()
    page.get_by_label("Why, for the record").fill("A parent called")
    page.get_by_role("button", name="Count without writing").click()
    expect(page.get_by_text("A recount would write 4.")).to_be_visible()
    expect(page.get_by_text("That is not true: 4 seats were taken")).to_be_visible()
    assert stored_total(portal, exam) == 6
    look_if_drawn(page, "exams-not-true")

    page.get_by_role("link", name="Recount…").click()
    expect(page.get_by_role("button", name="Recount now")).to_be_visible()
    look_if_drawn(page, "exams-recount-asked")
    page.get_by_label("Why, for the record").fill(reason)
    page.keyboard.press("Enter")
    expect(page.get_by_text("16 of 20 seats are left. That is true")).to_be_visible()
    expect(page.get_by_role("cell", name=reason)).to_be_visible()
    assert stored_total(portal, exam) == 4
    look_if_drawn(page, "exams-recounted")


@pytest.mark.chaos
def test_the_cache_forgets_it_after_a_preview(visitors: Visitors, exam: Exam) -> None:
    page = visitors.open(f"{PAGE}{exam.id}/")

    page.get_by_role("link", name="Remove from the cache…").click()
    expect(page.get_by_text("would go")).to_be_visible()
    page.get_by_label("Why, for the record").fill("It was edited by hand")
    look(page, "exams-remove-asked")
    page.get_by_role("button", name="Remove").click()

    expect(page.get_by_text(f"removed: all that shows exam {exam.id}")).to_be_visible()
    row = page.get_by_role("row", name="It was edited by hand")
    row.get_by_role("link").click()
    page.get_by_role("link", name=f"exam {exam.id}").click()
    expect(page.get_by_role("heading", name=f"Exam {exam.id}")).to_be_visible()


@pytest.mark.sampled
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("list", PAGE),
        ("exam", f"{PAGE}{{id}}/"),
        ("recount", f"{PAGE}{{id}}/recount/"),
        ("found-nothing", f"{PAGE}?exam_id=abc&type=x"),
    ],
)
def test_the_pages_are_read_on_a_telephone(
    visitors: Visitors, exam: Exam, name: str, path: str, dark: bool
) -> None:
    page = visitors.open(path.format(id=exam.id), size=TELEPHONE, dark=dark)

    check_width(page)
    (check_contrast if dark else check_axe)(page)
    keep_screenshot(page, f"exams-{name}-telephone-{'dark' if dark else 'light'}")


@pytest.mark.chaos
def test_who_may_not_sees_no_exams(visitors: Visitors, exam: Exam) -> None:
    page = visitors.open(name="sam")

    expect(page.locator("#user-tools")).to_be_visible()
    expect(page.locator(f"a[href='{PAGE}']")).to_have_count(0)
    page.goto(f"{visitors.base_url}{PAGE}{exam.id}/")
    expect(page.get_by_text("seats are left")).to_have_count(0)
