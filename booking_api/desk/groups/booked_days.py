"""What the students of a group have booked already: their own active bookings, and for which type
and day each is now."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.decision_inputs import DecisionInputs
from booking_api.desk.journal.requests import CreateRequest
from booking_api.rules.eligibility import is_for
from booking_api.rules.errors import DuplicateBooking
from booking_api.rules.ownership import is_owner, judge_ownership
from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import Booking
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.writing.authoritative_reads import SeenContact

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BookedDays:
    """What was read for one group; asking for what could not be read raises HubSpotError.

    `contact_links` has who is linked to those bookings of which the properties alone do not tell
    whose they are, and `contacts` has them.
    """

    inputs: DecisionInputs
    contact_links: Many[tuple[str, ...]]
    contacts: Many[SeenContact]

    def check_no_duplicate(self, request: CreateRequest) -> None:
        """Raise DuplicateBooking where a booking of the student's own is active, and of this exam
        or for this type on that day."""
        for booking in list_perhaps_own(self.inputs, request):
            if self._stands_in_the_way(booking, request) and self._is_own(booking, request):
                raise DuplicateBooking

    def _stands_in_the_way(self, booking: Booking, request: CreateRequest) -> bool:
        if booking.id in self.inputs.exam(request.mock_exam_id).bookings:
            return True
        decides = self.inputs.exam_of(booking) or booking
        return is_for(decides, request.mock_type, request.exam_date)

    def _is_own(self, booking: Booking, request: CreateRequest) -> bool:
        seen = self.inputs.contacts.found[request.contact_id]
        verdict = judge_ownership(booking, seen.contact, is_linked=True)
        if verdict is not None:
            return verdict
        linked = {request.contact_id: seen.contact}
        for contact_id in self.contact_links.answered(booking.id) or ():
            other = self.contacts.answered(contact_id)
            if other is not None:
                linked[contact_id] = other.contact
        return is_owner(booking, seen.contact, linked.values())


def read_booked_days(
    desk_context: DeskContext,
    inputs: DecisionInputs,
    requests: Iterable[CreateRequest],
    context: CallContext,
) -> BookedDays:
    """Read what the check of these requests needs beyond `inputs`: nothing, where the students'
    bookings say themselves whose they are. Nothing is raised for a part that failed."""
    unclear = {each for request in requests for each in _list_unclear(inputs, request)}
    links = desk_context.hubspot.booking_contacts(unclear, context)
    linked = {contact_id for ids in links.found.values() for contact_id in ids}
    others = desk_context.evidence.contacts(linked - inputs.contacts.found.keys(), context)
    return BookedDays(inputs, links, merge((inputs.contacts, others)))


def list_perhaps_own(inputs: DecisionInputs, request: CreateRequest) -> list[Booking]:
    """Return the active bookings linked to the student but those that are certainly another
    contact's; raise HubSpotError."""
    seen = inputs.contacts.answered(request.contact_id)
    if seen is None:
        return []
    return [
        booking
        for booking in inputs.bookings_of_contact(request.contact_id)
        if booking.state == "active"
        and judge_ownership(booking, seen.contact, is_linked=True) is not False
    ]


def _list_unclear(inputs: DecisionInputs, request: CreateRequest) -> Collection[str]:
    """Return the ids of the student's bookings of which it depends on the others linked whose they
    are."""
    try:
        bookings = list_perhaps_own(inputs, request)
    except HubSpotError as error:  # asked for again, it refuses the request it is about
        log.info("bookings_unknown", contact=request.contact_id, error=error.safe_text)
        return ()
    contact = inputs.contacts.found[request.contact_id].contact if bookings else None
    return [
        booking.id
        for booking in bookings
        if contact is not None and judge_ownership(booking, contact, is_linked=True) is None
    ]
