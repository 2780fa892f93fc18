"""The portal's reads by way of the cache, or straight from HubSpot, with what each was built from.

`FamilyReads` asks a *source* (`entry_sources`) for entries of the catalogue's families and keeps,
for whoever builds an entry from them, their tags and how old they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from typing_extensions import override

from cache_layer import (
    MISS,
    BackendUnavailable,
    CacheConfig,
    Family,
    Key,
    ReadManyResult,
    UndeliveredParts,
    WaitedTooLong,
    open_cache,
)
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.errors import HubSpotError, Unavailable
from hubspot_sync.portal.identities import normalize_email
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.records import Booking, Contact, Enrollment, MockExam
from hubspot_sync.reading.cache_families import (
    ComposedFamilyLoaders,
    PortalFamilies,
    Seats,
    build_portal_families,
)
from hubspot_sync.reading.entry_sources import (
    Beside,
    CacheSource,
    DirectSource,
    EntrySource,
    LoadContext,
    load_alone,
)
from hubspot_sync.reading.kept_links import KeptLinks, build_kept_links_family
from hubspot_sync.reading.link_families import build_link_families
from hubspot_sync.reading.overlaid_links import OverlaidLinks
from hubspot_sync.reading.own_links import NO_OWN_LINKS, Ids, OwnLinks
from hubspot_sync.reading.portal_reads import ActiveExams, PortalReads
from hubspot_sync.reading.provenance import Provenance
from hubspot_sync.reading.recent_changes import NO_RECENT_CHANGES, RecentChanges
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Monotonic

V = TypeVar("V")

RETRY_AFTER_S = 2.0


class FamilyReads(PortalReads):
    """`PortalReads` and the composed entries, from one source; `built_from` keeps the account."""

    def __init__(
        self,
        *,
        source: EntrySource,
        families: PortalFamilies,
        profile: PortalProfile,
        hubspot: PortalReads,
        links: OverlaidLinks,
        clock: Monotonic = time.monotonic,
    ) -> None:
        self._links = links
        self._source = source
        self._families = families
        self._profile = profile
        self._hubspot = hubspot
        self.built_from = Provenance(clock)

    @property
    def is_direct(self) -> bool:
        """Whether everything is read from HubSpot, for this one answer."""
        return isinstance(self._source, DirectSource)

    @override
    def contacts_by_email(self, emails: Collection[str], context: CallContext) -> Many[Contact]:
        wanted = {normalize_email(email) for email in emails}
        return self._read_many(self._families.contacts, "email", wanted, context)

    @override
    def contacts(self, ids: Collection[str], context: CallContext) -> Many[Contact]:
        return self._read_many(self._families.contacts, "contact_id", ids, context)

    @override
    def bookings(self, ids: Collection[str], context: CallContext) -> Many[Booking]:
        return self._read_many(self._families.bookings, "booking_id", ids, context)

    @override
    def exams(self, ids: Collection[str], context: CallContext) -> Many[MockExam]:
        return self._read_many(self._families.exams, "exam_id", ids, context)

    @override
    def contact_bookings(self, contact_ids: Collection[str], context: CallContext) -> Many[Ids]:
        return self._read_many(self._families.contact_bookings, "contact_id", contact_ids, context)

    @override
    def exam_bookings(self, exam_ids: Collection[str], context: CallContext) -> Many[Ids]:
        return self._read_many(self._families.exam_bookings, "exam_id", exam_ids, context)

    @override
    def booking_exams(self, booking_ids: Collection[str], context: CallContext) -> Many[Ids]:
        return self._read_many(self._families.booking_exams, "booking_id", booking_ids, context)

    @override
    def booking_contacts(self, booking_ids: Collection[str], context: CallContext) -> Many[Ids]:
        return self._read_many(self._families.booking_contacts, "booking_id", booking_ids, context)

    @override
    def contact_enrollments(
        self, contact_ids: Collection[str], context: CallContext
    ) -> Many[tuple[Enrollment, ...]]:
        return self._read_many(
            self._families.contact_enrollments, "contact_id", contact_ids, context
        )

    @override
    def active_exams(
        self, mock_types: Collection[str], context: CallContext, beside: Beside = load_alone
    ) -> ActiveExams:
        """Return them as `PortalReads` says; where they have to be searched for, `beside` something
        else."""
        slugs = {known.value: known.slug for known in self._profile.mock_types}
        family = self._families.exams_of_type
        keys = {mock_type: family.key(type=slugs[mock_type]) for mock_type in mock_types}
        read = self._read_by_name(family, keys, context, beside).require_complete()
        return ActiveExams(by_type=read.found)

    @override
    def student_exists(self, student_id: str, context: CallContext) -> bool:
        return self._hubspot.student_exists(student_id, context)

    def add_merged(
        self, links: Many[Ids], all_ids: Mapping[str, Collection[str]], context: CallContext
    ) -> Many[Ids]:
        """Return the bookings of exams as `OverlaidLinks.add_merged` does."""
        return self._links.add_merged(links, all_ids, context)

    def seats(self, exam_ids: Collection[str], context: CallContext) -> Many[Seats]:
        """Return the seats of each exam, counted from its bookings."""
        return self._read_many(self._families.seats, "exam_id", exam_ids, context)

    def all_credits(self, contact_id: str, context: CallContext) -> Mapping[str, int]:
        """Return all credits of a contact; raise HubSpotError."""
        family = self._families.credits
        return self._read_one(family, family.key(contact_id=contact_id), context)

    def credits_for(self, contact_id: str, type_slug: str, context: CallContext) -> Any:
        """Return what the credits of a contact mean for a mock type, as
        `ComposedFamilyLoaders.type_credits` makes it; raise HubSpotError."""
        family = self._families.type_credits
        key = family.key(contact_id=contact_id, type=type_slug)
        return self._read_one(family, key, context)

    def booking_page(self, arguments: Mapping[str, str], context: CallContext) -> bytes:
        """Return a rendered page of a contact's bookings; raise HubSpotError, and what the page's
        loader raises for arguments it refuses."""
        family = self._families.booking_pages
        return self._read_one(family, family.key(**arguments), context)

    def _read_one(self, family: Family[V, LoadContext], key: Key, context: CallContext) -> V:
        reads = self._ask_source(family, [key], context)
        if key in reads.failed:
            raise _as_hubspot_error(reads.failed[key])
        if key in reads.absent:
            raise Unavailable(f"HubSpot has nothing to make {family.name} of.")
        return reads.found[key]

    def _read_many(
        self,
        family: Family[V, LoadContext],
        argument: str,
        values: Collection[str],
        context: CallContext,
    ) -> Many[V]:
        return self._read_by_name(family, family.keys(argument, values), context)

    def _read_by_name(
        self,
        family: Family[V, LoadContext],
        keys: Mapping[str, Key],
        context: CallContext,
        beside: Beside = load_alone,
    ) -> Many[V]:
        """Return the answer by the names of `keys`; what is no error of HubSpot's is raised."""
        if len(keys) == 0:
            return Many(found={})
        names = {key: name for name, key in keys.items()}
        reads = self._ask_source(family, list(names), context, beside)
        return Many(
            found={names[key]: value for key, value in reads.found.items()},
            missing=frozenset(names[key] for key in reads.absent),
            unknown={names[key]: _as_hubspot_error(error) for key, error in reads.failed.items()},
        )

    def _ask_source(
        self,
        family: Family[V, LoadContext],
        keys: Sequence[Key],
        context: CallContext,
        beside: Beside = load_alone,
    ) -> ReadManyResult[V]:
        began_s = self.built_from.clock()
        reads = self._source(family, keys, context, beside)
        self.built_from.add(family.ttl_s, reads, began_s)
        return reads


