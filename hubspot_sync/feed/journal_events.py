"""What the change journal's events say, in the words of webhooks, so that both are applied alike.

Forms as hubspot-facts has them ("The change journal"). An event about nothing of ours, or that
changes no record, is counted and no more. One that may concern us and cannot be understood is
`unreadable`: something changed and nobody knows what, so nothing may be held to be fresh. So are a
merge that does not name what was merged, and an action or a type by a word that nobody foresaw.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hubspot_sync.inbox.effects import Effect, effect_of
from hubspot_sync.inbox.events import (
    NOT_TOLD,
    Event,
    EventKind,
    MalformedEvents,
    ObjectKind,
    kind_of_type,
    read_event,
)
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.record_names import ADDITIONAL_EMAILS
from hubspot_sync.wire.journal.entries import JournalFile, parse_instant

Raw = Mapping[str, Any]

logger = logging.getLogger(__name__)

MAX_PROPERTIES: Final = 1_000
"""Changed in one event; of more it is as if none were named, and all may have changed."""
# Of the words of an action only the letters count: nobody promises their spelling.
_NO_LETTERS: Final = re.compile("[^a-z]+")
_TYPE_ID: Final = re.compile("[0-9]+-[0-9]+")
_CHANGES: Final[Mapping[str, str]] = {
    "create": "creation",
    "delete": "deletion",
    "restore": "restore",
    "merge": "merge",
    "gdprdelete": "privacyDeletion",
    "gdprprivacydeletion": "privacyDeletion",
    "privacydeletion": "privacyDeletion",
}
_UNCHANGING: Final = frozenset(
    {"snapshot", "appinstall", "appuninstall", "addedtolist", "removedfromlist"}
)
_LINKED: Final = frozenset({"associationadded", "associationremoved"})


@dataclass(slots=True)
class JournalReading:
    """The events of some files in their order; how many more mean nothing here, and how many may
    mean something that cannot be understood. `published_at` is the latest that the files say;
    `names_portal` that an event names our portal."""

    events: list[Event] = field(default_factory=list)
    ignored: int = 0
    unreadable: int = 0
    published_at: datetime | None = None
    names_portal: bool = False


def read_files(
    files: Iterable[JournalFile], profile: PortalProfile, portal_id: str
) -> JournalReading:
    """Return what these files of a portal's journal say."""
    reading = JournalReading()
    reader = _Reader(profile, portal_id, reading)
    for file in files:
        reading.unreadable += file.unreadable
        reading.published_at = file.published_at or reading.published_at
        for raw in file.events:
            reader.read(raw, file.offset)
    return reading


