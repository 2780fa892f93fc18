"""Which exams the cache shows with a booking, looked up before the booking's entries are dropped.

A deletion names nothing but the dead, and afterwards HubSpot does not know its links any more. What
was built from the booking does: the bookings and the seats of its exam, and the exam it was linked
to. It is a hint; what the cache does not hold is learnt elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from cache_layer import HeldEntry
from cache_layer.errors import UnreadableEntry
from hubspot_sync.reading.cache_families import booking_tag
from hubspot_sync.reading.cached_portal import CachedPortal


def exams_shown_with(
    booking_ids: Collection[str], cached: CachedPortal
) -> Mapping[str, frozenset[str]]:
    """Return the exams of each booking that the cache knows something of, at the cost of what was
    built from these bookings; raise BackendUnavailable."""
    if len(booking_ids) == 0:
        return {}
    by_tag = {booking_tag(id_): id_ for id_ in booking_ids}
    backend, catalogue = cached.cache.backend, cached.cache.catalogue
    keyed_by_exam: dict[str, str] = {}
    links: dict[str, str] = {}
    for text in backend.find_keys_by_tags(by_tag):
        known = catalogue.parse_key(text)
        if known is None:
            continue
        family, key = known
        if "exam_id" in key.arguments:
            keyed_by_exam[text] = key.arguments["exam_id"]
        elif family is cached.families.booking_exams:
            links[text] = key.arguments["booking_id"]
    held = backend.look_up([*keyed_by_exam, *links], touch=False).entries
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for text, one in held.items():
        if text in keyed_by_exam:
            for tag in one.entry.tags & by_tag.keys():
                found[by_tag[tag]] |= {keyed_by_exam[text]}
        elif links[text] in booking_ids:
            found[links[text]] |= _linked(one)
    return found


def _linked(held: HeldEntry) -> frozenset[str]:
    try:
        return frozenset(held.value())
    except UnreadableEntry:
        # The reader who next wants it will load it again.
        return frozenset()
