"""Records on HubSpot's wire: a record as it was given, and one to be made. Names and values are
still HubSpot's; `portal/records.py` makes ours of them.

What comes is what a JSON parser made, whose objects are dicts: asking whether they are some mapping
costs ten times as much, and is asked for each of a hundred records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from hubspot_sync.portal.record_names import is_record_id

JsonObject = Mapping[str, Any]

# HubSpot's own, the same in every portal.
NOTE_BODY: Final = "hs_note_body"
NOTE_TIME: Final = "hs_timestamp"

_TEXT_OR_NONE: Final = frozenset({str, type(None)})


@dataclass(frozen=True, kw_only=True, slots=True)
class PropertyVersion:
    """One value a property had, since when, and who set it (`sourceType`, `sourceId`)."""

    value: str | None
    at: datetime | None
    source_type: str | None
    source_id: str | None

    @classmethod
    def from_json(cls, version: JsonObject) -> PropertyVersion:
        return cls(
            value=_text(version.get("value")),
            at=_instant(version.get("timestamp")),
            source_type=_text(version.get("sourceType")),
            source_id=_text(version.get("sourceId")),
        )


_NO_HISTORY: Final[Mapping[str, tuple[PropertyVersion, ...]]] = MappingProxyType({})


class RawRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record as HubSpot gave it. `history` has the properties asked for with it, newest first."""

    id: str
    properties: Mapping[str, str | None]
    history: Mapping[str, tuple[PropertyVersion, ...]] = _NO_HISTORY
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @classmethod
    def from_json(cls, record: object) -> RawRecord | None:
        """Return the record, or None for what is none: without id, without properties, or with a
        history that cannot be read. Half a record would be taken for an empty one."""
        record_id = record_id_of(record)
        if record_id is None or not isinstance(record, dict):
            return None
        properties = record.get("properties")
        if not isinstance(properties, dict):
            return None
        versions = record.get("propertiesWithHistory")
        history = _NO_HISTORY if versions is None else _read_history(versions)
        if history is None:
            return None
        return cls(
            id=record_id,
            properties=_as_texts(properties),
            history=history,
            created_at=_instant(record.get("createdAt")),
            updated_at=_instant(record.get("updatedAt")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAssociation:
    """A link made together with a new record; the type ids are the portal's own (`labels`)."""

    to_id: str
    type_id: int
    category: str = "USER_DEFINED"

    def to_json(self) -> JsonObject:
        kind = {"associationCategory": self.category, "associationTypeId": self.type_id}
        return {"to": {"id": self.to_id}, "types": [kind]}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRecord:
    """A record to create. `trace_id` is unique within the call; the outcome is found by it.
    `origin` is whoever it is made for, and is not sent: a record refused is known again by it."""

    trace_id: str
    properties: Mapping[str, str]
    associations: tuple[NewAssociation, ...] = ()
    origin: str = ""

    def to_json(self) -> JsonObject:
        return {
            "properties": dict(self.properties),
            "associations": [link.to_json() for link in self.associations],
            "objectWriteTraceId": self.trace_id,
        }

    def looks_like(self, record: RawRecord) -> bool:
        """Whether the record has every value that was sent."""
        return all(record.properties.get(name) == value for name, value in self.properties.items())


def record_id_of(record: object) -> str | None:
    """Return the id of a row of HubSpot's, a string or an integer on the wire; None without one."""
    return as_record_id(record.get("id")) if isinstance(record, dict) else None


def as_record_id(value: object) -> str | None:
    """Return a record's id as text, None for what cannot be one."""
    if not isinstance(value, str):
        value = str(value) if isinstance(value, int) else ""
    return value if is_record_id(value) else None


def _as_texts(properties: dict[str, Any]) -> dict[str, str | None]:
    # Almost always all of them are texts already, and nothing has to be done.
    if _TEXT_OR_NONE.issuperset(map(type, properties.values())):
        return properties
    return {name: _text(value) for name, value in properties.items()}


def _read_history(value: object) -> Mapping[str, tuple[PropertyVersion, ...]] | None:
    """Return the versions of each property; None where any cannot be read."""
    if not isinstance(value, Mapping):
        return None
    history: dict[str, tuple[PropertyVersion, ...]] = {}
    for name, versions in value.items():
        if not isinstance(versions, list) or not all(
            isinstance(version, Mapping) for version in versions
        ):
            return None
        history[name] = tuple(PropertyVersion.from_json(version) for version in versions)
    return history


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _instant(value: object) -> datetime | None:
    """Return an ISO instant with its zone; None for anything else, it is for information only."""
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is UTC:
            return instant
        return None if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
