"""What an event means for us: the tags to drop, the exams and bookings whose count it may change.

Pure: nothing is asked here. Tags do the invalidation, so an event need not say what a record was
part of: every entry built from a dead booking has its tag. The two exceptions are what an event
brings into being without naming where: an exam that becomes bookable belongs in a list that does
not have its tag yet, so every list goes; and a restored record is back in its old links, which have
to be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from hubspot_sync.inbox.events import NOT_TOLD, Event, EventKind, ObjectKind, RecordRef
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.record_names import ADDITIONAL_EMAILS
from hubspot_sync.reading.tags import (
    ENROLLED_TAG,
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
    tags_with_links,
)
from hubspot_sync.reading.wrong_pairs import student_pairs_tag

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What one event means."""

    tags: frozenset[str] = NOTHING
    exam_ids: frozenset[str] = NOTHING
    """Exams to recount, named by the event itself."""
    booking_ids: frozenset[str] = NOTHING
    """Bookings whose exams are to be recounted."""
    links_known: bool = True
    """Whether HubSpot still knows the links of those bookings."""
    restored: tuple[RecordRef, ...] = ()
    """Records that are back in links, or in those of others, which have to be asked for."""
    forgotten: frozenset[str] = NOTHING
    """Contacts whose persons want to be forgotten, by id."""
    merged: frozenset[str] = NOTHING
    """Contacts that have become one, by id."""
    merged_bookings: frozenset[str] = NOTHING
    """Bookings that have become one, by id."""
    listed_exam_ids: frozenset[str] = NOTHING
    """Exams that may belong in other lists now than search knows."""
    relinked: frozenset[RecordRef] = frozenset()
    """Records that may be linked to others now than links are read."""
    unlinked: frozenset[tuple[ObjectKind, str]] = frozenset()
    """Bookings that were taken from a record of this kind, by id."""
    by_subscriber: bool = False
    """Whether the app that these webhooks go to made the change itself."""
    is_linking: bool = False
    """Whether a link was made."""
    is_creation: bool = False
    """Whether a record came into being; who knows a booking's id before has made it."""

    @property
    def is_nothing(self) -> bool:
        return len(self.tags) == 0

    @property
    def needs_applying(self) -> bool:
        """Whether something is left to do once the tags are dropped."""
        subjects = (self.exam_ids, self.booking_ids, self.restored, self.forgotten, self.merged)
        return any(len(records) > 0 for records in subjects)


def effect_of(event: Event, profile: PortalProfile) -> Effect:
    """Return what an event means; nothing for one that is unknown or about nothing of ours."""
    match event.kind:
        case EventKind.UNKNOWN:
            return Effect()
        case EventKind.ASSOCIATION_CHANGE:
            return _effect_of_link(event)
        case EventKind.PROPERTY_CHANGE:
            return _effect_of_property(event, profile)
        case EventKind.PRIVACY_DELETION:
            contact_ids = _ids_of_kind(event, ObjectKind.CONTACT)
            return replace(_effect_of_record(event, profile), forgotten=contact_ids)
        case EventKind.CREATION | EventKind.DELETION | EventKind.RESTORE | EventKind.MERGE:
            return _effect_of_record(event, profile)
        case _:
            assert_never(event.kind)


# A link lives in the collection of its owner and in the entries of the other end.
_COLLECTION_TAGS: Mapping[tuple[ObjectKind, ObjectKind], Callable[[str], str]] = {
    (ObjectKind.CONTACT, ObjectKind.BOOKING): contact_bookings_tag,
    (ObjectKind.EXAM, ObjectKind.BOOKING): exam_bookings_tag,
    (ObjectKind.CONTACT, ObjectKind.ENROLLMENT): contact_enrollments_tag,
}


def _effect_of_link(event: Event) -> Effect:
    tags: set[str] = set()
    exam_ids: set[str] = set()
    booking_ids: set[str] = set()
    relinked: set[RecordRef] = set()
    unlinked: set[tuple[ObjectKind, str]] = set()
    # A record linked to itself is one record.
    first, last = event.records[0], event.records[-1]
    for owner, member in ((first, last), (last, first)):
        collection_tag = _COLLECTION_TAGS.get((owner.kind, member.kind))
        if collection_tag is None:
            continue
        tags |= {collection_tag(owner.id), *_tags_with_links(member)}
        relinked |= {owner, member}
        is_booking = member.kind is ObjectKind.BOOKING
        if is_booking and event.raw.get("associationRemoved") is True:
            unlinked.add((owner.kind, member.id))
        if owner.kind is ObjectKind.EXAM:
            exam_ids.add(owner.id)
            booking_ids.add(member.id)
    return Effect(
        tags=frozenset(tags),
        exam_ids=frozenset(exam_ids),
        booking_ids=frozenset(booking_ids),
        links_known=False,
        relinked=frozenset(relinked),
        unlinked=frozenset(unlinked),
        is_linking=event.raw.get("associationRemoved") is False,
        by_subscriber=event.by_subscriber,
    )


