"""Every page of the console, for telephones, eyes in the dark, keyboards and ears."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

from tests.console import ROOT, describe_kind
from tests.journeys.console.visiting import (
    DESKTOP,
    TELEPHONE,
    Visitors,
    check_axe,
    check_contrast,
    check_width,
    keep_screenshot,
)

SECTIONS = ("booking_api", "hubspot_sync", "cache", "auth", "authtoken")
# Of these one page is like another, whatever it is about.
ALIKE = ("_history", "_delete")
LOOKS = ("light", "dark")
JOURNAL = "/admin/booking_api/journalentry/"

# The tables that are wider than their room.
HIDDEN = """() => [...document.querySelectorAll(".results, .c-scroll")]
  .filter(each => each.scrollWidth > each.clientWidth + 1)
  .map(each => each.className + " " + each.scrollWidth + " of " + each.clientWidth)"""

in_either_look = pytest.mark.parametrize(
    "look", [pytest.param(look, marks=pytest.mark.sampled) for look in LOOKS]
)


def check_page(page: Page, name: str) -> None:
    """Check a page at the width of a telephone, in light and in dark, and keep how it looks."""
    for look in LOOKS:
        check_look(page, name, look)


def check_look(page: Page, name: str, look: str) -> None:
    page.emulate_media(color_scheme="dark" if look == "dark" else "light")
    keep_screenshot(page, f"{name}-{look}")
    if look == "light":
        check_width(page)
        check_axe(page)
    else:
        check_contrast(page)


def visit_section(page: Page, root: str, base_url: str) -> Iterator[str]:
    """Open one page of each kind that links lead to from `root`, within it; yield its kind."""
    waiting, seen = [root], set()
    while waiting:
        path = waiting.pop(0)
        kind = describe_kind(path)[0]
        kind = next((alike for alike in ALIKE if alike in kind), kind)
        if "?" in path or kind in seen:
            continue
        seen.add(kind)
        page.goto(f"{base_url}{path}")
        links = page.eval_on_selector_all(
            "a[href]", "links => links.map(link => link.getAttribute('href'))"
        )
        yield kind
        targets = (urljoin(path, link).partition("#")[0] for link in links)
        waiting += [target for target in targets if target.startswith(root)]


# Minutes of a browser: `make slow-tests`. What is ours and changes has tests of its own besides.
@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_is_for_everybody(section: str, visitors: Visitors) -> None:
    page = visitors.open(size=TELEPHONE)

    kinds = visit_section(page, f"{ROOT}{section}/", visitors.base_url)
    for number, kind in enumerate(kinds):
        check_page(page, f"{section}-{number}-{kind}")


@pytest.mark.chaos
@pytest.mark.parametrize("section", SECTIONS)
def test_a_desktop_shows_all_columns(section: str, visitors: Visitors) -> None:
    page = visitors.open(size=DESKTOP)

    for kind in visit_section(page, f"{ROOT}{section}/", visitors.base_url):
        hidden = page.evaluate(HIDDEN)
        keep_screenshot(page, f"desktop-{section}-{kind}")
        assert hidden == [], kind


@in_either_look
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/admin/", "Log out"),
        ("/admin/password_change/", "Password change"),
        (f"{JOURNAL}?q=nobody-at-all", "Nothing is found by this search"),
    ],
    ids=["front-page", "password-change", "nothing-found"],
)
def test_what_belongs_to_no_section_is_for_everybody(
    visitors: Visitors, path: str, words: str, look: str, request: pytest.FixtureRequest
) -> None:
    page = visitors.open(path, size=TELEPHONE)

    expect(page.get_by_text(words).first).to_be_visible()
    check_look(page, request.node.callspec.id, look)


@in_either_look
def test_what_a_stranger_sees_is_for_everybody(visitors: Visitors, look: str) -> None:
    stranger = visitors.open("/", name="", size=TELEPHONE)
    check_look(stranger, "outside", look)
    stranger.get_by_role("link", name="Console").click()
    check_look(stranger, "login", look)
    stranger.fill("input[name=username]", "nobody")
    stranger.fill("input[name=password]", "wrong")
    stranger.click("[type=submit]")
    expect(stranger.locator(".errornote")).to_be_visible()
    check_look(stranger, "login-wrong", look)


@in_either_look
def test_who_logs_out_is_told(visitors: Visitors, look: str) -> None:
    page = visitors.open(name="sam", size=TELEPHONE)

    page.get_by_role("button", name="Log out").click()

    expect(page.get_by_text("Log in again")).to_be_visible()
    check_look(page, "logged-out", look)
    visitors.forget("sam")


def test_a_keyboard_gets_to_the_content_first_and_always_shows_where_it_is(
    visitors: Visitors,
) -> None:
    page = visitors.open(JOURNAL, size=DESKTOP)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to main content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    expect(page.get_by_role("searchbox", name="Search", exact=True)).to_be_focused()
    for _ in range(12):
        outline = page.evaluate(
            "(() => { const style = getComputedStyle(document.activeElement);"
            " return style.outlineStyle + ' ' + style.outlineWidth; })()"
        )
        assert outline == "solid 3px"
        page.keyboard.press("Tab")


def test_the_toggle_makes_the_console_dark_and_it_stays_so(visitors: Visitors) -> None:
    page = visitors.open(size=DESKTOP)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="Toggle theme").click()
    page.goto(f"{visitors.base_url}/admin/cache/cachepage/")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    check_contrast(page)
    keep_screenshot(page, "cache-dark-1280")
