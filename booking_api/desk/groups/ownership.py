"""The booking a student names, read from HubSpot now, and whether it is theirs: what cancels and
updates have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import known_bookings
from booking_api.desk.journal.requests import CancelRequest, UpdateRequest
from booking_api.rules.errors import AccessDenied, AlreadyCanceled, AuthFailed, BookingNotFound
from booking_api.rules.ownership import is_linked, is_owner, judge_ownership
from booking_api.rules.students import is_theirs
from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import Booking, Contact, ids_of
from hubspot_sync.reading.recent_changes import Topic
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenContact
from hubspot_sync.writing.linked_bookings import LinkedBooking, is_refused_alone

LinkedBookings = tuple[Many[Booking], Many[tuple[str, ...]], Many[tuple[str, ...]]]
"""Bookings, their contacts and their exams."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OwnedBookings:
    """What was read for a group; asking for what could not be read raises HubSpotError.

    `contacts` are by e-mail, `linked_contacts` by id, all else by the booking's record id.
    `unlisted` has the links that HubSpot may not show yet; of those in `left_contact` and
    `left_exam` it told that they were taken away. `linked_contacts` are read only where
    it depends on them whose a booking is, or where one of them paid for it. `payers` are the
    contacts that paid for bookings made here.
    """

    contacts: Many[SeenContact]
    bookings: Many[Booking]
    owners: Many[tuple[str, ...]]
    exam_links: Many[tuple[str, ...]]
    unlisted: Mapping[str, known_bookings.UnlistedLinks]
    left_contact: frozenset[str]
    left_exam: frozenset[str]
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
        is_taken_back = any(links.is_taken_back for links in self._unlisted_of(booking))
        if booking.state == "cancelled" or is_taken_back:
            raise AlreadyCanceled
        return seen, booking

    def exams_of(self, booking: Booking) -> tuple[str, ...]:
        """Return the ids of the exams the booking is linked to, as a rule one."""
        linked = self.exam_links.answered(booking.id) or ()
        if len(linked) > 0 or not self.left_exam.isdisjoint(ids_of(booking)):
            return linked
        return tuple(links.exam_id for links in self._unlisted_of(booking))

    def found_contacts(self) -> list[Contact]:
        """All contacts that were found."""
        seen = [*self.contacts.found.values(), *self.linked_contacts.found.values()]
        return [each.contact for each in seen]

    def exam_ids(self) -> set[str]:
        """All exams that were found."""
        found = {exam_id for linked in self.exam_links.found.values() for exam_id in linked}
        return found | {links.exam_id for links in self.unlisted.values()}

    def payer(self, booking: Booking, owner: SeenContact) -> SeenContact:
        """Return whose credit the booking cost: the contact that the journal knows, else, or where
        that one is gone, the owner's."""
        payer_id = self._payer_id_of(booking)
        if payer_id is None or payer_id in ids_of(owner.contact):
            return owner
        return self.linked_contacts.answered(payer_id) or owner

    def needed_contacts(self, request: CancelRequest | UpdateRequest) -> set[str]:
        """Return the contacts besides the student that have to be read."""
        seen = self.contacts.if_found(request.pair.email)
        booking = self.bookings.if_found(request.booking_id)
        payer_id = None if booking is None else self._payer_id_of(booking)
        needed = self._unclear_owners(request) | ({payer_id} if payer_id is not None else set())
        return needed - ({seen.contact.id} if seen is not None else set())

    def _unclear_owners(self, request: CancelRequest | UpdateRequest) -> set[str]:
        """Return the contacts that have to be read to tell whether the booking is the student's."""
        seen = self.contacts.if_found(request.pair.email)
        booking = self.bookings.if_found(request.booking_id)
        if seen is None or booking is None or booking.id in self.owners.unknown:
            return set()
        linked = set(self._owners_of(booking))
        linked_too = is_linked(seen.contact, linked)
        is_told = judge_ownership(booking, seen.contact, is_linked=linked_too) is not None
        return set() if is_told else linked - {seen.contact.id}

    def _is_own(self, booking: Booking, contact: Contact) -> bool:
        linked = self._owners_of(booking)
        linked_too = is_linked(contact, linked)
        verdict = judge_ownership(booking, contact, is_linked=linked_too)
        if verdict is not None:
            return verdict
        there = {contact.id: contact} if linked_too else {}
        for contact_id in set(linked) - {*ids_of(contact)}:
            other = self.linked_contacts.answered(contact_id)
            if other is not None:
                there[other.contact.id] = other.contact
        return is_owner(booking, contact, there.values())

    def _owners_of(self, booking: Booking) -> tuple[str, ...]:
        linked = self.owners.answered(booking.id) or ()
        if len(linked) > 0 or not self.left_contact.isdisjoint(ids_of(booking)):
            return linked
        return tuple(links.contact_id for links in self._unlisted_of(booking))

    def _unlisted_of(self, booking: Booking) -> tuple[known_bookings.UnlistedLinks, ...]:
        return tuple(self.unlisted[each] for each in ids_of(booking) if each in self.unlisted)

    def _payer_id_of(self, booking: Booking) -> str | None:
        """Return who paid for the booking, by whichever id it had then; None where nobody did."""
        paid = (self.payers[each] for each in ids_of(booking) if each in self.payers)
        return next(paid, None)


