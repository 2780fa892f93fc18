"""Contacts, bookings, exams and enrollments as typed records.

This is the declaration of what is read: a field's type says how HubSpot keeps it (see
`stored_fields.py`), the portal's profile under which name. To read one more property, add a field
here and its name to the profiles. `unreadable` has HubSpot's names of the properties whose text
means nothing to us; what stands in the fields instead is each type's own.

They are structs of msgspec's: fifty of them are made, kept and compared for one list. A struct is
changed by `msgspec.structs.replace`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec

from hubspot_sync.portal.stored_fields import (
    CHOICE,
    COUNT,
    OPTIONAL,
    ActiveFlag,
    Capacity,
    Choice,
    ClockTime,
    Day,
    Email,
    Instant,
    RecordId,
    Text,
    YesNo,
    stored_fields,
)

BookingState = Literal["active", "cancelled", "completed"]


class Contact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A student. `email` is as e-mails are compared; `credits` has every credit property of the
    portal: 0 where it was never set, None where it cannot be read and must not be written over.
    `merged_ids` are those of the contacts that were merged into this one, here as in every record:
    they mean it too, and so do `additional_emails`."""

    id: str
    email: Email
    firstname: Text
    lastname: Text
    student_id: Text
    credits: Mapping[str, Decimal | None]
    merged_ids: tuple[str, ...] = ()
    additional_emails: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def emails(self) -> tuple[str, ...]:
        """All e-mails that mean this contact, its own first."""
        return (self.email, *self.additional_emails)


class MockExam(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An exam as stored. `start_time` and `end_time` are HubSpot's own text, as the frontends get
    them; `starts_at` and `ends_at` are the instants they mean in the portal's time zone, in UTC
    (the start and the end of its day where the time is missing), None only without a date. An end
    that is a clock time not after the start is the next day's. `stored_total` is the count as it is
    stored, None where it cannot be read."""

    id: str
    mock_type: Choice
    exam_date: Day
    start_time: ClockTime
    end_time: ClockTime
    location: Text
    capacity: Capacity
    is_active: ActiveFlag
    stored_total: int | None
    ends_at: datetime | None
    starts_at: datetime | None = None
    merged_ids: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def total_bookings(self) -> int:
        """The stored count as it may be shown: none where it is not known, or below zero."""
        return max(0, self.stored_total or 0)


class Booking(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A booking as stored. Texts are empty and the rest None where never set; `contact_id` and
    `mock_exam_id` are hints, the associations are the truth. `attending_location` is spelt as
    callers send it."""

    id: str
    booking_id: Text
    name: Text
    email: Text
    student_id: Text
    mock_type: Annotated[Choice, OPTIONAL]
    exam_date: Day
    state: BookingState
    is_active: Choice
    dominant_hand: Annotated[YesNo, OPTIONAL]
    attending_location: Annotated[Choice, OPTIONAL]
    token_used: Text
    idempotency_key: Text
    seat_key: Text
    contact_id: Annotated[RecordId, OPTIONAL]
    mock_exam_id: Annotated[RecordId, OPTIONAL]
    created_at: Annotated[Instant, OPTIONAL]
    updated_at: datetime | None
    merged_ids: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


class Enrollment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A student's enrollment, where the portal has them. `contact_record_id` is the student's
    record; `is_registered` says that the status is one the profile calls so."""

    id: str
    enrollment_id: Text
    course_id: Text
    enrollment_status: Text
    contact_record_id: RecordId
    is_registered: bool


def ids_of(record: Contact | MockExam | Booking) -> tuple[str, ...]:
    """Return all ids that mean this record: its own, then those that were merged into it."""
    return (record.id, *record.merged_ids)


CONTACT_FIELDS: Final = stored_fields(Contact)
EXAM_FIELDS: Final = {
    **stored_fields(MockExam),
    "total_bookings": COUNT,  # read into `stored_total`
}
ENROLLMENT_FIELDS: Final = stored_fields(Enrollment)
BOOKING_FIELDS: Final = {
    **stored_fields(Booking),
    # Read into `state`, and not kept besides.
    "status": replace(CHOICE, optional=True),
}
