"""Which exams the cache shows with a booking, looked up before the booking's entries are dropped.

A deletion names nothing but the dead, and afterwards HubSpot does not know its links any more. What
was built from the booking does: the bookings and the seats of its exam, and the exam it was linked
to. It is a hint; what the cache does not hold is learnt elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from cache_layer import MISS, HeldEntry, Key
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.reading.tags import booking_tag, tags_with_links


def find_cached_exams(
    booking_ids: Collection[str], cached: CachedPortal
) -> Mapping[str, frozenset[str]]:
    """Return the exam ids of each booking that the cache knows something of; raise
    BackendUnavailable. It costs as much as there are entries built from these bookings."""
    if len(booking_ids) == 0:
        return {}
    by_tag = {
        tag: booking_id
        for booking_id in booking_ids
        for tag in tags_with_links(booking_tag(booking_id))
    }
    backend, catalogue = cached.cache.backend, cached.cache.catalogue
    keyed_by_exam: dict[str, str] = {}
    keyed_by_booking: dict[str, Key] = {}
    for key_text in backend.find_keys_by_tags(by_tag):
        family_and_key = catalogue.parse_key(key_text)
        if family_and_key is None:
            continue
        family, key = family_and_key
        if "exam_id" in key.arguments:
            keyed_by_exam[key_text] = key.arguments["exam_id"]
        elif family is cached.families.booking_exams:
            keyed_by_booking[key_text] = key
    # Not only what this release has stored: tags say the same in all of them.
    entries = backend.look_up([*keyed_by_exam, *keyed_by_booking], touch=False).entries
    exam_ids: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for key_text, held in entries.items():
        if key_text in keyed_by_exam:
            for tag in held.entry.tags & by_tag.keys():
                exam_ids[by_tag[tag]] |= {keyed_by_exam[key_text]}
        elif (key := keyed_by_booking[key_text]).arguments["booking_id"] in booking_ids:
            exam_ids[key.arguments["booking_id"]] |= _read_exam_ids(cached, key, held)
    return exam_ids


def _read_exam_ids(cached: CachedPortal, key: Key, held: HeldEntry) -> frozenset[str]:
    ids = cached.cache.guarded_store.read_entry(cached.families.booking_exams, key, held)
    return frozenset() if ids is MISS else frozenset(ids)
