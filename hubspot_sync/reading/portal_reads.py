"""What the application may ask of the portal, in typed records and in batches.

`PortalReads` is the whole list. Each method takes many keys at once and answers Found, Missing and
Unknown for each; none ever raises for a part that failed. `HubSpotReads` asks HubSpot itself, every
time; whoever wants a cache puts it in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from typing_extensions import override

from hubspot_sync.batching.chunking import chunks
from hubspot_sync.batching.coalescing import Coalescer
from hubspot_sync.batching.merged_links import read_links
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.paging import (
    MAX_FILTER_GROUPS,
    SearchFilter,
    WordFilter,
    written_value,
)
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.portal.identities import normalize_student_id
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
from hubspot_sync.reading.recent_changes import NO_RECENT_CHANGES, RecentChanges
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import FanOut, run_together


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveExams:
    """The ids of the exams that may be bookable, by mock type. `keep_s` bounds, in seconds, how
    long the lists may be kept, where they may lack an exam."""

    by_type: Mapping[str, tuple[str, ...]]
    keep_s: float | None = None


class PortalReads(Protocol):
    """Reads of contacts, bookings, exams and what links them. By the id of a merged record it is
    the survivor that is found, with an id of its own, and its links."""

    def contacts_by_email(self, emails: Collection[str], context: CallContext) -> Many[Contact]:
        """Current contacts keyed by e-mail, as it is compared; never by search."""
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

    def active_exams(self, mock_types: Collection[str], context: CallContext) -> ActiveExams:
        """Which exams of these types may be bookable, by one search for all of them, and by what
        was told of lately: ids alone, their values come from `exams`. Raises HubSpotError."""
        ...

    def active_exam_ids(self, mock_type: str, context: CallContext) -> tuple[str, ...]:
        """The same of one type."""
        return self.active_exams([mock_type], context).by_type[mock_type]

    def student_exists(self, student_id: str, context: CallContext) -> bool:
        """Whether some contact has this student id, by search: good enough to word a refusal,
        never to let anybody in. Raises HubSpotError."""
        ...


class HubSpotReads(PortalReads):
    """The same, from HubSpot; concurrent callers share calls through the coalescer. `note` hears of
    every record that is read; `recent` says what search may not know yet, and is read beside it."""

    def __init__(
        self,
        *,
        profile: PortalProfile,
        coalescer: Coalescer,
        fan_out_for: Callable[[CallContext], FanOut],
        now: Callable[[], datetime],
        note: NoteReading = ignore_reading,
        recent: RecentChanges = NO_RECENT_CHANGES,
    ) -> None:
        self._note = note
        self._recent = recent
        self._profile = profile
        self._types = profile.object_types
        self._coalescer = coalescer
        self._fan_out_for = fan_out_for
        self._now = now

    @override
    def contacts_by_email(self, emails: Collection[str], context: CallContext) -> Many[Contact]:
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
    def active_exams(self, mock_types: Collection[str], context: CallContext) -> ActiveExams:
        recent = self._recent.exams()
        # A day early: an exam may run past midnight, and search compares dates in UTC.
        now = self._now().astimezone(self._profile.time_zone)
        yesterday = now.date() - timedelta(days=1)
        searched, told = run_together(
            self._fan_out_for(context),
            lambda: self._search_exams(mock_types, yesterday, context),
            lambda: self.exams(recent.ids, context),
        )
        by_type: dict[str, dict[str, None]] = {mock_type: {} for mock_type in mock_types}
        for exam_id, mock_type in searched.items():
            by_type[mock_type][exam_id] = None
        # Search still says what they were before; they themselves say what they are.
        for exam_ids in by_type.values():
            for exam_id in told.found.keys() | told.missing:
                exam_ids.pop(exam_id, None)
        for exam in told.found.values():
            is_past = exam.exam_date is not None and exam.exam_date < yesterday
            if exam.is_active and not is_past and exam.mock_type in by_type:
                by_type[exam.mock_type][exam.id] = None
        # Whoever reads it again will hear what it is, or that it cannot be read.
        for exam_ids in by_type.values():
            exam_ids.update(dict.fromkeys(told.unknown))
        return ActiveExams(
            by_type={mock_type: tuple(exam_ids) for mock_type, exam_ids in by_type.items()},
            # At midnight the search is another one.
            keep_s=min(
                math.inf if recent.keep_s is None else recent.keep_s, _seconds_to_midnight(now)
            ),
        )

    def _search_exams(
        self, mock_types: Collection[str], since: date, context: CallContext
    ) -> dict[str, str]:
        """Return the type of each exam that search calls active, by id; a search for every few of
        the types."""
        found: dict[str, str] = {}
        for some_types in chunks(list(dict.fromkeys(mock_types)), MAX_FILTER_GROUPS):
            found |= self._search_exams_once(some_types, since, context)
        return found

    def _search_exams_once(
        self, mock_types: Collection[str], since: date, context: CallContext
    ) -> dict[str, str]:
        names = self._profile.exam_properties
        named_type, named_date = names["mock_type"], names["exam_date"]
        of_day = SearchFilter(property_name=named_date, operator="GTE", value=since.isoformat())
        # Groups of EQ: what IN takes for a text is lower case only, and EQ is asked in any.
        groups = [
            (SearchFilter(property_name=named_type, operator="EQ", value=mock_type), of_day)
            for mock_type in mock_types
        ]
        # Looked at here: a person may have said "yes" in a word that is no value of the property's,
        # and HubSpot refuses a search for such.
        is_open = WordFilter(
            property_name=names["is_active"], words=self._profile.exam_active_values
        )
        rows = self._coalescer.search_rows(
            *(self._types.mock_exams, groups),
            context=context,
            looked_at=(is_open.property_name, named_type),
        )
        spelled = {mock_type.strip().casefold(): mock_type for mock_type in mock_types}
        found = {}
        for exam_id, row in rows.items():
            written = written_value(row, named_type).casefold()
            if is_open.accepts(row) and written in spelled:
                found[exam_id] = spelled[written]
        return found

    @override
    def student_exists(self, student_id: str, context: CallContext) -> bool:
        name = self._profile.contact_properties["student_id"]
        # As a word too: a person may have typed blanks around it, or lower case.
        groups = [
            (SearchFilter(property_name=name, operator=operator, value=student_id),)
            for operator in ("EQ", "CONTAINS_TOKEN")
        ]
        rows = self._coalescer.search_rows(
            self._types.contacts, groups, context=context, looked_at=(name,)
        )
        return any(
            normalize_student_id(written_value(row, name)) == student_id for row in rows.values()
        )

    def _read_links(
        self, from_type: str, to_type: str, ids: Collection[str], context: CallContext
    ) -> Many[tuple[str, ...]]:
        return read_links(self._coalescer, from_type, to_type, ids, context)

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


def _seconds_to_midnight(now: datetime) -> float:
    """Return how long it is until the next day begins where `now` is."""
    midnight = datetime.combine(now.date() + timedelta(days=1), time.min, now.tzinfo)
    # Both in UTC: a day may have 23 or 25 hours.
    return (midnight.astimezone(UTC) - now.astimezone(UTC)).total_seconds()
