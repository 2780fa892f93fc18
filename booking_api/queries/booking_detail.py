"""One booking with everything around it, for the student it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from booking_api.queries.enrollments import newest_enrollment
from booking_api.queries.portal import Portal
from booking_api.queries.students import authenticated_contact
from booking_api.rules.errors import AccessDenied, BookingNotFound
from booking_api.rules.exams import booking_ends_at, exam_linked
from booking_api.rules.status import BookingStatus, booking_status
from booking_api.rules.students import StudentPair
from hubspot_sync.portal.records import Booking, Contact, Enrollment, MockExam
from hubspot_sync.wire.fan_out import run_together


@dataclass(frozen=True, kw_only=True, slots=True)
class BookingDetail:
    """A booking; `exam` and `enrollment` are None where there is none."""

    booking: Booking
    status: BookingStatus
    exam: MockExam | None
    contact: Contact
    enrollment: Enrollment | None

    @property
    def dominant_hand(self) -> bool:
        return self.booking.dominant_hand is True


def booking_detail(portal: Portal, booking_id: str, pair: StudentPair) -> BookingDetail:
    """Return the booking.

    Raises AuthFailed, then BookingNotFound, then AccessDenied, and HubSpotError where anything
    that decides could not be read.
    """
    reads, context = portal.reads, portal.context
    contact, bookings, exam_links, contact_links = run_together(
        portal.fan_out,
        lambda: authenticated_contact(portal, pair),
        lambda: reads.bookings([booking_id], context),
        lambda: reads.booking_exams([booking_id], context),
        lambda: reads.booking_contacts([booking_id], context),
    )
    booking = bookings.require_complete().found.get(booking_id)
    if booking is None:
        raise BookingNotFound
    if contact.id not in contact_links.require_complete().found.get(booking_id, ()):
        raise AccessDenied
    exam_ids = exam_links.require_complete().found.get(booking_id, ())
    exam, enrollment = run_together(
        portal.fan_out,
        lambda: exam_linked(exam_ids, reads.exams(exam_ids, context).require_complete().found),
        lambda: newest_enrollment(portal, contact),
    )
    ends_at = booking_ends_at(booking, exam, portal.profile.time_zone)
    return BookingDetail(
        booking=booking,
        status=booking_status(booking.state, ends_at, portal.now),
        exam=exam,
        contact=contact,
        enrollment=enrollment,
    )
