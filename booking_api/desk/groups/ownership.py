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
    """What was read for a group; asking for what could not be read raises HubSpotError.

    Contacts are by e-mail, all else by the booking's record id. `unlisted` has the links that
    HubSpot may not show yet.
    """

    contacts: Many[SeenContact]
    bookings: Many[Booking]
    owners: Many[tuple[str, ...]]
    exam_links: Many[tuple[str, ...]]
    unlisted: Mapping[str, journal.UnlistedLinks]

    def require_student(self, request: CancelRequest | UpdateRequest) -> SeenContact:
        """Return the student; raise AuthFailed."""
        seen = self.contacts.answered(request.pair.email)
        if seen is None or not is_theirs(seen.contact, request.pair):
            raise AuthFailed
        return seen

    def require_own(self, request: CancelRequest | UpdateRequest) -> tuple[SeenContact, Booking]:
        """Return the student and the booking.

        Raises AuthFailed, then BookingNotFound, AccessDenied and AlreadyCanceled.
        """
        seen = self.require_student(request)
        booking = self.bookings.answered(request.booking_id)
        if booking is None:
            raise BookingNotFound
        if seen.contact.id not in self._owners_of(booking.id):
            raise AccessDenied
        if booking.state == "cancelled":
            raise AlreadyCanceled
        return seen, booking

    def exams_of(self, booking_id: str) -> tuple[str, ...]:
        """Return the ids of the exams the booking is linked to, as a rule one."""
        linked = self.exam_links.answered(booking_id) or ()
        return linked or tuple(links.exam_id for links in self._unlisted_of(booking_id))

    def exam_ids(self) -> set[str]:
        """All exams that were found."""
        found = {exam_id for linked in self.exam_links.found.values() for exam_id in linked}
        return found | {links.exam_id for links in self.unlisted.values()}

    def _owners_of(self, booking_id: str) -> tuple[str, ...]:
        linked = self.owners.answered(booking_id) or ()
        return linked or tuple(links.contact_id for links in self._unlisted_of(booking_id))

    def _unlisted_of(self, booking_id: str) -> tuple[journal.UnlistedLinks, ...]:
        return (self.unlisted[booking_id],) if booking_id in self.unlisted else ()


def read_owned_bookings(
    desk_context: DeskContext,
    requests: Collection[CancelRequest | UpdateRequest],
    context: CallContext,
) -> OwnedBookings:
    """Read all at once, in one round trip; nothing is raised for a part that failed."""
    booking_ids = {request.booking_id for request in requests}
    emails = {request.pair.email for request in requests}
    contacts, bookings, owners, exam_links = run_together(
        desk_context.fan_out,
        lambda: desk_context.evidence.contacts_by_email(emails, context),
        lambda: desk_context.hubspot.bookings(booking_ids, context),
        lambda: desk_context.hubspot.booking_contacts(booking_ids, context),
        lambda: desk_context.hubspot.booking_exams(booking_ids, context),
    )
    unlisted = journal.read_unlisted_links(booking_ids, desk_context.now())
    return OwnedBookings(contacts, bookings, owners, exam_links, unlisted)
