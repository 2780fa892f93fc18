"""Why could this student not book? Found and read in a browser, on a desktop and a telephone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal, Student
from tests.desk import create_body
from tests.journeys.console.visiting import (
    DESKTOP,
    TELEPHONE,
    Visitors,
    check_axe,
    check_width,
    keep_screenshot,
)
from tests.sandbox import SandboxHandle
from tests.server import Server

JOURNAL = "/admin/booking_api/journalentry/"


@pytest.fixture
def bob(sandbox: SandboxHandle, administered: Server) -> Student:
    """Bob, who has no credit and asked for a seat, once with it and once after it was full."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    student = portal.student("bob")
    for capacity in (5, 0):
        body = create_body(student, portal.exam(capacity=capacity, in_days=4 + capacity))
        assert administered.post("/api/bookings/create", body).status >= 400
    return student


def test_a_refused_booking_is_found_and_explained(visitors: Visitors, bob: Student) -> None:
    page = visitors.open(JOURNAL)

    page.get_by_label("Search").first.fill(bob.student_id.lower())
    page.keyboard.press("Enter")
    expect(page.get_by_text("the student has no credit left for this type")).not_to_have_count(0)
    page.locator(".c-note a").first.click()

    expect(page.get_by_role("heading", name=f"Student, contact {bob.id}")).to_be_visible()
    expect(page.get_by_text(re.compile(r"requests: .*\d+ refused\."))).to_be_visible()
    expect(page.get_by_text("the exam is full").first).to_be_visible()
    expect(page.get_by_text("bob.okafor.s1002@example.org")).to_be_visible()
    keep_screenshot(page, "student-story")


def test_a_pair_that_left_no_row_is_asked_for(visitors: Visitors, bob: Student) -> None:
    page = visitors.open(f"{JOURNAL}?q=S9999")

    expect(page.get_by_text("leaves no row")).to_be_visible()
    page.get_by_role("link", name="See whether a student id and an e-mail belong").click()
    page.get_by_label("Student id").fill("S9999")
    page.get_by_label("E-mail").fill(bob.email)
    page.get_by_role("button", name="Ask HubSpot").click()

    expect(page.get_by_role("status")).to_contain_text("this pair is refused")
    check_axe(page)


@pytest.mark.chaos
@pytest.mark.parametrize(
    "path", ["", "?q={id}", "student/{id}/"], ids=["journal", "search", "story"]
)
def test_who_may_not_see_persons_sees_neither_names_nor_buttons(
    visitors: Visitors, bob: Student, path: str
) -> None:
    page = visitors.open(f"{JOURNAL}{path.format(id=bob.id)}", name="ivy")

    expect(page.get_by_text("refused").first).to_be_visible()
    text = page.locator("body").inner_text().lower()
    assert "bob" not in text
    assert bob.student_id.lower() not in text
    expect(page.get_by_text("Finish now")).to_have_count(0)
    expect(page.get_by_text("Ask HubSpot")).to_have_count(0)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("size", "dark"), [(DESKTOP, False), (TELEPHONE, True)], ids=["desktop", "telephone, dark"]
)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(JOURNAL, id="journal"),
        pytest.param(f"{JOURNAL}?q=S9999", id="journal-empty"),
        pytest.param(f"{JOURNAL}student/101/", id="story"),
        pytest.param(f"{JOURNAL}student/ask/", id="ask"),
        pytest.param(f"{JOURNAL}1/change/", id="entry"),
    ],
)
def test_the_pages_are_for_everybody(
    visitors: Visitors,
    bob: Student,
    path: str,
    size: tuple[int, int],
    dark: bool,
    request: pytest.FixtureRequest,
) -> None:
    page = visitors.open(path, size=size, dark=dark)

    keep_screenshot(page, request.node.name)
    check_width(page)
    check_axe(page)
