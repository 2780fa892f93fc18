"""What the cache holds about a student id and an e-mail that claim to be one student's, and asking
HubSpot where that is not enough.

A contact that is held may prove a pair right, and never proves one wrong: its student id may have
changed unheard. A wrong pair is what a read just now said, and is remembered as a digest for
`WRONG_PAIR_TTL_S`: the one absence that is kept. Of those a process keeps a tenth of the cache at
most, so that whoever guesses pushes nobody's entries out.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final, TypeVar

from cache_layer import MISS, Cache, CacheStatus, Family, Key, LoadedValue, ReadManyResult
from cache_layer.backends.base import Lookup, Ticket
from cache_layer.coherence.guarded_store import FreshValue
from cache_layer.counters import Cause, Count, LoadOutcome
from cache_layer.endings import MissReason
from cache_layer.errors import BackendUnavailable
from hubspot_sync.portal.records import Contact
from hubspot_sync.reading.cache_families import PortalFamilies
from hubspot_sync.reading.cached_portal import FamilyReads
from hubspot_sync.reading.entry_sources import LoadContext
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.reading.tags import contact_tag, tags_with_links
from hubspot_sync.reading.wrong_pairs import WRONG_PAIR_TTL_S, student_pairs_tag
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Monotonic

V = TypeVar("V")

MAX_WRONG_PAIRS: Final = 1_000
WRONG_PAIRS_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class PairRecall:
    """What is held: the contact with that e-mail, and what was written down when the pair was found
    to be wrong, None if it was not. Without a ticket the cache is not used for this student."""

    contact: Contact | None = None
    wrong: str | None = None
    ticket: Ticket | None = None


class PairReads:
    """One process's reads about pairs; `clock` counts seconds and never goes back."""

    def __init__(
        self, cache: Cache, families: PortalFamilies, hubspot: PortalReads, clock: Monotonic
    ) -> None:
        self._cache = cache
        self._families = families
        self._hubspot = hubspot
        self._clock = clock
        share = cache.config.max_entries // WRONG_PAIRS_SHARE
        self._room = _Room(max(1, min(MAX_WRONG_PAIRS, share)), WRONG_PAIR_TTL_S, clock)

    def recall(self, email: str, digest: str, reads: FamilyReads) -> PairRecall:
        """Return what is held, in one look-up; nothing is loaded and nothing raised."""
        if reads.is_direct or self._cache.reader.prepare_or_bypass(None) is not None:
            return PairRecall()
        contact_key, wrong_key = self._contact_key(email), self._wrong_key(digest)
        began_s = self._clock()
        try:
            found = self._cache.guarded_store.look_up([contact_key, wrong_key])
        except BackendUnavailable:
            return PairRecall()
        contact = self._value_of(self._families.contacts, contact_key, found)
        if contact is not None:
            held = found.entries[contact_key.text]
            reads.built_from.add(
                self._families.contacts.ttl_s,
                ReadManyResult(
                    found={contact_key: contact},
                    cache_status=CacheStatus.HIT,
                    tags=held.entry.tags - contact_key.tags,
                    age_s=held.age_s,
                    stamps={contact_key: (found.ticket.generation, held.stamp)},
                ),
                began_s,
            )
        return PairRecall(
            contact=contact,
            wrong=self._value_of(self._families.wrong_pairs, wrong_key, found),
            ticket=found.ticket,
        )

    def read_contact(
        self, email: str, recall: PairRecall, reads: FamilyReads, context: CallContext
    ) -> Contact | None:
        """Return the contact HubSpot has under this e-mail now, in one call shared with others;
        raise HubSpotError where that is not known."""
        if reads.is_direct:
            # What was read for one answer is not read again for the rest of it.
            return reads.contacts_by_email([email], context).require_complete().found.get(email)
        self._count_miss(email, recall)
        status = CacheStatus.BYPASS if recall.ticket is None else CacheStatus.MISS
        reads.built_from.add(
            self._families.contacts.ttl_s,
            ReadManyResult(found={}, cache_status=status),
            self._clock(),
        )
        contacts = self._hubspot.contacts_by_email([email], context)
        contact = contacts.require_complete().found.get(email)
        outcome = LoadOutcome.ABSENT if contact is None else LoadOutcome.LOADED
        self._cache.counters.add(Count.LOADS, self._families.contacts.name, detail=outcome)
        return contact

    def _count_miss(self, email: str, recall: PairRecall) -> None:
        family, counters = self._families.contacts.name, self._cache.counters
        if recall.ticket is None:
            counters.add(Count.BYPASSES, family)
        elif recall.contact is not None:
            # Held, but it does not fit who asks: it is to be read anew.
            counters.add(Count.MISSES, family, detail=MissReason.TOO_OLD)
        else:
            reason = self._cache.endings.reason_of(self._contact_key(email).text)
            counters.add(Count.MISSES, family, detail=reason)

    def keep_contact(self, recall: PairRecall, email: str, contact: Contact) -> None:
        """Keep a contact that was read after the recall by this e-mail, one of its own, for the
        reads that follow."""
        if recall.ticket is None:
            return
        family, tags = self._families.contacts, {contact_tag(contact.id)}
        loaded = LoadedValue.built_from(contact, tags)
        keys = (self._contact_key(email), family.key(contact_id=contact.id))
        if recall.contact is None or recall.contact == contact:
            self._cache.guarded_store.store(recall.ticket, family, dict.fromkeys(keys, loaded))
            return
        # What is held was out of date, and so is what was built from it.
        self._cache.guarded_store.invalidate_and_store(
            recall.ticket,
            tags_with_links(contact_tag(contact.id)),
            [FreshValue(family, key, loaded) for key in keys],
            cause=Cause.VALIDATION,
            wait=False,
        )

    def keep_wrong(self, recall: PairRecall, digest: str, note: str) -> None:
        """Remember for a while that a read after the recall found the pair to be wrong."""
        if recall.ticket is None or not self._room.take():
            return
        loaded = LoadedValue.built_from(note, {student_pairs_tag()})
        self._cache.guarded_store.store(
            recall.ticket, self._families.wrong_pairs, {self._wrong_key(digest): loaded}
        )

    def forget_contact(self, contact_id: str) -> None:
        """Drop a contact that was found to be out of date, and all that was built from it."""
        self._cache.invalidator.invalidate_tags(
            tags_with_links(contact_tag(contact_id)),
            cause=Cause.VALIDATION,
            reason="the student is another",
            wait=False,
        )

    def _value_of(self, family: Family[V, LoadContext], key: Key, found: Lookup) -> V | None:
        held = found.entries.get(key.text)
        if held is None:
            return None
        value = self._cache.guarded_store.read_entry(family, key, held)
        if value is MISS:
            return None
        self._cache.counters.add(Count.HITS, family.name)
        self._cache.counters.add(Count.AHEAD_HITS, family.name, int(held.entry.ahead))
        return value

    def _contact_key(self, email: str) -> Key:
        return self._families.contacts.key(email=email)

    def _wrong_key(self, digest: str) -> Key:
        return self._families.wrong_pairs.key(digest=digest)


class _Room:
    """Room for so many in any period of so many seconds."""

    def __init__(self, size: int, period_s: float, clock: Monotonic) -> None:
        self._size = size
        self._period_s = period_s
        self._clock = clock
        self._taken_s: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a place if there is one."""
        now_s = self._clock()
        with self._lock:
            while self._taken_s and self._taken_s[0] <= now_s - self._period_s:
                self._taken_s.popleft()
            if len(self._taken_s) >= self._size:
                return False
            self._taken_s.append(now_s)
            return True
