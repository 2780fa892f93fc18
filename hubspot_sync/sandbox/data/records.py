"""What the store keeps and tells: records with every write that made them, and changes.

Immutable data; a record is replaced on every write, so a reader never sees half of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hubspot_sync.sandbox.data.links import Links
from hubspot_sync.sandbox.data.schemas import Label, ObjectType

Properties = Mapping[str, str | None]
End = tuple[str, str]
"""One end of a link: a record's type and its id."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who wrote: CRM_UI for a person in HubSpot, INTEGRATION for an app."""

    name: str = "INTEGRATION"
    id: str = "54321"  # the app, not the portal


PERSON = Source("CRM_UI", "userId:1")
APP = Source()


@dataclass(frozen=True, slots=True)
class Write:
    """One write of some properties."""

    at_ms: int
    source: Source
    properties: Properties


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One object as it stands, and the writes that made it, oldest first."""

    object_type: str
    id: str
    properties: Properties
    writes: tuple[Write, ...]
    created_ms: int
    updated_ms: int
    archived_ms: int | None = None
    restored_ms: int = 0

    @property
    def archived(self) -> bool:
        return self.archived_ms is not None

    def as_of(self, at_ms: int) -> Properties | None:
        """The properties as they stood then; None if it did not exist yet."""
        if self.updated_ms <= at_ms:
            return self.properties
        seen = [write.properties for write in self.writes if write.at_ms <= at_ms]
        if not seen:
            return None
        return {name: value for properties in seen for name, value in properties.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What a listener hears. For an associationChange `object_*` is the from side."""

    # creation | deletion | propertyChange | associationChange | restore | merge | privacyDeletion
    kind: str
    object_type: str
    object_id: str
    at_ms: int
    source: Source
    property_name: str | None = None
    property_value: str | None = None
    to_type: str | None = None
    to_id: str | None = None
    removed: bool = False
    merged_id: str | None = None


def change_of(record: Record, kind: str, at_ms: int, source: Source) -> Change:
    """Return what a listener hears of a record."""
    return Change(
        kind=kind,
        object_type=record.object_type,
        object_id=record.id,
        at_ms=at_ms,
        source=source,
    )


def changes_of_link(
    one: End, other: End, at_ms: int, source: Source, *, removed: bool
) -> tuple[Change, ...]:
    """Return what a listener hears of a link: it is seen from both ends."""
    return tuple(
        Change(
            kind="associationChange",
            object_type=here[0],
            object_id=here[1],
            at_ms=at_ms,
            source=source,
            to_type=there[0],
            to_id=there[1],
            removed=removed,
        )
        for here, there in ((one, other), (other, one))
    )


class UniqueConflict(Exception):
    """Another record of the type already has this value."""

    def __init__(self, name: str, value: str, holder_id: str) -> None:
        super().__init__(f"{name}={value} belongs to {holder_id}")
        self.name, self.value, self.holder_id = name, value, holder_id


class UnknownRecord(Exception):
    """No such record, or archived."""


@dataclass(slots=True)
class Snapshot:
    """Everything a store holds; a copy of it is a moment kept."""

    types: dict[str, ObjectType] = field(default_factory=dict)
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    unique: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    links: Links = field(default_factory=Links)
    labels: dict[tuple[str, str], tuple[Label, ...]] = field(default_factory=dict)
    merged: dict[str, dict[str, str]] = field(default_factory=dict)
    """By type the ids of merged records, and which record each became part of."""

    def copy(self) -> Snapshot:
        return Snapshot(
            types=dict(self.types),
            records={type_id: dict(records) for type_id, records in self.records.items()},
            unique={key: dict(holders) for key, holders in self.unique.items()},
            links=self.links.copy(),
            labels=dict(self.labels),
            merged={type_id: dict(survivors) for type_id, survivors in self.merged.items()},
        )
