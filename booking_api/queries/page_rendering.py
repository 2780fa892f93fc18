"""A finished page of bookings as the bytes that every reader of it gets.

It is rendered once, when it is loaded, and kept so; the shape is the contract's, described for
people in `api/serializers.py`. All pages past the end are one, whose number each asker has put in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import orjson

from booking_api.queries.student_bookings import ListedBooking
from booking_api.rules.pages import Page
from hubspot_sync.portal.records import MockExam

PAGINATION: Final = b'"pagination":{'
PAGE_NUMBER: Final = re.compile(rb'("(?:current_page|page)":)[0-9]+')


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedExam:
    """A booking's exam. `is_active` is a text here, unlike in the exam of any other answer:
    frontends compare it."""

    id: str
    mock_type: str
    exam_date: date | None
    location: str
    start_time: str
    end_time: str
    capacity: int
    total_bookings: int
    is_active: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedBooking:
    """A booking as the list shows it."""

    id: str
    booking_id: str
    booking_number: str
    name: str
    email: str
    dominant_hand: bool
    attending_location: str
    mock_type: str
    exam_date: date | None
    location: str | None
    start_time: str | None
    end_time: str | None
    is_active: str
    status: str
    created_at: datetime | None
    mock_exam_id: str | None
    mock_exam: RenderedExam | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedPagination:
    """The old names and the new; each pair says the same."""

    current_page: int
    total_pages: int
    total_bookings: int
    has_next: bool
    has_previous: bool
    page: int
    limit: int
    total: int
    hasMore: bool  # noqa: N815 - the contract's name
    next: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedPage:
    """All that a page is rendered from: its fields are the JSON's, in their order. Another field
    makes another kind of page, so that none is served as what it is not."""

    bookings: tuple[RenderedBooking, ...]
    pagination: RenderedPagination


def render_page(page: Page[ListedBooking]) -> bytes:
    """Return the bookings and the pagination of the list's answer, as one JSON object."""
    rendered = RenderedPage(
        bookings=tuple(_render_booking(listed) for listed in page.values),
        pagination=_render_pagination(page),
    )
    return orjson.dumps(rendered, option=orjson.OPT_UTC_Z)


def count_rows(page: bytes) -> int:
    """Return how many bookings a rendered page has. No text in it can look like a name: its quotes
    are escaped."""
    return page.count(b'"booking_number":')


def put_number(page: bytes, number: int) -> bytes:
    """Return a rendered page with the number it was asked for by."""
    # What stands last; within a text of a booking, its quotes would be escaped.
    start = page.rindex(PAGINATION)
    return page[:start] + PAGE_NUMBER.sub(rb"\g<1>%d" % number, page[start:])


def add_credits(page: bytes, credits_left: Mapping[str, int]) -> bytes:
    """Return `data` of the list's answer: a rendered page and, beside it, the student's credits,
    which are kept on their own because they change at other times."""
    return b'%b,"credits":%b}' % (page.removesuffix(b"}"), orjson.dumps(dict(credits_left)))


def _render_booking(listed: ListedBooking) -> RenderedBooking:
    """What the exam says wins over what the booking remembers of it."""
    booking, exam = listed.booking, listed.exam
    return RenderedBooking(
        id=booking.id,
        booking_id=booking.booking_id,
        booking_number=booking.booking_id,
        name=booking.name,
        email=booking.email,
        dominant_hand=listed.dominant_hand,
        attending_location=booking.attending_location,
        mock_type=listed.mock_type,
        exam_date=listed.exam_date,
        location=None if exam is None else exam.location,
        start_time=None if exam is None else exam.start_time,
        end_time=None if exam is None else exam.end_time,
        is_active=booking.is_active,
        status=listed.status,
        created_at=booking.created_at,
        mock_exam_id=listed.mock_exam_id,
        mock_exam=None if exam is None else _render_exam(exam),
    )


def _render_exam(exam: MockExam) -> RenderedExam:
    return RenderedExam(
        id=exam.id,
        mock_type=exam.mock_type,
        exam_date=exam.exam_date,
        location=exam.location,
        start_time=exam.start_time,
        end_time=exam.end_time,
        capacity=exam.capacity,
        total_bookings=exam.total_bookings,
        is_active="true" if exam.is_active else "false",
    )


def _render_pagination(page: Page[ListedBooking]) -> RenderedPagination:
    return RenderedPagination(
        current_page=page.number,
        total_pages=page.total_pages,
        total_bookings=page.total,
        has_next=page.has_next,
        has_previous=page.has_previous,
        page=page.number,
        limit=page.limit,
        total=page.total,
        hasMore=page.has_next,
        next=page.next,
    )
