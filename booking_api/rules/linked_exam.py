"""Which exam a booking is of.

Links decide, because people move bookings by them. Where one is linked to two exams, the one that
it was made for is its own, and the other link adds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from booking_api.rules.seats import exam_of_seat
from hubspot_sync.portal.records import Booking, MockExam


def linked_exam(
    booking: Booking, exam_ids: Collection[str], exams: Mapping[str, MockExam]
) -> MockExam | None:
    """Return the exam a booking is of, of those it is linked to that are there; the first by id
    where it names none of them itself."""
    linked_ids = [exam_id for exam_id in exam_ids if exam_id in exams]
    remembered = booking.mock_exam_id or exam_of_seat(booking.seat_key)
    if remembered in linked_ids:
        return exams[remembered]
    # Ids are compared as the numbers they are.
    first_id = min(linked_ids, key=lambda exam_id: (len(exam_id), exam_id), default=None)
    return None if first_id is None else exams[first_id]
