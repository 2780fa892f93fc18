"""What HubSpot's webhooks say, as typed events.

HubSpot tells of custom objects as `object.creation` and the like with a type id, of contacts also
as `contact.creation`; we understand `booking.…` and `mockexam.…` too, as earlier receivers of ours
did. An event that says nothing we know, or not enough of it, is UNKNOWN: it comes from HubSpot all
the same, so it is kept and counted. What is no event at all is counted, and costs no other event
of its delivery anything.

Sources: developers.hubspot.com, "Webhooks API"; tests/wire/webhooks has a captured event of each.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import orjson

from hubspot_sync.portal.profile import ObjectTypes
from hubspot_sync.wire.json_parser import InvalidJson, parse_json

Raw = Mapping[str, Any]

logger = logging.getLogger(__name__)


class MalformedEvents(Exception):
    """The body is no event and no array of events; the message says why, for a person."""


class TooManyEvents(Exception):
    """The body has more events than any delivery of HubSpot's."""


class EventKind(StrEnum):
    """What happened."""

    CREATION = "creation"
    DELETION = "deletion"
    RESTORE = "restore"
    MERGE = "merge"
    PRIVACY_DELETION = "privacyDeletion"
    """Deleted for good, and a person's copies elsewhere are to be forgotten too."""
    PROPERTY_CHANGE = "propertyChange"
    ASSOCIATION_CHANGE = "associationChange"
    UNKNOWN = "unknown"


class ObjectKind(StrEnum):
    """What it happened to."""

    CONTACT = "contact"
    BOOKING = "booking"
    EXAM = "mockexam"
    ENROLLMENT = "enrollment"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A record, by kind and id."""

    kind: ObjectKind
    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event.

    `records` are those it is about: one, all of a merge, both ends of an association; none where
    the event is unknown. `incomplete` says that the kind is known and the event lacks what the kind
    needs. `digest` is the same for two deliveries of one event and for no others.
    """

    digest: str
    event_id: str
    subscription: str
    kind: EventKind
    records: tuple[RecordRef, ...]
    property_name: str
    change_source: str
    by_subscriber: bool
    """Whether the app that these webhooks go to made the change itself."""
    occurred_at: datetime | None
    raw: Raw
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """The events of a body, and how many other things stood among them."""

    events: tuple[Event, ...]
    no_events: int


# The words before the dot, besides `object`, which needs a type id.
_OBJECT_KINDS = {
    "contact": ObjectKind.CONTACT,
    "booking": ObjectKind.BOOKING,
    "mockexam": ObjectKind.EXAM,
}
_EVENT_KINDS = {kind.value: kind for kind in EventKind if kind is not EventKind.UNKNOWN}
# To be forgotten must not depend on a spelling: webhooks say `privacyDeletion`, the journal
# `GDPR_DELETE`, its subscriptions `GDPR_PRIVACY_DELETION` (hubspot-facts).
_PRIVACY_DELETIONS = frozenset(
    {"privacydeletion", "privacydelete", "gdprdeletion", "gdprdelete", "gdprprivacydeletion"}
)
_NO_LETTERS = re.compile("[^a-z]+")

NOT_TOLD: Final = "NOT_TOLD"
"""The source of a change where HubSpot does not say who made it, as in its change journal."""
MAX_EVENTS: Final = 10_000
"""In one body; HubSpot sends a hundred (hubspot-facts, Webhooks)."""
MAX_MERGED: Final = 1_000
"""Records that became one in one event."""
_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Two deliveries are one event only when all of these agree: HubSpot promises no unique event id.
IDENTITY_FIELDS = (
    *("portalId", "eventId", "subscriptionId", "subscriptionType", "objectTypeId", "objectId"),
    *("propertyName", "occurredAt"),
    *("fromObjectTypeId", "fromObjectId", "toObjectTypeId", "toObjectId", "associationRemoved"),
    *("primaryObjectId", "mergedObjectIds", "newObjectId"),
)


def read_events(body: bytes, types: ObjectTypes) -> ReadEvents:
    """Return the events of a request's body, an array or a single one, and how many things in it
    are none; raise MalformedEvents where nothing was an event, and TooManyEvents."""
    found = _parse_body(body)
    items = found if isinstance(found, list) else [found]
    if len(items) > MAX_EVENTS:
        raise TooManyEvents
    events: list[Event] = []
    reason = ""
    for raw in items:
        try:
            events.append(read_event(raw, types))
        except MalformedEvents as error:
            reason = reason or str(error)
        except Exception as error:
            # Signed by HubSpot, and of a form nobody foresaw: the others are events all the same.
            logger.exception("An event cannot be read")
            reason = reason or f"An event cannot be read: {type(error).__name__}."
    if len(events) == 0 and reason:
        raise MalformedEvents(reason)
    return ReadEvents(tuple(events), no_events=len(items) - len(events))


