"""The booking a student names, read from HubSpot now, and whether it is theirs: what cancels and
updates have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import journal
from booking_api.desk.journal.requests import CancelRequest, UpdateRequest
from booking_api.rules.errors import AccessDenied, AlreadyCanceled, AuthFailed, BookingNotFound
from booking_api.rules.students import is_theirs
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.portal.records import Booking
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenContact


@dataclass(frozen=True, slots=True)
class OwnedBookings:
    """What was read for a group; asking for what could not be read raises HubSpotError. `made` are
    those whose links HubSpot may not show yet, by booking."""

    contacts: Many[SeenContact]
    bookings: Many[Booking]
    owners: Many[tuple[str, ...]]
    exam_links: Many[tuple[str, ...]]
    made: Mapping[str, journal.Made]

    def of(self, asked: CancelRequest | UpdateRequest) -> tuple[SeenContact, Booking]:
        """Return the student and the booking.

        Raises AuthFailed, then BookingNotFound, AccessDenied and AlreadyCanceled.
        """
        seen = self.contacts.answered(asked.pair.email)
        if seen is None or not is_theirs(seen.contact, asked.pair):
            raise AuthFailed
        booking = self.bookings.answered(asked.booking_id)
        if booking is None:
            raise BookingNotFound
        if seen.contact.id not in self._owners_of(booking.id):
            raise AccessDenied
        if booking.state == "cancelled":
            raise AlreadyCanceled
        return seen, booking

    def exams_of(self, booking_id: str) -> tuple[str, ...]:
        linked = self.exam_links.answered(booking_id) or ()
        return linked or tuple(made.exam_id for made in self._made(booking_id))

    def exam_ids(self) -> set[str]:
        """All exams that were found."""
        found = {id_ for linked in self.exam_links.found.values() for id_ in linked}
        return found | {made.exam_id for made in self.made.values()}

    def _owners_of(self, booking_id: str) -> tuple[str, ...]:
        linked = self.owners.answered(booking_id) or ()
        return linked or tuple(made.contact_id for made in self._made(booking_id))

    def _made(self, booking_id: str) -> tuple[journal.Made, ...]:
        return (self.made[booking_id],) if booking_id in self.made else ()


def read_owned(
    tools: DeskContext, asked: Collection[CancelRequest | UpdateRequest], context: CallContext
) -> OwnedBookings:
    """Read all at once, in one round trip; nothing is raised for a part that failed."""
    ids = {one.booking_id for one in asked}
    emails = {one.pair.email for one in asked}
    contacts, bookings, owners, exam_links = run_together(
        tools.fan_out,
        lambda: tools.evidence.contacts_by_email(emails, context),
        lambda: tools.hubspot.bookings(ids, context),
        lambda: tools.hubspot.booking_contacts(ids, context),
        lambda: tools.hubspot.booking_exams(ids, context),
    )
    made = journal.just_made(ids, tools.now())
    return OwnedBookings(contacts, bookings, owners, exam_links, made)
