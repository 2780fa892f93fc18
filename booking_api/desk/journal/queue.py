"""The queue in front of the desk: requests arrive as journal rows, and their callers wait.

The order is that of the rows, whichever process they came to. A caller waits until its row has
ended or its own deadline has passed; a row that nobody has begun by then is taken back, so that
"nothing was changed" is true.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Q

from booking_api.desk import errors
from booking_api.desk.journal.answers import Refusal
from booking_api.desk.journal.idempotency import QueuePlace, fingerprint, insert_or_find
from booking_api.desk.journal.models import ANSWERED, UNFINISHED, EntryState, JournalEntry
from booking_api.desk.journal.requests import DeskRequest
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

ANSWER_MARGIN_S: Final = 0.5
"""The caller stops waiting so long before its deadline: it still has to send its answer."""

# Built once: looked at every few milliseconds while callers wait, and mostly in vain.
_PUT_OFF: Final = Q(state__in=UNFINISHED, next_attempt_at__isnull=False)
_TO_BE_TOLD: Final = (
    JournalEntry.objects.filter(_PUT_OFF | Q(state__in=ANSWERED))
    .order_by()
    .values_list("id", flat=True)
)


@dataclass(eq=False, slots=True)
class _Caller:
    meter: CallMeter
    deadline: Deadline
    ended: threading.Event = field(default_factory=threading.Event)
    row: JournalEntry | None = None


class Queue:
    """One process's door to the journal. `now` is the wall clock, aware; `on_arrival` is called
    once a row is there, `on_ended_elsewhere` before callers hear of rows that another process has
    ended."""

    def __init__(
        self,
        now: Callable[[], datetime],
        on_arrival: Callable[[], None],
        on_ended_elsewhere: Callable[[Sequence[JournalEntry]], None],
    ) -> None:
        self._now = now
        self._on_arrival = on_arrival
        self._on_ended_elsewhere = on_ended_elsewhere
        self._lock = threading.Lock()
        self._callers: dict[int, list[_Caller]] = defaultdict(list)

    def enter(
        self, request: DeskRequest, key: str, deadline: Deadline, *, student: str
    ) -> QueuePlace:
        """Put a request into the queue, or find the one its key belongs to. `student` is the id of
        the contact who asks.

        Raises IdempotencyKeyReused where that was another request, and the database's error for
        what it refuses to keep.
        """
        now = self._now()
        return insert_or_find(
            JournalEntry(
                kind=request.kind,
                idempotency_key=key,
                fingerprint=fingerprint(request),
                email=request.pair.email,
                contact_id=student,
                request=request.to_json(),
                arrived_at=now,
                changed_at=now,
                wanted_until=now + timedelta(seconds=deadline.remaining_s()),
            )
        )

    def wait(self, place: QueuePlace, deadline: Deadline, meter: CallMeter) -> JournalEntry | None:
        """Return the row once it has ended, or None where it has not by the deadline."""
        if place.row.state in ANSWERED:
            return place.row
        caller = _Caller(meter, deadline)
        with self._lock:
            self._callers[place.row.id].append(caller)
        try:
            self._on_arrival()
            # A waiting caller holds no connection: there are more callers than those. The desk is
            # at work by then, since SQLite may have to write for a while to close one.
            if not connection.in_atomic_block:
                connection.close()
            caller.ended.wait(max(0.0, deadline.remaining_s() - ANSWER_MARGIN_S))
        finally:
            with self._lock:
                self._callers[place.row.id].remove(caller)
                if len(self._callers[place.row.id]) == 0:
                    del self._callers[place.row.id]
        if caller.row is not None:
            return caller.row
        return self._withdraw(place)

    def meters_of(self, rows: Iterable[JournalEntry]) -> list[CallMeter]:
        """Return the meters of this process's callers who wait for these rows."""
        with self._lock:
            return [caller.meter for row in rows for caller in self._callers.get(row.id, ())]

    @property
    def waited_for(self) -> list[int]:
        """The ids of the rows that callers of this process wait for."""
        with self._lock:
            return list(self._callers)

    def deliver(self, rows: Iterable[JournalEntry]) -> None:
        """Let the callers go whose rows have ended."""
        with self._lock:
            for row in rows:
                if row.state not in ANSWERED:
                    continue
                for caller in self._callers.get(row.id, ()):
                    caller.row = row
                    caller.ended.set()

    def deliver_ended_elsewhere(self, ids: Collection[int]) -> None:
        """Deliver what the desks of other processes have ended, and let the callers go of what
        those have put off for too long."""
        # Read before the lock is taken: callers wait for it with a connection in their hands.
        to_be_told = list(_TO_BE_TOLD.filter(id__in=ids))
        if len(to_be_told) == 0:
            return
        found = list(JournalEntry.objects.filter(id__in=to_be_told))
        ended = [row for row in found if row.state in ANSWERED]
        if len(ended) > 0:
            self._on_ended_elsewhere(ended)
            self.deliver(ended)
        self.release_hopeless(found)

    def release_hopeless(self, rows: Iterable[JournalEntry]) -> None:
        """Let the callers go whose deadlines pass before anybody looks at their rows again; they
        are told that the outcome is not known."""
        now = self._now()
        with self._lock:
            for row in rows:
                if row.state not in UNFINISHED or row.next_attempt_at is None:
                    continue
                wait_s = (row.next_attempt_at - now).total_seconds()
                for caller in self._callers.get(row.id, ()):
                    if wait_s > caller.deadline.remaining_s():
                        caller.ended.set()

    def release(self, ids: Iterable[int]) -> None:
        """Let the callers of these rows go, whatever became of them."""
        with self._lock:
            for row_id in ids:
                for caller in self._callers.get(row_id, ()):
                    caller.ended.set()

    def _withdraw(self, place: QueuePlace) -> JournalEntry | None:
        """Take the row back if nobody has begun it; return it if it has ended meanwhile."""
        if place.own:
            JournalEntry.objects.filter(id=place.row.id, state=EntryState.QUEUED).update(
                state=EntryState.REFUSED,
                changed_at=self._now(),
                answer=Refusal.of(errors.TooBusy()).to_json(),
            )
        ended = list(JournalEntry.objects.filter(id=place.row.id, state__in=ANSWERED))
        if len(ended) == 0:
            if place.own:
                self._note_unheard(place.row)
            return None
        self._on_ended_elsewhere(ended)
        return ended[0]

    def _note_unheard(self, row: JournalEntry) -> None:
        """Write down that the row's caller is gone without an answer, perhaps before its deadline:
        whatever becomes of it now, the student has not heard it."""
        now = self._now()
        unheard = JournalEntry.objects.filter(id=row.id, state__in=UNFINISHED)
        unheard.filter(wanted_until__gt=now).update(wanted_until=now)
