"""A student's booking by the id that people read, which is no key: several may have it, one after
the other. It is looked for among the student's own alone, never by search."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from booking_api.queries.own_bookings import find_own_bookings
from booking_api.queries.query_context import QueryContext
from booking_api.rules.errors import AccessDenied, BookingNotFound
from hubspot_sync.portal.booking_ids import normalize_booking_id, parse_student_id
from hubspot_sync.portal.identities import normalize_student_id
from hubspot_sync.portal.records import Booking, Contact

LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def find_named_booking(query: QueryContext, contact: Contact, name: str) -> str:
    """Return the record id of the student's booking with this readable id: of several the active
    one, else the newest.

    Raises AccessDenied where it names another student, as it is told of record ids, BookingNotFound
    where there is none, and HubSpotError where that could not be learnt.
    """
    reads, call = query.reads, query.call
    linked = reads.contact_bookings([contact.id], call).require_complete().found
    read = reads.bookings(linked.get(contact.id, ()), call)
    known = read.without_refused().require_complete().found
    wanted = normalize_booking_id(name)
    named = [each for each in known.values() if normalize_booking_id(each.booking_id) == wanted]
    own, is_whole = find_own_bookings(query, contact.id, named)
    if len(own) > 0:
        return choose_booking(own).id
    read.require_complete()  # one that HubSpot refuses to read may be the one
    named_student = normalize_student_id(parse_student_id(name))
    is_anothers = named_student not in {"", normalize_student_id(contact.student_id)}
    if is_anothers or (len(named) > 0 and is_whole):
        raise AccessDenied
    raise BookingNotFound


def choose_booking(bookings: Collection[Booking]) -> Booking:
    """Return the active one, else the newest; ids are compared as the numbers they are."""
    return max(
        bookings,
        key=lambda each: (
            each.state == "active",
            each.created_at or LONG_AGO,
            len(each.id),
            each.id,
        ),
    )
