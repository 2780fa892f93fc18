"""What a portal is made of: object types, their properties, and the labels between types.

Plain data, frozen; the store keeps it, the seeds fill it, the endpoints show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CONTACTS = "0-1"
NOTES = "0-46"
MERGED_IDS = "hs_merged_object_ids"
ADDITIONAL_EMAILS = "hs_additional_emails"
MAX_UNIQUE_PROPERTIES = 10
STANDARD_NAMES = {
    "contacts": CONTACTS,
    "contact": CONTACTS,
    "notes": NOTES,
    "note": NOTES,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A property's definition; `type` is string, number, bool, enumeration, date or datetime."""

    name: str
    label: str = ""
    type: str = "string"
    group: str = "sandbox_information"
    unique: bool = False
    options: tuple[str, ...] = ()
    hubspot_defined: bool = False
    read_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """One way two types may be associated, seen from one side."""

    type_id: int
    category: str = "USER_DEFINED"
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectType:
    """An object type and its properties by name."""

    type_id: str
    name: str
    singular: str
    plural: str
    display_property: str = "name"
    custom: bool = True
    properties: dict[str, Property] = field(default_factory=dict)

    @property
    def fully_qualified_name(self) -> str:
        return f"p62515_{self.name}" if self.custom else self.name.upper()

    @property
    def stamps(self) -> tuple[str, str]:
        """The names of the creation and modification times: contacts have the old ones."""
        if self.type_id == CONTACTS:
            return "createdate", "lastmodifieddate"
        return "hs_createdate", "hs_lastmodifieddate"


def built_in_properties(type_id: str) -> dict[str, Property]:
    """What every object of this type has without anybody defining it."""
    probe = ObjectType(type_id=type_id, name="", singular="", plural="")
    created, modified = probe.stamps
    own = [
        Property(name="hs_object_id", type="number", read_only=True, hubspot_defined=True),
        Property(name=MERGED_IDS, read_only=True, hubspot_defined=True),
        Property(name=created, type="datetime", read_only=True, hubspot_defined=True),
        Property(name=modified, type="datetime", read_only=True, hubspot_defined=True),
    ]
    if type_id == CONTACTS:
        own.append(Property(name="email", label="Email", unique=True, hubspot_defined=True))
        own.append(Property(name=ADDITIONAL_EMAILS, hubspot_defined=True))
    return {each.name: each for each in own}