def _as_hubspot_error(error: Exception) -> HubSpotError:
    if isinstance(error, HubSpotError):
        return error
    if isinstance(error, WaitedTooLong):
        return Unavailable("HubSpot takes too long to answer.", retry_after_s=RETRY_AFTER_S)
    raise error


ReadsFor = Callable[[LoadContext, float], FamilyReads]


class CachedPortal:
    """The portal with its cache in front: made once per process.

    `compose` makes the loaders of composed entries; they get their reads by `reads_for`. A load may
    take `load_s` seconds; `recent` says which links are not settled yet, `own` those of ours that
    HubSpot may not show yet; `clock` is what entries age by.
    """

    def __init__(
        self,
        *,
        profile: PortalProfile,
        hubspot: PortalReads,
        config: CacheConfig,
        compose: Callable[[ReadsFor], ComposedFamilyLoaders],
        load_s: float,
        recent: RecentChanges = NO_RECENT_CHANGES,
        own: OwnLinks = NO_OWN_LINKS,
        clock: Monotonic = time.monotonic,
        undelivered: UndeliveredParts | None = None,
    ) -> None:
        self._profile = profile
        self._hubspot = hubspot
        self._load_s = load_s
        self._clock = clock
        kept_family = build_kept_links_family()
        kept = KeptLinks(own, kept_family, lambda: self.cache)
        self.keep_own_links = kept.keep
        self._links = OverlaidLinks(hubspot, kept, recent)
        self.families = build_portal_families(
            *(profile, hubspot, config, compose(self.reads_for)),
            build_link_families(self._links, config, recent, kept_family),
        )
        self.cache = open_cache(
            self.families.catalogue(), config, clock=clock, undelivered=undelivered
        )

    def held_seats(self, exam_ids: Collection[str]) -> dict[str, Seats]:
        """Return the seats of these exams that are held, and ask HubSpot for none; nothing where
        the cache may not be read or does not answer."""
        if self.cache.reader.prepare_or_bypass(None) is not None:
            return {}
        family, guarded_store = self.families.seats, self.cache.guarded_store
        keys = family.keys("exam_id", exam_ids)
        try:
            held = guarded_store.look_up(list(keys.values()), touch=False).entries
        except BackendUnavailable:
            return {}
        found = {}
        for exam_id, key in keys.items():
            if key.text not in held:
                continue
            seats = guarded_store.read_entry(family, key, held[key.text])
            if seats is not MISS:
                found[exam_id] = seats
        return found

    def reads(self, subject: str | None = None) -> FamilyReads:
        """Return the reads for one request; `subject` is the student it is for, if any."""
        bypass = self.cache.reader.prepare_or_bypass(subject)
        if bypass is not None:
            return self._build_reads(DirectSource(bypass))
        source = CacheSource(cache=self.cache, load_s=self._load_s, subject=subject)
        return self._build_reads(source)

    def reads_for(self, context: LoadContext, composed_s: float) -> FamilyReads:
        """Return the reads a load's context asks for, to build an entry that lives `composed_s`."""
        if context.direct is not None:
            return self._build_reads(context.direct)
        source = CacheSource(
            cache=self.cache,
            load_s=self._load_s,
            subject=context.subject,
            composed_s=composed_s,
            seeks_proof=context.seeks_proof,
        )
        return self._build_reads(source)

    def _build_reads(self, source: EntrySource) -> FamilyReads:
        return FamilyReads(
            source=source,
            families=self.families,
            profile=self._profile,
            hubspot=self._hubspot,
            links=self._links,
            clock=self._clock,
        )
