"""The loaders of entries that are built from other entries: pages of bookings, seats, credits.

Each reads what it is built from through the same source as whoever asked, and passes on the tags
and the age of all of it. Errors of one key are that key's; an error in the code itself is raised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from booking_api.queries.available_exams import count_seats
from booking_api.queries.credit_check import TypeCredits, find_type_credits
from booking_api.queries.likely_ids import LikelyExams
from booking_api.queries.page_rendering import RenderedPage, render_page
from booking_api.queries.query_context import QueryContext
from booking_api.queries.student_bookings import PageRequest, find_booking_page
from booking_api.rules.credits import whole_credits
from booking_api.rules.cursors import CursorSeal
from booking_api.rules.errors import BookingError
from cache_layer import CacheConfig, CacheStatus, Key, LoadedValue, LoadResult
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.records import Contact
from hubspot_sync.reading.cache_families import ComposedFamilyLoaders, Seats
from hubspot_sync.reading.cached_portal import FamilyReads
from hubspot_sync.reading.entry_sources import DirectSource, LoadContext
from hubspot_sync.reading.provenance import Provenance
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import FanOut

V = TypeVar("V")

Build = Callable[[QueryContext, Key, float], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposedLoaders:
    """`reads_for` gives the reads that a load's context asks for."""

    profile: PortalProfile
    config: CacheConfig
    fan_out_for: Callable[[CallContext], FanOut]
    now: Callable[[], datetime]
    reads_for: Callable[[LoadContext, float], FamilyReads]
    cursor_seal: CursorSeal
    likely: LikelyExams

    def family_loaders(self) -> ComposedFamilyLoaders:
        return ComposedFamilyLoaders(
            booking_pages=self.load_booking_pages,
            seats=self.load_seats,
            credits=self.load_credits,
            type_credits=self.load_type_credits,
            type_credits_type=TypeCredits,
            page_type=RenderedPage,
        )

    def load_booking_pages(self, keys: Sequence[Key], context: LoadContext) -> LoadResult[bytes]:
        return self._build_each(
            keys, context, self._build_page, self.config.ttl_s("CACHE_TTL_BOOKING_LIST")
        )

    def load_credits(self, keys: Sequence[Key], context: LoadContext) -> LoadResult[dict[str, int]]:
        return self._build_each(
            keys, context, self._build_credits, self.config.ttl_s("CACHE_TTL_USER_CREDITS")
        )

    def load_type_credits(
        self, keys: Sequence[Key], context: LoadContext
    ) -> LoadResult[TypeCredits]:
        return self._build_each(
            keys, context, self._build_type_credits, self.config.ttl_s("CACHE_TTL_USER_CREDITS")
        )

    def load_seats(self, keys: Sequence[Key], context: LoadContext) -> LoadResult[Seats]:
        """All exams at once: their bookings are read in the same batches. What is unknown of one
        exam fails that exam."""
        ttl_s = self.config.ttl_s("CACHE_TTL_AVAILABLE_EXAMS")
        by_id = {key.arguments["exam_id"]: key for key in keys}
        try:
            counted, built_from = self._build_proven(
                _with_one_source(context), ttl_s, lambda query: count_seats(query, tuple(by_id))
            )
        except HubSpotError as error:
            return LoadResult(loaded={}, failed=dict.fromkeys(keys, error))
        loaded = {
            by_id[exam_id]: built_from.build(seats, ttl_s).with_tags(tags)
            for exam_id, (seats, tags) in counted.found.items()
        }
        return LoadResult(
            loaded=loaded,
            absent=frozenset(by_id[exam_id] for exam_id in counted.missing),
            failed={by_id[exam_id]: error for exam_id, error in counted.unknown.items()},
        )

    def _build_page(self, query: QueryContext, key: Key, ttl_s: float) -> LoadedValue[bytes]:
        found = find_booking_page(query, PageRequest.from_key(key.arguments))
        keep_s = math.inf
        if not found.is_whole:
            keep_s = 0.0
        elif found.changes_at is not None:
            # Then a booking moves from upcoming to past, and the page is another one.
            keep_s = (found.changes_at - self.now()).total_seconds()
        return query.reads.built_from.build(render_page(found.page), ttl_s, keep_s)

    def _build_credits(
        self, query: QueryContext, key: Key, ttl_s: float
    ) -> LoadedValue[dict[str, int]] | None:
        contact = _find_contact(query, key)
        if contact is None:
            return None
        return _built(
            query, {name: whole_credits(left) for name, left in contact.credits.items()}, ttl_s
        )

    def _build_type_credits(
        self, query: QueryContext, key: Key, ttl_s: float
    ) -> LoadedValue[TypeCredits] | None:
        contact = _find_contact(query, key)
        if contact is None:
            return None
        return _built(query, find_type_credits(query, contact, key.arguments["type"]), ttl_s)

    def _build_each(
        self, keys: Sequence[Key], context: LoadContext, build: Build, ttl_s: float
    ) -> LoadResult[Any]:
        """Build each key's value at the same time, each with its own account of what it used."""
        one_source = _with_one_source(context)
        fan_out = self.fan_out_for(context.call)

        def build_one(key: Key) -> LoadedValue[Any] | Exception | None:
            try:
                loaded: LoadedValue[Any] | None
                loaded, _ = self._build_proven(
                    one_source, ttl_s, lambda query: build(query, key, ttl_s)
                )
            except (HubSpotError, BookingError) as error:
                return error
            return loaded

        values = dict(
            zip(keys, fan_out.run([partial(build_one, key) for key in keys]), strict=True)
        )
        return LoadResult(
            loaded={key: value for key, value in values.items() if isinstance(value, LoadedValue)},
            absent=frozenset(key for key, value in values.items() if value is None),
            failed={key: value for key, value in values.items() if isinstance(value, Exception)},
        )

    def _build_proven(
        self, context: LoadContext, ttl_s: float, build: Callable[[QueryContext], V]
    ) -> tuple[V, Provenance]:
        """Return what was built, and from what. Where old parts are proven and others leave the
        whole without proof, it is good for this one answer; it is built again where those others,
        and they alone, may be read anew to be proven too."""
        query = self._query_context(context, ttl_s)
        built = build(query)
        if query.reads.built_from.may_be_proven(self.config.settle_s):
            query = self._query_context(replace(context, seeks_proof=True), ttl_s)
            built = build(query)
        return built, query.reads.built_from

    def _query_context(self, context: LoadContext, ttl_s: float) -> QueryContext:
        return QueryContext(
            profile=self.profile,
            reads=self.reads_for(context, ttl_s),
            fan_out=self.fan_out_for(context.call),
            now=self.now(),
            call=context.call,
            cursor_seal=self.cursor_seal,
            likely=self.likely,
        )


def _find_contact(query: QueryContext, key: Key) -> Contact | None:
    contact_id = key.arguments["contact_id"]
    contacts = query.reads.contacts([contact_id], query.call).require_complete()
    return contacts.found.get(contact_id)


def _built(query: QueryContext, value: V, ttl_s: float) -> LoadedValue[V]:
    return query.reads.built_from.build(value, ttl_s)


def _with_one_source(context: LoadContext) -> LoadContext:
    """Return the context with one source for all keys of a load, where it is to be fresh."""
    if not context.fresh:
        return context
    return replace(context, direct=DirectSource(CacheStatus.BYPASS), fresh=False)
