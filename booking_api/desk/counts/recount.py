"""Counts, computed from complete reads of the bookings and from nothing else.

Reading takes long and holds up nobody: it is done beside the desk. Only the correction is written by
the desk, and only for exams it has not written for since the reading began; the others are read
again by the desk itself. An exam any part of which could not be read is reported and left alone: an
unknown is never written as a zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from typing import Final

import structlog

from booking_api.desk.desk import Desk
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease, LeaseLost
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import MockExam
from hubspot_sync.reading.cache_families import exam_tag
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together

MOST_AT_ONCE: Final = 1_000
"""As many exams as one association read takes (hubspot-facts, Associations)."""
NO_SUCH_EXAM: Final = "There is no such mock exam."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamCount:
    """An exam's stored count and the true one; `error` says why it could not be counted, or why
    the correction could not be written. `updated` is True once the correction is stored."""

    exam_id: str
    exam: MockExam | None = None
    actual: int | None = None
    updated: bool = False
    error: str = ""

    @property
    def stored(self) -> int:
        return 0 if self.exam is None else self.exam.total_bookings

    @property
    def differs(self) -> bool:
        return self.exam is not None and self.actual is not None and self.actual != self.stored


class Recount:
    """Counts exams and has the desk correct what differs."""

    def __init__(self, tools: DeskContext, desk: Desk) -> None:
        self._tools = tools
        self._desk = desk

    def recount(
        self, exam_ids: Collection[str], context: CallContext, *, dry_run: bool = False
    ) -> tuple[ExamCount, ...]:
        """Return the counts in the order of the ids, each once; nothing is raised for an exam that
        could not be read. Corrections are written unless `dry_run`."""
        ids = list(dict.fromkeys(exam_ids))
        counts: list[ExamCount] = []
        for start in range(0, len(ids), MOST_AT_ONCE):
            counts += self._slice(ids[start : start + MOST_AT_ONCE], context, dry_run=dry_run)
        return tuple(counts)

    def _slice(
        self, exam_ids: Sequence[str], context: CallContext, *, dry_run: bool
    ) -> list[ExamCount]:
        epoch = self._desk.epoch()
        counts = count(self._tools, exam_ids, context)
        if dry_run or not any(one.differs for one in counts.values()):
            return [counts[id_] for id_ in exam_ids]
        done = self._desk.run(lambda held: self._correct(held, counts, epoch, context))
        try:
            corrected = done.result(timeout=context.deadline.remaining_s())
        except FutureTimeout:
            done.cancel()
            return [_uncorrected(counts[id_], "The desk was busy.") for id_ in exam_ids]
        except CancelledError:
            return [_uncorrected(counts[id_], "The desk has ended.") for id_ in exam_ids]
        except LeaseLost:
            return [_uncorrected(counts[id_], "Another desk took over.") for id_ in exam_ids]
        return [corrected[id_] for id_ in exam_ids]

    def _correct(
        self, held: HeldLease, counts: Mapping[str, ExamCount], epoch: int, context: CallContext
    ) -> dict[str, ExamCount]:
        """Write the counts that differ; runs in the desk's thread, while nobody else writes. People
        wait behind it, so it does not wait for the background's share of the budget."""
        tools = self._tools
        differing = [one.exam_id for one in counts.values() if one.differs]
        touched = journal.touched_since(epoch, differing)
        fresh = count(tools, sorted(touched), tools.step(held, context.meters))
        corrected = {**counts, **fresh}
        totals = {
            one.exam_id: one.actual
            for one in corrected.values()
            if one.differs and one.actual is not None
        }
        try:
            written = tools.writes.set_totals(totals, tools.step(held, context.meters))
            held.renew()
        except LeaseLost:
            # Whoever has taken over may have counted since: what was written here may be older.
            journal.request_recounts(totals, tools.now())
            raise
        finally:
            tools.forget({exam_tag(exam_id) for exam_id in totals})
        for exam_id in totals:
            one = corrected[exam_id]
            if exam_id in written.found:
                log.info("count_corrected", exam=exam_id, stored=one.stored, actual=one.actual)
                corrected[exam_id] = replace(one, updated=True)
            else:
                error = written.unknown.get(exam_id)
                reason = NO_SUCH_EXAM if error is None else error.message
                corrected[exam_id] = replace(one, error=reason)
        return corrected


def count(
    tools: DeskContext, exam_ids: Collection[str], context: CallContext
) -> dict[str, ExamCount]:
    """Return each exam's count; two round trips, one call for a hundred bookings."""
    if len(exam_ids) == 0:
        return {}
    exams, links = run_together(
        tools.fan_out,
        lambda: tools.hubspot.exams(exam_ids, context),
        lambda: tools.hubspot.exam_bookings(exam_ids, context),
    )
    vouched = journal.vouched(exam_ids, (), tools.now()).by_exam
    booking_ids = {
        exam_id: set(links.found.get(exam_id, ())) | vouched.get(exam_id, frozenset())
        for exam_id in exam_ids
    }
    states = tools.evidence.booking_states(set().union(*booking_ids.values()), context)
    counts = {}
    for exam_id in exam_ids:
        try:
            exam = exams.answered(exam_id)
            links.answered(exam_id)
            active = [id_ for id_ in booking_ids[exam_id] if states.answered(id_) == "active"]
        except HubSpotError as error:
            counts[exam_id] = ExamCount(exam_id=exam_id, error=error.message)
            continue
        if exam is None:
            counts[exam_id] = ExamCount(exam_id=exam_id, error=NO_SUCH_EXAM)
        else:
            counts[exam_id] = ExamCount(exam_id=exam_id, exam=exam, actual=len(active))
    return counts


def upcoming_exam_ids(
    tools: DeskContext, mock_types: Collection[str], context: CallContext
) -> tuple[str, ...]:
    """Return the exams of these types that may still be booked, by search: which there are, not
    what is true of them. Raises HubSpotError."""
    found = [tools.hubspot.active_exam_ids(one, context) for one in mock_types]
    return tuple(dict.fromkeys(id_ for ids in found for id_ in ids))


def _uncorrected(one: ExamCount, reason: str) -> ExamCount:
    return replace(one, error=reason) if one.differs else one


def no_answer(counts: Collection[ExamCount]) -> bool:
    """Say whether HubSpot answered for none of them."""
    return len(counts) > 0 and all(one.exam is None and one.error != NO_SUCH_EXAM for one in counts)
