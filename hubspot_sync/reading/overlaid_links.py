"""Links as HubSpot shows them, and those made by us that it does not show yet.

HubSpot's word counts where there is one: a booking of ours that it shows to be linked to others by
now was moved, and is not put back. Where it shows none of a booking's links, ours count, unless it
told us that they were removed. Of one that was merged with another it shows the other's links, and
may tell that its own were removed: there ours count for as long as they may be unshown, unless it
told us that the other's were removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import Booking, ids_of
from hubspot_sync.reading.own_links import Ids, KnownLinks, OwnLinks
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.reading.recent_changes import RecentChanges, Topic
from hubspot_sync.wire.call_context import CallContext

Read = Callable[[Collection[str], CallContext], Many[Ids]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownLinks:
    """Links by id; `keep_s` bounds, in seconds, how long some of them may be kept."""

    links: Many[Ids]
    keep_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class OverlaidLinks:
    """The reads of links that readers get. Only where a booking of ours is not shown there is one
    call more: whose HubSpot shows it to be; and another where it was moved. `recent` says which
    were taken away since."""

    def __init__(self, hubspot: PortalReads, own: OwnLinks, recent: RecentChanges) -> None:
        self._hubspot = hubspot
        self._own = own
        self._contacts = contacts_of_bookings(hubspot, recent)
        self._exams = exams_of_bookings(hubspot, recent)

    def contact_bookings(self, contact_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = _read_contact_bookings(self._hubspot, contact_ids, context)
        own = self._own.bookings_of_contacts(contact_ids)
        whole = add_unshown(links, own.by_id, {}, self._contacts, context)
        return ShownLinks(links=whole, keep_s=_bounds(own, contact_ids))

    def exam_bookings(self, exam_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = self._hubspot.exam_bookings(exam_ids, context)
        own = self._own.bookings_of_exams(exam_ids)
        whole = add_unshown(links, own.by_id, {}, self._exams, context)
        return ShownLinks(links=whole, keep_s=_bounds(own, exam_ids))

    def add_merged(
        self, links: Many[Ids], all_ids: Mapping[str, Collection[str]], context: CallContext
    ) -> Many[Ids]:
        """Return the bookings of exams with those made for exams that were merged into them since.
        `all_ids` has all ids that mean an exam, by the one it was asked for by."""
        own = self._own.bookings_of_exams({each for ids in all_ids.values() for each in ids}).by_id
        made = {
            exam_id: tuple({booking for each in ids for booking in own.get(each, ())})
            for exam_id, ids in all_ids.items()
        }
        return add_unshown(links, made, all_ids, self._exams, context)

    def booking_contacts(self, booking_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = self._contacts.read(booking_ids, context)
        return add_unshown_ends(links, self._contacts, self._own.contacts_of_bookings, context)

    def booking_exams(self, booking_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = self._exams.read(booking_ids, context)
        return add_unshown_ends(links, self._exams, self._own.exams_of_bookings, context)


@dataclass(frozen=True, slots=True)
class BookingEnds:
    """How it is learnt what bookings are linked to: what HubSpot shows, which were taken away from
    there lately, which were merged lately, and the bookings themselves. What `has_seats` keeps the
    seat of a merged booking until HubSpot shows its links: which exam the survivor was taken from
    is not known, and a seat kept too long is sold to nobody twice."""

    has_seats: bool
    read: Read
    taken_away: Callable[[Collection[str]], frozenset[str]]
    merged: Callable[[Collection[str]], frozenset[str]]
    read_bookings: Callable[[Collection[str], CallContext], Many[Booking]]


def contacts_of_bookings(hubspot: PortalReads, recent: RecentChanges) -> BookingEnds:
    taken_away = partial(recent.taken_away, Topic.LEFT_CONTACT)
    return BookingEnds(
        has_seats=False,
        read=hubspot.booking_contacts,
        taken_away=taken_away,
        merged=recent.merged,
        read_bookings=hubspot.bookings,
    )


def exams_of_bookings(hubspot: PortalReads, recent: RecentChanges) -> BookingEnds:
    taken_away = partial(recent.taken_away, Topic.LEFT_EXAM)
    return BookingEnds(
        has_seats=True,
        read=hubspot.booking_exams,
        taken_away=taken_away,
        merged=recent.merged,
        read_bookings=hubspot.bookings,
    )


def add_unshown(
    links: Many[Ids],
    made: Mapping[str, Ids],
    all_ids: Mapping[str, Collection[str]],
    ends: BookingEnds,
    context: CallContext,
) -> Many[Ids]:
    """Return the bookings of records, with those that were `made` for each of them and are not
    shown for it; one call more where there are any, and another where some were moved or merged.
    `all_ids` has the ids that mean a record, where there are more than its key. A record is unknown
    where it could not be learnt whether one of them was moved since."""
    unshown = {
        record_id: set(made.get(record_id, ())).difference(shown)
        for record_id, shown in links.found.items()
    }
    asked = set[str]().union(*unshown.values())
    if len(asked) == 0:
        return links
    # What HubSpot refuses of a booking stays refused, and says nothing of whose it is.
    shown_ends = ends.read(asked, context).without_refused()
    without = {each for each in asked if len(shown_ends.if_found(each) or ()) == 0}
    standing = without - ends.taken_away(without)
    theirs = {
        record_id: (booking_ids & standing)
        | _list_shown_for({record_id, *all_ids.get(record_id, ())}, shown_ends, booking_ids)
        for record_id, booking_ids in unshown.items()
    }
    moved = set[str]().union(*(unshown[each] - theirs[each] for each in unshown))
    if not ends.has_seats:
        moved |= ends.merged(standing)
    merged = _read_merged(ends, moved, context)
    left = frozenset() if ends.has_seats else _list_left(ends, merged)
    found, unknown = dict(links.found), dict(links.unknown)
    for record_id, booking_ids in unshown.items():
        error = _first_error({**shown_ends.unknown, **merged.unknown}, booking_ids)
        if error is None:
            added = (theirs[record_id] | booking_ids.intersection(merged.found.keys())) - left
            found[record_id] = (*found[record_id], *sorted(added))
        else:
            unknown[record_id] = error
            del found[record_id]
    return replace(links, found=found, unknown=unknown)


def _list_shown_for(
    names: Collection[str], shown_ends: Many[Ids], booking_ids: Collection[str]
) -> set[str]:
    return {
        each for each in booking_ids if not set(names).isdisjoint(shown_ends.if_found(each) or ())
    }


def _read_merged(
    ends: BookingEnds, booking_ids: Collection[str], context: CallContext
) -> Many[Booking]:
    """Return those of the bookings that were merged with others, and those that nobody could say it
    of."""
    if len(booking_ids) == 0:
        return Many({})
    bookings = ends.read_bookings(booking_ids, context).without_refused()
    merged = {each: one for each, one in bookings.found.items() if ids_of(one) != (each,)}
    return Many(found=merged, unknown=bookings.unknown)


def _list_left(ends: BookingEnds, merged: Many[Booking]) -> frozenset[str]:
    """Return those of these bookings whose survivor was taken away: of what happens to one after
    it was merged, nobody is told by its own id. What is told of a survivor itself may be that it
    lost its own links to the other's."""
    survivors = {booking.id for booking in merged.found.values()}
    gone = ends.taken_away(survivors) if len(survivors) > 0 else frozenset()
    return frozenset(
        each for each, booking in merged.found.items() if booking.id in gone and booking.id != each
    )


