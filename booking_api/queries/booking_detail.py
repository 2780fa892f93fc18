"""One booking with everything around it, for the student it belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from booking_api.queries.enrollments import find_enrollment
from booking_api.queries.query_context import QueryContext
from booking_api.rules.booking_end import BookingStatus, booking_ends_at, booking_status
from booking_api.rules.errors import AccessDenied, BookingNotFound
from booking_api.rules.linked_exam import linked_exam
from booking_api.rules.ownership import is_linked, is_owner, judge_ownership
from hubspot_sync.portal.records import Booking, Contact, Enrollment, MockExam
from hubspot_sync.wire.fan_out import run_together


@dataclass(frozen=True, kw_only=True, slots=True)
class BookingDetail:
    """A booking; `exam` and `enrollment` are None where there is none. At `ends_at` its status may
    change."""

    booking: Booking
    status: BookingStatus
    ends_at: datetime | None
    exam: MockExam | None
    contact: Contact
    enrollment: Enrollment | None

    @property
    def dominant_hand(self) -> bool:
        return self.booking.dominant_hand is True


def find_booking_detail(query: QueryContext, booking_id: str, contact: Contact) -> BookingDetail:
    """Return a student's booking.

    Raises BookingNotFound, then AccessDenied, and HubSpotError where anything that decides could
    not be read.
    """
    reads, call = query.reads, query.call

    # The exam and the enrollment take two round trips each: beside the booking, not after it.
    booking, linked, exams, enrollment = run_together(
        query.fan_out,
        lambda: _require_booking(query, booking_id),
        lambda: reads.booking_contacts([booking_id], call).require_complete().found,
        lambda: _read_exams(query, booking_id),
        lambda: find_enrollment(query, contact),
    )
    if booking.id != booking_id:  # it was merged, and HubSpot may show no links of the old id
        links = reads.booking_contacts([booking.id], call).require_complete().found
        linked = {booking_id: links.get(booking.id, ())}
        exams = _read_exams(query, booking.id)
    _require_owner(query, booking, contact, linked.get(booking_id, ()))
    exam = linked_exam(booking, tuple(exams), exams)
    ends_at = booking_ends_at(booking, exam, query.profile.time_zone)
    return BookingDetail(
        booking=booking,
        status=booking_status(booking.state, ends_at, query.now),
        ends_at=ends_at,
        exam=exam,
        contact=contact,
        enrollment=enrollment,
    )


def _read_exams(query: QueryContext, booking_id: str) -> Mapping[str, MockExam]:
    """Return the exams the booking is linked to, by their ids; raise HubSpotError."""
    linked = query.reads.booking_exams([booking_id], query.call).require_complete().found
    exams = query.reads.exams(linked.get(booking_id, ()), query.call).require_complete().found
    return {exam.id: exam for exam in exams.values()}


def _require_booking(query: QueryContext, booking_id: str) -> Booking:
    bookings = query.reads.bookings([booking_id], query.call).require_complete()
    booking = bookings.found.get(booking_id)
    if booking is None:
        raise BookingNotFound
    return booking


def _require_owner(
    query: QueryContext, booking: Booking, contact: Contact, linked: Collection[str]
) -> None:
    verdict = judge_ownership(booking, contact, is_linked=is_linked(contact, linked))
    if verdict is None:
        there = query.reads.contacts(linked, query.call).require_complete().found
        verdict = is_owner(booking, contact, there.values())
    if not verdict:
        raise AccessDenied
