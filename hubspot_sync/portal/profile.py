"""The portal as data: what this school's HubSpot calls its objects, properties and mock types.

A profile is a TOML file, shipped (`default`, `prepdoctors`) or one's own, chosen by
`HUBSPOT_PORTAL`. Loading validates all of it and names every bad key; after that every part of the
application can trust it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.portal.mock_types import (
    PROPERTY_NAME,
    STUDENT_FIELDS,
    ExtraField,
    MockType,
    read_mock_types,
    read_student_fields,
)
from hubspot_sync.portal.records import (
    BOOKING_FIELDS,
    CONTACT_FIELDS,
    ENROLLMENT_FIELDS,
    EXAM_FIELDS,
    BookingState,
)
from hubspot_sync.portal.stored_fields import StoredAs
from hubspot_sync.portal.toml_reader import TomlReader

__all__ = [
    "BookingState",
    "ExtraField",
    "MockType",
    "ObjectTypes",
    "PortalProfile",
    "load_profile",
    "shipped_profiles",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectTypes:
    """HubSpot's object type ids; `enrollments` is None where a portal has none."""

    contacts: str
    bookings: str
    mock_exams: str
    notes: str
    enrollments: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PortalProfile:
    """All that differs between portals.

    The `…_properties` map our field names to HubSpot's property names; a field the portal does not
    have is absent. `booking_states` maps each state to the values of `is_active` that mean it, the
    first being the one we write; `booking_statuses` does so for the `status` property, and is empty
    where the portal has none. `choices` maps a field to what a caller sends and HubSpot stores.
    `association_type_ids` maps `"from->to"` (`"bookings->contacts"`) to the type id that inline
    associations need, where it is known beforehand. `credit_marker` is the contact's property in
    which a write of a credit leaves its mark; None where none is named.
    """

    name: str
    time_zone: ZoneInfo
    object_types: ObjectTypes
    contact_properties: Mapping[str, str]
    booking_properties: Mapping[str, str]
    exam_properties: Mapping[str, str]
    enrollment_properties: Mapping[str, str]
    registered_values: tuple[str, ...]
    unique_booking_properties: tuple[str, ...]
    mock_types: tuple[MockType, ...]
    booking_states: Mapping[BookingState, tuple[str, ...]]
    booking_statuses: Mapping[BookingState, tuple[str, ...]]
    exam_active_values: tuple[str, ...]
    choices: Mapping[str, Mapping[str, str]]
    editable_fields: tuple[str, ...]
    association_type_ids: Mapping[str, int]
    credit_marker: str | None = None

    def mock_type(self, value: str) -> MockType | None:
        """Return the mock type spelt `value` exactly, or None."""
        for mock_type in self.mock_types:
            if mock_type.value == value:
                return mock_type
        return None

    @property
    def credit_properties(self) -> tuple[str, ...]:
        """Every credit property once, specific ones first, in the order of the mock types."""
        specific = [mock_type.credit_property for mock_type in self.mock_types]
        shared = [m.shared_credit_property for m in self.mock_types if m.shared_credit_property]
        return tuple(dict.fromkeys(specific + shared))


