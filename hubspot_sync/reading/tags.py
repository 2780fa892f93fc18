"""The names of the tags that cache entries carry: what of the portal an entry was built from.

Whoever says what changed names tags, and never keys.
"""

from __future__ import annotations

from typing import Final

from cache_layer import collection_tag, object_tag
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.records import Booking
from hubspot_sync.reading.wrong_pairs import student_pairs_tag

ENROLLED_TAG: Final = collection_tag("enrollments", "all")
"""Of who is enrolled at all: an enrollment that comes is in nobody's entry yet."""


def contact_tag(contact_id: str) -> str:
    return object_tag("contact", contact_id)


def contact_bookings_tag(contact_id: str) -> str:
    return collection_tag(contact_tag(contact_id), "bookings")


def contact_enrollments_tag(contact_id: str) -> str:
    return collection_tag(contact_tag(contact_id), "enrollments")


def booking_tag(booking_id: str) -> str:
    return object_tag("booking", booking_id)


def exam_tag(exam_id: str) -> str:
    return object_tag("mockexam", exam_id)


def exam_bookings_tag(exam_id: str) -> str:
    return collection_tag(exam_tag(exam_id), "bookings")


def links_tag(record_tag: str) -> str:
    """Return the tag of the links that have this record at their other end. They outlive what
    changes nothing but the record's properties, as the count of an exam with every booking; all
    else that happens to a record may end its links, or move them."""
    return collection_tag(record_tag, "links")


def tags_with_links(record_tag: str) -> frozenset[str]:
    """Return the tags of what shows a record, and of the links to it."""
    return frozenset({record_tag, links_tag(record_tag)})


def by_hand_tag(owner_tag: str) -> str:
    """Return the tag of the bookings that name this student or exam in their own properties. Only
    who removes all that shows one names it: every other event names the bookings it is about."""
    return collection_tag(owner_tag, "by-hand")


def exams_of_type_tag(type_slug: str) -> str:
    """Return the tag of the collection of a type's exams; the slug is the profile's."""
    return collection_tag("mockexams", type_slug)


def enrollment_tag(enrollment_id: str) -> str:
    return object_tag("enrollment", enrollment_id)


def tags_of_student(contact_id: str) -> frozenset[str]:
    """Return the tags of all that shows a student, or says that nobody is who they are."""
    contact = contact_tag(contact_id)
    bookings, enrollments = contact_bookings_tag(contact_id), contact_enrollments_tag(contact_id)
    own = tags_with_links(contact)
    return own | {bookings, enrollments, by_hand_tag(contact), student_pairs_tag()}


def tags_of_exam(exam_id: str, profile: PortalProfile) -> frozenset[str]:
    """Return the tags of all that shows an exam: its own, its bookings' and, as nobody can say
    which lists it belongs in now, those of every type's list."""
    lists = {exams_of_type_tag(mock_type.slug) for mock_type in profile.mock_types}
    exam = exam_tag(exam_id)
    return tags_with_links(exam) | {exam_bookings_tag(exam_id), by_hand_tag(exam), *lists}


def tags_of_booking(booking_id: str, booking: Booking) -> frozenset[str]:
    """Return the tags of a booking's own entry, by whichever of its ids it was asked for."""
    tags = {booking_tag(booking_id)}
    if booking.id != booking_id:
        tags.add(booking_tag(booking.id))
    if booking.contact_id is not None:
        tags.add(by_hand_tag(contact_tag(booking.contact_id)))
    if booking.mock_exam_id is not None:
        tags.add(by_hand_tag(exam_tag(booking.mock_exam_id)))
    return frozenset(tags)
