"""The families of links: which bookings a contact and an exam have, and whose a booking is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from cache_layer import CacheConfig, Family, Key, KeyPattern, LoadResult
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.reading.cache_families import Ids, LoadContext, to_loads
from hubspot_sync.reading.merged_contacts import read_contact_bookings
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.reading.recent_changes import RecentChanges, Topic
from hubspot_sync.reading.tags import (
    booking_tag,
    contact_bookings_tag,
    contact_tag,
    exam_bookings_tag,
    exam_tag,
)
from hubspot_sync.wire.call_context import CallContext

ReadLinks = Callable[[Collection[str], CallContext], Many[Ids]]
UnsettledS = Callable[[Collection[str]], Mapping[str, float]]


def build_link_families(
    hubspot: PortalReads, config: CacheConfig, recent: RecentChanges
) -> dict[str, Family[Ids, LoadContext]]:
    """A link lives in the records at both of its ends: the death of either changes the answer, and
    a deletion event names nothing but the dead. One that was told of just now may not be read yet,
    and what is read without it is kept until it must be."""
    links_of_contact = partial(recent.unsettled_s, Topic.CONTACT_LINKS)
    links_of_exam = partial(recent.unsettled_s, Topic.EXAM_LINKS)
    links_of_booking = partial(recent.unsettled_s, Topic.BOOKING_LINKS)
    return {
        "contact_bookings": _build_link_family(
            "assoc:contact:{contact_id}:bookings",
            partial(read_contact_bookings, hubspot),
            config,
            lambda record_id, booking_ids: {
                contact_bookings_tag(record_id),
                *map(booking_tag, booking_ids),
            },
            links_of_contact,
        ),
        "exam_bookings": _build_link_family(
            *("assoc:mockexam:{exam_id}:bookings", hubspot.exam_bookings, config),
            lambda record_id, booking_ids: {
                exam_bookings_tag(record_id),
                *map(booking_tag, booking_ids),
            },
            links_of_exam,
        ),
        "booking_exams": _build_link_family(
            *("assoc:booking:{booking_id}:mockexam", hubspot.booking_exams, config),
            lambda record_id, exam_ids: {booking_tag(record_id), *map(exam_tag, exam_ids)},
            links_of_booking,
        ),
        "booking_contacts": _build_link_family(
            *("assoc:booking:{booking_id}:contact", hubspot.booking_contacts, config),
            lambda record_id, contact_ids: {booking_tag(record_id), *map(contact_tag, contact_ids)},
            links_of_booking,
        ),
    }


def _build_link_family(
    pattern: str,
    read: ReadLinks,
    config: CacheConfig,
    tags: Callable[[str, Ids], Iterable[str]],
    unsettled_s: UnsettledS,
) -> Family[Ids, LoadContext]:
    key_pattern = KeyPattern(pattern)
    (argument,) = key_pattern.argument_types
    return Family(
        name=f"{argument.removesuffix('_id')}-{pattern.rsplit(':', maxsplit=1)[-1]}",
        patterns=(key_pattern,),
        ttl_s=config.ttl_s("CACHE_TTL_ASSOCIATIONS"),
        load_many=_build_links_loader(argument, read, tags, unsettled_s),
    )


def _build_links_loader(
    argument: str,
    read: ReadLinks,
    tags: Callable[[str, Ids], Iterable[str]],
    unsettled_s: UnsettledS,
) -> Callable[[Sequence[Key], LoadContext], LoadResult[Ids]]:
    def load_many(keys: Sequence[Key], context: LoadContext) -> LoadResult[Ids]:
        by_id = {key.arguments[argument]: key for key in keys}
        answer = read(by_id, context.call)
        # What is read for one answer alone is not kept at all.
        keep_s = unsettled_s(by_id) if context.direct is None else {}
        return to_loads(by_id, answer, tags, keep_s)

    return load_many
