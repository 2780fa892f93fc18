"""Warming what a student's first requests read: the contact by e-mail, which proves the pair; the
first page of bookings; the credits, all of them and what they mean for each mock type.

What these are built of is read first, for a hundred students at once; then they are built of what
the cache holds. So many students cost a few calls for each hundred, and one for each hundred of
their bookings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from booking_api.ops.warming.loading import AheadLoads
from booking_api.queries.student_bookings import PageRequest
from booking_api.rules.pages import DEFAULT_PAGE_SIZE
from cache_layer import BadPattern, Key
from cache_layer.entries.rollout import reads_through_cache
from hubspot_sync.portal.mock_types import MockType
from hubspot_sync.portal.records import Contact, ids_of

FIRST_FILTER: Final = "all"
MAX_BOOKINGS: Final = 100
"""Who has more asks for the page themselves: their calls would be taken from the others."""


def warm_students(
    loads: AheadLoads, contact_ids: Sequence[str], mock_types: Sequence[MockType]
) -> tuple[int, frozenset[str]]:
    """Bring up to date what these contacts' first requests read; return the number of students
    and the ids that nobody has any more. Students outside the cache's rollout are left out. Raises
    WarmingStopped."""
    cached = loads.services.cached
    by_email = cached.families.contacts
    answer = loads.read_parts(by_email, "contact_id", loads.reads().contacts, contact_ids)
    keys = {key: each for each in answer.found.values() for key in _keys_by_email(loads, each)}
    loads.bring_up(by_email, [*keys])
    students = {contact.id: contact for contact in keys.values()}
    _warm_pages(loads, [*students])
    _warm_credits(loads, students, mock_types)
    return len(students), answer.missing


def _keys_by_email(loads: AheadLoads, contact: Contact) -> list[Key]:
    """Return the keys of the contact by those of its e-mails that read through the cache. By what
    makes no key nobody can ask."""
    cached, keys = loads.services.cached, []
    percentage = cached.cache.config.rollout_percentage
    for email in contact.emails:
        if email == "" or not reads_through_cache(email, percentage):
            continue
        try:
            keys.append(cached.families.contacts.key(email=email))
        except BadPattern:
            loads.loaded.left += 1
    return keys


def _warm_pages(loads: AheadLoads, contact_ids: Sequence[str]) -> None:
    families = loads.services.cached.families
    family = families.booking_pages
    keys = {_first_page(loads, each): each for each in contact_ids}
    due = loads.find_due(family, [*keys])
    reads = loads.reads(composed_s=family.ttl_s)
    links = loads.read_parts(
        families.contact_bookings,
        "contact_id",
        reads.contact_bookings,
        [keys[key] for key in due],
    )
    few = {each: linked for each, linked in links.found.items() if len(linked) <= MAX_BOOKINGS}
    due = [key for key in due if keys[key] in few]
    bookings = {each for linked in few.values() for each in linked}
    loads.read_parts(families.bookings, "booking_id", reads.bookings, bookings)
    of_bookings = loads.read_parts(
        families.booking_exams, "booking_id", reads.booking_exams, bookings
    )
    exams = {each for linked in of_bookings.found.values() for each in linked}
    loads.read_parts(families.exams, "exam_id", reads.exams, exams)
    loads.load(family, due)


def _first_page(loads: AheadLoads, contact_id: str) -> Key:
    asked = PageRequest(
        contact_id=contact_id, filter=FIRST_FILTER, page=1, limit=DEFAULT_PAGE_SIZE, after=None
    )
    return loads.services.cached.families.booking_pages.key(**asked.key_arguments())


def _warm_credits(
    loads: AheadLoads, students: dict[str, Contact], mock_types: Sequence[MockType]
) -> None:
    families, profile = loads.services.cached.families, loads.services.profile
    balances, of_types = families.credits, families.type_credits
    due = loads.find_due(balances, [balances.key(contact_id=each) for each in students])
    due_of_types = loads.find_due(
        of_types,
        [
            of_types.key(contact_id=each, type=mock_type.slug)
            for each in students
            for mock_type in mock_types
        ],
    )
    reads = loads.reads(composed_s=balances.ttl_s)
    wanted = {key.arguments["contact_id"] for key in (*due, *due_of_types)}
    loads.read_parts(families.contacts, "contact_id", reads.contacts, wanted)
    if profile.object_types.enrollments is not None:
        enrolled = {key.arguments["contact_id"] for key in due_of_types}
        ids = {each for contact_id in enrolled for each in ids_of(students[contact_id])}
        loads.read_parts(families.contact_enrollments, "contact_id", reads.contact_enrollments, ids)
    loads.load(balances, due)
    loads.load(of_types, due_of_types)
