"""A field declared in a record is a property that profiles name and the portal must have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import pytest

from hubspot_sync.portal.profile import load_profile
from hubspot_sync.portal.records import BOOKING_FIELDS, CONTACT_FIELDS, EXAM_FIELDS
from hubspot_sync.portal.required_schema import required_properties
from hubspot_sync.portal.stored_fields import OPTIONAL, Capacity, Instant, Text, stored_fields


@dataclass
class Parcel:
    id: str
    label: Text
    weight: Capacity
    sent_at: Annotated[Instant, OPTIONAL]


def test_fields_of_plain_types_are_no_properties() -> None:
    assert list(stored_fields(Parcel)) == ["label", "weight", "sent_at"]


def test_a_field_says_how_it_is_stored_and_whether_a_portal_may_do_without_it() -> None:
    fields = stored_fields(Parcel)

    assert fields["weight"].types == ("number",)
    assert fields["weight"].parse("7.0", ZoneInfo("UTC")) == 7
    assert fields["sent_at"].parse("2026-12-01", ZoneInfo("UTC")) == datetime(
        2026, 12, 1, tzinfo=UTC
    )
    assert [name for name, stored_as in fields.items() if stored_as.optional] == ["sent_at"]


@pytest.mark.parametrize("name", ["default", "prepdoctors"])
def test_the_portal_must_have_what_the_records_declare(name: str) -> None:
    profile = load_profile(name)
    wanted = {(prop.object_name, prop.name) for prop in required_properties(profile)}

    for section, fields, names in (
        ("contacts", CONTACT_FIELDS, profile.contact_properties),
        ("bookings", BOOKING_FIELDS, profile.booking_properties),
        ("mock_exams", EXAM_FIELDS, profile.exam_properties),
    ):
        declared = {field for field, stored_as in fields.items() if not stored_as.optional}
        assert declared <= names.keys() <= fields.keys()
        assert {(section, property_name) for property_name in names.values()} <= wanted
