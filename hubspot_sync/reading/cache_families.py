"""The catalogue of cache families over the portal.

Every kind of entry the application keeps is declared here once: its key, its time to live, how many
of it are loaded at once and what each is built from. An entry built from others takes their tags,
so no map of "this event deletes those keys" exists. Its age counts from when they were read, so
nothing is served longer than the longer of its own time to live and that of what it was built from.

Nothing that decides a booking, a credit or a count reads through here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from cache_layer import (
    ArgumentType,
    CacheConfig,
    Catalogue,
    Family,
    HiddenNames,
    Key,
    KeyPattern,
    LoadedValue,
    LoadResult,
    ValueCodec,
)
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.paging import MAX_FILTER_GROUPS
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.records import Booking, Contact, Enrollment, MockExam
from hubspot_sync.reading.entry_sources import LoadContext
from hubspot_sync.reading.own_links import Ids
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.reading.tags import (
    ENROLLED_TAG,
    contact_enrollments_tag,
    contact_tag,
    enrollment_tag,
    exam_tag,
    exams_of_type_tag,
    tags_of_booking,
)
from hubspot_sync.reading.wrong_pairs import build_wrong_pairs_family
from hubspot_sync.wire.call_context import CallContext

V = TypeVar("V")

NOT_BOUNDED: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Seats:
    """An exam's seats as its bookings said at `counted_at`; two counts that agree are the same
    seats, whenever they were made."""

    capacity: int
    active_bookings: int
    counted_at: datetime = field(compare=False)


LoadMany = Callable[[Sequence[Key], LoadContext], LoadResult[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposedFamilyLoaders:
    """The loaders of entries that are built from other entries. `type_credits` makes values of
    `type_credits_type`, and a page is rendered from a `page_type`."""

    booking_pages: LoadMany
    seats: LoadMany
    credits: LoadMany
    type_credits: LoadMany
    type_credits_type: type
    page_type: type


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkFamilies:
    """The families of links, as HubSpot shows them and as we have made them."""

    contact_bookings: Family[Ids, LoadContext]
    exam_bookings: Family[Ids, LoadContext]
    booking_exams: Family[Ids, LoadContext]
    booking_contacts: Family[Ids, LoadContext]
    kept_links: Family[Ids, LoadContext]


@dataclass(frozen=True, kw_only=True, slots=True)
class PortalFamilies:
    """Every family, by what it holds."""

    contacts: Family[Contact, LoadContext]
    bookings: Family[Booking, LoadContext]
    exams: Family[MockExam, LoadContext]
    contact_bookings: Family[Ids, LoadContext]
    contact_enrollments: Family[tuple[Enrollment, ...], LoadContext]
    exam_bookings: Family[Ids, LoadContext]
    booking_exams: Family[Ids, LoadContext]
    booking_contacts: Family[Ids, LoadContext]
    kept_links: Family[Ids, LoadContext]
    exams_of_type: Family[Ids, LoadContext]
    seats: Family[Seats, LoadContext]
    credits: Family[dict[str, int], LoadContext]
    type_credits: Family[Any, LoadContext]
    booking_pages: Family[bytes, LoadContext]
    wrong_pairs: Family[str, LoadContext]

    def catalogue(self) -> Catalogue:
        """Return all of them: none can be forgotten."""
        return Catalogue([getattr(self, family.name) for family in fields(self)])


def build_portal_families(
    profile: PortalProfile,
    hubspot: PortalReads,
    config: CacheConfig,
    composed: ComposedFamilyLoaders,
    links: LinkFamilies,
) -> PortalFamilies:
    """Return the catalogue's families: the simple ones load from `hubspot`, the composed as
    `composed` says; those of links are given."""
    objects, compositions = _build_object_families(hubspot, config), _compose(config, composed)
    contact_by_id = KeyPattern("contact:{contact_id}:details")
    exams_of_type = KeyPattern("mockexams:type:{type}:active", type=ArgumentType.SLUG)
    return PortalFamilies(
        contacts=Family(
            name="contacts",
            patterns=(
                contact_by_id,
                KeyPattern(
                    "contact:{email}:details",
                    HiddenNames.of_secrets(config.key_secrets),
                    email=ArgumentType.EMAIL,
                ),
            ),
            emails_of=lambda contact: contact.emails,
            values=ValueCodec(Contact),
            ttl_s=config.ttl_s("CACHE_TTL_CONTACTS"),
            load_many=_build_contacts_loader(contact_by_id, hubspot),
        ),
        exams_of_type=Family(
            name="exams-of-type",
            patterns=(exams_of_type,),
            values=ValueCodec(Ids),
            ttl_s=config.ttl_s("CACHE_TTL_AVAILABLE_EXAMS"),
            load_many=_build_exams_of_type_loader(exams_of_type, profile, hubspot),
        ),
        wrong_pairs=build_wrong_pairs_family(),
        bookings=objects.bookings,
        exams=objects.exams,
        contact_enrollments=objects.contact_enrollments,
        contact_bookings=links.contact_bookings,
        exam_bookings=links.exam_bookings,
        booking_exams=links.booking_exams,
        booking_contacts=links.booking_contacts,
        kept_links=links.kept_links,
        booking_pages=compositions.booking_pages,
        seats=compositions.seats,
        credits=compositions.credits,
        type_credits=compositions.type_credits,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _ObjectFamilies:
    bookings: Family[Booking, LoadContext]
    exams: Family[MockExam, LoadContext]
    contact_enrollments: Family[tuple[Enrollment, ...], LoadContext]


def _build_object_families(hubspot: PortalReads, config: CacheConfig) -> _ObjectFamilies:
    return _ObjectFamilies(
        bookings=Family(
            name="bookings",
            patterns=(KeyPattern("booking:{booking_id}:details"),),
            values=ValueCodec(Booking),
            ttl_s=config.ttl_s("CACHE_TTL_BOOKING_DETAILS"),
            load_many=_build_loader("booking_id", hubspot.bookings, tags_of_booking),
        ),
        exams=Family(
            name="exams",
            patterns=(KeyPattern("mockexam:{exam_id}:details"),),
            values=ValueCodec(MockExam),
            ttl_s=config.ttl_s("CACHE_TTL_MOCK_EXAMS"),
            load_many=_build_loader(
                "exam_id",
                hubspot.exams,
                lambda record_id, exam: {exam_tag(record_id), exam_tag(exam.id)},
            ),
        ),
        contact_enrollments=Family(
            name="contact-enrollments",
            patterns=(KeyPattern("contact:{contact_id}:enrollments"),),
            values=ValueCodec(tuple[Enrollment, ...]),
            ttl_s=config.ttl_s("CACHE_TTL_ASSOCIATIONS"),
            load_many=_build_loader(
                "contact_id",
                hubspot.contact_enrollments,
                lambda record_id, enrollments: {
                    contact_enrollments_tag(record_id),
                    ENROLLED_TAG,
                    *(enrollment_tag(enrollment.id) for enrollment in enrollments),
                },
            ),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _ComposedFamilies:
    """Families whose entries are built from other entries."""

    booking_pages: Family[bytes, LoadContext]
    seats: Family[Seats, LoadContext]
    credits: Family[dict[str, int], LoadContext]
    type_credits: Family[Any, LoadContext]


def _compose(config: CacheConfig, composed: ComposedFamilyLoaders) -> _ComposedFamilies:
    return _ComposedFamilies(
        booking_pages=Family(
            name="booking-pages",
            patterns=(
                KeyPattern(
                    "bookings:list:{contact_id}:{filter}:page:{page}",
                    filter=ArgumentType.SLUG,
                    page=ArgumentType.NUMBER,
                ),
                KeyPattern(
                    "bookings:list:{contact_id}:{filter}:page:{page}:limit:{limit}",
                    filter=ArgumentType.SLUG,
                    page=ArgumentType.NUMBER,
                    limit=ArgumentType.NUMBER,
                ),
                KeyPattern(
                    "bookings:list:{contact_id}:{filter}:after:{after}", filter=ArgumentType.SLUG
                ),
                KeyPattern(
                    "bookings:list:{contact_id}:{filter}:after:{after}:limit:{limit}",
                    filter=ArgumentType.SLUG,
                    limit=ArgumentType.NUMBER,
                ),
            ),
            values=ValueCodec(bytes, made_of=(composed.page_type,)),
            ttl_s=config.ttl_s("CACHE_TTL_BOOKING_LIST"),
            load_many=composed.booking_pages,
        ),
        seats=Family(
            name="seats",
            patterns=(KeyPattern("mockexam:{exam_id}:capacity"),),
            values=ValueCodec(Seats),
            ttl_s=config.ttl_s("CACHE_TTL_AVAILABLE_EXAMS"),
            load_many=composed.seats,
        ),
        credits=Family(
            name="credits",
            patterns=(KeyPattern("contact:{contact_id}:credits:all"),),
            values=ValueCodec(dict[str, int]),
            ttl_s=config.ttl_s("CACHE_TTL_USER_CREDITS"),
            load_many=composed.credits,
        ),
        type_credits=Family(
            name="type-credits",
            patterns=(KeyPattern("contact:{contact_id}:credit:{type}", type=ArgumentType.SLUG),),
            values=ValueCodec(composed.type_credits_type),
            ttl_s=config.ttl_s("CACHE_TTL_USER_CREDITS"),
            load_many=composed.type_credits,
        ),
    )


def _build_loader(
    argument: str,
    read: Callable[[Collection[str], CallContext], Many[V]],
    tags: Callable[[str, V], Iterable[str]],
) -> Callable[[Sequence[Key], LoadContext], LoadResult[V]]:
    """Return the loader of a family with one id in its key."""

    def load_many(keys: Sequence[Key], context: LoadContext) -> LoadResult[V]:
        by_id = {key.arguments[argument]: key for key in keys}
        return to_loads(by_id, read(by_id, context.call), tags)

    return load_many


def to_loads(
    keys: Mapping[str, Key],
    answer: Many[V],
    tags: Callable[[str, V], Iterable[str]],
    keep_s: Mapping[str, float] = NOT_BOUNDED,
) -> LoadResult[V]:
    """Return an answer by id as the load of these keys: found with its tags, missing as absent,
    unknown as failed. `keep_s` bounds how long some of it may be kept."""
    return LoadResult(
        loaded={
            keys[record_id]: LoadedValue(
                value, frozenset(tags(record_id, value)), keep_s.get(record_id)
            )
            for record_id, value in answer.found.items()
        },
        absent=frozenset(keys[record_id] for record_id in answer.missing),
        failed={keys[record_id]: error for record_id, error in answer.unknown.items()},
    )


def _build_contacts_loader(
    by_id_pattern: KeyPattern, hubspot: PortalReads
) -> Callable[[Sequence[Key], LoadContext], LoadResult[Contact]]:
    def load_many(keys: Sequence[Key], context: LoadContext) -> LoadResult[Contact]:
        by_id = {key.arguments["contact_id"]: key for key in keys if "contact_id" in key.arguments}
        by_email = {key.arguments["email"]: key for key in keys if "email" in key.arguments}
        parts = [
            to_loads(named, read(named, context.call), tags)
            for named, read, tags in (
                (
                    by_id,
                    hubspot.contacts,
                    lambda asked, it: {contact_tag(asked), contact_tag(it.id)},
                ),
                (by_email, hubspot.contacts_by_email, lambda _, it: {contact_tag(it.id)}),
            )
            if named
        ]
        loaded = {key: value for part in parts for key, value in part.loaded.items()}
        # A student is found by e-mail and then known by id: one read is enough for both.
        also = {
            by_id_pattern.build({"contact_id": entry.value.id}): entry for entry in loaded.values()
        }
        return LoadResult(
            loaded=also | loaded,
            absent=frozenset(key for part in parts for key in part.absent),
            failed={key: error for part in parts for key, error in part.failed.items()},
        )

    return load_many


def _build_exams_of_type_loader(
    pattern: KeyPattern, profile: PortalProfile, hubspot: PortalReads
) -> Callable[[Sequence[Key], LoadContext], LoadResult[Ids]]:
    """The search says which exams; what is true of them is in their own entries. Whatever may bring
    an exam into a list or out of it names every list, so the exams themselves are no part of one:
    a count that is written with every booking would cost a search each time. All lists go at the
    same time, so all are searched for together where one search can."""
    names = {mock_type.slug: mock_type.value for mock_type in profile.mock_types}
    every = {name: pattern.build({"type": slug}) for slug, name in names.items()}
    is_one_search = len(every) <= MAX_FILTER_GROUPS

    def load_many(keys: Sequence[Key], context: LoadContext) -> LoadResult[Ids]:
        by_type = {names[key.arguments["type"]]: key for key in keys}
        if is_one_search and context.direct is None and not context.fresh:
            by_type = every
        active = context.beside(lambda: hubspot.active_exams(by_type, context.call))
        loaded: dict[Key, LoadedValue[Ids]] = {}
        for mock_type, exam_ids in active.by_type.items():
            key = by_type[mock_type]
            tags = frozenset({exams_of_type_tag(key.arguments["type"])})
            loaded[key] = LoadedValue(exam_ids, tags, active.keep_s)
        return LoadResult(loaded=loaded)

    return load_many
