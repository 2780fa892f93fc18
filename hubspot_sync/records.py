"""Contacts, bookings and exams as typed records, and HubSpot's properties both ways.

HubSpot gives strings or null under names that differ from portal to portal; here they become
fields, once, at the edge. Nothing outside this module and `portal/` knows a property's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from hubspot_sync.portal.profile import BookingState


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
    them; `ends_at` is the aware instant it is over (the end of its day in the portal's time zone
    where the time is missing), None only without a date."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Booking:
    """A booking as stored. Texts are empty and the rest None where never set; `contact_id` and
    `mock_exam_id` are hints, the associations are the truth."""

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
    contact_id: str | None
    mock_exam_id: str | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrollment:
    """A student's enrollment, where the portal has them; `properties` in our names."""

    id: str
    properties: Mapping[str, str]
