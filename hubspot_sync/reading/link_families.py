"""The families of links: which bookings a contact and an exam have, and whose a booking is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from cache_layer import CacheConfig, Family, Key, KeyPattern, LoadResult, ValueCodec
from hubspot_sync.reading.cache_families import LinkFamilies, to_loads
from hubspot_sync.reading.entry_sources import LoadContext
from hubspot_sync.reading.overlaid_links import OverlaidLinks, ShownLinks
from hubspot_sync.reading.own_links import Ids
from hubspot_sync.reading.recent_changes import RecentChanges, Topic
from hubspot_sync.reading.tags import (
    booking_tag,
    contact_bookings_tag,
    contact_tag,
    exam_bookings_tag,
    exam_tag,
    links_tag,
)
from hubspot_sync.wire.call_context import CallContext

ReadLinks = Callable[[Collection[str], CallContext], ShownLinks]
UnsettledS = Callable[[Collection[str]], Mapping[str, float]]


def build_link_families(
    links: OverlaidLinks,
    config: CacheConfig,
    recent: RecentChanges,
    kept_links: Family[Ids, LoadContext],
) -> LinkFamilies:
    """A link lives in the records at both of its ends: the death of either changes the answer, and
    a deletion event names nothing but the dead. Their properties are no part of it (`links_tag`).
    One that was told of just now may not be read yet, and what is read without it is kept until it
    must be."""
    links_of_contact = partial(recent.unsettled_s, Topic.CONTACT_LINKS)
    links_of_exam = partial(recent.unsettled_s, Topic.EXAM_LINKS)
    links_of_booking = partial(recent.unsettled_s, Topic.BOOKING_LINKS)
    return LinkFamilies(
        contact_bookings=_build_link_family(
            "contact-bookings",
            "assoc:contact:{contact_id}:bookings",
            links.contact_bookings,
            config,
            lambda record_id, booking_ids: {
                contact_bookings_tag(record_id),
                *_links_tags(booking_tag, booking_ids),
            },
            links_of_contact,
        ),
        exam_bookings=_build_link_family(
            "exam-bookings",
            *("assoc:mockexam:{exam_id}:bookings", links.exam_bookings, config),
            lambda record_id, booking_ids: {
                exam_bookings_tag(record_id),
                *_links_tags(booking_tag, booking_ids),
            },
            links_of_exam,
        ),
        booking_exams=_build_link_family(
            "booking-mockexam",
            *("assoc:booking:{booking_id}:mockexam", links.booking_exams, config),
            lambda record_id, exam_ids: {
                links_tag(booking_tag(record_id)),
                *_links_tags(exam_tag, exam_ids),
            },
            links_of_booking,
        ),
        booking_contacts=_build_link_family(
            "booking-contact",
            *("assoc:booking:{booking_id}:contact", links.booking_contacts, config),
            lambda record_id, contact_ids: {
                links_tag(booking_tag(record_id)),
                *_links_tags(contact_tag, contact_ids),
            },
            links_of_booking,
        ),
        kept_links=kept_links,
    )


def _links_tags(name: Callable[[str], str], record_ids: Collection[str]) -> Iterator[str]:
    return (links_tag(name(record_id)) for record_id in record_ids)


def _build_link_family(
    name: str,
    pattern: str,
    read: ReadLinks,
    config: CacheConfig,
    tags: Callable[[str, Ids], Iterable[str]],
    unsettled_s: UnsettledS,
) -> Family[Ids, LoadContext]:
    key_pattern = KeyPattern(pattern)
    (argument,) = key_pattern.argument_types
    return Family(
        name=name,
        patterns=(key_pattern,),
        values=ValueCodec(Ids),
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
        shown = read(by_id, context.call)
        # What is read for one answer alone is not kept at all.
        unsettled = unsettled_s(by_id) if context.direct is None else {}
        keep_s = {**shown.keep_s, **unsettled}
        for record_id in shown.keep_s.keys() & unsettled.keys():
            keep_s[record_id] = min(shown.keep_s[record_id], unsettled[record_id])
        survivors = shown.links.survivors

        def tags_of_both(record_id: str, linked: Ids) -> frozenset[str]:
            """What is told of a record that was merged is told of the survivor."""
            survivor = survivors.get(record_id)
            own = frozenset(tags(record_id, linked))
            return own if survivor is None else own.union(tags(survivor, linked))

        return to_loads(by_id, shown.links, tags_of_both, keep_s)

    return load_many
