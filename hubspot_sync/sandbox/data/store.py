"""The portal's content: records with their history, unique values, associations, snapshots.

Promises: every write has its time and source; listeners hear of each change in order; one lock is
held only while state is touched. Leaves limits, lag's length, validation of values and HubSpot's
words to the endpoints: a bulk load believes what it is given.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from hubspot_sync.sandbox.clock import Clock, iso
from hubspot_sync.sandbox.data.links import Link
from hubspot_sync.sandbox.data.merges import additional_emails, join_records, move_links
from hubspot_sync.sandbox.data.records import (
    APP,
    PERSON,
    Change,
    Properties,
    Record,
    Snapshot,
    Source,
    UniqueConflict,
    UnknownRecord,
    Write,
    change_of,
    changes_of_link,
)
from hubspot_sync.sandbox.data.schemas import (
    STANDARD_NAMES,
    Label,
    ObjectType,
    Property,
    built_in_properties,
)

FIRST_ID = 10_000_000_001
BULK_IS_OLDER_BY_MS = 3_600_000


class Store:
    """All records of one portal; every method is safe to call from any thread."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._state = Snapshot()
        self._ids = itertools.count(FIRST_ID)
        self._listeners: list[Callable[[Change], None]] = []

    # The portal's shape

    def define_type(self, object_type: ObjectType) -> None:
        """Add or replace a type; the properties every type has are added to its own."""
        with self.lock:
            whole = object_type.properties | built_in_properties(object_type.type_id)
            type_id = object_type.type_id
            self._state.types[type_id] = replace(object_type, properties=whole)
            self._state.records.setdefault(type_id, {})

    def define_property(self, type_id: str, definition: Property) -> None:
        """Add or replace a property; raises KeyError for an unknown type."""
        with self.lock:
            known = self._state.types[type_id]
            whole = {**known.properties, definition.name: definition}
            self._state.types[type_id] = replace(known, properties=whole)

    def define_label(self, from_type: str, to_type: str, label: Label, inverse: Label) -> None:
        """Let two types be associated: as `label` from the first, as `inverse` from the second."""
        with self.lock:
            for pair, each in (((from_type, to_type), label), ((to_type, from_type), inverse)):
                self._state.labels[pair] = (*self._state.labels.get(pair, ()), each)

    def types(self) -> list[ObjectType]:
        with self.lock:
            return list(self._state.types.values())

    def type_named(self, name: str) -> ObjectType | None:
        """A type by its id or, for HubSpot's own types, by its standard name."""
        with self.lock:
            return self._state.types.get(STANDARD_NAMES.get(name, name))

    def labels(self, from_type: str, to_type: str) -> tuple[Label, ...]:
        """The ways two types may be associated, the default first."""
        with self.lock:
            return self._state.labels.get((from_type, to_type), ())

    def association_target(self, from_type: str, category: str, type_id: int) -> str | None:
        """The type an association type leads to from another; None where there is no such."""
        with self.lock:
            for (one, to_type), labels in self._state.labels.items():
                if one == from_type and any(
                    (each.category, each.type_id) == (category, type_id) for each in labels
                ):
                    return to_type
        return None

    # Reading

    def get(self, object_type: str, record_id: str, *, archived: bool = False) -> Record | None:
        """A record by id, None if unknown or archived; with `archived`, an archived one too."""
        with self.lock:
            record = self._state.records.get(object_type, {}).get(record_id)
        return None if record is None or (record.archived and not archived) else record

    def find(self, object_type: str, name: str, value: str) -> Record | None:
        """The live record that holds a unique value."""
        with self.lock:
            holder = self._state.unique.get((object_type, name), {}).get(value)
            return None if holder is None else self.get(object_type, holder)

    def survivor_id(self, object_type: str, record_id: str) -> str:
        """The id of the record that one was merged into; its own where it was not."""
        with self.lock:
            merged = self._state.merged.get(object_type, {})
            while record_id in merged:
                record_id = merged[record_id]
        return record_id

    def records(self, object_type: str) -> list[Record]:
        """All records of a type, archived ones too, oldest first."""
        with self.lock:
            return list(self._state.records.get(object_type, {}).values())

    def links_of(self, from_type: str, from_id: str, to_type: str) -> dict[str, Link]:
        """Links of one object by target id, removed ones too."""
        with self.lock:
            return dict(self._state.links.links_of((from_type, to_type), from_id))

    # Writing

    def create(
        self,
        object_type: str,
        properties: Properties,
        *,
        source: Source = APP,
        record_id: str | None = None,
    ) -> Record:
        """Make a record; raises UniqueConflict and KeyError (unknown type), having made nothing."""
        with self.lock:
            record = self._insert(object_type, properties, source, record_id, self.clock.now_ms())
            self._notify(change_of(record, "creation", record.created_ms, source))
        return record

    def update(
        self, object_type: str, record_id: str, properties: Properties, *, source: Source = APP
    ) -> Record:
        """Write what differs; raises UnknownRecord and UniqueConflict, and then wrote nothing."""
        with self.lock:
            record = self.get(object_type, record_id)
            if record is None:
                raise UnknownRecord(record_id)
            changed = {
                name: value
                for name, value in properties.items()
                if record.properties.get(name) != value
            }
            if not changed:
                return record
            self._check_unique(object_type, changed, record_id)
            at_ms = self.clock.now_ms()
            stamped = {**changed, self._state.types[object_type].stamps[1]: iso(at_ms)}
            new = replace(
                record,
                properties={**record.properties, **stamped},
                writes=(*record.writes, Write(at_ms, source, stamped)),
                updated_ms=at_ms,
            )
            self._release_unique_values(record)
            self._put(new)
            for name, value in changed.items():
                base = change_of(new, "propertyChange", at_ms, source)
                self._notify(replace(base, property_name=name, property_value=value or ""))
            return new

    def archive(self, object_type: str, record_id: str, *, source: Source = APP) -> bool:
        """Archive a record; returns whether there was one. Its unique values are free again."""
        with self.lock:
            record = self.get(object_type, record_id)
            if record is None:
                return False
            at_ms = self.clock.now_ms()
            self._release_unique_values(record)
            self._state.records[object_type][record_id] = replace(record, archived_ms=at_ms)
            self._notify(change_of(record, "deletion", at_ms, source))
            return True

    def forget(self, object_type: str, record_id: str, *, source: Source = PERSON) -> None:
        """Remove a record for good, as somebody who wants to be forgotten; raises UnknownRecord."""
        with self.lock:
            record = self.get(object_type, record_id, archived=True)
            if record is None:
                raise UnknownRecord(record_id)
            self._release_unique_values(record)
            del self._state.records[object_type][record_id]
            at_ms = self.clock.now_ms()
            self._state.links.remove_all(object_type, record_id, at_ms)
            self._notify(change_of(record, "privacyDeletion", at_ms, source))

    def restore(self, object_type: str, record_id: str, *, source: Source = PERSON) -> Record:
        """Bring an archived record back, with its associations; raises UnknownRecord and
        UniqueConflict."""
        with self.lock:
            record = self._state.records.get(object_type, {}).get(record_id)
            if record is None or not record.archived:
                raise UnknownRecord(record_id)
            self._check_unique(object_type, record.properties, record_id)
            at_ms = self.clock.now_ms()
            live = replace(record, archived_ms=None, restored_ms=at_ms)
            self._put(live)
            self._notify(change_of(live, "restore", at_ms, source))
            return live

    def merge(
        self, object_type: str, survivor_id: str, other_id: str, *, source: Source = PERSON
    ) -> Record:
        """Make one record of two, under the first one's id; raises UnknownRecord, and ValueError
        for a record with itself. Of the links that move nobody is told."""
        with self.lock:
            survivor, other = self.get(object_type, survivor_id), self.get(object_type, other_id)
            if survivor is None or other is None:
                raise UnknownRecord(survivor_id if survivor is None else other_id)
            if survivor_id == other_id:
                raise ValueError("a record cannot be merged into itself")
            at_ms, stamps = self.clock.now_ms(), self._state.types[object_type].stamps
            self._release_unique_values(other)
            self._release_unique_values(survivor)
            del self._state.records[object_type][other_id]
            self._state.merged.setdefault(object_type, {})[other_id] = survivor_id
            joined = join_records(survivor, other, stamps[1], at_ms)
            self._put(joined)
            move_links(self._state, object_type, other_id, survivor_id, at_ms)
            self._notify(replace(change_of(joined, "merge", at_ms, source), merged_id=other_id))
            return joined

    def associate(
        self,
        from_type: str,
        from_id: str,
        to_type: str,
        to_id: str,
        *,
        type_ids: Iterable[int] = (),
        source: Source = APP,
    ) -> bool:
        """Link two records, both directions; the default way without `type_ids`.

        Returns whether anything is new; raises UnknownRecord, and KeyError where the two types
        have no such label.
        """
        with self.lock:
            for object_type, record_id in ((from_type, from_id), (to_type, to_id)):
                if self.get(object_type, record_id) is None:
                    raise UnknownRecord(record_id)
            at_ms = self.clock.now_ms()
            if not self._link(from_type, from_id, to_type, to_id, tuple(type_ids), at_ms):
                return False
            ends = (from_type, from_id), (to_type, to_id)
            self._notify(*changes_of_link(*ends, at_ms, source, removed=False))
            return True

    def dissociate(
        self, from_type: str, from_id: str, to_type: str, to_id: str, *, source: Source = APP
    ) -> bool:
        """Remove every link between two records; returns whether there was one."""
        with self.lock:
            at_ms = self.clock.now_ms()
            links = self._state.links
            if not links.remove((from_type, to_type), from_id, to_id, at_ms):
                return False
            links.remove((to_type, from_type), to_id, from_id, at_ms)
            ends = (from_type, from_id), (to_type, to_id)
            self._notify(*changes_of_link(*ends, at_ms, source, removed=True))
            return True

    def load(
        self,
        records: Iterable[tuple[str, str | None, Properties]] = (),
        associations: Iterable[tuple[str, str, str, str]] = (),
    ) -> list[str]:
        """Take (type, id or None, properties) and (type, id, type, id) at once, telling nobody.

        What is loaded is an hour old: searches find it and associations show it, however late they
        are. Returns the ids in order; raises UniqueConflict or KeyError half way.
        """
        with self.lock:
            at_ms = self.clock.now_ms() - BULK_IS_OLDER_BY_MS
            ids = [
                self._insert(object_type, properties, PERSON, record_id, at_ms).id
                for object_type, record_id, properties in records
            ]
            for from_type, from_id, to_type, to_id in associations:
                self._link(from_type, from_id, to_type, to_id, (), at_ms)
            return ids

    # Keeping and forgetting

    def snapshot(self) -> Snapshot:
        with self.lock:
            return self._state.copy()

    def restore_snapshot(self, snapshot: Snapshot) -> None:
        with self.lock:
            self._state = snapshot.copy()

    def clear(self) -> None:
        """Forget everything, the portal's shape too; ids start again."""
        with self.lock:
            self._state = Snapshot()
            self._ids = itertools.count(FIRST_ID)

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` for each change, in order, under the lock: it must only take note."""
        self._listeners.append(listener)

    # The steps

    def _insert(
        self,
        object_type: str,
        properties: Properties,
        source: Source,
        record_id: str | None,
        at_ms: int,
    ) -> Record:
        known = self._state.types[object_type]
        given = {name: value for name, value in properties.items() if value is not None}
        self._check_unique(object_type, given, record_id)
        if record_id is None:
            record_id = self._next_free_id(object_type)
        elif (old := self._state.records[object_type].get(record_id)) is not None:
            self._release_unique_values(old)
        whole = {**given, "hs_object_id": record_id, **dict.fromkeys(known.stamps, iso(at_ms))}
        record = Record(
            object_type=object_type,
            id=record_id,
            properties=whole,
            writes=(Write(at_ms, source, whole),),
            created_ms=at_ms,
            updated_ms=at_ms,
        )
        self._put(record)
        return record

    def _next_free_id(self, object_type: str) -> str:
        taken = self._state.records[object_type]
        return next(each for each in map(str, self._ids) if each not in taken)

    def _put(self, record: Record) -> None:
        self._state.records[record.object_type][record.id] = record
        for name, value in self._unique_values(record.object_type, record.properties):
            self._state.unique.setdefault((record.object_type, name), {})[value] = record.id

    def _release_unique_values(self, record: Record) -> None:
        for name, value in self._unique_values(record.object_type, record.properties):
            holders = self._state.unique.get((record.object_type, name), {})
            if holders.get(value) == record.id:
                del holders[value]

    def _check_unique(self, object_type: str, properties: Properties, own_id: str | None) -> None:
        for name, value in self._unique_values(object_type, properties):
            holder = self._state.unique.get((object_type, name), {}).get(value)
            if holder is not None and holder != own_id:
                raise UniqueConflict(name, value, holder)

    def _unique_values(self, object_type: str, properties: Properties) -> list[tuple[str, str]]:
        definitions = self._state.types[object_type].properties
        further = [("email", email) for email in additional_emails(properties)]
        return further + [
            (name, value)
            for name, value in properties.items()
            if value is not None and name in definitions and definitions[name].unique
        ]

    def _link(
        self,
        from_type: str,
        from_id: str,
        to_type: str,
        to_id: str,
        type_ids: tuple[int, ...],
        at_ms: int,
    ) -> bool:
        there = self._state.labels[from_type, to_type]
        back = self._state.labels[to_type, from_type]
        wanted = type_ids or (there[0].type_id,)
        places = {label.type_id: place for place, label in enumerate(there)}
        inverse = tuple(back[places[each]].type_id for each in wanted)
        links = self._state.links
        links.add((to_type, from_type), to_id, from_id, inverse, at_ms)
        return links.add((from_type, to_type), from_id, to_id, wanted, at_ms)

    def _notify(self, *changes: Change) -> None:
        for change, listener in itertools.product(changes, self._listeners):
            listener(change)
