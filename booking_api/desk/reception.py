"""Where requests come to the desk, and where their callers wait for the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from booking_api.desk import errors
from booking_api.desk.journal.erasure import is_erased
from booking_api.desk.journal.idempotency import find_earlier
from booking_api.desk.journal.models import ANSWERED, REFUSALS
from booking_api.desk.journal.queue import Queue
from booking_api.desk.journal.requests import DeskRequest
from booking_api.desk.journal.waiting_room import WaitingRoom
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """The contract's `data` for a request that was carried out. `replayed` says that an earlier
    request with this key did it."""

    data: dict[str, Any]
    replayed: bool


class Reception:
    """One process's, in front of its queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting_room = WaitingRoom()

    def submit(
        self,
        request: DeskRequest,
        key: str,
        deadline: Deadline,
        meter: CallMeter,
        *,
        student: str,
    ) -> DeskAnswer:
        """Have a request served, and wait for it until its deadline. `student` is the id of the
        contact who was found to be asking.

        Raises the refusal; RequestInProgress where another request with this key is at work;
        OutcomeUnknown where the own one is, and its outcome could not be learnt in time; and
        TooManyWaiting, with nothing stored, where others of the student wait already.
        """
        with self._waiting_room.seat(student, key) as seated:
            if not seated:
                return self._replay(request, key, student)
            place = self._queue.enter(request, key, deadline)
            row = self._queue.wait(place, deadline, meter)
        if row is None:
            raise errors.OutcomeUnknown() if place.own else errors.RequestInProgress()
        if is_erased(row):  # between its end and this look: there is no answer to give any more
            raise errors.OutcomeUnknown
        if row.state in REFUSALS:
            raise errors.from_json(row.answer)
        return DeskAnswer(row.answer, replayed=not place.own)

    def _replay(self, request: DeskRequest, key: str, student: str) -> DeskAnswer:
        """Answer a request that may not wait from what its key has become; raise RequestInProgress
        and TooManyWaiting."""
        # Asked first: its row may not be stored yet.
        is_seated = self._waiting_room.has_seated(student, key)
        row = find_earlier(request, key)
        if row is None and not is_seated:
            raise errors.TooManyWaiting
        if row is None:
            raise errors.RequestInProgress
        if row.state not in ANSWERED:
            raise errors.RequestInProgress
        if row.state in REFUSALS:
            raise errors.from_json(row.answer)
        return DeskAnswer(row.answer, replayed=True)
