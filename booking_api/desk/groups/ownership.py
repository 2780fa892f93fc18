"""The booking a student names, read from HubSpot now, and whether it is theirs: what cancels and
updates have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import known_bookings
from booking_api.desk.journal.requests import CancelRequest, UpdateRequest
from booking_api.rules.errors import AccessDenied, AlreadyCanceled, AuthFailed, BookingNotFound
from booking_api.rules.ownership import is_owner, judge_ownership
from booking_api.rules.students import is_theirs
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.portal.records import Booking, Contact
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenContact


@dataclass(frozen=True, slots=True)
class OwnedBookings:
    """What was read for a group; asking for what could not be read raises HubSpotError.

    `contacts` are by e-mail, `linked_contacts` by id, all else by the booking's record id.
    `unlisted` has the links that HubSpot may not show yet. `linked_contacts` are read only where
    it depends on them whose a booking is, or where one of them paid for it. `payers` are the
    contacts that paid for bookings made here.
    """

    contacts: Many[SeenContact]
    bookings: Many[Booking]
    owners: Many[tuple[str, ...]]
    exam_links: Many[tuple[str, ...]]
    unlisted: Mapping[str, known_bookings.UnlistedLinks]
    payers: Mapping[str, str]
    linked_contacts: Many[SeenContact] = field(default_factory=lambda: Many({}))

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
        if not self._is_own(booking, seen.contact):
            raise AccessDenied
        # One that is being taken back has no credit to give.
        is_taken_back = any(links.is_taken_back for links in self._unlisted_of(booking.id))
        if booking.state == "cancelled" or is_taken_back:
            raise AlreadyCanceled
        return seen, booking

    def exams_of(self, booking_id: str) -> tuple[str, ...]:
        """Return the ids of the exams the booking is linked to, as a rule one."""
        linked = self.exam_links.answered(booking_id) or ()
        return linked or tuple(links.exam_id for links in self._unlisted_of(booking_id))

    def contact_ids(self) -> set[str]:
        """All contacts that were found."""
        seen = [*self.contacts.found.values(), *self.linked_contacts.found.values()]
        return {each.contact.id for each in seen}

    def exam_ids(self) -> set[str]:
        """All exams that were found."""
        found = {exam_id for linked in self.exam_links.found.values() for exam_id in linked}
        return found | {links.exam_id for links in self.unlisted.values()}

    def payer(self, booking_id: str, owner: SeenContact) -> SeenContact:
        """Return whose credit the booking cost: the contact that the journal knows, else, or where
        that one is gone, the owner's."""
        payer_id = self.payers.get(booking_id, owner.contact.id)
        if payer_id == owner.contact.id or payer_id in owner.contact.merged_ids:
            return owner
        return self.linked_contacts.answered(payer_id) or owner

    def needed_contacts(self, request: CancelRequest | UpdateRequest) -> set[str]:
        """Return the contacts besides the student that have to be read."""
        seen = self.contacts.found.get(request.pair.email)
        payer_id = self.payers.get(request.booking_id)
        needed = self._unclear_owners(request) | ({payer_id} if payer_id is not None else set())
        return needed - ({seen.contact.id} if seen is not None else set())

    def _unclear_owners(self, request: CancelRequest | UpdateRequest) -> set[str]:
        """Return the contacts that have to be read to tell whether the booking is the student's."""
        seen = self.contacts.found.get(request.pair.email)
        booking = self.bookings.found.get(request.booking_id)
        if seen is None or booking is None or booking.id not in self.owners.found:
            return set()
        linked = set(self._owners_of(booking.id))
        is_linked = seen.contact.id in linked
        is_told = judge_ownership(booking, seen.contact, is_linked=is_linked) is not None
        return set() if is_told else linked - {seen.contact.id}

    def _is_own(self, booking: Booking, contact: Contact) -> bool:
        linked = self._owners_of(booking.id)
        verdict = judge_ownership(booking, contact, is_linked=contact.id in linked)
        if verdict is not None:
            return verdict
        there = {contact.id: contact} if contact.id in linked else {}
        for contact_id in set(linked) - {contact.id}:
            other = self.linked_contacts.answered(contact_id)
            if other is not None:
                there[contact_id] = other.contact
        return is_owner(booking, contact, there.values())

    def _owners_of(self, booking_id: str) -> tuple[str, ...]:
        linked = self.owners.answered(booking_id) or ()
        return linked or tuple(links.contact_id for links in self._unlisted_of(booking_id))

    def _unlisted_of(self, booking_id: str) -> tuple[known_bookings.UnlistedLinks, ...]:
        return (self.unlisted[booking_id],) if booking_id in self.unlisted else ()


def read_owned_bookings(
    desk_context: DeskContext,
    requests: Collection[CancelRequest | UpdateRequest],
    context: CallContext,
) -> OwnedBookings:
    """Read all at once, in one round trip, and other contacts of a booking in a second one where it
    depends on them whose it or its credit is; nothing is raised for a part that failed."""
    booking_ids = {request.booking_id for request in requests}
    emails = {request.pair.email for request in requests}
    contacts, bookings, owners, exam_links = run_together(
        desk_context.fan_out,
        lambda: desk_context.evidence.contacts_by_email(emails, context),
        lambda: desk_context.hubspot.bookings(booking_ids, context),
        lambda: desk_context.hubspot.booking_contacts(booking_ids, context),
        lambda: desk_context.hubspot.booking_exams(booking_ids, context),
    )
    unlisted = known_bookings.read_unlisted_links(booking_ids, desk_context.now())
    payers = known_bookings.payers_of(booking_ids)
    owned = OwnedBookings(contacts, bookings, owners, exam_links, unlisted, payers)
    needed = set().union(*(owned.needed_contacts(request) for request in requests))
    return replace(owned, linked_contacts=desk_context.evidence.contacts(needed, context))
