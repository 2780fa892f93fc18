"""Where requests come to the desk, and where their callers wait for the answers.

A request that was carried out before is answered as the first time: one with its key, or without a
key a repeat of the same one (`journal/repeats.py`). Only a booking that still stands is confirmed
again, by what HubSpot says now. One that cannot be read is neither confirmed nor called cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from booking_api.desk import errors
from booking_api.desk.journal import repeats
from booking_api.desk.journal.answers import Refusal
from booking_api.desk.journal.erasure import is_erased
from booking_api.desk.journal.idempotency import QueuePlace, find_earlier, fingerprint
from booking_api.desk.journal.models import ANSWERED, REFUSALS, EntryState, JournalEntry
from booking_api.desk.journal.queue import ANSWER_MARGIN_S, Queue
from booking_api.desk.journal.requests import CreateRequest, DeskRequest
from booking_api.desk.journal.stored_json import read_stored
from booking_api.desk.journal.waiting_room import WaitingRoom
from booking_api.rules.errors import BookingError, WrongPair
from hubspot_sync.errors import HubSpotError
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """The contract's `data` for a request that was carried out, as it was stored. `replayed` says
    that an earlier request did it."""

    data: dict[str, object]
    replayed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """Who asks for something, and until when they wait. `student` is the id of the contact who was
    found to be asking; `is_keyless` says that `key` is one of ours, which the caller does not know.
    """

    student: str
    key: str
    is_keyless: bool
    deadline: Deadline
    meter: CallMeter = field(default_factory=CallMeter)

    def call_context(self) -> CallContext:
        return CallContext(deadline=self.deadline, meters=(self.meter,))


class Reception:
    """One process's, in front of its queue. `hubspot` reads HubSpot itself; `now` is the wall
    clock, aware."""

    def __init__(self, queue: Queue, hubspot: PortalReads, now: Callable[[], datetime]) -> None:
        self._queue = queue
        self._hubspot = hubspot
        self._now = now
        self._waiting_room = WaitingRoom()

    def submit(self, request: DeskRequest, asking: Asking) -> DeskAnswer:
        """Have a request served, and wait for it until its deadline.

        Raises the refusal; RequestInProgress where the same request is at work already;
        OutcomeUnknown where the own one is, and its outcome could not be learnt in time;
        AlreadyCanceled where what the key booked does not stand any more, DeskUnavailable where
        that cannot be learnt; and TooManyWaiting, with nothing stored, where others of the student
        wait already. Those that make sense to be asked again name the key to do it with.
        """
        if not asking.is_keyless or not isinstance(request, CreateRequest):
            return self._submit_by_key(request, asking)
        with self._waiting_room.admit_keyless(asking.student) as is_admitted:
            if not is_admitted:
                raise _in_progress(repeats.find_firsts(request, self._now()))
            return self._submit_or_repeat(request, asking)

    # By its key ---------------------------------------------------------------------------------

    def _submit_by_key(self, request: DeskRequest, asking: Asking) -> DeskAnswer:
        with self._waiting_room.seat(asking.student, asking.key) as seated:
            if not seated:
                return self._replay(request, asking)
            place = self._queue.enter(request, asking.key, asking.deadline, student=asking.student)
            row = self._queue.wait(place, asking.deadline, asking.meter)
        if row is None:
            raise errors.OutcomeUnknown() if place.own else errors.RequestInProgress()
        answer = _answer_of(row, replayed=not place.own)
        if place.row.state in ANSWERED:  # before it was asked for again
            self._check_that_it_stands(row, asking)
        return answer

    def _replay(self, request: DeskRequest, asking: Asking) -> DeskAnswer:
        """Answer a request that may not wait from what its key has become; raise RequestInProgress
        and TooManyWaiting."""
        # Asked first: its row may not be stored yet.
        is_seated = self._waiting_room.has_seated(asking.student, asking.key)
        row = find_earlier(request, asking.key)
        if row is None and not is_seated:
            raise errors.TooManyWaiting
        if row is None or row.state not in ANSWERED:
            raise errors.RequestInProgress
        answer = _answer_of(row, replayed=True)
        self._check_that_it_stands(row, asking)
        return answer

    def _check_that_it_stands(self, row: JournalEntry, asking: Asking) -> None:
        if self._find_standing([row], asking) is None:
            raise errors.build_outlived_key()

    def _find_standing(self, rows: Sequence[JournalEntry], asking: Asking) -> JournalEntry | None:
        """Return the first of the rows whose booking HubSpot has, and not as cancelled; raise
        DeskUnavailable where it does not say."""
        read = self._hubspot.bookings([row.record_id for row in rows], asking.call_context())
        try:
            for row in rows:
                booking = read.answered(row.record_id)
                if booking is not None and booking.state != "cancelled":
                    return row
        except HubSpotError as error:
            raise errors.unavailable_from(error) from error
        return None

    # Without a key ------------------------------------------------------------------------------

    def _submit_or_repeat(self, request: CreateRequest, asking: Asking) -> DeskAnswer:
        """Answer with what the same request was answered with; where there is none that was booked
        and stands, have this one served."""
        arrived_at, passed_over = self._now(), set[int]()
        mark = fingerprint(request)
        while True:
            wait_s = asking.deadline.remaining_s() - ANSWER_MARGIN_S
            with self._waiting_room.take_turn(mark, wait_s, _leave_connection) as is_ours:
                firsts = repeats.find_firsts(request, arrived_at, passed_over)
                if not is_ours:
                    raise _in_progress(firsts)
                if len(firsts) == 0:
                    return self._submit_first(request, asking, arrived_at, passed_over)
            # What is at work is waited for alone: it may be refused for what the others booked.
            asked = firsts if firsts[0].state == EntryState.DONE else firsts[:1]
            answer = self._answer_again(asked, asking)
            if answer is not None:
                return answer
            passed_over.update(row.id for row in asked)

    def _answer_again(self, firsts: Sequence[JournalEntry], asking: Asking) -> DeskAnswer | None:
        """Return the answer of what this is a repeat of, once there is one. None where it was
        refused, or does not stand any more. Raises RequestInProgress and DeskUnavailable."""
        first = firsts[0]
        if first.state != EntryState.DONE:
            place = QueuePlace(first, own=False)
            row = self._queue.wait(place, asking.deadline, asking.meter)
            if row is None:
                raise _in_progress(firsts)
            return None if row.state in REFUSALS else _answer_of(row, replayed=True)
        standing = self._find_standing(firsts, asking)
        return None if standing is None else _answer_of(standing, replayed=True)

    def _submit_first(
        self,
        request: CreateRequest,
        asking: Asking,
        arrived_at: datetime,
        passed_over: Collection[int],
    ) -> DeskAnswer:
        """Have the request served. What it is refused for may be the doing of its twin, which came
        to another process at the same moment: that booking, or the last seat or credit it took."""
        try:
            return self._submit_by_key(request, asking)
        except WrongPair:
            raise
        except BookingError as refusal:
            firsts = repeats.find_firsts(request, arrived_at, passed_over)
            firsts = [row for row in firsts if row.idempotency_key != asking.key]
            booked = [row for row in firsts if row.state == EntryState.DONE]
            standing = self._find_standing(booked, asking) if len(booked) > 0 else None
            if standing is not None:
                return _answer_of(standing, replayed=True)
            if len(firsts) > len(booked) and refusal.retry_after_s is not None:
                raise _in_progress(firsts) from refusal
            raise


def _answer_of(row: JournalEntry, *, replayed: bool) -> DeskAnswer:
    """Return the answer of a row that has ended; raise its refusal."""
    if is_erased(row):  # between its end and this look: there is no answer to give any more
        raise errors.OutcomeUnknown
    if row.state in REFUSALS:
        raise Refusal.from_json(row.answer).error()
    return DeskAnswer(read_stored(row.answer, dict[str, object]), replayed=replayed)


def _in_progress(firsts: Sequence[JournalEntry]) -> errors.RequestInProgress:
    """Return the refusal of a repeat that may wait no longer, with the key of what it repeats."""
    refusal = errors.RequestInProgress()
    if len(firsts) > 0:
        refusal.details["idempotency_key"] = firsts[0].idempotency_key
    return refusal


def _leave_connection() -> None:
    """Let go of the database: there are more who wait than connections."""
    if not connection.in_atomic_block:
        connection.close()
