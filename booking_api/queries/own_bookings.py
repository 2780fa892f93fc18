"""Which of the bookings linked to a contact are its own."""

from __future__ import annotations

from collections.abc import Collection

from booking_api.queries.query_context import QueryContext
from booking_api.rules.ownership import is_owner, judge_ownership
from hubspot_sync.portal.records import Booking, Contact


def find_own_bookings(
    query: QueryContext, contact_id: str, bookings: Collection[Booking]
) -> tuple[list[Booking], bool]:
    """Return those of a contact's linked bookings that are its own, and whether nothing was refused
    that decides it: a booking of which that was is left out. Raises HubSpotError."""
    if all(booking.contact_id == contact_id for booking in bookings):
        return list(bookings), True
    contacts = query.reads.contacts([contact_id], query.call).require_complete()
    contact = contacts.found.get(contact_id)
    if contact is None:
        return [booking for booking in bookings if booking.contact_id == contact_id], True
    verdicts = {each.id: judge_ownership(each, contact, is_linked=True) for each in bookings}
    unclear = [booking for booking in bookings if verdicts[booking.id] is None]
    own, is_whole = _judge_unclear(query, contact, unclear)
    return [each for each in bookings if verdicts[each.id] or each.id in own], is_whole


def _judge_unclear(
    query: QueryContext, contact: Contact, bookings: Collection[Booking]
) -> tuple[set[str], bool]:
    """Ask who else is linked to these bookings, and return the ids of the contact's own."""
    reads, call = query.reads, query.call
    if len(bookings) == 0:
        return set(), True
    links = reads.booking_contacts([booking.id for booking in bookings], call)
    linked = links.without_refused().require_complete().found
    contacts = reads.contacts({each for ids in linked.values() for each in ids}, call)
    there = contacts.without_refused().require_complete().found
    own = set()
    for booking in bookings:
        ids = linked.get(booking.id, ())
        is_told = contacts.refused.isdisjoint(ids) and booking.id not in links.refused
        others = [there[each] for each in ids if each in there]
        if is_told and is_owner(booking, contact, others):
            own.add(booking.id)
    return own, links.complete and contacts.complete
