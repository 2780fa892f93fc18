"""A student's bookings, with their exams, a page at a time.

Four round trips whatever the number: the contact; which bookings; the bookings and which exams;
the exams. A linked booking that is somebody else's is not listed: most say themselves whose they
are, and only of the others it is asked who is linked besides. A booking that is archived has left
the list; one whose exam is gone stays in it. What HubSpot did not answer is an error, never a
shorter list. Only what it refuses for itself, today and tomorrow, is done without: such a booking
is left out, and such an exam is as good as gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from booking_api.queries.own_bookings import find_own_bookings
from booking_api.queries.query_context import QueryContext
from booking_api.rules.booking_end import BookingStatus, booking_ends_at, booking_status
from booking_api.rules.cursors import place_of
from booking_api.rules.linked_exam import linked_exam
from booking_api.rules.pages import (
    DEFAULT_PAGE_SIZE,
    Entry,
    Filter,
    Page,
    cap_page_number,
    cut_page,
    parse_filter,
)
from hubspot_sync.batching.outcomes import merge
from hubspot_sync.portal.records import Booking, MockExam
from hubspot_sync.wire.fan_out import run_together


@dataclass(frozen=True, kw_only=True, slots=True)
class PageRequest:
    """Which page of whose bookings; `after`, a sealed cursor, wins over `page`."""

    contact_id: str
    filter: Filter
    page: int
    limit: int
    after: str | None

    @classmethod
    def from_key(cls, arguments: Mapping[str, str]) -> PageRequest:
        """Return the question a cache key's arguments stand for."""
        return cls(
            contact_id=arguments["contact_id"],
            filter=parse_filter(arguments["filter"]),
            page=int(arguments.get("page", "1")),
            limit=int(arguments.get("limit", DEFAULT_PAGE_SIZE)),
            after=arguments.get("after"),
        )

    def key_arguments(self) -> Mapping[str, str]:
        """Return the arguments of this page's cache key, one spelling for one page."""
        where = {"page": str(self.page)} if self.after is None else {"after": self.after}
        limit = {} if self.limit == DEFAULT_PAGE_SIZE else {"limit": str(self.limit)}
        return {"contact_id": self.contact_id, "filter": self.filter} | where | limit


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedBooking:
    """A booking with its exam, None where that is archived or was never linked."""

    booking: Booking
    exam: MockExam | None
    status: BookingStatus

    @property
    def mock_type(self) -> str:
        return self.booking.mock_type if self.exam is None else self.exam.mock_type

    @property
    def exam_date(self) -> date | None:
        return self.booking.exam_date if self.exam is None else self.exam.exam_date

    @property
    def mock_exam_id(self) -> str | None:
        return self.booking.mock_exam_id if self.exam is None else self.exam.id

    @property
    def dominant_hand(self) -> bool:
        return self.booking.dominant_hand is True


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundPage:
    """A page, and the next instant at which a booking ends: then it may be another page. A page
    that is not whole was made without what HubSpot refuses, and must not be kept."""

    page: Page[ListedBooking]
    changes_at: datetime | None
    is_whole: bool


def normalize_page_request(query: QueryContext, sent: PageRequest) -> PageRequest:
    """Return what a caller asks for as the one spelling of it that is kept: a cursor by its seal of
    today, a page past the end as the first of those. Raise InvalidRequest for a cursor that is not
    of this list, before anything else is read, and HubSpotError.

    No filter lists more bookings than are linked, so no list has a page past those of them all.
    """
    if sent.after is not None:
        after = query.cursor_seal.renew(sent.after, sent.contact_id, sent.filter)
        return replace(sent, after=after)
    if sent.page == 1:
        return sent
    linked = query.reads.contact_bookings([sent.contact_id], query.call).require_complete()
    number = len(linked.found.get(sent.contact_id, ()))
    return replace(sent, page=cap_page_number(sent.page, number, sent.limit))


def find_booking_page(query: QueryContext, asked: PageRequest) -> FoundPage:
    """Return the page asked for, its cursor sealed; raise HubSpotError. A cursor in what is asked
    was found to be one of this list (`normalize_page_request`)."""
    linked = query.reads.contact_bookings([asked.contact_id], query.call).require_complete()
    booking_ids = linked.found.get(asked.contact_id, ())
    entries, is_whole = read_entries(query, asked.contact_id, booking_ids)
    page = cut_page(
        entries,
        wanted=asked.filter,
        now=query.now,
        limit=asked.limit,
        number=asked.page,
        after=None if asked.after is None else place_of(asked.after),
    )
    if page.next is not None:
        sealed = query.cursor_seal.close(page.next, asked.contact_id, asked.filter)
        page = replace(page, next=sealed)
    ends = (entry.ends_at for entry in entries if entry.ends_at is not None)
    changes_at = min((at for at in ends if at > query.now), default=None)
    return FoundPage(page=page, changes_at=changes_at, is_whole=is_whole)


def read_entries(
    query: QueryContext, contact_id: str, booking_ids: tuple[str, ...]
) -> tuple[list[Entry[ListedBooking]], bool]:
    """Return those of the linked bookings that are the contact's own, with their exams, and whether
    nothing of them was refused."""
    reads, call = query.reads, query.call
    if len(booking_ids) == 0:
        return [], True
    bookings, links = run_together(
        query.fan_out,
        lambda: reads.bookings(booking_ids, call),
        lambda: reads.booking_exams(booking_ids, call),
    )
    known = {
        booking.id: booking
        for booking in bookings.without_refused().require_complete().found.values()
    }
    # Of a booking that was merged, a link to its old id may be shown still.
    others = reads.booking_exams(known.keys() - set(booking_ids), call)
    links = merge((links, others))
    linked = links.without_refused().require_complete().found
    own, owners_known = find_own_bookings(query, contact_id, known.values())
    exam_ids = {exam_id for booking in own for exam_id in linked.get(booking.id, ())}
    exams = reads.exams(exam_ids, call)
    there = exams.without_refused().require_complete().found
    entries = [
        make_entry(query, booking, linked_exam(booking, linked.get(booking.id, ()), there))
        for booking in own
    ]
    is_whole = bookings.complete and links.complete and exams.complete and owners_known
    return entries, is_whole


def make_entry(
    query: QueryContext, booking: Booking, exam: MockExam | None
) -> Entry[ListedBooking]:
    ends_at = booking_ends_at(booking, exam, query.profile.time_zone)
    starts_at = ends_at if exam is None or exam.starts_at is None else exam.starts_at
    status = booking_status(booking.state, ends_at, query.now)
    return Entry(
        id=booking.id,
        starts_at=starts_at,
        ends_at=ends_at,
        state=booking.state,
        value=ListedBooking(booking=booking, exam=exam, status=status),
    )
