"""The exams of a type that can still be sat, with their seats.

A search says which exams there may be; what is true of them comes from batch reads. Asked for
realtime, seats are counted from the bookings themselves, and an exam whose count is not completely
known fails the whole answer: a number that is only probably right is worse than a late one. Where a
stored count cannot be read, that exam alone is counted; until that is possible it is listed full.

What HubSpot refuses for itself stays refused, and must not hide the other exams: an exam that is
refused is left out, and one that cannot be counted for such a record's sake is listed full.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

from booking_api.queries.query_context import QueryContext
from booking_api.rules.booking_end import is_over
from booking_api.rules.seats import ExamStatus, available_slots, exam_status
from hubspot_sync.batching.outcomes import Complete, FoundByKey, Many, merge
from hubspot_sync.errors import Refused
from hubspot_sync.portal.profile import MockType
from hubspot_sync.portal.records import Booking, MockExam, ids_of
from hubspot_sync.reading.cache_families import Seats
from hubspot_sync.reading.own_links import Ids
from hubspot_sync.reading.tags import booking_tag, exam_bookings_tag, exam_tag, tags_of_booking
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together

V = TypeVar("V")
W = TypeVar("W")

Read = Callable[[Collection[str], CallContext], Many[V]]

UNKNOWN_LOCATION = "TBD"
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamSeats:
    """An exam and its seats; `total_bookings` is the stored or the counted number, as asked. An
    exam that is not `countable` offers no seat, whatever the number."""

    exam: MockExam
    total_bookings: int
    countable: bool = True

    @property
    def location(self) -> str:
        return self.exam.location or UNKNOWN_LOCATION

    @property
    def available_slots(self) -> int:
        if not self.countable:
            return 0
        return available_slots(self.exam.capacity, self.total_bookings)

    @property
    def status(self) -> ExamStatus:
        return exam_status(self.available_slots)


@dataclass(frozen=True, kw_only=True, slots=True)
class AvailableExams:
    """The exams by date, then start; `to_correct` names those whose stored count is wrong. At
    `changes_at` one of them ends."""

    listed: tuple[ExamSeats, ...]
    to_correct: frozenset[str]
    changes_at: datetime | None


def find_available_exams(
    query: QueryContext, mock_type: MockType, *, include_full: bool, realtime: bool
) -> AvailableExams:
    """Return the exams that can be sat; raise HubSpotError."""
    exams, seats_read = read_exams(query, mock_type, realtime=realtime)
    counted = seats_read.without_refused().require_complete().found
    found = exams.without_refused().require_complete().found
    # Search may name an exam by the id of one that was merged into it, too.
    asked_by = {exam.id: exam_id for exam_id, exam in found.items()}
    bookable = [
        found[asked]
        for asked in asked_by.values()
        if is_bookable(found[asked], mock_type, query.now)
    ]
    if not realtime:
        uncounted = [asked_by[exam.id] for exam in bookable if exam.stored_total is None]
        # One that cannot be counted is full.
        counted = dict(query.reads.seats(uncounted, query.call).found.items())
    seats = [
        ExamSeats(
            exam=exam,
            total_bookings=seats_taken(exam, counted.get(asked_by[exam.id])),
            countable=asked_by[exam.id] not in seats_read.refused,
        )
        for exam in bookable
    ]
    listed = (seat for seat in seats if include_full or seat.available_slots > 0)
    return AvailableExams(
        listed=tuple(sorted(listed, key=date_then_start)),
        to_correct=frozenset(
            seat.exam.id for seat in seats if seat.total_bookings != seat.exam.stored_total
        ),
        changes_at=min((exam.ends_at for exam in bookable if exam.ends_at), default=None),
    )


def read_exams(
    query: QueryContext, mock_type: MockType, *, realtime: bool
) -> tuple[Many[MockExam], Many[Seats]]:
    """Return the exams there may be and, counted anew, their seats; raise HubSpotError where it is
    not known which there are."""
    reads, call = query.reads, query.call
    if not realtime:
        exam_ids, early = list_exam_ids(query, mock_type, reads.exams)
        return read_rest(early, exam_ids, reads.exams, call), Many(found={})
    exam_ids, early_seats = list_exam_ids(query, mock_type, reads.seats)
    seats = read_rest(early_seats, exam_ids, reads.seats, call)
    return reads.exams(exam_ids, call), seats


def list_exam_ids(
    query: QueryContext, mock_type: MockType, read: Read[V]
) -> tuple[tuple[str, ...], Many[V]]:
    """Return the ids of the exams there may be; raise HubSpotError. Where they have to be searched
    for, those of last time are read beside the search: what came of that is returned too."""
    early: Many[V] = Many(found={})

    def read_beside(search: Callable[[], W], /) -> W:
        nonlocal early
        likely = query.likely.exams.of([mock_type.slug])
        if len(likely) == 0:
            return search()
        searched, early = run_together(query.fan_out, search, lambda: read(likely, query.call))
        return searched

    active = query.reads.active_exams([mock_type.value], query.call, read_beside)
    exam_ids = active.by_type[mock_type.value]
    query.likely.exams.note(mock_type.slug, exam_ids)
    return exam_ids, early


def read_rest(early: Many[V], ids: Collection[str], read: Read[V], call: CallContext) -> Many[V]:
    """Return what is wanted of these ids: what was found early, and the rest read now."""
    found = {each: early.found[each] for each in ids if each in early.found}
    return merge((Many(found=found), read(set(ids) - found.keys(), call)))


def is_bookable(exam: MockExam, mock_type: MockType, now: datetime) -> bool:
    """Search lags: the exam itself says whether it is still active and of this type."""
    return exam.is_active and exam.mock_type == mock_type.value and not is_over(exam.ends_at, now)


def seats_taken(exam: MockExam, counted: Seats | None) -> int:
    """Return the counted number, or the stored one where none was counted; all seats where that
    cannot be read, so that none is offered which may be taken."""
    if counted is not None:
        return counted.active_bookings
    return exam.capacity if exam.stored_total is None else exam.total_bookings


def count_seats(
    query: QueryContext, exam_ids: tuple[str, ...]
) -> Many[tuple[Seats, frozenset[str]]]:
    """Return the seats of each exam there is, with the tags of what they were counted from. An exam
    of which any part is unknown is unknown, with that part's error."""
    reads, call = query.reads, query.call
    likely = query.likely.bookings
    exams, links, early = run_together(
        query.fan_out,
        lambda: reads.exams(exam_ids, call),
        lambda: reads.exam_bookings(exam_ids, call),
        lambda: reads.bookings(likely.of(exam_ids), call),
    )
    links = _read_links_of_survivors(query, exams.found, links)
    for exam_id, linked in links.found.items():
        likely.note(exam_id, linked)
    booking_ids = {booking_id for linked in links.found.values() for booking_id in linked}
    bookings = read_rest(early, booking_ids, reads.bookings, call)
    unknown = {**links.unknown, **exams.unknown}
    for exam_id, linked in links.found.items():
        errors = [bookings.unknown[each] for each in linked if each in bookings.unknown]
        if errors and exam_id not in unknown:
            # What may be read later makes the count one to wait for.
            unknown[exam_id] = min(errors, key=lambda error: isinstance(error, Refused))
    found = {}
    for exam_id, exam in exams.found.items():
        if exam_id not in unknown:
            there = bookings.require(links.answered(exam_id) or ())
            tags = tags_of_seats(exam_id, exam.id, there)
            found[exam_id] = (seats_of(exam, there, query.now), tags)
    return Many(found=found, missing=exams.missing - unknown.keys(), unknown=unknown)


