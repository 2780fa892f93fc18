"""What HubSpot says events are linked to, asked in one call per kind of link, not per event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.errors import HubSpotError
from hubspot_sync.inbox.effects import tags_of_link
from hubspot_sync.inbox.events import ObjectKind, RecordRef
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

# What is asked in the background has time, but must be answered before its rows are claimed anew.
FETCH_WITHIN_S: Final = 30.0

Ids = tuple[str, ...]
Read = Callable[[Collection[str], CallContext], Many[Ids]]


@dataclass(slots=True)
class PortalLinks:
    """`exams` of each booking; `tags` of the links that restored records are in again, and
    `relinked`, the records at the other ends; `unknown` is what HubSpot could not say, and why."""

    exams: Many[Ids] = field(default_factory=lambda: Many({}))
    tags: set[str] = field(default_factory=set)
    relinked: set[RecordRef] = field(default_factory=set)
    unknown: dict[RecordRef, HubSpotError] = field(default_factory=dict)


def fetch_links(
    hubspot: PortalReads, booking_ids: Collection[str], restored: Collection[RecordRef]
) -> PortalLinks:
    """Return the exams of these bookings and the links of restored records; never raises for what
    HubSpot could not answer."""
    context = CallContext(
        deadline=Deadline.after(FETCH_WITHIN_S),
        priority=Priority.BACKGROUND,
        meters=(CallMeter("webhooks"),),
    )
    links = PortalLinks()
    if len(booking_ids) > 0:
        links.exams = hubspot.booking_exams(booking_ids, context)
        links.unknown |= _by_record(ObjectKind.BOOKING, links.exams.unknown)
    for kind, linked_kind, read in _readers_of_links(hubspot):
        record_ids = {record.id for record in restored if record.kind is kind}
        if len(record_ids) == 0:
            continue
        linked = read(record_ids, context)
        links.unknown |= _by_record(kind, linked.unknown)
        for record_id, linked_ids in linked.found.items():
            for linked_id in linked_ids:
                linked_record = RecordRef(linked_kind, linked_id)
                links.tags |= tags_of_link(RecordRef(kind, record_id), linked_record)
                links.relinked.add(linked_record)
    return links


def _by_record(
    kind: ObjectKind, errors: Mapping[str, HubSpotError]
) -> dict[RecordRef, HubSpotError]:
    return {RecordRef(kind, record_id): error for record_id, error in errors.items()}


def _readers_of_links(hubspot: PortalReads) -> tuple[tuple[ObjectKind, ObjectKind, Read], ...]:
    """Return how the links from records of a kind to records of another are read."""
    return (
        (ObjectKind.BOOKING, ObjectKind.CONTACT, hubspot.booking_contacts),
        (ObjectKind.BOOKING, ObjectKind.EXAM, hubspot.booking_exams),
        (ObjectKind.CONTACT, ObjectKind.BOOKING, hubspot.contact_bookings),
        (ObjectKind.EXAM, ObjectKind.BOOKING, hubspot.exam_bookings),
    )
