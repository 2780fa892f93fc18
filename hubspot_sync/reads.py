"""What the application may ask of the portal, in typed records and in batches.

`PortalReads` is the whole list. Each method takes many keys at once and answers Found, Missing and
Unknown for each; none ever raises for a part that failed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from hubspot_sync.context import CallContext
from hubspot_sync.outcomes import Many
from hubspot_sync.records import Booking, Contact, Enrollment, MockExam


class PortalReads(Protocol):
    """Reads of contacts, bookings, exams and what links them."""

    def contacts_by_email(self, emails: Collection[str], context: CallContext) -> Many[Contact]:
        """Current contacts keyed by lower-cased e-mail; never by search."""
        ...

    def contacts(self, ids: Collection[str], context: CallContext) -> Many[Contact]: ...

    def bookings(self, ids: Collection[str], context: CallContext) -> Many[Booking]: ...

    def exams(self, ids: Collection[str], context: CallContext) -> Many[MockExam]: ...

    def enrollments(self, ids: Collection[str], context: CallContext) -> Many[Enrollment]: ...

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
    ) -> Many[tuple[str, ...]]: ...

    def active_exam_ids(self, mock_type: str, context: CallContext) -> tuple[str, ...]:
        """Which exams of a type may be bookable, by search: ids alone, their values come from
        `exams`. Raises HubSpotError."""
        ...