def _read_links_of_survivors(
    query: QueryContext, exams: FoundByKey[MockExam], links: Many[Ids]
) -> Many[Ids]:
    """Return the links with those of the survivor for each exam that was merged into another, and
    for each survivor with the bookings made here for those merged into it."""
    survivors = {exam_id: exam.id for exam_id, exam in exams.items() if exam.id != exam_id}
    if len(survivors) > 0:
        theirs = query.reads.exam_bookings(set(survivors.values()), query.call)
        links = merge((links.without(survivors), theirs.renamed(survivors)))
    merged = {exam_id: ids_of(exam) for exam_id, exam in exams.items() if exam.merged_ids}
    return links if len(merged) == 0 else query.reads.add_merged(links, merged, query.call)


def tags_of_seats(exam_id: str, own_id: str, bookings: Complete[Booking]) -> frozenset[str]:
    """Return the tags of an exam and of all its bookings, the archived too: all exams of a load are
    counted from the same reads, but each changes with its own bookings alone."""
    booking_ids = bookings.found.keys() | bookings.missing
    there = (tags_of_booking(each, booking) for each, booking in bookings.found.items())
    exams = {exam_tag(exam_id), exam_bookings_tag(exam_id), exam_bookings_tag(own_id)}
    own = {*exams, exam_tag(own_id), *map(booking_tag, booking_ids)}
    return frozenset(own.union(*there))


def seats_of(exam: MockExam, bookings: Complete[Booking], now: datetime) -> Seats:
    """Return an exam's seats; `bookings` are by the ids that they are linked by: one that was
    merged may be linked by two, and takes one seat."""
    active = {one.id for one in bookings.found.values() if one.state == "active"}
    return Seats(
        capacity=exam.capacity,
        active_bookings=len(active),
        counted_at=now,
    )


def date_then_start(seats: ExamSeats) -> tuple[date, datetime, int, str]:
    exam = seats.exam
    day = date.max if exam.exam_date is None else exam.exam_date
    starts_at = END_OF_TIME if exam.starts_at is None else exam.starts_at
    return day, starts_at, len(exam.id), exam.id
