"""Warming what everybody asks for: which exams of a type there are, the exams, their seats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from booking_api.ops.warming.loading import AheadLoads, WarmingStopped
from booking_api.queries.available_exams import END_OF_TIME, is_bookable
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.profile import MockType
from hubspot_sync.portal.records import MockExam

SHARE_OF_ENTRIES: Final = 0.25
"""Of the entries that there is room for, as many may be bookings that were counted."""


def warm_exams(loads: AheadLoads, mock_types: Sequence[MockType], *, with_seats: bool) -> int:
    """Bring up to date what the lists of these types are made of; return the number of exams that
    may be booked. Seats are counted `with_seats`, the soonest exams first, and otherwise where a
    stored count cannot be read: the list counts those. Raises WarmingStopped."""
    cached = loads.services.cached
    of_types, exams = cached.families.exams_of_type, cached.families.exams
    loads.bring_up(of_types, [of_types.key(type=each.slug) for each in mock_types])
    ids = _find_ids(loads, mock_types)
    found = loads.read_parts(exams, "exam_id", loads.reads().exams, ids).found
    bookable = _find_bookable(loads, mock_types, found.items())
    room = int(SHARE_OF_ENTRIES * cached.cache.config.max_entries)
    counted = [
        exam_id
        for exam_id, exam in _within_room(bookable, room)
        if with_seats or exam.stored_total is None
    ]
    _warm_seats(loads, counted)
    return len(bookable)


def _warm_seats(loads: AheadLoads, exam_ids: Sequence[str]) -> None:
    """Count these exams, of parts that are brought up to date first: links and bookings, each for
    all exams at once."""
    families = loads.services.cached.families
    keys = {families.seats.key(exam_id=each): each for each in exam_ids}
    due = loads.find_due(families.seats, list(keys))
    reads = loads.reads(composed_s=families.seats.ttl_s)
    links = loads.read_parts(
        families.exam_bookings, "exam_id", reads.exam_bookings, [keys[key] for key in due]
    )
    bookings = {each for linked in links.found.values() for each in linked}
    loads.read_parts(families.bookings, "booking_id", reads.bookings, bookings)
    loads.load(families.seats, due)


def _find_ids(loads: AheadLoads, mock_types: Sequence[MockType]) -> list[str]:
    try:
        active = loads.reads().active_exams(
            [each.value for each in mock_types], loads.call_context()
        )
    except HubSpotError as error:
        raise WarmingStopped(error.safe_text) from error
    return [*dict.fromkeys(each for ids in active.by_type.values() for each in ids)]


def _find_bookable(
    loads: AheadLoads, mock_types: Sequence[MockType], exams: Iterable[tuple[str, MockExam]]
) -> list[tuple[str, MockExam]]:
    """Return what can be booked by the id that a search named it by, the soonest first."""
    by_name, now = {each.value: each for each in mock_types}, loads.services.clocks.now()
    there = (
        (exam_id, exam)
        for exam_id, exam in exams
        if exam.mock_type in by_name and is_bookable(exam, by_name[exam.mock_type], now)
    )
    return sorted(there, key=lambda each: (each[1].ends_at or END_OF_TIME, each[0]))


def _within_room(
    bookable: Sequence[tuple[str, MockExam]], room: int
) -> Iterable[tuple[str, MockExam]]:
    """Yield those whose bookings there is room for. A stored count may be any number: one that is
    far too large leaves out that exam alone."""
    for exam_id, exam in bookable:
        needed = max(1, exam.total_bookings)
        if needed <= room:
            room -= needed
            yield exam_id, exam
