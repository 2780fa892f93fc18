"""A field declared in a record is a property that profiles name and the portal must have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import pytest

from hubspot_sync.portal.profile import load_profile
from hubspot_sync.portal.property_values import Unreadable
from hubspot_sync.portal.record_reader import (
    read_booking,
    read_contact,
    read_exam,
)
from hubspot_sync.portal.records import (
    BOOKING_FIELDS,
    CONTACT_FIELDS,
    EXAM_FIELDS,
)
from hubspot_sync.portal.required_schema import required_properties
from hubspot_sync.portal.stored_fields import (
    OPTIONAL,
    Capacity,
    Instant,
    StoredAs,
    Text,
    stored_fields,
)


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


def means_something(stored_as: StoredAs[object], text: str) -> bool:
    try:
        stored_as.parse(text, ZoneInfo("UTC"))
    except Unreadable:
        return False
    return True


@pytest.mark.parametrize("text", ["a snowman", "7", "-7", "2026-12-01", "yes", "", "9:30"])
@pytest.mark.parametrize("name", ["default", "prepdoctors"])
def test_every_field_is_read_as_it_is_declared(name: str, text: str) -> None:
    """Whatever stands in all properties, those fields say they cannot be read whose own kind of
    value it is not."""
    profile = load_profile(name)
    clock = {"start_time", "end_time"}  # kept as texts, and read as times besides

    for fields, names, read in (
        (CONTACT_FIELDS, profile.contact_properties, read_contact),
        (BOOKING_FIELDS, profile.booking_properties, read_booking),
        (EXAM_FIELDS, profile.exam_properties, read_exam),
    ):
        own_names = {each: names[each] for each in fields.keys() & names.keys() - clock}
        record = read("7", dict.fromkeys(own_names.values(), text), profile)
        meaningless = {
            property_name
            for field, property_name in own_names.items()
            if not means_something(fields[field], text)
        }
        assert set(record.unreadable) == meaningless
