"""HubSpot's properties made into records, at the edge and once.

HubSpot gives texts or null under names that differ from portal to portal. Reading never raises: a
value becomes a typed one or is unreadable, so that one mistyped cell in HubSpot hides one field and
not a student's whole list. The record then names the property in `unreadable`, and has in the field
what its type says (`stored_fields.py`), for most as if it had never been set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import TypeVar

from hubspot_sync.portal.booking_ids import parse_booking_id
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.property_values import (
    Unreadable,
    day_after,
    instant_of,
    is_false,
    means_any_of,
    parse_number,
    parse_time,
)
from hubspot_sync.portal.record_names import (
    ADDITIONAL_EMAILS,
    additional_emails_of,
    merged_ids_of,
)
from hubspot_sync.portal.records import (
    Booking,
    BookingState,
    Contact,
    Enrollment,
    MockExam,
)
from hubspot_sync.portal.stored_fields import (
    CAPACITY,
    CHOICE,
    CLOCK_TIME,
    COUNT,
    DAY,
    EMAIL,
    INSTANT,
    RECORD_ID,
    TEXT,
    YES_NO,
    StoredAs,
)

Properties = Mapping[str, str | None]

T = TypeVar("T")


@dataclass(slots=True)
class _Reading:
    """One record being read: its properties, by the names that the profile has for its fields, and
    which of them turned out to be unreadable."""

    properties: Properties
    profile: PortalProfile
    names: Mapping[str, str]
    unreadable: dict[str, None] = field(default_factory=dict)

    def text(self, name: str | None) -> str:
        """Return a property's text without blanks around it; "" where it was never set, or where
        the portal has no such property."""
        return (self.properties.get(name) or "").strip() if name is not None else ""

    def parse(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the property parsed, None where it is unreadable."""
        try:
            return parse(self.text(name))
        except Unreadable:
            self.unreadable[name] = None
            return None

    def field(self, own_name: str, stored_as: StoredAs[T]) -> T:
        """Return a field parsed; where the portal has no such property, as if never set."""
        name = self.names.get(own_name)
        if name is None or (text := (self.properties.get(name) or "").strip()) == "":
            return stored_as.where_never_set
        try:
            return stored_as.parse(text, self.profile.time_zone)
        except Unreadable:
            self.unreadable[name] = None
            return stored_as.where_unreadable


def contact_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return (*profile.contact_properties.values(), *profile.credit_properties, ADDITIONAL_EMAILS)


def booking_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.booking_properties.values())


def exam_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.exam_properties.values())


def enrollment_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.enrollment_properties.values())


def read_contact(record_id: str, properties: Properties, profile: PortalProfile) -> Contact:
    reading = _Reading(properties, profile, profile.contact_properties)
    return Contact(
        id=record_id,
        email=reading.field("email", EMAIL),
        firstname=reading.field("firstname", TEXT),
        lastname=reading.field("lastname", TEXT),
        student_id=reading.field("student_id", TEXT),
        credits={name: reading.parse(name, parse_number) for name in profile.credit_properties},
        merged_ids=merged_ids_of(properties),
        additional_emails=additional_emails_of(properties),
        unreadable=tuple(reading.unreadable),
    )


def read_exam(record_id: str, properties: Properties, profile: PortalProfile) -> MockExam:
    names = profile.exam_properties
    reading = _Reading(properties, profile, names)
    exam_date = reading.field("exam_date", DAY)
    capacity = reading.field("capacity", CAPACITY)
    stored_total = reading.field("total_bookings", COUNT)
    starts_at, ends_at = _place_times(
        exam_date,
        reading.parse(names["start_time"], parse_time),
        reading.parse(names["end_time"], parse_time),
        profile,
    )
    return MockExam(
        id=record_id,
        mock_type=reading.field("mock_type", CHOICE),
        exam_date=exam_date,
        start_time=reading.field("start_time", CLOCK_TIME),
        end_time=reading.field("end_time", CLOCK_TIME),
        location=reading.field("location", TEXT),
        capacity=capacity,
        is_active=means_any_of(reading.field("is_active", CHOICE), profile.exam_active_values),
        stored_total=stored_total,
        starts_at=starts_at,
        ends_at=ends_at,
        merged_ids=merged_ids_of(properties),
        unreadable=tuple(reading.unreadable),
    )


