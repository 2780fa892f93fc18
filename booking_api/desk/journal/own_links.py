"""The links of bookings that the journal knows were made here, for whoever reads links.

They are the same rows that the desk decides by (`known_bookings`), asked for by readers: one that
waits for no lease, and goes on without the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from typing_extensions import override

from booking_api.desk.journal import known_bookings
from booking_api.desk.journal.merges import may_be_merged, same_contacts
from hubspot_sync.background.database_questions import (
    UNSURE_S,
    DatabaseQuestions,
    DatabaseSilent,
)
from hubspot_sync.batching.chunking import chunks
from hubspot_sync.reading.own_links import Ids, KnownLinks, OwnLinks

CHUNK = 500

Links = Mapping[str, Ids]


class JournalLinks(OwnLinks):
    """`now` is the clock that all processes of the deployment share."""

    def __init__(self, questions: DatabaseQuestions, now: Callable[[], datetime]) -> None:
        self._questions = questions
        self._now = now

    @override
    def bookings_of_contacts(self, contact_ids: Collection[str]) -> KnownLinks:
        return self._ask(contact_ids, self._read_of_contacts)

    @override
    def bookings_of_exams(self, exam_ids: Collection[str]) -> KnownLinks:
        def read(ids: Collection[str]) -> Links:
            found = known_bookings.read_unlisted_bookings(ids, (), self._now()).by_exam
            return {exam_id: tuple(found[exam_id]) for exam_id in ids if exam_id in found}

        return self._ask(exam_ids, read)

    @override
    def contacts_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        def read(ids: Collection[str]) -> Links:
            found = known_bookings.read_unlisted_links(ids, self._now())
            return {key: (links.contact_id,) for key, links in found.items() if links.contact_id}

        return self._ask(booking_ids, read)

    @override
    def exams_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        def read(ids: Collection[str]) -> Links:
            found = known_bookings.read_unlisted_links(ids, self._now())
            return {key: (links.exam_id,) for key, links in found.items() if links.exam_id}

        return self._ask(booking_ids, read)

    def _read_of_contacts(self, contact_ids: Collection[str]) -> Links:
        """A row names the contact as it was called then: it may have been merged since."""
        now = self._now()
        if len(contact_ids) == 1 and not any(_may_know(each, now) for each in contact_ids):
            return {}
        all_ids = same_contacts(contact_ids)
        found = known_bookings.read_unlisted_bookings((), all_ids, now).by_contact
        if len(found) == 0:
            return {}
        is_merged = all_ids != frozenset(contact_ids)
        links: dict[str, set[str]] = defaultdict(set)
        for contact_id in contact_ids:
            for each in same_contacts([contact_id]) if is_merged else (contact_id,):
                links[contact_id] |= found.get(each, frozenset())
        return {contact_id: tuple(booking_ids) for contact_id, booking_ids in links.items()}

    def _ask(self, ids: Collection[str], read: Callable[[Collection[str]], Links]) -> KnownLinks:
        def read_all() -> Links:
            found: dict[str, Ids] = {}
            for chunk in chunks(sorted(set(ids)), CHUNK):
                found.update(read(chunk))
            return found

        try:
            return KnownLinks(by_id=self._questions.ask(read_all))
        except DatabaseSilent:
            return KnownLinks(keep_s=UNSURE_S)


def _may_know(contact_id: str, now: datetime) -> bool:
    """Whether the journal may know a booking of this contact. Of hardly anybody it does, and this
    takes a fifth of the time of asking which."""
    return may_be_merged(contact_id) or known_bookings.may_know_bookings_of(contact_id, now)
