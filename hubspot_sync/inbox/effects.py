"""What an event means for us: the tags to drop, the exams and bookings whose count it may change.

Pure: nothing is asked here. Tags do the invalidation, so an event need not say what a record was
part of: every entry built from a dead booking has its tag. The two exceptions are what an event
brings into being without naming where: an exam that becomes bookable belongs in a list that does not
have its tag yet, so every list goes; and a restored record is back in its old links, which have to
be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from hubspot_sync.inbox.events import Event, EventKind, ObjectKind, RecordRef
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cache_families import (
    booking_tag,
    contact_bookings_tag,
    contact_enrollments_tag,
    contact_tag,
    enrollment_tag,
    exam_bookings_tag,
    exam_tag,
    exams_of_type_tag,
    tags_of_exam,
    tags_of_student,
)

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What one event means."""

    tags: frozenset[str] = NOTHING
    exams: frozenset[str] = NOTHING
    """Exams to recount, named by the event itself."""
    bookings: frozenset[str] = NOTHING
    """Bookings whose exams are to be recounted."""
    linked: bool = True
    """Whether HubSpot still knows the links of those bookings."""
    restored: tuple[RecordRef, ...] = ()
    """Records that are back in links which have to be asked for."""
    by_subscriber: bool = False

    @property
    def is_nothing(self) -> bool:
        return len(self.tags) == 0

    @property
    def counts(self) -> bool:
        """Whether something is left to do once the tags are dropped."""
        return len(self.exams) + len(self.bookings) + len(self.restored) > 0


def effect_of(event: Event, profile: PortalProfile) -> Effect:
    """Return what an event means; nothing for one that is unknown or about nothing of ours."""
    match event.kind:
        case EventKind.UNKNOWN:
            return Effect()
        case EventKind.ASSOCIATION_CHANGE:
            return _of_association(event)
        case EventKind.PROPERTY_CHANGE:
            return _of_property(event, profile)
        case EventKind.CREATION | EventKind.DELETION | EventKind.RESTORE | EventKind.MERGE:
            return _of_life(event, profile)
        case _:
            assert_never(event.kind)


# A link lives in the collection of its owner and in the entries of the other end.
_COLLECTIONS: Mapping[tuple[ObjectKind, ObjectKind], Callable[[str], str]] = {
    (ObjectKind.CONTACT, ObjectKind.BOOKING): contact_bookings_tag,
    (ObjectKind.CONTACT, ObjectKind.ENROLLMENT): contact_enrollments_tag,
    (ObjectKind.EXAM, ObjectKind.BOOKING): exam_bookings_tag,
}


def _of_association(event: Event) -> Effect:
    tags: set[str] = set()
    exams: set[str] = set()
    bookings: set[str] = set()
    # A record linked to itself is one record.
    one, other = event.records[0], event.records[-1]
    for owner, member in ((one, other), (other, one)):
        collection = _COLLECTIONS.get((owner.thing, member.thing))
        if collection is None:
            continue
        tags |= {collection(owner.id), *_own_tags(member)}
        if owner.thing is ObjectKind.EXAM:
            exams.add(owner.id)
            bookings.add(member.id)
    return Effect(
        tags=frozenset(tags),
        exams=frozenset(exams),
        bookings=frozenset(bookings),
        linked=False,
        by_subscriber=event.by_subscriber,
    )


def _of_property(event: Event, profile: PortalProfile) -> Effect:
    (record,) = event.records
    tags, name = _own_tags(record), event.property_name
    if record.thing is ObjectKind.BOOKING and name in _booking_states(profile):
        bookings = frozenset({record.id})
        return Effect(tags=tags, bookings=bookings, by_subscriber=event.by_subscriber)
    if record.thing is ObjectKind.EXAM:
        exam = profile.exam_properties
        if name in {exam["is_active"], exam["mock_type"], exam["exam_date"]}:
            tags |= _lists(profile)
        # The count is written by the desk alone; whoever else does it by hand is corrected.
        by_hand = name == exam["total_bookings"] and event.change_source != "INTEGRATION"
        if by_hand or name == exam["is_active"]:
            return Effect(tags=tags, exams=frozenset({record.id}))
    return Effect(tags=tags)


def _of_life(event: Event, profile: PortalProfile) -> Effect:
    """Of a record that comes, goes, comes back or becomes part of another."""
    tags = frozenset().union(*(_all_tags(record, profile) for record in event.records))
    restored = event.records if event.kind is EventKind.RESTORE else ()
    named = {thing: _ids(event, thing) for thing in (ObjectKind.BOOKING, ObjectKind.EXAM)}
    bookable_again = event.kind in {EventKind.RESTORE, EventKind.MERGE}
    return Effect(
        tags=tags,
        exams=named[ObjectKind.EXAM] if bookable_again else NOTHING,
        bookings=named[ObjectKind.BOOKING],
        # Links to what was deleted disappear from HubSpot's answers.
        linked=event.kind is not EventKind.DELETION,
        restored=tuple(ref for ref in restored if ref.thing in _LINKED_THINGS),
        by_subscriber=event.by_subscriber,
    )


_LINKED_THINGS = frozenset({ObjectKind.CONTACT, ObjectKind.BOOKING, ObjectKind.EXAM})


def _ids(event: Event, thing: ObjectKind) -> frozenset[str]:
    return frozenset(record.id for record in event.records if record.thing is thing)


def _booking_states(profile: PortalProfile) -> set[str | None]:
    """The properties that say whether a booking takes a seat."""
    names = profile.booking_properties
    return {names["is_active"], names.get("status")}


_OWN: Mapping[ObjectKind, Callable[[str], str]] = {
    ObjectKind.CONTACT: contact_tag,
    ObjectKind.BOOKING: booking_tag,
    ObjectKind.EXAM: exam_tag,
    ObjectKind.ENROLLMENT: enrollment_tag,
}


def _own_tags(record: RecordRef) -> frozenset[str]:
    tag = _OWN.get(record.thing)
    return NOTHING if tag is None else frozenset({tag(record.id)})


def _all_tags(record: RecordRef, profile: PortalProfile) -> frozenset[str]:
    if record.thing is ObjectKind.CONTACT:
        return tags_of_student(record.id)
    if record.thing is ObjectKind.EXAM:
        return tags_of_exam(record.id, profile)
    return _own_tags(record)


def _lists(profile: PortalProfile) -> frozenset[str]:
    return frozenset(exams_of_type_tag(mock_type.slug) for mock_type in profile.mock_types)


def tags_of_links(record: RecordRef, linked: RecordRef) -> frozenset[str]:
    """Return the tags of a link that is there again between a restored record and another."""
    tags = _own_tags(record) | _own_tags(linked)
    for owner, member in ((record, linked), (linked, record)):
        collection = _COLLECTIONS.get((owner.thing, member.thing))
        if collection is not None:
            tags |= {collection(owner.id)}
    return tags