def _effect_of_property(event: Event, profile: PortalProfile) -> Effect:
    (record,) = event.records
    tags, name = _record_tags(record), event.property_name
    if record.kind is ObjectKind.BOOKING and name in _seat_properties(profile):
        booking_ids = frozenset({record.id})
        return Effect(tags=tags, booking_ids=booking_ids, by_subscriber=event.by_subscriber)
    if record.kind is ObjectKind.CONTACT and name in _naming_properties(profile):
        tags |= {student_pairs_tag()}
    if record.kind is ObjectKind.ENROLLMENT and name == profile.enrollment_properties.get(
        "contact_record_id"
    ):
        tags |= {ENROLLED_TAG}
    if record.kind is ObjectKind.EXAM:
        return _effect_of_exam_property(record, name, tags, event, profile)
    return Effect(tags=tags)


_DESK_SOURCES = frozenset({"INTEGRATION", NOT_TOLD})


def _effect_of_exam_property(
    record: RecordRef, name: str, tags: frozenset[str], event: Event, profile: PortalProfile
) -> Effect:
    exam, ids = profile.exam_properties, frozenset({record.id})
    is_listing = name in {exam["is_active"], exam["mock_type"], exam["exam_date"]}
    # The count is written by the desk alone; whoever else does it by hand is corrected. Where it is
    # not told who did, it was the desk nearly always: then the periodic recount corrects it.
    by_hand = name == exam["total_bookings"] and event.change_source not in _DESK_SOURCES
    return Effect(
        tags=tags | _exam_list_tags(profile) if is_listing else tags,
        exam_ids=ids if by_hand or name == exam["is_active"] else NOTHING,
        listed_exam_ids=ids if is_listing else NOTHING,
    )


def _effect_of_record(event: Event, profile: PortalProfile) -> Effect:
    """Of a record that comes, goes, comes back or becomes part of another."""
    tags = frozenset().union(*(_subject_tags(record, profile) for record in event.records))
    is_merge = event.kind is EventKind.MERGE
    # Nobody promises that the links a merge moves are told of by events of their own.
    restored = event.records if is_merge or event.kind is EventKind.RESTORE else ()
    is_there = event.kind in {EventKind.CREATION, EventKind.RESTORE, EventKind.MERGE}
    exam_ids = _ids_of_kind(event, ObjectKind.EXAM)
    return Effect(
        tags=tags,
        # An exam that was cloned came with the count of another.
        exam_ids=exam_ids if is_there else NOTHING,
        booking_ids=_ids_of_kind(event, ObjectKind.BOOKING),
        # Links to what was deleted disappear from HubSpot's answers.
        links_known=event.kind not in {EventKind.DELETION, EventKind.PRIVACY_DELETION},
        restored=tuple(record for record in restored if record.kind in _LINKED_KINDS),
        merged=_ids_of_kind(event, ObjectKind.CONTACT) if is_merge else NOTHING,
        merged_bookings=_ids_of_kind(event, ObjectKind.BOOKING) if is_merge else NOTHING,
        listed_exam_ids=exam_ids,
        relinked=frozenset(record for record in event.records if record.kind in _LINKED_KINDS),
        by_subscriber=event.by_subscriber,
        is_creation=event.kind is EventKind.CREATION,
    )


_LINKED_KINDS = frozenset({ObjectKind.CONTACT, ObjectKind.BOOKING, ObjectKind.EXAM})


def _ids_of_kind(event: Event, kind: ObjectKind) -> frozenset[str]:
    return frozenset(record.id for record in event.records if record.kind is kind)


def _seat_properties(profile: PortalProfile) -> set[str | None]:
    """Return the properties that say whether a booking takes a seat."""
    names = profile.booking_properties
    return {names["is_active"], names.get("status")}


def _naming_properties(profile: PortalProfile) -> set[str]:
    """Return the properties by which a student says who they are."""
    names = profile.contact_properties
    return {names["email"], names["student_id"], ADDITIONAL_EMAILS}


_RECORD_TAGS: Mapping[ObjectKind, Callable[[str], str]] = {
    ObjectKind.CONTACT: contact_tag,
    ObjectKind.BOOKING: booking_tag,
    ObjectKind.EXAM: exam_tag,
    ObjectKind.ENROLLMENT: enrollment_tag,
}


def _record_tags(record: RecordRef) -> frozenset[str]:
    tag = _RECORD_TAGS.get(record.kind)
    return NOTHING if tag is None else frozenset({tag(record.id)})


def _tags_with_links(record: RecordRef) -> frozenset[str]:
    return NOTHING.union(*map(tags_with_links, _record_tags(record)))


def _subject_tags(record: RecordRef, profile: PortalProfile) -> frozenset[str]:
    if record.kind is ObjectKind.CONTACT:
        return tags_of_student(record.id)
    if record.kind is ObjectKind.EXAM:
        return tags_of_exam(record.id, profile)
    if record.kind is ObjectKind.ENROLLMENT:
        return frozenset({enrollment_tag(record.id), ENROLLED_TAG})
    return _tags_with_links(record)


def _exam_list_tags(profile: PortalProfile) -> frozenset[str]:
    return frozenset(exams_of_type_tag(mock_type.slug) for mock_type in profile.mock_types)


def tags_of_link(record: RecordRef, linked: RecordRef) -> frozenset[str]:
    """Return the tags of a link that is there again between a restored record and another."""
    tags = _tags_with_links(record) | _tags_with_links(linked)
    for owner, member in ((record, linked), (linked, record)):
        collection_tag = _COLLECTION_TAGS.get((owner.kind, member.kind))
        if collection_tag is not None:
            tags |= {collection_tag(owner.id)}
    return tags
