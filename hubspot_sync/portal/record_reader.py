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
from typing import Any, Final, TypeVar

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
    BOOKING_FIELDS,
    CONTACT_FIELDS,
    ENROLLMENT_FIELDS,
    EXAM_FIELDS,
    Booking,
    BookingState,
    Contact,
    Enrollment,
    MockExam,
)
from hubspot_sync.portal.stored_fields import StoredAs

Properties = Mapping[str, str | None]

T = TypeVar("T")


@dataclass(slots=True)
class _Reading:
    """One record being read: its properties, and which of them turned out to be unreadable."""

    properties: Properties
    profile: PortalProfile
    unreadable: dict[str, None] = field(default_factory=dict)

    def parse(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the property parsed, None where it is unreadable."""
        try:
            return parse((self.properties.get(name) or "").strip())
        except Unreadable:
            self.unreadable[name] = None
            return None

    def fields(self, declared: _Declared, names: Mapping[str, str]) -> dict[str, Any]:
        """Return every declared field parsed, by its own name; `names` has what the portal calls
        it. Where it has no such property, the field is as if never set."""
        values = dict(declared.never_set)
        properties, zone = self.properties, self.profile.time_zone
        for own_name, name in names.items():
            # Of a hundred records most properties are texts or were never set: this is the whole
            # way of those.
            text = properties.get(name)
            if not text or (text := text.strip()) == "":
                continue
            if own_name in declared.texts:
                values[own_name] = text
                continue
            stored_as = declared.fields[own_name]
            try:
                values[own_name] = stored_as.parse(text, zone)
            except Unreadable:
                self.unreadable[name] = None
                values[own_name] = stored_as.where_unreadable
        return values


@dataclass(frozen=True, slots=True)
class _Declared:
    """A record's fields that are properties, with what they are where never set, and which are
    their text as it is."""

    fields: Mapping[str, StoredAs[object]]
    never_set: Mapping[str, object]
    texts: frozenset[str]

    @classmethod
    def of(cls, fields: Mapping[str, StoredAs[object]]) -> _Declared:
        return cls(
            fields,
            {name: stored_as.where_never_set for name, stored_as in fields.items()},
            frozenset(name for name, stored_as in fields.items() if stored_as.is_text_as_it_is),
        )


_CONTACT: Final = _Declared.of(CONTACT_FIELDS)
_EXAM: Final = _Declared.of(EXAM_FIELDS)
_BOOKING: Final = _Declared.of(BOOKING_FIELDS)
_ENROLLMENT: Final = _Declared.of(ENROLLMENT_FIELDS)


def contact_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return (*profile.contact_properties.values(), *profile.credit_properties, ADDITIONAL_EMAILS)


def booking_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.booking_properties.values())


def exam_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.exam_properties.values())


def enrollment_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.enrollment_properties.values())


def read_contact(record_id: str, properties: Properties, profile: PortalProfile) -> Contact:
    reading = _Reading(properties, profile)
    values = reading.fields(_CONTACT, profile.contact_properties)
    return Contact(
        id=record_id,
        email=values["email"],
        firstname=values["firstname"],
        lastname=values["lastname"],
        student_id=values["student_id"],
        credits={name: reading.parse(name, parse_number) for name in profile.credit_properties},
        merged_ids=merged_ids_of(properties),
        additional_emails=additional_emails_of(properties),
        unreadable=tuple(reading.unreadable),
    )


def read_exam(record_id: str, properties: Properties, profile: PortalProfile) -> MockExam:
    names = profile.exam_properties
    reading = _Reading(properties, profile)
    values = reading.fields(_EXAM, names)
    starts_at, ends_at = _place_times(
        values["exam_date"],
        reading.parse(names["start_time"], parse_time),
        reading.parse(names["end_time"], parse_time),
        profile,
    )
    return MockExam(
        id=record_id,
        mock_type=values["mock_type"],
        exam_date=values["exam_date"],
        start_time=values["start_time"],
        end_time=values["end_time"],
        location=values["location"],
        capacity=values["capacity"],
        is_active=means_any_of(values["is_active"], profile.exam_active_values),
        stored_total=values["total_bookings"],
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
    reading = _Reading(properties, profile)
    values = reading.fields(_BOOKING, profile.booking_properties)
    mock_type, exam_date = values["mock_type"], values["exam_date"]
    if mock_type == "" or exam_date is None:
        named_type, named_day = parse_booking_id(values["booking_id"], profile)
        mock_type = mock_type or named_type
        exam_date = _first_known(exam_date, named_day)
    location = values["attending_location"]
    return Booking(
        id=record_id,
        booking_id=values["booking_id"],
        name=values["name"],
        email=values["email"],
        student_id=values["student_id"],
        mock_type=mock_type,
        exam_date=exam_date,
        state=_state_of(values["is_active"], values["status"], profile),
        is_active=values["is_active"],
        dominant_hand=values["dominant_hand"],
        attending_location=_as_sent(location, profile.choices.get("attending_location", {})),
        token_used=values["token_used"],
        idempotency_key=values["idempotency_key"],
        seat_key=values["seat_key"],
        contact_id=values["contact_id"],
        mock_exam_id=values["mock_exam_id"],
        created_at=_first_known(values["created_at"], created_at),
        updated_at=updated_at,
        merged_ids=merged_ids_of(properties),
        unreadable=tuple(reading.unreadable),
    )


def read_enrollment(record_id: str, properties: Properties, profile: PortalProfile) -> Enrollment:
    reading = _Reading(properties, profile)
    values = reading.fields(_ENROLLMENT, profile.enrollment_properties)
    return Enrollment(
        id=record_id,
        enrollment_id=values["enrollment_id"],
        course_id=values["course_id"],
        enrollment_status=values["enrollment_status"],
        contact_record_id=values["contact_record_id"],
        is_registered=means_any_of(values["enrollment_status"], profile.registered_values),
    )


def _first_known(kept: T | None, otherwise: T | None) -> T | None:
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
    if stored == "":
        return ""
    for sent, meaning in choices.items():
        if meaning.casefold() == stored.casefold():
            return sent
    return stored
