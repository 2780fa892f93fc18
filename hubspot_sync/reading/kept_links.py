"""Our own links kept in the cache, beside what is kept there of HubSpot: what readers go by while
the database is away.

Whoever makes links has them kept before anybody is told, so that they are known in every process
that shares the cache. Nothing is read here as long as the database answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from typing_extensions import override

from cache_layer import (
    MISS,
    Cache,
    Family,
    Key,
    KeyPattern,
    LoadedValue,
    LoadResult,
    ValueCodec,
)
from cache_layer.errors import BackendUnavailable
from hubspot_sync.reading.own_links import MAX_LINK_LAG, Ids, KnownLinks, OwnLinks
from hubspot_sync.reading.tags import by_hand_tag, contact_tag, exam_tag

OF_CONTACT: Final = "contact_id"
OF_EXAM: Final = "exam_id"
CONTACT_OF: Final = "booking_of_contact"
EXAM_OF: Final = "booking_of_exam"


def build_kept_links_family() -> Family[Ids, Any]:
    return Family(
        name="kept-links",
        patterns=(
            KeyPattern("made:contact:{contact_id}:bookings"),
            KeyPattern("made:mockexam:{exam_id}:bookings"),
            KeyPattern("made:booking:{booking_of_contact}:contact"),
            KeyPattern("made:booking:{booking_of_exam}:mockexam"),
        ),
        values=ValueCodec(Ids),
        ttl_s=MAX_LINK_LAG.total_seconds(),
        load_many=_load_none,
        reloadable=False,
    )


def _load_none(keys: Collection[Key], _: Any) -> LoadResult[Ids]:
    """They are not HubSpot's to tell: whoever made the links stores them."""
    return LoadResult(loaded={}, absent=frozenset(keys))


class KeptLinks(OwnLinks):
    """What `journal` says, and where it cannot say, what was kept of it. `cache` is asked for at
    each use: it is built of families that read through here."""

    def __init__(
        self, journal: OwnLinks, family: Family[Ids, Any], cache: Callable[[], Cache]
    ) -> None:
        self._journal = journal
        self._family = family
        self._cache = cache

    def keep(
        self,
        contact_ids: Collection[str],
        exam_ids: Collection[str],
        booking_ids: Collection[str],
    ) -> None:
        """Keep what the journal now says of these; nothing is raised."""
        if not self._cache().config.enabled:
            return
        contacts = self._journal.contacts_of_bookings(booking_ids).by_id
        exams = self._journal.exams_of_bookings(booking_ids).by_id
        tags_of_booking = {
            each: [by_hand_tag(contact_tag(id_)) for id_ in contacts.get(each, ())]
            + [by_hand_tag(exam_tag(id_)) for id_ in exams.get(each, ())]
            for each in booking_ids
        }
        self._store(
            self._entries(
                OF_CONTACT,
                self._journal.bookings_of_contacts(contact_ids).by_id,
                lambda contact_id: [by_hand_tag(contact_tag(contact_id))],
            )
            | self._entries(
                OF_EXAM,
                self._journal.bookings_of_exams(exam_ids).by_id,
                lambda exam_id: [by_hand_tag(exam_tag(exam_id))],
            )
            | self._entries(CONTACT_OF, contacts, tags_of_booking.__getitem__)
            | self._entries(EXAM_OF, exams, tags_of_booking.__getitem__)
        )

    @override
    def bookings_of_contacts(self, contact_ids: Collection[str]) -> KnownLinks:
        return self._or_kept(OF_CONTACT, contact_ids, self._journal.bookings_of_contacts)

    @override
    def bookings_of_exams(self, exam_ids: Collection[str]) -> KnownLinks:
        return self._or_kept(OF_EXAM, exam_ids, self._journal.bookings_of_exams)

    @override
    def contacts_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        return self._or_kept(CONTACT_OF, booking_ids, self._journal.contacts_of_bookings)

    @override
    def exams_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        return self._or_kept(EXAM_OF, booking_ids, self._journal.exams_of_bookings)

    def _or_kept(
        self, argument: str, ids: Collection[str], ask: Callable[[Collection[str]], KnownLinks]
    ) -> KnownLinks:
        known = ask(ids)
        if known.keep_s is None or not self._cache().config.enabled:
            return known
        return KnownLinks(by_id=self._recall(argument, ids), keep_s=known.keep_s)

    def _recall(self, argument: str, ids: Collection[str]) -> Mapping[str, Ids]:
        keys = self._family.keys(argument, ids)
        store = self._cache().guarded_store
        try:
            held = store.look_up(list(keys.values())).entries
        except BackendUnavailable:
            return {}
        found: dict[str, Ids] = {}
        for record_id, key in keys.items():
            if key.text in held:
                kept = store.read_entry(self._family, key, held[key.text])
                # What cannot be read is as good as lost: it is stored anew with the next booking.
                if kept is not MISS:
                    found[record_id] = kept
        return found

    def _entries(
        self, argument: str, links: Mapping[str, Ids], tags: Callable[[str], Collection[str]]
    ) -> dict[Key, LoadedValue[Ids]]:
        return {
            self._family.key(**{argument: record_id}): LoadedValue.built_from(ids, tags(record_id))
            for record_id, ids in links.items()
        }

    def _store(self, entries: Mapping[Key, LoadedValue[Ids]]) -> None:
        store = self._cache().guarded_store
        try:
            ticket = store.look_up([]).ticket
        except BackendUnavailable:
            return  # counted and logged there; the journal has them
        store.store(ticket, self._family, entries)
