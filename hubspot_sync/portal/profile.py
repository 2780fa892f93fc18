"""The portal as data: what this school's HubSpot calls its objects, properties and mock types.

A profile is a TOML file, shipped (`default`, `prepdoctors`) or one's own, chosen by
`HUBSPOT_PORTAL`. Loading validates all of it and names the bad key; after that every part of the
application can trust it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from hubspot_sync.errors import ConfigurationError

BookingState = Literal["active", "cancelled", "completed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtraField:
    """A booking field that some mock types need: a bool, or one of `choices`.

    `choices` maps what a caller sends to what HubSpot stores; it is empty for a bool.
    """

    name: str
    kind: Literal["bool", "choice"]
    required: bool
    choices: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class MockType:
    """A kind of mock exam: how it is spelt in HubSpot and which credits pay for it."""

    value: str
    slug: str
    credit_property: str
    token_label: str
    shared_credit_property: str | None
    shared_token_label: str | None
    extra_fields: tuple[ExtraField, ...]


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
    have is absent. `booking_states` maps each state to the values that mean it, the first being the
    one we write. `association_type_ids` maps `"from->to"` (`"bookings->contacts"`) to the type id
    that inline associations need, where it is known beforehand.
    """

    name: str
    time_zone: ZoneInfo
    object_types: ObjectTypes
    contact_properties: Mapping[str, str]
    booking_properties: Mapping[str, str]
    exam_properties: Mapping[str, str]
    enrollment_properties: Mapping[str, str]
    unique_booking_properties: tuple[str, ...]
    mock_types: tuple[MockType, ...]
    booking_states: Mapping[BookingState, tuple[str, ...]]
    editable_fields: tuple[str, ...]
    association_type_ids: Mapping[str, int]

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


def load_profile(name_or_path: str) -> PortalProfile:
    """Return the profile called `name_or_path`, shipped or in a file.

    Raises ConfigurationError with a sentence that names the key and what it wants.
    """
    raise ConfigurationError(f"HUBSPOT_PORTAL: no profile named {name_or_path!r}.")
