"""Which values of the portal cannot be read, counted and listed for operators.

Whoever reads a record says so here. That writes nothing: what has changed since the list was last
looked at is kept in memory, within bounds, and a worker writes it every few seconds. A failure
there costs nothing but the news, which the next reading of the record brings again. A value leaves
the list when its record is read without it, or was not read for `KEEP`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from hubspot_sync.background.worker import Worker
from hubspot_sync.portal.models import ObjectKind, UnreadableValue
from hubspot_sync.portal.record_names import is_record_id
from hubspot_sync.portal.records import Booking, Contact, MockExam

KEEP: Final = timedelta(days=1)
REFRESH_AFTER: Final = timedelta(hours=1)
"""How old `last_seen` may grow of a value that is read again and again."""
MAX_NOTED: Final = 1_000
"""Records kept until the worker writes; of more, the next reading is soon enough."""
MAX_LISTED: Final = 10_000
"""Values looked at; with more, the portal's problem is not one record."""
GATHER_S: Final = 2.0
LOOK_AGAIN_S: Final = 60.0

Record = Contact | Booking | MockExam
NoteReading = Callable[[Record], None]
UnreadableObserver = Callable[[str, str], None]
"""Hears the object's kind and the property's name, at each reading."""

_KINDS: Final[Mapping[type[Record], str]] = {
    Contact: ObjectKind.CONTACT.value,
    Booking: ObjectKind.BOOKING.value,
    MockExam: ObjectKind.EXAM.value,
}
_Key = tuple[str, str]


def ignore_reading(_: Record) -> None:
    """For those who keep no list."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the list has of a record; `seen` is the oldest time among it."""

    names: frozenset[str]
    seen: datetime


class UnreadableValues:
    """One process's part in the list; the thread of `worker` runs in a process that serves."""

    def __init__(self, now: Callable[[], datetime], notify: UnreadableObserver) -> None:
        self._now = now
        self._notify = notify
        self._lock = threading.Lock()
        self._noted: dict[_Key, frozenset[str]] = {}
        self._listed: Mapping[_Key, _Listed] = {}
        self.worker = Worker(
            "unreadable values", self.write_noted, gather_s=GATHER_S, starts_when_woken=False
        )

    def note(self, record: Record) -> None:
        """Take notice of a record that was read with all its properties."""
        kind = _KINDS[type(record)]
        key = (kind, record.id)
        if not record.unreadable and key not in self._listed:
            return
        names = frozenset(record.unreadable)
        for name in names:
            self._notify(kind, name)
        if self._is_listed_as(key, names) or not is_record_id(record.id):
            return
        with self._lock:
            if key in self._noted or len(self._noted) < MAX_NOTED:
                self._noted[key] = names
        self.worker.wake()

    def write_noted(self) -> float:
        """Write what was noted, drop what is too old, and look at the list; return for how many
        seconds to rest."""
        with self._lock:
            noted, self._noted = self._noted, {}
        now = self._now()
        with transaction.atomic():
            UnreadableValue.objects.filter(last_seen__lt=now - KEEP).delete()
            _delete_readable(noted)
            _store(noted, now)
        self._listed = _read_listed()
        return LOOK_AGAIN_S

    def _is_listed_as(self, key: _Key, names: Collection[str]) -> bool:
        """Whether the list says so already, and has been told so lately."""
        listed = self._listed.get(key)
        if listed is None:
            return False
        return listed.names == names and listed.seen > self._now() - REFRESH_AFTER


def forget_contacts(contact_ids: Collection[str]) -> None:
    """Take these contacts off the list."""
    UnreadableValue.objects.filter(kind=ObjectKind.CONTACT, record_id__in=contact_ids).delete()


def _delete_readable(noted: Mapping[_Key, frozenset[str]]) -> None:
    rows = UnreadableValue.objects.filter(record_id__in={record_id for _, record_id in noted})
    readable = [
        row.id
        for row in rows
        if row.property_name not in noted.get((row.kind, row.record_id), {row.property_name})
    ]
    UnreadableValue.objects.filter(id__in=readable).delete()


def _store(noted: Mapping[_Key, frozenset[str]], now: datetime) -> None:
    # In one order for all processes: two that wait for each other's rows would wait for ever.
    UnreadableValue.objects.bulk_create(
        [
            UnreadableValue(
                kind=kind, record_id=record_id, property_name=name, first_seen=now, last_seen=now
            )
            for (kind, record_id), names in sorted(noted.items())
            for name in sorted(names)
        ],
        update_conflicts=True,
        unique_fields=["kind", "record_id", "property_name"],
        update_fields=["last_seen"],
    )


def _read_listed() -> dict[_Key, _Listed]:
    listed: dict[_Key, _Listed] = {}
    for row in UnreadableValue.objects.all()[:MAX_LISTED]:
        key = (row.kind, row.record_id)
        other = listed.get(key, _Listed(frozenset(), row.last_seen))
        listed[key] = _Listed(other.names | {row.property_name}, min(other.seen, row.last_seen))
    return listed
