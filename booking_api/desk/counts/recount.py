"""Counts, computed from complete reads of the bookings and from nothing else.

Reading takes long and holds up nobody: it is done beside the desk. Only the correction is written
by the desk, and only for exams it has not written for since the reading began; the others are read
again by the desk itself. An exam any part of which could not be read is reported and left alone: an
unknown is never written as a zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from typing import Final

import structlog

from booking_api.desk.counts.count_log import keep_last_counts
from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.desk import Desk
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import follow_ups, known_bookings
from booking_api.desk.journal.lease import HeldLease, LeaseLost
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.isolation import do_apart
from hubspot_sync.batching.outcomes import Complete, Found, Many, Missing, Unknown, merge
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import ids_of
from hubspot_sync.reading.overlaid_links import add_unshown, exams_of_bookings
from hubspot_sync.reading.tags import exam_tag
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenState

MAX_EXAMS_PER_READ: Final = 1_000
"""One association read takes no more (hubspot-facts, Associations)."""
NO_SUCH_EXAM: Final = "There is no such mock exam."
DESK: Final = "the desk"
"""For whom exams are counted that nobody asked for: after a change, or a count seen to be wrong.
Those who are no persons have a blank in their names: no username has one."""
NOT_COUNTED: Final = "Something went wrong on our side; it was not counted."

log = structlog.get_logger(__name__)


class Recount:
    """Counts exams and has the desk correct what differs."""

    def __init__(self, desk_context: DeskContext, desk: Desk) -> None:
        self._desk_context = desk_context
        self._desk = desk

    def recount(
        self,
        exam_ids: Collection[str],
        context: CallContext,
        *,
        dry_run: bool = False,
        who: str = DESK,
    ) -> tuple[ExamCount, ...]:
        """Return the counts in the order of the ids, each once; nothing is raised for an exam that
        could not be read or handled. Corrections are written unless `dry_run`. That they were
        counted is kept, with `who` it was for."""
        ids = list(dict.fromkeys(exam_ids))
        counts: list[ExamCount] = []

        def recount_slice(part: Sequence[str]) -> None:
            # A booking written while it is counted is one written since.
            began = self._desk_context.now()
            counted = self._recount_slice(part, context, dry_run=dry_run)
            keep_last_counts(counted, who, began)
            counts.extend(counted)

        def report_failed(exam_id: str, error: Exception) -> None:
            log.error("exam_not_counted", exam=exam_id, exc_info=error)
            counts.append(ExamCount(exam_id=exam_id, error=NOT_COUNTED))

        for start in range(0, len(ids), MAX_EXAMS_PER_READ):
            part = ids[start : start + MAX_EXAMS_PER_READ]
            do_apart(part, recount_slice, report_failed, is_nobodys_fault=_is_no_exams_fault)
        return tuple(counts)

    def _recount_slice(
        self, exam_ids: Sequence[str], context: CallContext, *, dry_run: bool
    ) -> list[ExamCount]:
        epoch = self._desk.epoch()
        counts = count_bookings(self._desk_context, exam_ids, context)
        if dry_run or not any(count.differs for count in counts.values()):
            return [counts[exam_id] for exam_id in exam_ids]
        done = self._desk.run(lambda lease: self._correct_counts(lease, counts, epoch, context))
        try:
            corrected = done.result(timeout=context.deadline.remaining_s())
        except FutureTimeout:
            done.cancel()
            return [
                _mark_uncorrected(counts[exam_id], "The desk was busy.") for exam_id in exam_ids
            ]
        except CancelledError:
            return [
                _mark_uncorrected(counts[exam_id], "The desk has ended.") for exam_id in exam_ids
            ]
        except LeaseLost:
            return [
                _mark_uncorrected(counts[exam_id], "Another desk took over.")
                for exam_id in exam_ids
            ]
        return [corrected[exam_id] for exam_id in exam_ids]

    def _correct_counts(
        self, lease: HeldLease, counts: Mapping[str, ExamCount], epoch: int, context: CallContext
    ) -> dict[str, ExamCount]:
        """Write the counts that differ; runs in the desk's thread, while nobody else writes. People
        wait behind it, so it does not wait for the background's share of the budget."""
        desk_context = self._desk_context
        differing = [count.exam_id for count in counts.values() if count.differs]
        written_since = known_bookings.exams_written_since(epoch, differing)
        fresh = count_bookings(
            desk_context, sorted(written_since), desk_context.renew_for_calls(lease, context.meters)
        )
        corrected = {**counts, **fresh}
        totals = {
            count.exam.id: count.actual
            for count in corrected.values()
            if count.differs and count.exam is not None and count.actual is not None
        }
        try:
            written = desk_context.writes.set_totals(
                totals, desk_context.renew_for_calls(lease, context.meters)
            )
            lease.renew()
        except LeaseLost:
            # Whoever has taken over may have counted since: what was written here may be older.
            follow_ups.request_recounts(totals, desk_context.now())
            raise
        finally:
            desk_context.invalidate_cache({exam_tag(exam_id) for exam_id in totals})
        return {
            exam_id: _with_outcome(count, written) if count.differs else count
            for exam_id, count in corrected.items()
        }


