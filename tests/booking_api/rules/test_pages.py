"""Pages of a student's bookings, whatever the bookings."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_api.rules.booking_end import booking_status
from booking_api.rules.errors import InvalidRequest
from booking_api.rules.pages import FILTERS, Entry, Filter, cut_page

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)

ids = st.integers(min_value=1, max_value=10**12).map(str)
instants = st.none() | st.integers(min_value=-72, max_value=72).map(
    lambda hours: NOW + timedelta(hours=hours)
)
states = st.sampled_from(["active", "cancelled", "completed"])


@st.composite
def entries(draw: st.DrawFn) -> Entry[str]:
    id_, starts_at, state = draw(ids), draw(instants), draw(states)
    ends_at = None if starts_at is None else starts_at + timedelta(hours=3)
    return Entry(id=id_, starts_at=starts_at, ends_at=ends_at, state=state, value=id_)


bookings = st.lists(entries(), max_size=60, unique_by=lambda entry: entry.id)
filters = st.sampled_from(FILTERS)
limits = st.integers(min_value=1, max_value=25)


def walk(listed: list[Entry[str]], wanted: Filter, limit: int) -> list[str]:
    seen: list[str] = []
    after = None
    while True:
        page = cut_page(listed, wanted=wanted, now=NOW, limit=limit, after=after)
        seen.extend(page.values)
        assert len(seen) <= len(listed)
        if page.next is None:
            return seen
        after = page.next


@pytest.mark.parametrize(
    ("ends_at", "filter_", "status"),
    [
        (NOW + timedelta(hours=1), "upcoming", "completed"),
        (NOW, "past", "completed"),
    ],
)
def test_a_booking_marked_completed_is_listed_by_its_exams_end_whatever_its_status(
    ends_at: datetime, filter_: Filter, status: str
) -> None:
    entry = Entry(id="1", starts_at=NOW, ends_at=ends_at, state="completed", value="1")

    listed_by = [
        wanted
        for wanted in FILTERS
        if cut_page([entry], wanted=wanted, now=NOW, limit=20).total == 1
    ]

    assert listed_by == ["all", filter_]
    assert booking_status(entry.state, entry.ends_at, NOW) == status


@given(bookings, filters, limits)
def test_pages_partition_the_list_and_every_page_but_the_last_is_full(
    listed: list[Entry[str]], wanted: Filter, limit: int
) -> None:
    first = cut_page(listed, wanted=wanted, now=NOW, limit=limit)

    pages = [
        cut_page(listed, wanted=wanted, now=NOW, limit=limit, number=number)
        for number in range(1, first.total_pages + 1)
    ]

    together = [value for page in pages for value in page.values]
    assert len(together) == len(set(together)) == first.total
    assert all(len(page.values) == limit for page in pages[:-1])
    assert [page.has_next for page in pages] == [True] * (len(pages) - 1) + [False] * bool(pages)
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))


@given(bookings)
def test_upcoming_past_and_cancelled_share_out_all(listed: list[Entry[str]]) -> None:
    def shown(wanted: Filter) -> list[str]:
        return list(cut_page(listed, wanted=wanted, now=NOW, limit=100).values)

    parts = shown("upcoming") + shown("past") + shown("cancelled")

    assert sorted(parts) == sorted(shown("all"))


@given(bookings, filters, limits)
def test_a_walk_by_cursor_sees_what_the_pages_show(
    listed: list[Entry[str]], wanted: Filter, limit: int
) -> None:
    whole = cut_page(listed, wanted=wanted, now=NOW, limit=100).values

    assert walk(listed, wanted, limit) == list(whole)


@given(bookings, bookings, filters, limits)
def test_bookings_added_during_a_walk_by_cursor_move_none_of_the_others(
    before: list[Entry[str]], added: list[Entry[str]], wanted: Filter, limit: int
) -> None:
    known = {entry.id for entry in before}
    after_all = before + [entry for entry in added if entry.id not in known]
    expected = cut_page(before, wanted=wanted, now=NOW, limit=100).values
    page = cut_page(before, wanted=wanted, now=NOW, limit=limit)
    seen = list(page.values)

    while page.next is not None:
        page = cut_page(after_all, wanted=wanted, now=NOW, limit=limit, after=page.next)
        seen.extend(page.values)
        assert len(seen) == len(set(seen))

    assert [id_ for id_ in seen if id_ in known] == list(expected)


def entry(id_: str, hours: int | None, length_h: int = 1) -> Entry[str]:
    starts_at = None if hours is None else NOW + timedelta(hours=hours)
    ends_at = None if starts_at is None else starts_at + timedelta(hours=length_h)
    return Entry(id=id_, starts_at=starts_at, ends_at=ends_at, state="active", value=id_)


def test_the_soonest_comes_first_and_in_the_past_the_newest() -> None:
    listed = [entry("1", 5), entry("2", -9), entry("3", 2), entry("4", -3), entry("5", None)]

    assert cut_page(listed, wanted="all", now=NOW, limit=9).values == ("2", "4", "3", "1", "5")
    assert cut_page(listed, wanted="upcoming", now=NOW, limit=9).values == ("3", "1", "5")
    assert cut_page(listed, wanted="past", now=NOW, limit=9).values == ("4", "2")


def test_an_exam_under_way_is_upcoming_until_it_ends() -> None:
    under_way, just_over = entry("1", -1, length_h=2), entry("2", -1, length_h=1)

    page = cut_page([under_way, just_over], wanted="upcoming", now=NOW, limit=9)

    assert page.values == ("1",)


def test_ties_go_by_id_as_a_number() -> None:
    listed = [entry("10", 1), entry("9", 1), entry("101", 1)]

    assert cut_page(listed, wanted="all", now=NOW, limit=9).values == ("9", "10", "101")


def test_a_page_after_the_last_is_empty() -> None:
    page = cut_page([entry("1", 1)], wanted="all", now=NOW, limit=20, number=7)

    assert page.values == ()
    assert (page.total, page.has_next, page.has_previous) == (1, False, True)


def test_no_bookings_are_no_pages() -> None:
    page = cut_page([], wanted="all", now=NOW, limit=20)

    assert (page.total_pages, page.number, page.has_next, page.has_previous) == (0, 1, False, False)


def test_a_cursor_of_another_filter_is_refused() -> None:
    listed = [entry("1", 1), entry("2", 2)]
    cursor = cut_page(listed, wanted="all", now=NOW, limit=1).next

    with pytest.raises(InvalidRequest, match="not a cursor"):
        cut_page(listed, wanted="upcoming", now=NOW, limit=1, after=cursor)


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "%%%", forged("[]"), forged('["all","never","1"]'), forged("[" * 5000), forged("7")],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        cut_page([entry("1", 1)], wanted="all", now=NOW, limit=1, after=cursor)


def outcome(cursor: str) -> str:
    try:
        cut_page([entry("1", 1)], wanted="all", now=NOW, limit=1, after=cursor)
    except InvalidRequest:
        return "refused"
    return "listed"


@given(st.text(max_size=80))
def test_a_text_as_cursor_is_refused_or_listed_and_never_an_accident(cursor: str) -> None:
    assert outcome(cursor) in {"refused", "listed"}