def _first_error(
    errors: Mapping[str, HubSpotError], booking_ids: Collection[str]
) -> HubSpotError | None:
    return next((errors[each] for each in booking_ids if each in errors), None)


def add_unshown_ends(
    links: Many[Ids],
    ends: BookingEnds,
    read_own: Callable[[Collection[str]], KnownLinks],
    context: CallContext,
) -> ShownLinks:
    """Return what HubSpot shows of bookings, and of those that it shows none of what they were made
    for, where they were not taken away since."""
    empty = {record_id for record_id, shown in links.found.items() if len(shown) == 0}
    if len(empty) == 0:
        return ShownLinks(links=links)
    own = read_own(empty)
    made = empty & own.by_id.keys()
    standing = made - ends.taken_away(made) if len(made) > 0 else made
    merged = _read_merged(ends, ends.merged(standing), context)
    standing = standing - _list_left(ends, merged)
    found = {**links.found, **{each: own.by_id[each] for each in standing}}
    unknown = {**links.unknown, **merged.unknown}
    found = {each: linked for each, linked in found.items() if each not in unknown}
    filled = replace(links, found=found, unknown=unknown)
    return ShownLinks(links=filled, keep_s=_bounds(own, empty))


def _bounds(own: KnownLinks, ids: Collection[str]) -> Mapping[str, float]:
    return {} if own.keep_s is None else dict.fromkeys(ids, own.keep_s)


def _read_contact_bookings(
    hubspot: PortalReads, contact_ids: Collection[str], context: CallContext
) -> Many[Ids]:
    """Return all booking ids of each contact, or of the one it was merged into; one call more where
    a contact has none: whoever asks may hold the contact from a cache, and an old id that has no
    links any more may be another's by now. "No bookings" would be kept and shown."""
    links = hubspot.contact_bookings(contact_ids, context)
    without = {contact_id for contact_id, linked in links.found.items() if len(linked) == 0}
    contacts = hubspot.contacts(without - context.looked_up, context)
    survivors = {key: contact.id for key, contact in contacts.found.items() if contact.id != key}
    if len(survivors) == 0:
        return links
    theirs = hubspot.contact_bookings(set(survivors.values()), context)
    return merge((links.without(survivors), theirs.renamed(survivors)))
