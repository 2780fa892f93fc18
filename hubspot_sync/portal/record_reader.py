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
from typing import Any, TypeVar

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


@dataclass(frozen=True, slots=True)
class _Reading:
    """One record being read: its properties, and which of them turned out to be unreadable."""

    properties: Properties
    profile: PortalProfile
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

    def parse_fields(
        self, stored: Mapping[str, StoredAs], names: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return every declared field parsed; where the portal has no such property, from ""."""
        return {
            own_name: self._parse_field(stored_as, names.get(own_name))
            for own_name, stored_as in stored.items()
        }

    def _parse_field(self, stored_as: StoredAs, name: str | None) -> Any:
        try:
            return stored_as.parse(self.text(name), self.profile.time_zone)
        except Unreadable:
            if name is not None:
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
    reading = _Reading(properties, profile)
    fields = reading.parse_fields(CONTACT_FIELDS, profile.contact_properties)
    credits_ = {name: reading.parse(name, parse_number) for name in profile.credit_properties}
    return Contact(
        id=record_id,
        credits=credits_,
        merged_ids=merged_ids_of(properties),
        additional_emails=additional_emails_of(properties),
        unreadable=tuple(reading.unreadable),
        **fields,
    )


def read_exam(record_id: str, properties: Properties, profile: PortalProfile) -> MockExam:
    reading = _Reading(properties, profile)
    names = profile.exam_properties
    fields = reading.parse_fields(EXAM_FIELDS, names)
    fields["is_active"] = means_any_of(fields["is_active"], profile.exam_active_values)
    starts_at, ends_at = _place_times(
        fields["exam_date"],
        reading.parse(names["start_time"], parse_time),
        reading.parse(names["end_time"], parse_time),
        profile,
    )
    return MockExam(
        id=record_id,
        stored_total=fields.pop("total_bookings"),
        starts_at=starts_at,
        ends_at=ends_at,
        merged_ids=merged_ids_of(properties),
        unreadable=tuple(reading.unreadable),
        **fields,
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
    fields = reading.parse_fields(BOOKING_FIELDS, profile.booking_properties)
    state = _state_of(fields["is_active"], fields.pop("status"), profile)
    named_type, named_day = parse_booking_id(fields["booking_id"], profile)
    fields["mock_type"] = fields["mock_type"] or named_type
    if fields["exam_date"] is None:
        fields["exam_date"] = named_day
    if fields["created_at"] is None:
        fields["created_at"] = created_at
    for own_name, stored in profile.choices.items():
        fields[own_name] = _as_sent(fields[own_name], stored)
    return Booking(
        id=record_id,
        state=state,
        updated_at=updated_at,
        merged_ids=merged_ids_of(properties),
        unreadable=tuple(reading.unreadable),
        **fields,
    )


def read_enrollment(record_id: str, properties: Properties, profile: PortalProfile) -> Enrollment:
    reading = _Reading(properties, profile)
    fields = reading.parse_fields(ENROLLMENT_FIELDS, profile.enrollment_properties)
    return Enrollment(
        id=record_id,
        is_registered=means_any_of(fields["enrollment_status"], profile.registered_values),
        **fields,
    )


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
    stored = ((is_active, profile.booking_states), (status, profile.booking_statuses))
    for state in ("cancelled", "completed"):
        if any(means_any_of(value, values.get(state, ())) for value, values in stored):
            return state
    is_own_word = means_any_of(is_active, profile.booking_states["active"])
    return "cancelled" if is_false(is_active) and not is_own_word else "active"


def _as_sent(stored: str, choices: Mapping[str, str]) -> str:
    """Return what a caller sends for a stored value; the value itself where none can."""
    for sent, meaning in choices.items():
        if meaning.casefold() == stored.casefold():
            return sent
    return stored
