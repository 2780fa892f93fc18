"""The exams that a group of cancels gives seats back to: as they are, and how many bookings stay.

An exam is read with the ids of its bookings as soon as it is known which exam it is: of a booking
made or cancelled here before anything else is read. The states of its bookings decide nothing, they
are only counted; so they are read while the cancels are written. A booking that is being cancelled
is left out, whichever of the two HubSpot did first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import storable_text
from booking_api.desk.journal import known_bookings
from booking_api.desk.journal.models import JournalEntry
from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import MockExam, ids_of
from hubspot_sync.reading.overlaid_links import add_unshown, exams_of_bookings
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenState
from hubspot_sync.writing.linked_bookings import LinkedExam, is_refused_alone

ExamsRead = tuple[Many[MockExam], Many[tuple[str, ...]]]
"""Exams, and the ids of their bookings."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class CancelledExams:
    """What was read of a group's exams, by the ids that their bookings' links have. `exams` tells
    what they are, `links` their bookings, `states` which of those are active, once it was read."""

    exams: Many[MockExam] = field(default_factory=lambda: Many({}))
    links: Many[tuple[str, ...]] = field(default_factory=lambda: Many({}))
    states: Many[SeenState] = field(default_factory=lambda: Many({}))

    def add(self, desk_context: DeskContext, read: ExamsRead, context: CallContext) -> None:
        """Add exams that were read, with the bookings that the journal knows and HubSpot may not
        show yet."""
        exams, links = read
        self.exams = merge((self.exams, exams))
        self.links = merge((self.links, _add_unlisted(desk_context, exams, links, context)))

    def read_states(
        self, desk_context: DeskContext, rows: Sequence[JournalEntry], context: CallContext
    ) -> None:
        """Read the states of all bookings of these rows' exams."""
        found = (self.links.if_found(row.exam_id) for row in rows)
        linked = {each for ids in found if ids is not None for each in ids}
        self.states = desk_context.evidence.booking_states(linked, context)

    def count_remaining(self, written: Sequence[JournalEntry]) -> dict[str, int]:
        """Return how many active bookings each exam has without those that were cancelled by these
        rows, of exams that could be read completely."""
        cancelled = {row.record_id for row in written}
        totals: dict[str, int] = {}
        for exam_id in {row.exam_id for row in written}:
            if not self.exams.covers(exam_id):
                continue
            try:
                exam = self.exams.answered(exam_id)
                if exam is None or exam.id != exam_id:
                    continue  # gone, or merged into another: whoever counts it anew finds out
                linked = self.links.answered(exam_id) or ()
                states = self.states.require(sorted(linked)).found.values()
            except HubSpotError as error:
                log.warning("exam_not_counted", exam=exam_id, error=storable_text(error))
                continue
            active = {each.id for each in states if each.state == "active"}
            totals[exam_id] = len(active - cancelled)
        return totals


def read_exams(
    desk_context: DeskContext, exam_ids: Collection[str], context: CallContext
) -> ExamsRead:
    """Read exams with the ids of their bookings in one round trip: a single one in one call, where
    HubSpot tells all its bookings with it, several in two. The database is not asked, and nothing
    is raised for a part that failed."""
    if len(exam_ids) == 1 and desk_context.linked.tells_links:
        (exam_id,) = exam_ids
        try:
            linked = desk_context.linked.read_exam(exam_id, context)
        except HubSpotError as error:
            if not is_refused_alone(error):
                return Many({}, unknown={exam_id: error}), Many({}, unknown={exam_id: error})
            # What is refused when it is asked this way may be answered when asked the other way.
            log.warning("exam_not_read_alone", exam=exam_id, error=error.safe_text)
            desk_context.linked.note_silence()
        else:
            return _complete_bookings(desk_context, exam_id, linked, context)
    return run_together(
        desk_context.fan_out,
        lambda: desk_context.hubspot.exams(exam_ids, context),
        lambda: desk_context.hubspot.exam_bookings(exam_ids, context),
    )


def _complete_bookings(
    desk_context: DeskContext, exam_id: str, linked: LinkedExam | None, context: CallContext
) -> ExamsRead:
    """Return what a single read told, with the bookings read besides where it left some unsaid."""
    if linked is None:
        return Many({}, missing=frozenset({exam_id})), Many({exam_id: ()})
    exams = Many({exam_id: linked.exam})
    if linked.bookings is not None:
        return exams, Many({exam_id: linked.bookings})
    return exams, desk_context.hubspot.exam_bookings({exam_id}, context)


def _add_unlisted(
    desk_context: DeskContext,
    exams: Many[MockExam],
    links: Many[tuple[str, ...]],
    context: CallContext,
) -> Many[tuple[str, ...]]:
    """Return the exams' bookings with those that the journal knows and HubSpot may not show yet; of
    a merged exam by whichever id they were made for."""
    all_ids = {
        exam_id: (exam_id,) if (exam := exams.if_found(exam_id)) is None else ids_of(exam)
        for exam_id, _ in links.found.items()
    }
    known_as = {each for ids in all_ids.values() for each in ids}
    unlisted = known_bookings.read_unlisted_bookings(known_as, (), desk_context.now())
    ends = exams_of_bookings(desk_context.hubspot, desk_context.recent)
    return add_unshown(links, unlisted.of_exams(all_ids), all_ids, ends, context)