def _parse_body(body: bytes) -> Any:
    try:
        return parse_json(body)
    except InvalidJson as error:
        raise MalformedEvents(f"The body cannot be read: {error}") from error


def read_event(raw: Any, types: ObjectTypes) -> Event:
    """Return one event; raise MalformedEvents for what is none."""
    subscription = raw.get("subscriptionType") if isinstance(raw, dict) else None
    if not isinstance(subscription, str) or subscription == "":
        raise MalformedEvents("Every event is an object with a subscriptionType.")
    word, _, change = subscription.partition(".")
    kind = _kind_of_change(change)
    object_kind = _object_kind(word, raw, types)
    records = () if object_kind is None else _records(kind, object_kind, raw, types)
    incomplete = object_kind is not None and kind is not EventKind.UNKNOWN and len(records) == 0
    return Event(
        digest=digest_of(raw),
        event_id=_text(raw, "eventId"),
        subscription=subscription,
        kind=kind if len(records) > 0 else EventKind.UNKNOWN,
        records=records,
        property_name=_text(raw, "propertyName"),
        change_source=_text(raw, "changeSource"),
        by_subscriber=_is_by_subscriber(raw),
        occurred_at=_parse_milliseconds(raw.get("occurredAt")),
        raw=raw,
        incomplete=incomplete,
    )


def digest_of(raw: Raw) -> str:
    """Return what two deliveries of one event have in common, as hexadecimal SHA-256."""
    identity = [raw.get(name) for name in IDENTITY_FIELDS]
    return sha256(dump_json(identity)).hexdigest()


def dump_json(value: Any) -> bytes:
    """Return JSON for what JSON may hold and orjson does not write too: numbers beyond 64 bits,
    half an emoji, which comes out escaped."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _kind_of_change(change: str) -> EventKind:
    if _NO_LETTERS.sub("", change.lower()) in _PRIVACY_DELETIONS:
        return EventKind.PRIVACY_DELETION
    return _EVENT_KINDS.get(change, EventKind.UNKNOWN)


def _object_kind(word: str, raw: Raw, types: ObjectTypes) -> ObjectKind | None:
    """Return what the event is about, or None for a word that HubSpot may have and we do not."""
    if word != "object":
        return _OBJECT_KINDS.get(word)
    type_id = raw.get("objectTypeId", raw.get("fromObjectTypeId"))
    return kind_of_type(type_id, types)


def kind_of_type(type_id: Any, types: ObjectTypes) -> ObjectKind:
    """Return what records of a type are to us, by HubSpot's id of it."""
    if not isinstance(type_id, str):
        return ObjectKind.OTHER
    named = {
        types.contacts: ObjectKind.CONTACT,
        types.bookings: ObjectKind.BOOKING,
        types.mock_exams: ObjectKind.EXAM,
        types.enrollments: ObjectKind.ENROLLMENT,
    }
    return named.get(type_id, ObjectKind.OTHER)


def _records(
    kind: EventKind, object_kind: ObjectKind, raw: Raw, types: ObjectTypes
) -> tuple[RecordRef, ...]:
    """Return the records, or none where one that the kind needs is not named."""
    if kind is EventKind.UNKNOWN or (
        kind is EventKind.PROPERTY_CHANGE and _text(raw, "propertyName") == ""
    ):
        return ()
    if kind is EventKind.ASSOCIATION_CHANGE:
        ends = [
            (kind_of_type(raw.get(f"{end}ObjectTypeId"), types), raw.get(f"{end}ObjectId"))
            for end in ("from", "to")
        ]
        return _parse_refs(ends)
    ids = [raw.get("objectId")]
    if kind is EventKind.MERGE:
        merged = raw.get("mergedObjectIds")
        others = merged if isinstance(merged, list) else []
        if len(others) > MAX_MERGED:
            return ()
        named = [raw.get(name) for name in ("objectId", "primaryObjectId", "newObjectId")]
        ids = [id_ for id_ in [*named, *others] if id_ is not None]
    return _parse_refs([(object_kind, id_) for id_ in ids])


def _parse_refs(named: list[tuple[ObjectKind, Any]]) -> tuple[RecordRef, ...]:
    """HubSpot writes ids as numbers, now and then as text; no record is called 0."""
    texts = [(kind, "" if isinstance(id_, bool) else str(id_)) for kind, id_ in named]
    if any(_ID.fullmatch(text) is None or int(text) == 0 for _, text in texts):
        return ()
    return tuple(dict.fromkeys(RecordRef(kind, str(int(text))) for kind, text in texts))


def _is_by_subscriber(raw: Raw) -> bool:
    app_id = raw.get("appId")
    if raw.get("changeSource") != "INTEGRATION" or app_id is None:
        return False
    return _text(raw, "sourceId") == str(app_id)


def _text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _parse_milliseconds(milliseconds: Any) -> datetime | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