def read_owned_bookings(
    desk_context: DeskContext,
    requests: Collection[CancelRequest | UpdateRequest],
    context: CallContext,
) -> OwnedBookings:
    """Read all at once, in one round trip, and other contacts of a booking in a second one where it
    depends on them whose it or its credit is; nothing is raised for a part that failed."""
    booking_ids = {request.booking_id for request in requests}
    emails = {request.pair.email for request in requests}
    contacts, (bookings, owners, exam_links) = run_together(
        desk_context.fan_out,
        lambda: desk_context.evidence.contacts_by_email(emails, context),
        lambda: _read_bookings(desk_context, booking_ids, context),
    )
    survivors = {booking.id for booking in bookings.found.values()} - booking_ids
    survivors -= owners.found.keys() & exam_links.found.keys()
    if len(survivors) > 0:  # of the old ids HubSpot may show no links
        owners = merge((owners, desk_context.hubspot.booking_contacts(survivors, context)))
        exam_links = merge((exam_links, desk_context.hubspot.booking_exams(survivors, context)))
    all_ids = booking_ids.union(*map(ids_of, bookings.found.values()))
    unlisted = known_bookings.read_unlisted_links(all_ids, desk_context.now())
    taken_away = desk_context.recent.taken_away
    owned = OwnedBookings(
        contacts=contacts,
        bookings=bookings,
        owners=owners,
        exam_links=exam_links,
        unlisted=unlisted,
        left_contact=taken_away(Topic.LEFT_CONTACT, all_ids) if unlisted else frozenset(),
        left_exam=taken_away(Topic.LEFT_EXAM, all_ids) if unlisted else frozenset(),
        payers=known_bookings.payers_of(all_ids),
    )
    needed = set().union(*(owned.needed_contacts(request) for request in requests))
    return replace(owned, linked_contacts=desk_context.evidence.contacts(needed, context))


def _read_bookings(
    desk_context: DeskContext, booking_ids: Collection[str], context: CallContext
) -> LinkedBookings:
    """Read bookings with their links: a single one in one call, where HubSpot tells its links with
    it, several in three."""
    if len(booking_ids) == 1 and desk_context.linked.tells_links:
        (booking_id,) = booking_ids
        try:
            linked = desk_context.linked.read(booking_id, context)
        except HubSpotError as error:
            if not is_refused_alone(error):
                unknown = {booking_id: error}
                return Many({}, unknown=unknown), Many({}), Many({})
            # What is refused when it is asked this way may be answered when asked the other way.
            log.warning("booking_not_read_alone", booking=booking_id, error=error.safe_text)
            desk_context.linked.note_silence()
        else:
            return _complete_links(desk_context, booking_id, linked, context)
    return run_together(
        desk_context.fan_out,
        lambda: desk_context.hubspot.bookings(booking_ids, context),
        lambda: desk_context.hubspot.booking_contacts(booking_ids, context),
        lambda: desk_context.hubspot.booking_exams(booking_ids, context),
    )


def _complete_links(
    desk_context: DeskContext,
    booking_id: str,
    linked: LinkedBooking | None,
    context: CallContext,
) -> LinkedBookings:
    """Return what a single read told, with the links that it left unsaid read besides."""
    if linked is None:
        return Many({}, missing=frozenset({booking_id})), Many({}), Many({})
    ids = {booking_id, linked.booking.id}
    owners, exam_links = run_together(
        desk_context.fan_out,
        lambda: desk_context.hubspot.booking_contacts(
            ids if linked.contacts is None else (), context
        ),
        lambda: desk_context.hubspot.booking_exams(ids if linked.exams is None else (), context),
    )
    told_nothing = linked.contacts is None and linked.exams is None
    if told_nothing and any(len(shown) > 0 for shown in owners.found.values()):
        desk_context.linked.note_silence()
    return (
        Many({booking_id: linked.booking}),
        owners if linked.contacts is None else Many(dict.fromkeys(ids, linked.contacts)),
        exam_links if linked.exams is None else Many(dict.fromkeys(ids, linked.exams)),
    )