def read_balance(text: str | None) -> Decimal | None:
    """Return a credit's value, None where it is unreadable."""
    try:
        return parse_number(text)
    except Unreadable:
        return None


def read_booking(
    record_id: str,
    properties: Properties,
    profile: PortalProfile,
    *,
    created_at: datetime | None = None,
    updated_at: datetime | None = None,
) -> Booking:
    """Return the booking. `created_at`, HubSpot's own, stands in where the portal keeps no date of
    making, and the booking id where it keeps no type or day."""
    reading = _Reading(properties, profile, profile.booking_properties)
    is_active, booking_id = reading.field("is_active", CHOICE), reading.field("booking_id", TEXT)
    mock_type, exam_date = reading.field("mock_type", CHOICE), reading.field("exam_date", DAY)
    if mock_type == "" or exam_date is None:
        named_type, named_day = parse_booking_id(booking_id, profile)
        mock_type = mock_type or named_type
        exam_date = named_day if exam_date is None else exam_date
    location = reading.field("attending_location", CHOICE)
    return Booking(
        id=record_id,
        booking_id=booking_id,
        name=reading.field("name", TEXT),
        email=reading.field("email", TEXT),
        student_id=reading.field("student_id", TEXT),
        mock_type=mock_type,
        exam_date=exam_date,
        state=_state_of(is_active, reading.field("status", CHOICE), profile),
        is_active=is_active,
        dominant_hand=reading.field("dominant_hand", YES_NO),
        attending_location=_as_sent(location, profile.choices.get("attending_location", {})),
        token_used=reading.field("token_used", TEXT),
        idempotency_key=reading.field("idempotency_key", TEXT),
        seat_key=reading.field("seat_key", TEXT),
        contact_id=reading.field("contact_id", RECORD_ID),
        mock_exam_id=reading.field("mock_exam_id", RECORD_ID),
        created_at=_first_known(reading.field("created_at", INSTANT), created_at),
        updated_at=updated_at,
        merged_ids=merged_ids_of(properties),
        unreadable=tuple(reading.unreadable),
    )


def read_enrollment(record_id: str, properties: Properties, profile: PortalProfile) -> Enrollment:
    reading = _Reading(properties, profile, profile.enrollment_properties)
    status = reading.field("enrollment_status", TEXT)
    return Enrollment(
        id=record_id,
        enrollment_id=reading.field("enrollment_id", TEXT),
        course_id=reading.field("course_id", TEXT),
        enrollment_status=status,
        contact_record_id=reading.field("contact_record_id", RECORD_ID),
        is_registered=means_any_of(status, profile.registered_values),
    )


def _first_known(kept: datetime | None, otherwise: datetime | None) -> datetime | None:
    return otherwise if kept is None else kept


def _place_times(
    day: date | None,
    start: time | datetime | None,
    end: time | datetime | None,
    profile: PortalProfile,
) -> tuple[datetime | None, datetime | None]:
    """Return when an exam starts and ends; its day's own start and end where one is missing. An end
    that is a clock time and not after the start belongs to the next day: "23:30" to "00:00"."""
    zone = profile.time_zone
    first = time.min if start is None else start
    starts_at = instant_of(first, day, zone)
    if end is None:
        return starts_at, instant_of(time.min, day_after(day), zone)
    if not isinstance(end, datetime):
        begins = first.astimezone(zone).time() if isinstance(first, datetime) else first
        return starts_at, instant_of(end, day_after(day) if end <= begins else day, zone)
    return starts_at, end


def _state_of(is_active: str, status: str, profile: PortalProfile) -> BookingState:
    """Cancelled if either property says so, else completed if one does, else active.

    Any spelling of false is cancelled where it is none of the portal's own words. Another value
    nobody foresaw counts as active: a seat that may be taken is not sold again.
    """
    states, statuses = profile.booking_states, profile.booking_statuses
    for state in ("cancelled", "completed"):
        if means_any_of(is_active, states.get(state, ())):
            return state
        if means_any_of(status, statuses.get(state, ())):
            return state
    is_own_word = means_any_of(is_active, states["active"])
    return "cancelled" if not is_own_word and is_false(is_active) else "active"


def _as_sent(stored: str, choices: Mapping[str, str]) -> str:
    """Return what a caller sends for a stored value; the value itself where none can."""
    for sent, meaning in choices.items():
        if meaning.casefold() == stored.casefold():
            return sent
    return stored
