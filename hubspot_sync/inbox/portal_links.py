"""What HubSpot says events are linked to, asked in one call for each kind of link, not per event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.errors import HubSpotError
from hubspot_sync.inbox.effects import tags_of_links
from hubspot_sync.inbox.events import ObjectKind, RecordRef
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline

# What is asked in the background has time, but must be answered before its rows are claimed anew.
ASK_S = 30.0

Ids = tuple[str, ...]
Read = Callable[[Collection[str], CallContext], Many[Ids]]


@dataclass(slots=True)
class PortalLinks:
    """`exams` of each booking; `tags` of the links that restored records are in again; `unknown` is
    what HubSpot could not say, and why."""

    exams: Mapping[str, Ids] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    unknown: dict[RecordRef, HubSpotError] = field(default_factory=dict)


def ask_links(
    hubspot: PortalReads, booking_ids: Collection[str], restored: Collection[RecordRef]
) -> PortalLinks:
    """Return the exams of these bookings and the links of restored records; never raises for what
    HubSpot could not answer."""
    context = CallContext(deadline=Deadline.after(ASK_S), priority=Priority.BACKGROUND)
    linked = PortalLinks()
    if len(booking_ids) > 0:
        found = hubspot.booking_exams(booking_ids, context)
        linked.exams = found.found
        linked.unknown |= {
            RecordRef(ObjectKind.BOOKING, id_): why for id_, why in found.unknown.items()
        }
    for thing, other, read in _directions(hubspot):
        ids = {record.id for record in restored if record.thing is thing}
        if len(ids) == 0:
            continue
        many = read(ids, context)
        linked.unknown |= {RecordRef(thing, id_): why for id_, why in many.unknown.items()}
        for id_, others in many.found.items():
            for one in others:
                linked.tags |= tags_of_links(RecordRef(thing, id_), RecordRef(other, one))
    return linked


def _directions(hubspot: PortalReads) -> tuple[tuple[ObjectKind, ObjectKind, Read], ...]:
    return (
        (ObjectKind.BOOKING, ObjectKind.CONTACT, hubspot.booking_contacts),
        (ObjectKind.BOOKING, ObjectKind.EXAM, hubspot.booking_exams),
        (ObjectKind.CONTACT, ObjectKind.BOOKING, hubspot.contact_bookings),
        (ObjectKind.CONTACT, ObjectKind.ENROLLMENT, hubspot.contact_enrollments),
        (ObjectKind.EXAM, ObjectKind.BOOKING, hubspot.exam_bookings),
    )