def count_bookings(
    desk_context: DeskContext, exam_ids: Collection[str], context: CallContext
) -> dict[str, ExamCount]:
    """Return each exam's count by its id; two round trips, one call for a hundred bookings."""
    if len(exam_ids) == 0:
        return {}
    exams, links = run_together(
        desk_context.fan_out,
        lambda: desk_context.hubspot.exams(exam_ids, context),
        lambda: desk_context.hubspot.exam_bookings(exam_ids, context),
    )
    survivors = {exam_id: exam.id for exam_id, exam in exams.found.items() if exam.id != exam_id}
    if len(survivors) > 0:  # of the old ids HubSpot may show no links
        theirs = desk_context.hubspot.exam_bookings(set(survivors.values()), context)
        links = merge((links.without(survivors), theirs.renamed(survivors)))
    all_ids = {exam_id: {exam_id} for exam_id in exam_ids}
    for exam_id, exam in exams.found.items():
        all_ids[exam_id].update(ids_of(exam))
    unlisted = known_bookings.read_unlisted_bookings(
        set().union(*all_ids.values()), (), desk_context.now()
    )
    ends = exams_of_bookings(desk_context.hubspot, desk_context.recent)
    links = add_unshown(links, unlisted.of_exams(all_ids), all_ids, ends, context)
    booking_ids = {exam_id: set(links.if_found(exam_id) or ()) for exam_id in exam_ids}
    states = desk_context.evidence.booking_states(set().union(*booking_ids.values()), context)
    counts = {}
    for exam_id in exam_ids:
        try:
            counted = exams.answered(exam_id)
            links.answered(exam_id)
            there = states.require(booking_ids[exam_id])
        except HubSpotError as error:
            counts[exam_id] = ExamCount(exam_id=exam_id, error=error.safe_text)
            continue
        if counted is None:
            counts[exam_id] = ExamCount(exam_id=exam_id, error=NO_SUCH_EXAM)
        else:
            active = count_active(there)
            counts[exam_id] = ExamCount(exam_id=exam_id, exam=counted, actual=active)
    return counts


def count_active(states: Complete[SeenState]) -> int:
    """Return how many bookings are active; two ids of a merged one are one."""
    return len({one.id for one in states.found.values() if one.state == "active"})


def search_upcoming_exam_ids(
    desk_context: DeskContext, mock_types: Collection[str], context: CallContext
) -> tuple[str, ...]:
    """Return the ids of the exams of these types that may still be booked, by one search for all of
    them, with those that HubSpot told of lately. A search is not current: it says which exams there
    are, not what is true of them. Raises HubSpotError."""
    found = desk_context.hubspot.active_exams(mock_types, context).by_type.values()
    return tuple(dict.fromkeys(exam_id for ids in found for exam_id in ids))


def _with_outcome(count: ExamCount, written: Many[RawRecord]) -> ExamCount:
    """Return a count that differed with what became of its correction."""
    exam_id = count.exam_id if count.exam is None else count.exam.id
    match written.outcome(exam_id):
        case Found():
            log.info("count_corrected", exam=exam_id, stored=count.stored, actual=count.actual)
            return replace(count, updated=True)
        case Missing():
            return replace(count, error=NO_SUCH_EXAM)
        case Unknown(error):
            return replace(count, error=error.safe_text)


def _is_no_exams_fault(error: Exception) -> bool:
    return isinstance(error, HubSpotError) or is_database_away(error)


def _mark_uncorrected(count: ExamCount, reason: str) -> ExamCount:
    return replace(count, error=reason) if count.differs else count


def all_unanswered(counts: Collection[ExamCount]) -> bool:
    """Say whether HubSpot answered for none of them."""
    return len(counts) > 0 and all(
        count.exam is None and count.error != NO_SUCH_EXAM for count in counts
    )
