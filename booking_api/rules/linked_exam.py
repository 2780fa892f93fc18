"""Which exam a booking is of.

Links decide, because people move bookings by them. Where one is linked to two exams, the one that
it was made for is its own, and the other link adds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from booking_api.rules.seats import exam_of_seat
from hubspot_sync.portal.records import Booking, MockExam, ids_of


def linked_exam(
    booking: Booking, exam_ids: Collection[str], exams: Mapping[str, MockExam]
) -> MockExam | None:
    """Return the exam a booking is of, of those it is linked to that are there; the first by id
    where it names none of them itself."""
    linked = [exams[exam_id] for exam_id in exam_ids if exam_id in exams]
    remembered = booking.mock_exam_id or exam_of_seat(booking.seat_key)
    for exam in linked:
        if remembered in ids_of(exam):
            return exam
    # Ids are compared as the numbers they are.
    return min(linked, key=lambda exam: (len(exam.id), exam.id), default=None)
