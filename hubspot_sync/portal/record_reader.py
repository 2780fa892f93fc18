"""HubSpot's properties made into records, at the edge and once.

HubSpot gives texts or null under names that differ from portal to portal. Reading never raises: a
value that cannot be read is as if it had never been set, so that one mistyped cell in HubSpot hides
one field and not a student's whole list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from hubspot_sync.portal.booking_ids import parse_booking_id
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.property_values import (
    day_after,
    midnight,
    parse_clock_time,
    parse_whole_number,
)
from hubspot_sync.portal.records import (
    BOOKING_FIELDS,
    CONTACT_FIELDS,
    EXAM_FIELDS,
    Booking,
    BookingState,
    Contact,
    Enrollment,
    MockExam,
)
from hubspot_sync.portal.stored_fields import StoredAs

Properties = Mapping[str, str | None]


def contact_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return (*profile.contact_properties.values(), *profile.credit_properties)


def booking_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.booking_properties.values())


def exam_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.exam_properties.values())


def enrollment_property_names(profile: PortalProfile) -> tuple[str, ...]:
    return tuple(profile.enrollment_properties.values())


def read_contact(record_id: str, properties: Properties, profile: PortalProfile) -> Contact:
    fields = _parse(CONTACT_FIELDS, properties, profile.contact_properties, profile)
    credits_ = {
        name: parse_whole_number(properties.get(name)) for name in profile.credit_properties
    }
    return Contact(id=record_id, credits=credits_, **fields)


def read_exam(record_id: str, properties: Properties, profile: PortalProfile) -> MockExam:
    fields = _parse(EXAM_FIELDS, properties, profile.exam_properties, profile)
    fields["is_active"] = _is_any_of(fields["is_active"], profile.exam_active_values)
    day, zone = fields["exam_date"], profile.time_zone
    starts_at = parse_clock_time(fields["start_time"], day, zone)
    ends_at = parse_clock_time(fields["end_time"], day, zone)
    return MockExam(
        id=record_id,
        starts_at=starts_at if starts_at is not None else midnight(day, zone),
        ends_at=ends_at if ends_at is not None else midnight(day_after(day), zone),
        **fields,
    )


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
    fields = _parse(BOOKING_FIELDS, properties, profile.booking_properties, profile)
    state = _state_of(fields["is_active"], fields.pop("status"), profile)
    named_type, named_day = parse_booking_id(fields["booking_id"], profile)
    fields["mock_type"] = fields["mock_type"] or named_type
    if fields["exam_date"] is None:
        fields["exam_date"] = named_day
    if fields["created_at"] is None:
        fields["created_at"] = created_at
    for field, stored in profile.choices.items():
        fields[field] = _as_sent(fields[field], stored)
    return Booking(id=record_id, state=state, updated_at=updated_at, **fields)


def read_enrollment(record_id: str, properties: Properties, profile: PortalProfile) -> Enrollment:
    """Return the enrollment with every property the profile names, as text."""
    names = profile.enrollment_properties
    texts = {field: _text_of(properties, name) for field, name in names.items()}
    return Enrollment(id=record_id, properties=texts)


def _parse(
    stored: Mapping[str, StoredAs],
    properties: Properties,
    names: Mapping[str, str],
    profile: PortalProfile,
) -> dict[str, Any]:
    """Return every declared field parsed; where the portal has no such property, from ""."""
    return {
        field: stored_as.parse(_text_of(properties, names.get(field)), profile.time_zone)
        for field, stored_as in stored.items()
    }


def _text_of(properties: Properties, name: str | None) -> str:
    return (properties.get(name) or "").strip() if name is not None else ""


def _is_any_of(text: str, values: Iterable[str]) -> bool:
    return text.casefold() in {value.casefold() for value in values}


def _state_of(is_active: str, status: str, profile: PortalProfile) -> BookingState:
    """Cancelled if either property says so, else completed if one does, else active.

    A value nobody foresaw counts as active: a seat that may be taken is not sold again.
    """
    stored = ((is_active, profile.booking_states), (status, profile.booking_statuses))
    for state in ("cancelled", "completed"):
        if any(_is_any_of(value, values.get(state, ())) for value, values in stored):
            return state
    return "active"


def _as_sent(stored: str, choices: Mapping[str, str]) -> str:
    """Return what a caller sends for a stored value; the value itself where none can."""
    for sent, meaning in choices.items():
        if meaning.casefold() == stored.casefold():
            return sent
    return stored
