"""Contacts, bookings and exams as typed records, made from HubSpot's properties.

HubSpot gives strings or null under names that differ from portal to portal; here they become
fields, once, at the edge. Nothing outside this module and `portal/` knows a property's name.
Reading never raises: a value that cannot be read is as if it had never been set, so that one
mistyped cell in HubSpot hides one field and not a student's whole list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from hubspot_sync.portal.booking_ids import parse_booking_id
from hubspot_sync.portal.profile import BookingState, PortalProfile
from hubspot_sync.portal.property_values import (
    day_after,
    midnight,
    parse_clock_time,
    parse_day,
    parse_instant,
    parse_whole_number,
    parse_yes_no,
)

Properties = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """A student. `email` is lower-cased; `credits` has every credit property of the portal, an
    absent one being 0."""

    id: str
    email: str
    firstname: str
    lastname: str
    student_id: str
    credits: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class MockExam:
    """An exam as stored. `start_time` and `end_time` are HubSpot's own text, as the frontends get
    them; `starts_at` and `ends_at` are the instants they mean in the portal's time zone, in UTC (the
    start and the end of its day where the time is missing), None only without a date."""

    id: str
    mock_type: str
    exam_date: date | None
    start_time: str
    end_time: str
    location: str
    capacity: int
    total_bookings: int
    is_active: bool
    ends_at: datetime | None
    starts_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Booking:
    """A booking as stored. Texts are empty and the rest None where never set; `contact_id` and
    `mock_exam_id` are hints, the associations are the truth. `attending_location` is spelt as
    callers send it."""

    id: str
    booking_id: str
    name: str
    email: str
    student_id: str
    mock_type: str
    exam_date: date | None
    state: BookingState
    is_active: str
    dominant_hand: bool | None
    attending_location: str
    token_used: str
    idempotency_key: str
    seat_key: str
    contact_id: str | None
    mock_exam_id: str | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrollment:
    """A student's enrollment, where the portal has them; `properties` in our names."""

    id: str
    properties: Mapping[str, str]


# Which properties to ask for ---------------------------------------------------------------------


def contact_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return (*profile.contact_properties.values(), *profile.credit_properties)


def booking_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.booking_properties.values())


def exam_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.exam_properties.values())


def enrollment_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.enrollment_properties.values())


# From properties to records ----------------------------------------------------------------------


def read_contact(record_id: str, properties: Properties, profile: PortalProfile) -> Contact:
    text = _texts(properties, profile.contact_properties)
    return Contact(
        id=record_id,
        email=text["email"].lower(),
        firstname=text["firstname"],
        lastname=text["lastname"],
        student_id=text["student_id"],
        credits={
            name: parse_whole_number(properties.get(name)) for name in profile.credit_properties
        },
    )


def read_exam(record_id: str, properties: Properties, profile: PortalProfile) -> MockExam:
    text = _texts(properties, profile.exam_properties)
    zone = profile.time_zone
    day = parse_day(text["exam_date"], zone)
    starts_at = parse_clock_time(text["start_time"], day, zone)
    ends_at = parse_clock_time(text["end_time"], day, zone)
    return MockExam(
        id=record_id,
        mock_type=text["mock_type"],
        exam_date=day,
        start_time=text["start_time"],
        end_time=text["end_time"],
        location=text["location"],
        capacity=parse_whole_number(text["capacity"]),
        total_bookings=parse_whole_number(text["total_bookings"]),
        is_active=_means(text["is_active"], profile.exam_active_values),
        starts_at=starts_at if starts_at is not None else midnight(day, zone),
        ends_at=ends_at if ends_at is not None else midnight(day_after(day), zone),
    )


def read_booking(
    record_id: str,
    properties: Properties,
    profile: PortalProfile,
    *,
    created_at: datetime | None = None,
    updated_at: datetime | None = None,
) -> Booking:
    """Return the booking; `created_at` stands in where the portal keeps no date of its own."""
    text = _texts(properties, profile.booking_properties)
    named_type, named_day = parse_booking_id(text["booking_id"], profile)
    day = parse_day(text["exam_date"], profile.time_zone)
    stored_created_at = parse_instant(text.get("created_at"))
    return Booking(
        id=record_id,
        booking_id=text["booking_id"],
        name=text["name"],
        email=text["email"],
        student_id=text["student_id"],
        mock_type=text.get("mock_type") or named_type,
        exam_date=day if day is not None else named_day,
        state=_state(text, profile),
        is_active=text["is_active"],
        dominant_hand=parse_yes_no(text.get("dominant_hand")),
        attending_location=_as_sent(text, "attending_location", profile),
        token_used=text["token_used"],
        idempotency_key=text["idempotency_key"],
        seat_key=text["seat_key"],
        contact_id=text.get("contact_id") or None,
        mock_exam_id=text.get("mock_exam_id") or None,
        created_at=stored_created_at if stored_created_at is not None else created_at,
        updated_at=updated_at,
    )


def read_enrollment(record_id: str, properties: Properties, profile: PortalProfile) -> Enrollment:
    return Enrollment(id=record_id, properties=_texts(properties, profile.enrollment_properties))


def _texts(properties: Properties, names: Mapping[str, str]) -> dict[str, str]:
    return {field: (properties.get(name) or "").strip() for field, name in names.items()}


def _means(text: str, values: Iterable[str]) -> bool:
    return text.casefold() in {value.casefold() for value in values}


def _state(text: Mapping[str, str], profile: PortalProfile) -> BookingState:
    """Cancelled if either property says so, else completed if one does, else active.

    A value nobody foresaw counts as active: a seat that may be taken is not sold again.
    """
    stored = (
        (text["is_active"], profile.booking_states),
        (text.get("status", ""), profile.booking_statuses),
    )
    for state in ("cancelled", "completed"):
        if any(_means(value, values.get(state, ())) for value, values in stored):
            return state
    return "active"


def _as_sent(text: Mapping[str, str], field: str, profile: PortalProfile) -> str:
    stored = text.get(field, "")
    for sent, meaning in profile.choices.get(field, {}).items():
        if meaning.casefold() == stored.casefold():
            return sent
    return stored