def shipped_profiles() -> tuple[str, ...]:
    """Return the names of the profiles that come with the application."""
    names = (entry.name for entry in files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load_profile(name_or_path: str) -> PortalProfile:
    """Return the profile called `name_or_path`, shipped or in a file ending in `.toml`.

    Raises ConfigurationError with a sentence for each bad key: its dotted name and what it wants.
    """
    source = _find_source(name_or_path)
    try:
        values = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"HUBSPOT_PORTAL: {source} cannot be read: {error}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are both ValueErrors
        raise ConfigurationError(f"HUBSPOT_PORTAL: {source} is not TOML: {error}") from error
    problems: list[str] = []
    profile = _read_profile(source.name.removesuffix(".toml"), TomlReader(values, "", problems))
    if problems:
        raise ConfigurationError("\n".join(f"{source}: {problem}" for problem in problems))
    return profile


# Reading, key by key -----------------------------------------------------------------------------

TYPE_ID = re.compile(r"\d+-\d+")

OBJECT_NAMES = {"contacts", "bookings", "mock_exams", "notes", "enrollments"}
BOOKING_STATES: tuple[BookingState, ...] = get_args(BookingState)
MUST_BE_UNIQUE = ("idempotency_key", "seat_key")
MAX_UNIQUE_PROPERTIES = 10  # an object type; hubspot-facts, Objects


def _find_source(name_or_path: str) -> Traversable:
    if name_or_path in shipped_profiles():
        return files(__package__) / f"{name_or_path}.toml"
    if not name_or_path.endswith(".toml"):
        raise ConfigurationError(
            f"HUBSPOT_PORTAL is {name_or_path!r}; it wants {', '.join(shipped_profiles())}, "
            "or the path of a .toml file."
        )
    return Path(name_or_path)


def _read_profile(name: str, root: TomlReader) -> PortalProfile:
    object_types = _read_object_types(root.table("object_types"))
    contacts = _read_properties(root.table("contacts"), CONTACT_FIELDS)
    bookings = _read_properties(root.table("bookings"), BOOKING_FIELDS)
    enrollments, registered = _read_enrollments(
        root, has_enrollments=object_types.enrollments is not None
    )
    choices = _read_choices(root.table("choices", required=False), bookings)
    rules = root.table("booking_rules")
    mock_types = read_mock_types(root.tables("mock_types"), bookings, choices)
    profile = PortalProfile(
        name=name,
        time_zone=_read_time_zone(root),
        object_types=object_types,
        contact_properties=contacts,
        booking_properties=bookings,
        exam_properties=_read_properties(root.table("mock_exams"), EXAM_FIELDS),
        enrollment_properties=enrollments,
        registered_values=registered,
        unique_booking_properties=_read_unique(rules, bookings),
        mock_types=mock_types,
        booking_states=_read_states(root.table("booking_states"), ("active", "cancelled")),
        booking_statuses=_read_statuses(root, has_status="status" in bookings),
        exam_active_values=_read_exam_states(root.table("exam_states")),
        choices=choices,
        editable_fields=read_student_fields(rules, "editable", bookings),
        association_type_ids=_read_association_types(
            root.table("association_type_ids", required=False)
        ),
        credit_marker=_read_credit_marker(root.table("credits", required=False)),
    )
    if profile.credit_marker in {*profile.credit_properties, *contacts.values()}:
        root.note_problem("credits.write_marker", "is a property that holds something else.")
    for credit in set(profile.credit_properties) & set(contacts.values()):
        root.note_problem("contacts", f"has {credit!r}, which is the credit of a mock type.")
    rules.finish()
    root.finish()
    return profile


def _read_time_zone(root: TomlReader) -> ZoneInfo:
    name = root.text("time_zone", example="Europe/London")
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # ValueError for a path outside the database, OSError for a directory in it ("Europe").
        root.note_problem("time_zone", f'is {name!r}; it wants a name such as "Europe/London".')
        return ZoneInfo("UTC")


def _read_object_types(table: TomlReader) -> ObjectTypes:
    ids = {
        key: table.text(key, TYPE_ID, "2-50158943")
        for key in ("contacts", "bookings", "mock_exams", "notes")
    }
    enrollments = table.optional_text("enrollments", TYPE_ID, "2-41701559")
    _note_repeated(table, {**ids, "enrollments": enrollments or ""})
    table.finish()
    return ObjectTypes(
        contacts=ids["contacts"],
        bookings=ids["bookings"],
        mock_exams=ids["mock_exams"],
        notes=ids["notes"],
        enrollments=enrollments,
    )


def _read_properties(table: TomlReader, fields: Mapping[str, StoredAs[object]]) -> dict[str, str]:
    """Return what HubSpot calls each field; those that are optional and not there are left out."""
    properties = {}
    for field, stored_as in fields.items():
        if not stored_as.optional:
            properties[field] = table.text(field, PROPERTY_NAME, field)
        elif (name := table.optional_text(field, PROPERTY_NAME, field)) is not None:
            properties[field] = name
    _note_repeated(table, properties)
    table.finish()
    return properties


def _read_enrollments(
    root: TomlReader, *, has_enrollments: bool
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what HubSpot calls an enrollment's fields, and the statuses that mean registered; both
    are empty where the portal has no enrollments."""
    table = root.table("enrollments", required=has_enrollments)
    states = root.table("enrollment_states", required=has_enrollments)
    if not has_enrollments:
        for name, given in (("enrollments", table), ("enrollment_states", states)):
            if given.names:
                root.note_problem(name, "is given, so object_types.enrollments is wanted too.")
        return {}, ()
    registered = states.texts("registered", required=True)
    states.finish()
    return _read_properties(table, ENROLLMENT_FIELDS), registered


def _note_repeated(table: TomlReader, values: Mapping[str, str]) -> None:
    first: dict[str, str] = {}
    for key, value in values.items():
        if value and value in first:
            table.note_problem(key, f"is {value!r}, which {table.dotted(first[value])} is already.")
        first.setdefault(value, key)


def _read_unique(rules: TomlReader, bookings: Mapping[str, str]) -> tuple[str, ...]:
    fields = rules.texts("unique")
    for field in fields:
        if field not in bookings:
            rules.note_problem("unique", f"names {field!r}, which is no field in [bookings].")
    for field in MUST_BE_UNIQUE:
        if field not in fields:
            rules.note_problem(
                "unique", f"wants {field!r} too: it is what keeps a seat from two sales."
            )
    if len(fields) > MAX_UNIQUE_PROPERTIES:
        rules.note_problem(
            "unique", f"wants at most {MAX_UNIQUE_PROPERTIES} fields: HubSpot's limit."
        )
    return tuple(bookings[field] for field in fields if field in bookings)


def _read_choices(table: TomlReader, bookings: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    choices: dict[str, Mapping[str, str]] = {}
    for field, kind in STUDENT_FIELDS.items():
        if kind == "choice" and field in table.names:
            choices[field] = _read_choice(table.table(field))
            if field not in bookings:
                table.note_problem(field, "is no field in [bookings].")
    table.finish()
    return choices


def _read_choice(table: TomlReader) -> dict[str, str]:
    stored = {key: table.text(key) for key in table.names}
    for key in stored:
        if PROPERTY_NAME.fullmatch(key) is None:
            table.note_problem(key, "is what callers send; it wants small letters, digits and _.")
    _note_repeated(table, stored)
    return stored


def _read_states(
    table: TomlReader, required: tuple[BookingState, ...]
) -> dict[BookingState, tuple[str, ...]]:
    states: dict[BookingState, tuple[str, ...]] = {
        state: table.texts(state, required=state in required) for state in BOOKING_STATES
    }
    seen: set[str] = set()
    for state, values in states.items():
        for value in values:
            if value.casefold() in seen:
                table.note_problem(state, f"has {value!r}, which is the value of another state.")
        seen.update(value.casefold() for value in values)
    table.finish()
    return states


def _read_statuses(root: TomlReader, *, has_status: bool) -> dict[BookingState, tuple[str, ...]]:
    table = root.table("booking_statuses", required=has_status)
    if not has_status:
        if table.names:
            root.note_problem("booking_statuses", "is given, so bookings.status is wanted too.")
        return {}
    return _read_states(table, ("active", "cancelled"))


def _read_exam_states(table: TomlReader) -> tuple[str, ...]:
    active = table.texts("active", required=True)
    table.finish()
    return active


def _read_credit_marker(table: TomlReader) -> str | None:
    name = table.optional_text("write_marker", PROPERTY_NAME, "credit_write_marker")
    table.finish()
    return name


def _read_association_types(table: TomlReader) -> dict[str, int]:
    for key in table.names:
        ends = key.split("->")
        if len(ends) != 2 or not set(ends) <= OBJECT_NAMES:
            table.note_problem(key, 'is no direction; it wants one such as "notes->contacts".')
    return table.whole_numbers()