class _Reader:
    def __init__(self, profile: PortalProfile, portal_id: str, reading: JournalReading) -> None:
        self._profile = profile
        self._portal_id = portal_id
        self._reading = reading

    def read(self, raw: Raw, offset: str) -> None:
        try:
            events = self._translate(raw, offset)
        except Exception:
            # Of a form nobody foresaw; the others are events all the same.
            logger.exception("An event of the change journal cannot be read")
            self._reading.unreadable += 1
            return
        events = self._leave_meaningless_out(events)
        if events:
            self._reading.events.extend(events)
        else:
            self._reading.ignored += 1

    def _translate(self, raw: Raw, offset: str) -> list[Event]:
        """Return the event as webhooks have it; one for each property that changed."""
        portal_id = _plain_id(raw.get("portalId"))
        if portal_id is not None and str(portal_id) != self._portal_id:
            return []
        self._reading.names_portal |= portal_id is not None
        action = _NO_LETTERS.sub("", str(raw.get("action") or "").lower())
        if action in _UNCHANGING:
            return []
        common = {
            "portalId": portal_id,
            "eventId": offset,
            "occurredAt": _milliseconds(raw.get("occurredAt")),
            "changeSource": NOT_TOLD,
        }
        if action in _LINKED or raw.get("type") == "association":
            return self._read_all([common | each for each in self._translate_link(raw, action)])
        type_id = raw.get("objectTypeId")
        is_named = self._kind_of(type_id) is not ObjectKind.OTHER or self._is_foreign(type_id)
        if _CHANGES.get(action) == "privacyDeletion" and not is_named:
            # Persons are contacts.
            about = {"subscriptionType": "contact.privacyDeletion", "objectId": _id_in(raw)}
            return self._read_all([common | about])
        if raw.get("type") not in {None, "crmObject"} and type_id is None:
            return []
        return self._read_all([common | each for each in self._translate_record(raw, action)])

    def _translate_link(self, raw: Raw, action: str) -> list[dict[str, Any]]:
        type_ids = (raw.get("fromObjectTypeId"), raw.get("toObjectTypeId"))
        if any(self._is_foreign(type_id) for type_id in type_ids):
            return []
        link = {
            "subscriptionType": "object.associationChange",
            "fromObjectTypeId": type_ids[0],
            "fromObjectId": _plain_id(raw.get("fromObjectId")),
            "toObjectTypeId": type_ids[1],
            "toObjectId": _plain_id(raw.get("toObjectId")),
            "associationRemoved": action in {"associationremoved", "delete"},
        }
        if any(self._kind_of(type_id) is ObjectKind.OTHER for type_id in type_ids):
            raise MalformedEvents("A link does not say between what.")
        return [link]

    def _kind_of(self, type_id: Any) -> ObjectKind:
        return kind_of_type(type_id, self._profile.object_types)

    def _is_foreign(self, type_id: Any) -> bool:
        """Say whether a type is certainly none of ours: by another word than its id it may be."""
        is_id = isinstance(type_id, str) and _TYPE_ID.fullmatch(type_id) is not None
        return is_id and self._kind_of(type_id) is ObjectKind.OTHER

    def _translate_record(self, raw: Raw, action: str) -> list[dict[str, Any]]:
        type_id = raw.get("objectTypeId")
        kind = self._kind_of(type_id)
        if self._is_foreign(type_id):
            return []
        about = {"objectTypeId": type_id, "objectId": _id_in(raw)}
        change = _CHANGES.get(action)
        if kind is ObjectKind.OTHER:
            raise MalformedEvents("An event does not say of what type its record is.")
        if change == "merge":
            merged = raw.get("mergedObjectIds")
            if not isinstance(merged, list) or len(merged) == 0:
                self._reading.unreadable += 1
            else:
                about["mergedObjectIds"] = [_plain_id(each) for each in merged]
            for name in ("primaryObjectId", "newObjectId"):
                if raw.get(name) is not None:
                    about[name] = _plain_id(raw[name])
        if change is not None:
            return [about | {"subscriptionType": f"object.{change}"}]
        if action != "update" and raw.get("type") in {None, "crmObject"}:
            # It may have changed anything: properties, links, whether there is such a record.
            self._reading.unreadable += 1
        names = _changed_names(raw) if action == "update" else ()
        return [
            about | {"subscriptionType": "object.propertyChange", "propertyName": name}
            for name in names or self._names_that_matter(kind)
        ]

    def _read_all(self, translated: list[dict[str, Any]]) -> list[Event]:
        events: list[Event] = []
        for raw in translated:
            event = read_event(raw, self._profile.object_types)
            if event.incomplete or event.kind is EventKind.UNKNOWN:
                raise MalformedEvents("An event names no record.")
            events.append(event)
        return events

    def _names_that_matter(self, kind: ObjectKind) -> tuple[str, ...]:
        profile = self._profile
        mappings: Mapping[ObjectKind, Mapping[str, str]] = {
            ObjectKind.CONTACT: {**profile.contact_properties, "further": ADDITIONAL_EMAILS},
            ObjectKind.BOOKING: profile.booking_properties,
            ObjectKind.EXAM: profile.exam_properties,
            ObjectKind.ENROLLMENT: profile.enrollment_properties,
        }
        return tuple(sorted(set(mappings[kind].values())))

    def _leave_meaningless_out(self, events: list[Event]) -> list[Event]:
        """Return those that mean something, one of all that mean the same."""
        kept: dict[Effect, Event] = {}
        for event in events:
            effect = effect_of(event, self._profile)
            if not effect.is_nothing:
                kept.setdefault(effect, event)
        return list(kept.values())


def _id_in(raw: Raw) -> Any:
    return _plain_id(raw.get("objectId"))


def _plain_id(value: Any) -> Any:
    """A number with a fraction of nothing is the number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _changed_names(raw: Raw) -> tuple[str, ...]:
    """Return the names of the properties that changed; none where they are not all understood."""
    changes = raw.get("propertyChanges")
    names = list(changes) if isinstance(changes, Mapping | list) else []
    if len(names) > MAX_PROPERTIES or not all(isinstance(name, str) and name for name in names):
        return ()
    return tuple(names)


def _milliseconds(value: Any) -> int | None:
    instant = parse_instant(value)
    return None if instant is None else int(instant.timestamp() * 1000)
