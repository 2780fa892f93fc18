"""What a live portal must have for a profile to work: object types, properties, links, scopes.

Derived from the profile; `preflight/` compares it with what HubSpot shows. A property may be of
any of several types, because schools made theirs by hand; the first is the one a missing property
is created with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.records import BOOKING_FIELDS, CONTACT_FIELDS, EXAM_FIELDS
from hubspot_sync.portal.stored_fields import CHOICE_TYPES, TEXT_TYPES, YES_NO_TYPES, StoredAs

UNMARKED: Final = (
    "a credit that HubSpot did not confirm is known again by its value, time and source alone"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequiredProperty:
    """One property: `types` it may have, and the `values` we write, if it is an enumeration."""

    object_name: str
    object_type: str
    name: str
    types: tuple[str, ...]
    values: tuple[str, ...] = ()
    unique: bool = False
    only_read: bool = False
    """Whether it is others who fill it in: made by us it would be empty for ever."""
    otherwise: str = ""
    """What is worse without it, where the application works all the same."""
    beside: str = ""
    """The property in whose group it is made, where that matters."""
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequiredAssociation:
    """A direction in which records are linked; `type_id` is None where only the portal knows it."""

    name: str
    from_type: str
    to_type: str
    type_id: int | None


_NUMBER = ("number",)
_ANY = ("string", "enumeration", "date", "datetime", "number", "bool", "phone_number")
_YES_NO_VALUES = frozenset({"true", "false"})


def required_properties(profile: PortalProfile) -> tuple[RequiredProperty, ...]:
    """Return every property the profile names, once."""
    types = profile.object_types
    wanted = [
        *_required_of_object(profile, "contacts", CONTACT_FIELDS),
        *_required_credits(profile),
        *_wanted_marker(profile),
        *_required_of_object(profile, "bookings", BOOKING_FIELDS),
        *_required_of_object(profile, "mock_exams", EXAM_FIELDS),
    ]
    if types.enrollments is not None:
        wanted.extend(
            RequiredProperty(
                object_name="enrollments",
                object_type=types.enrollments,
                name=name,
                types=_ANY,
                only_read=True,
            )
            for name in profile.enrollment_properties.values()
        )
    return tuple(wanted)


def required_associations(profile: PortalProfile) -> tuple[RequiredAssociation, ...]:
    """Return every direction we read or write."""
    types = profile.object_types
    ends = [
        ("contacts", "bookings"),
        ("mock_exams", "bookings"),
        ("bookings", "contacts"),
        ("bookings", "mock_exams"),
        ("notes", "contacts"),
    ]
    ids = {
        "contacts": types.contacts,
        "bookings": types.bookings,
        "mock_exams": types.mock_exams,
        "notes": types.notes,
    }
    return tuple(
        RequiredAssociation(
            name=f"{start}->{end}",
            from_type=ids[start],
            to_type=ids[end],
            type_id=profile.association_type_ids.get(f"{start}->{end}"),
        )
        for start, end in ends
    )


def required_object_types(profile: PortalProfile) -> Mapping[str, str]:
    """Return the custom objects by our name; HubSpot's own (`0-…`) are in every portal."""
    types = profile.object_types
    all_types = {
        "bookings": types.bookings,
        "mock_exams": types.mock_exams,
        "enrollments": types.enrollments or "",
    }
    return {name: type_id for name, type_id in all_types.items() if type_id.startswith("2-")}


def _required_credits(profile: PortalProfile) -> Iterable[RequiredProperty]:
    for name in profile.credit_properties:
        yield RequiredProperty(
            object_name="contacts",
            object_type=profile.object_types.contacts,
            name=name,
            types=_NUMBER,
        )


def _wanted_marker(profile: PortalProfile) -> Iterable[RequiredProperty]:
    if profile.credit_marker is not None:
        yield RequiredProperty(
            object_name="contacts",
            object_type=profile.object_types.contacts,
            name=profile.credit_marker,
            types=("string",),
            otherwise=UNMARKED,
            beside=profile.credit_properties[0],
            description=(
                "Written by the booking software with each credit it takes or gives back; its "
                "history proves which of them arrived. Please leave it alone."
            ),
        )


def _required_of_object(
    profile: PortalProfile, object_name: str, fields: Mapping[str, StoredAs[object]]
) -> Iterable[RequiredProperty]:
    object_type, names = {
        "contacts": (profile.object_types.contacts, profile.contact_properties),
        "bookings": (profile.object_types.bookings, profile.booking_properties),
        "mock_exams": (profile.object_types.mock_exams, profile.exam_properties),
    }[object_name]
    written = _written_values(profile, object_name)
    for field, name in names.items():
        values = written.get(field, ())
        yield RequiredProperty(
            object_name=object_name,
            object_type=object_type,
            name=name,
            types=_types_of(fields[field], values),
            values=values,
            unique=object_name == "bookings" and name in profile.unique_booking_properties,
        )


def _types_of(stored_as: StoredAs[object], values: tuple[str, ...]) -> tuple[str, ...]:
    """A choice among true and false may be a bool; one whose values are not known is any text."""
    if stored_as.types != CHOICE_TYPES:
        return stored_as.types
    if not values:
        return TEXT_TYPES
    return YES_NO_TYPES if _YES_NO_VALUES.issuperset(values) else CHOICE_TYPES


def _written_values(profile: PortalProfile, object_name: str) -> Mapping[str, tuple[str, ...]]:
    """The values a property must be able to hold, where they are a closed list."""
    mock_types = tuple(mock_type.value for mock_type in profile.mock_types)
    if object_name == "mock_exams":
        return {"mock_type": mock_types, "is_active": profile.exam_active_values}
    if object_name == "bookings":
        choices = {field: tuple(stored.values()) for field, stored in profile.choices.items()}
        return {
            **choices,
            "mock_type": mock_types,
            "token_used": tuple(dict.fromkeys(_token_labels(profile))),
            "is_active": tuple(v for values in profile.booking_states.values() for v in values),
            "status": tuple(v for values in profile.booking_statuses.values() for v in values),
        }
    return {}


def _token_labels(profile: PortalProfile) -> Iterable[str]:
    for mock_type in profile.mock_types:
        yield mock_type.token_label
        if mock_type.shared_token_label is not None:
            yield mock_type.shared_token_label
