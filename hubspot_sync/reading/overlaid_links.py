"""Links as HubSpot shows them, and those made by us that it does not show yet.

HubSpot's word counts where there is one: a booking of ours that it shows to be linked to others by
now was moved, and is not put back. Where it shows none of a booking's links, ours count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.errors import HubSpotError
from hubspot_sync.reading.merged_contacts import read_contact_bookings
from hubspot_sync.reading.own_links import Ids, KnownLinks, OwnLinks
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext

Read = Callable[[Collection[str], CallContext], Many[Ids]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownLinks:
    """Links by id; `keep_s` bounds, in seconds, how long some of them may be kept."""

    links: Many[Ids]
    keep_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class OverlaidLinks:
    """The reads of links that readers get. Only where a booking of ours is not shown there is one
    call more: whose HubSpot shows it to be."""

    def __init__(self, hubspot: PortalReads, own: OwnLinks) -> None:
        self._hubspot = hubspot
        self._own = own

    def contact_bookings(self, contact_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = read_contact_bookings(self._hubspot, contact_ids, context)
        own = self._own.bookings_of_contacts(contact_ids)
        whole = _add_unshown(links, own.by_id, {}, self._hubspot.booking_contacts, context)
        return ShownLinks(links=whole, keep_s=_bounds(own, contact_ids))

    def exam_bookings(self, exam_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = self._hubspot.exam_bookings(exam_ids, context)
        own = self._own.bookings_of_exams(exam_ids)
        whole = _add_unshown(links, own.by_id, {}, self._hubspot.booking_exams, context)
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
        return _add_unshown(links, made, all_ids, self._hubspot.booking_exams, context)

    def booking_contacts(self, booking_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = self._hubspot.booking_contacts(booking_ids, context)
        return _fill_empty(links, self._own.contacts_of_bookings)

    def booking_exams(self, booking_ids: Collection[str], context: CallContext) -> ShownLinks:
        links = self._hubspot.booking_exams(booking_ids, context)
        return _fill_empty(links, self._own.exams_of_bookings)


def _add_unshown(
    links: Many[Ids],
    made: Mapping[str, Ids],
    all_ids: Mapping[str, Collection[str]],
    read_owners: Read,
    context: CallContext,
) -> Many[Ids]:
    """Return the links with the bookings that were made for each record and are not shown for it.
    A record is unknown where it could not be learnt whether one of them was moved since."""
    unshown = {
        record_id: set(made.get(record_id, ())).difference(shown)
        for record_id, shown in links.found.items()
    }
    asked = set[str]().union(*unshown.values())
    if len(asked) == 0:
        return links
    # What HubSpot refuses of a booking stays refused, and says nothing of whose it is.
    owners = read_owners(asked, context).without_refused()
    found, unknown = dict(links.found), dict(links.unknown)
    for record_id, booking_ids in unshown.items():
        error = _first_error(owners, booking_ids)
        if error is None:
            names = {record_id, *all_ids.get(record_id, ())}
            theirs = (each for each in booking_ids if _is_shown_for_no_other(owners, each, names))
            found[record_id] = (*found[record_id], *sorted(theirs))
        else:
            unknown[record_id] = error
            del found[record_id]
    return Many(found=found, missing=links.missing, unknown=unknown)


def _first_error(owners: Many[Ids], booking_ids: Collection[str]) -> HubSpotError | None:
    return next((owners.unknown[each] for each in booking_ids if each in owners.unknown), None)


def _is_shown_for_no_other(owners: Many[Ids], booking_id: str, names: Collection[str]) -> bool:
    shown = owners.found.get(booking_id, ())
    return len(shown) == 0 or not set(shown).isdisjoint(names)


def _fill_empty(links: Many[Ids], read_own: Callable[[Collection[str]], KnownLinks]) -> ShownLinks:
    """Return the links with ours for those bookings that HubSpot shows none of."""
    empty = {record_id for record_id, shown in links.found.items() if len(shown) == 0}
    if len(empty) == 0:
        return ShownLinks(links=links)
    own = read_own(empty)
    found = {**links.found, **{each: own.by_id[each] for each in empty & own.by_id.keys()}}
    filled = Many(found=found, missing=links.missing, unknown=links.unknown)
    return ShownLinks(links=filled, keep_s=_bounds(own, empty))


def _bounds(own: KnownLinks, ids: Collection[str]) -> Mapping[str, float]:
    return {} if own.keep_s is None else dict.fromkeys(ids, own.keep_s)
