"""How a record's field is kept in HubSpot, said in the field's own type.

A field of a record whose type is one of the aliases below is a property of HubSpot: profiles must
name it (or may, where it is `OPTIONAL`), readers ask for it and parse it, and the preflight wants
it in the portal. Fields of plain types are made from the others by `record_reader.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, Final, Generic, TypeAlias, TypeVar, get_type_hints
from zoneinfo import ZoneInfo

from hubspot_sync.portal.identities import normalize_email
from hubspot_sync.portal.property_values import (
    Unreadable,
    parse_capacity,
    parse_count,
    parse_day,
    parse_instant,
    parse_yes_no,
)
from hubspot_sync.portal.record_names import is_record_id

TEXT_TYPES: Final = ("string", "enumeration")
CHOICE_TYPES: Final = ("enumeration", "string")
YES_NO_TYPES: Final = ("bool", "enumeration", "string")
ANY_ZONE: Final = ZoneInfo("UTC")

V_co = TypeVar("V_co", covariant=True)


@dataclass(frozen=True, slots=True)
class StoredAs(Generic[V_co]):
    """How a property is kept. `types` are those it may have in HubSpot, several because schools
    made theirs by hand; a missing property is created with the first. `parse` gets the text,
    trimmed and "" where never set, and the portal's time zone, and raises Unreadable;
    `where_unreadable` is then the field's value. What was never set is the same in every zone."""

    types: tuple[str, ...]
    parse: Callable[[str, ZoneInfo], V_co]
    where_unreadable: V_co
    optional: bool = False
    where_never_set: V_co = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "where_never_set", self.parse("", ANY_ZONE))

    @property
    def is_text_as_it_is(self) -> bool:
        """Whether the field is the property's text, trimmed: nothing has to be parsed."""
        return self.parse is _as_it_is


OPTIONAL: Final = "a portal may do without it"


def _as_it_is(text: str, _zone: ZoneInfo) -> str:
    return text


def _stored_text(
    types: tuple[str, ...] = TEXT_TYPES, parse: Callable[[str, ZoneInfo], str] = _as_it_is
) -> StoredAs[str]:
    """Return how a text is kept, of which none is unreadable."""
    return StoredAs(types, parse, "")


def _parse_record_id(text: str) -> str | None:
    if text != "" and not is_record_id(text):
        raise Unreadable("no record's id")
    return text or None


TEXT: Final = _stored_text()
EMAIL: Final = _stored_text(parse=lambda text, _: normalize_email(text))
CHOICE: Final = _stored_text(CHOICE_TYPES)
CLOCK_TIME: Final = _stored_text(("string", "datetime"))
COUNT: Final[StoredAs[int | None]] = StoredAs(("number",), lambda text, _: parse_count(text), None)
CAPACITY: Final = StoredAs(("number",), lambda text, _: parse_capacity(text), 0)
DAY: Final[StoredAs[date | None]] = StoredAs(("date", "datetime", "string"), parse_day, None)
INSTANT: Final[StoredAs[datetime | None]] = StoredAs(
    ("datetime", "string", "date"), lambda text, _: parse_instant(text), None
)
YES_NO: Final[StoredAs[bool | None]] = StoredAs(
    YES_NO_TYPES, lambda text, _: parse_yes_no(text), None
)
RECORD_ID: Final[StoredAs[str | None]] = StoredAs(
    ("string", "number"), lambda text, _: _parse_record_id(text), None
)

Text: TypeAlias = Annotated[str, TEXT]
Email: TypeAlias = Annotated[str, EMAIL]
"""As e-mails are compared."""
Choice: TypeAlias = Annotated[str, CHOICE]
"""One of the values that the profile names."""
ActiveFlag: TypeAlias = Annotated[bool, CHOICE]
"""True for the values that the profile names; the reader compares them."""
ClockTime: TypeAlias = Annotated[str, CLOCK_TIME]
"""Kept as HubSpot has it."""
Capacity: TypeAlias = Annotated[int, CAPACITY]
"""Whole seats; where it cannot be read, or is below zero, there are none to be sold."""
Day: TypeAlias = Annotated[date | None, DAY]
Instant: TypeAlias = Annotated[datetime | None, INSTANT]
YesNo: TypeAlias = Annotated[bool | None, YES_NO]
RecordId: TypeAlias = Annotated[str | None, RECORD_ID]


def stored_fields(record_type: type) -> Mapping[str, StoredAs[object]]:
    """Return the fields of a record that are properties, in the order they are declared."""
    fields = {}
    for name, hint in get_type_hints(record_type, include_extras=True).items():
        marks = getattr(hint, "__metadata__", ())
        for mark in marks:
            if isinstance(mark, StoredAs):
                fields[name] = replace(mark, optional=OPTIONAL in marks)
    return fields
