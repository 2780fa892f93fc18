"""What the application may ask of the portal, in typed records and in batches.

`PortalReads` is the whole list. Each method takes many keys at once and answers Found, Missing and
Unknown for each; none ever raises for a part that failed. `HubSpotReads` asks HubSpot itself, every
time; whoever wants a cache puts it in front.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

from typing_extensions import override

from hubspot_sync.batching.coalescing import Coalescer
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.paging import SearchFilter, WordFilter
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.record_reader import (
    booking_property_names,
    contact_property_names,
    enrollment_property_names,
    exam_property_names,
    read_booking,
    read_contact,
    read_enrollment,
    read_exam,
)
from hubspot_sync.portal.records import Booking, Contact, Enrollment, MockExam
from hubspot_sync.portal.unreadable_values import NoteReading, ignore_reading
from hubspot_sync.wire.call_context import CallContext


class PortalReads(Protocol):
    """Reads of contacts, bookings, exams and what links them."""

    def contacts_by_email(self, emails: Collection[str], context: CallContext) -> Many[Contact]:
        """Current contacts keyed by lower-cased e-mail; never by search."""
        ...

    def contacts(self, ids: Collection[str], context: CallContext) -> Many[Contact]: ...

    def bookings(self, ids: Collection[str], context: CallContext) -> Many[Booking]: ...

    def exams(self, ids: Collection[str], context: CallContext) -> Many[MockExam]: ...

    def contact_bookings(
        self, contact_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        """All booking ids of each contact, every page followed; none is an empty tuple."""
        ...

    def exam_bookings(
        self, exam_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        """All booking ids of each exam, every page followed; none is an empty tuple."""
        ...

    def booking_exams(
        self, booking_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        """The exam ids of each booking; usually one, none where unlinked or archived."""
        ...

    def booking_contacts(
        self, booking_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]: ...

    def contact_enrollments(
        self, contact_ids: Collection[str], context: CallContext
    ) -> Many[tuple[Enrollment, ...]]:
        """All enrollments that name each contact, whatever they are linked to; found by search, and
        as they are now."""
        ...

    def active_exam_ids(self, mock_type: str, context: CallContext) -> tuple[str, ...]:
        """Which exams of a type may be bookable, by search: ids alone, their values come from
        `exams`. Raises HubSpotError."""
        ...

    def student_exists(self, student_id: str, context: CallContext) -> bool:
        """Whether some contact has this student id, by search: good enough to word a refusal,
        never to let anybody in. Raises HubSpotError."""
        ...


class HubSpotReads(PortalReads):
    """The same, from HubSpot; concurrent callers share calls through the coalescer. `note` hears of
    every record that is read."""

    def __init__(
        self,
        *,
        profile: PortalProfile,
        coalescer: Coalescer,
        now: Callable[[], datetime],
        note: NoteReading = ignore_reading,
    ) -> None:
        self._note = note
        self._profile = profile
        self._types = profile.object_types
        self._coalescer = coalescer
        self._now = now

    @override
    def contacts_by_email(self, emails: Collection[str], context: CallContext) -> Many[Contact]:
        # HubSpot may find a contact by a second address of theirs too; the result is keyed by the
        # first, so nobody is let in by another.
        raw = self._coalescer.read(
            self._types.contacts,
            emails,
            properties=contact_property_names(self._profile),
            context=context,
            id_property=self._profile.contact_properties["email"],
        )
        return raw.map(self._to_contact)

    @override
    def contacts(self, ids: Collection[str], context: CallContext) -> Many[Contact]:
        names = contact_property_names(self._profile)
        raw = self._coalescer.read(self._types.contacts, ids, properties=names, context=context)
        return raw.map(self._to_contact)

    @override
    def bookings(self, ids: Collection[str], context: CallContext) -> Many[Booking]:
        names = booking_property_names(self._profile)
        raw = self._coalescer.read(self._types.bookings, ids, properties=names, context=context)
        return raw.map(self._to_booking)

    @override
    def exams(self, ids: Collection[str], context: CallContext) -> Many[MockExam]:
        names = exam_property_names(self._profile)
        raw = self._coalescer.read(self._types.mock_exams, ids, properties=names, context=context)
        return raw.map(self._to_exam)

    @override
    def contact_bookings(
        self, contact_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        return self._read_links(self._types.contacts, self._types.bookings, contact_ids, context)

    @override
    def exam_bookings(
        self, exam_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        return self._read_links(self._types.mock_exams, self._types.bookings, exam_ids, context)

    @override
    def booking_exams(
        self, booking_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        return self._read_links(self._types.bookings, self._types.mock_exams, booking_ids, context)

    @override
    def booking_contacts(
        self, booking_ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        return self._read_links(self._types.bookings, self._types.contacts, booking_ids, context)

    @override
    def contact_enrollments(
        self, contact_ids: Collection[str], context: CallContext
    ) -> Many[tuple[Enrollment, ...]]:
        if self._types.enrollments is None:
            return Many(found=dict.fromkeys(contact_ids, ()))
        raw = self._coalescer.read_by_property(
            self._types.enrollments,
            self._profile.enrollment_properties["contact_record_id"],
            contact_ids,
            properties=enrollment_property_names(self._profile),
            context=context,
        )
        return raw.map(
            lambda records: tuple(
                read_enrollment(record.id, record.properties, self._profile) for record in records
            )
        )

    @override
    def active_exam_ids(self, mock_type: str, context: CallContext) -> tuple[str, ...]:
        names = self._profile.exam_properties
        # A day early: an exam may run past midnight, and search compares dates in UTC.
        yesterday = self._now().astimezone(self._profile.time_zone).date() - timedelta(days=1)
        filters = (
            SearchFilter(property_name=names["mock_type"], operator="EQ", value=mock_type),
            SearchFilter(
                property_name=names["exam_date"], operator="GTE", value=yesterday.isoformat()
            ),
        )
        # Looked at here: a person may have said "yes" in a word that is no value of the property's,
        # and HubSpot refuses a search for such.
        is_open = WordFilter(
            property_name=names["is_active"], words=self._profile.exam_active_values
        )
        return self._coalescer.search_ids(
            self._types.mock_exams, filters, context=context, words=is_open
        )

    @override
    def student_exists(self, student_id: str, context: CallContext) -> bool:
        name = self._profile.contact_properties["student_id"]
        same = SearchFilter(property_name=name, operator="EQ", value=student_id)
        same_id = self._coalescer.search_ids(self._types.contacts, (same,), context=context)
        return len(same_id) > 0

    def _read_links(
        self, from_type: str, to_type: str, ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        return self._coalescer.read_associations(from_type, to_type, ids, context=context)

    def _to_contact(self, record: RawRecord) -> Contact:
        contact = read_contact(record.id, record.properties, self._profile)
        self._note(contact)
        return contact

    def _to_exam(self, record: RawRecord) -> MockExam:
        exam = read_exam(record.id, record.properties, self._profile)
        self._note(exam)
        return exam

    def _to_booking(self, record: RawRecord) -> Booking:
        booking = read_booking(
            record.id,
            record.properties,
            self._profile,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )
        self._note(booking)
        return booking
