"""The booking desk: the one loop in the deployment that writes bookings, credits and counts.

Every process has a desk, and all of them take requests; whichever holds the lease serves the queue,
the others look for the answers of the requests that came to them. A turn: finish what is
unfinished, then groups of cancels, updates and creates, then one job that wanted the lease, until
nothing is left. A process that takes over a lease that was never given back waits until its former
holder can no longer be sending.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from django.db import DatabaseError, connection

from booking_api.desk import errors
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.events import TakenOver, served
from booking_api.desk.groups.cancel_group import serve_cancels
from booking_api.desk.groups.create_group import serve_creates
from booking_api.desk.groups.credits_and_counts import tags_of
from booking_api.desk.groups.update_group import serve_updates
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease, LeaseKeeper, LeaseLost
from booking_api.desk.journal.models import UNFINISHED, EntryState, JournalEntry, RequestKind
from booking_api.desk.journal.queue import Queue
from booking_api.desk.journal.requests import DeskRequest
from booking_api.desk.repair.credit_reconciliation import overtaken, review
from booking_api.desk.repair.recovery import recover
from hubspot_sync.background.worker import Worker
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

LEASE_NAME: Final = "booking-desk"
LOOK_FOR_ANSWERS_S: Final = 0.025
LOOK_FOR_LEFT_WORK_S: Final = 5.0
AFTER_A_FAILURE_S: Final = 1.0

LONGEST_TURN_S: Final = 2.0
LET_OTHERS_S: Final = 0.05
TRIED_TOGETHER: Final = 3

T = TypeVar("T")
Serve = Callable[[DeskContext, HeldLease, Sequence[JournalEntry], Collection[CallMeter]], None]
LINES: Final[tuple[tuple[RequestKind, Serve], ...]] = (
    (RequestKind.CANCEL, serve_cancels),
    (RequestKind.UPDATE, serve_updates),
    (RequestKind.CREATE, serve_creates),
)

log = structlog.get_logger(__name__)


class TurnOutcome(Enum):
    """What became of a turn: nothing to do, everything done, or more to do when others had theirs."""

    IDLE = "idle"
    WORKED = "worked"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request: the contract's `data`. `replayed` says that an earlier request with
    this key did it."""

    data: dict[str, Any]
    key: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class _Job:
    do: Callable[[HeldLease], Any]
    future: Future[Any]


class Desk:
    """One process's desk; its thread starts at first use."""

    def __init__(self, tools: DeskContext, keeper: LeaseKeeper | None = None) -> None:
        self._tools = tools
        self._keeper = keeper or LeaseKeeper(LEASE_NAME, tools.config.lease)
        # The cache may be this process's own, and whoever ended a row could not reach it.
        self._queue = Queue(tools.now, self.wake, lambda rows: tools.forget(tags_of(rows)))
        self._jobs: deque[_Job] = deque()
        self._jobs_lock = threading.Lock()
        self._stopping = threading.Event()
        self._worker = Worker("desk", self._next_pause_s)
        self.after_serving: Callable[[], None] = lambda: None
        """Called once rows were served: notes and recounts may be waiting."""
        self.serves_callers = True
        """False for a command beside a server, which does jobs alone: what is written for a caller
        must be forgotten by the cache that caller reads, and a cache may be its process's own."""

    # For callers --------------------------------------------------------------------------------

    def submit(
        self, asked: DeskRequest, key: str, deadline: Deadline, meter: CallMeter
    ) -> Answered:
        """Have a request served, and wait for it until its deadline.

        Raises the refusal; RequestInProgress where another request with this key is at work; and
        Unsettled where the own one is, and its outcome could not be learnt in time.
        """
        place = self._queue.enter(asked, key, deadline)
        row = self._queue.wait(place, deadline, meter)
        if row is None:
            raise errors.Unsettled() if place.own else errors.RequestInProgress()
        if row.state == EntryState.REFUSED:
            raise errors.from_json(row.answer)
        return Answered(row.answer, key, replayed=not place.own)

    def run(self, do: Callable[[HeldLease], T]) -> Future[T]:
        """Have something done in the desk's own thread while it holds the lease; what comes when
        the desk has ended is cancelled."""
        future: Future[T] = Future()
        with self._jobs_lock:
            if self._stopping.is_set():
                future.cancel()
                return future
            self._jobs.append(_Job(do, future))
        self.wake()
        return future

    def finish(self) -> Future[None]:
        """Have this process finish all that was begun, and do the credit reviews that are due."""
        return self.run(self._finish)

    def epoch(self) -> int:
        """Return the epoch of the desk at work now, or of the last one."""
        return self._keeper.epoch()

    def wake(self) -> None:
        """Look for work now."""
        self._worker.wake()

    def start(self) -> None:
        self._worker.start()

    def close(self) -> None:
        """Let the group under way end, give the lease back, and end."""
        with self._jobs_lock:
            self._stopping.set()
        self._worker.stop()
        while self._jobs:
            self._jobs.popleft().future.cancel()

    # The loop -----------------------------------------------------------------------------------

    def _next_pause_s(self) -> float:
        """Work, and return for how long nothing will be to do unless somebody comes, in seconds."""
        try:
            worked = self._turn()
        except DatabaseError:
            log.exception("desk_database_failed")
            connection.close()
            return AFTER_A_FAILURE_S
        except Exception:
            # The only thread that serves anybody: it must go on, and say what happened.
            log.exception("desk_failed")
            return AFTER_A_FAILURE_S
        if worked is TurnOutcome.CUT:
            return LET_OTHERS_S
        if worked is TurnOutcome.WORKED:
            return 0.0
        waited_for = len(self._queue.waited_for) > 0 or len(self._jobs) > 0
        return LOOK_FOR_ANSWERS_S if waited_for else LOOK_FOR_LEFT_WORK_S

    def _turn(self) -> TurnOutcome:
        """Work as long as there is work and the lease is to be had, but not for ever: a job of
        another process may be waiting for it."""
        waited_for = self._queue.waited_for
        if waited_for:
            self._queue.look_up(waited_for)
        if len(self._jobs) == 0 and not (
            self.serves_callers and journal.anything_to_do(self._tools.now())
        ):
            return TurnOutcome.IDLE
        held = self._keeper.acquire()
        if held is None:
            return TurnOutcome.IDLE
        # A lease taken over and not settled is let expire: the next one must be as careful.
        settled = not held.taken_over
        try:
            if not settled:
                settled = self._take_over(held)
            return self._work(held)
        except LeaseLost:
            log.warning("lease_lost", epoch=held.epoch)
            return TurnOutcome.WORKED
        finally:
            if settled:
                held.give_back()

    def _take_over(self, held: HeldLease) -> bool:
        """Wait until the former holder can no longer be sending, and have looked at again what it
        may have written: it was perhaps only paused. False where this process ends meanwhile."""
        tools = self._tools
        log.warning("lease_taken_over", epoch=held.epoch)
        tools.tell(TakenOver(epoch=held.epoch))
        if self._stopping.wait(tools.config.grace_s):
            return False
        held.renew()
        now = tools.now()
        left = JournalEntry.objects.filter(state__in=UNFINISHED)
        contacts = set(left.exclude(contact_id="").values_list("contact_id", flat=True))
        exams = set(left.exclude(exam_id="").values_list("exam_id", flat=True))
        left.update(next_attempt_at=None)
        later = now + tools.config.lease + timedelta(seconds=1)
        journal.request_reviews(contacts, now, later, overtaken=True)
        journal.request_recounts(exams, now)
        return True

    def _work(self, held: HeldLease) -> TurnOutcome:
        turn, until = TurnOutcome.IDLE, Deadline.after(LONGEST_TURN_S)
        while not self._stopping.is_set() and self._one_round(held):
            turn = TurnOutcome.WORKED
            if until.passed:
                return TurnOutcome.CUT
        return turn

    def _one_round(self, held: HeldLease) -> bool:
        """Do some of everything there is; say whether there was anything."""
        if not self.serves_callers:
            return self._do_job(held)
        tools = self._tools
        now = tools.now()
        journal.give_up_waiting(now)
        done = self._recover(held, now)
        for kind, serve in LINES:
            rows = journal.take([kind], tools.now())
            if len(rows) > 0:
                self._serve(partial(serve, tools, held, rows), rows)
                done = True
        return self._do_job(held) or review(tools, held) > 0 or done

    def _recover(self, held: HeldLease, now: datetime) -> bool:
        """Take up again what is due; say whether anything was. What has failed several times goes
        by itself, so that it holds up no other."""
        tools = self._tools
        due = journal.unfinished(now)
        stubborn = [row for row in due if row.attempts >= TRIED_TOGETHER]
        groups = [[row for row in due if row not in stubborn], *([row] for row in stubborn)]
        for rows in groups:
            self._serve(partial(recover, tools, held, rows), rows, recovery=True)
        return len(due) > 0

    def _finish(self, held: HeldLease) -> None:
        while self._recover(held, self._tools.now()):
            pass
        while review(self._tools, held) > 0:
            pass

    def _serve(
        self,
        serve: Callable[[Collection[CallMeter]], None],
        rows: Sequence[JournalEntry],
        *,
        recovery: bool = False,
    ) -> None:
        """Serve rows and let their callers go, whatever happens."""
        try:
            serve(self._queue.meters_of(rows))
        except LeaseLost:
            overtaken(self._tools, rows)
            raise
        except DatabaseError:
            raise  # the journal has what was begun
        except Exception as error:
            log.exception("group_failed", entries=[row.id for row in rows])
            self._set_aside(rows, error)
            return
        if len(rows) > 0:
            self._tools.tell(served(rows, recovery=recovery))
        self._queue.deliver(rows)
        if len(rows) > 0:
            self.after_serving()

    def _set_aside(self, rows: Sequence[JournalEntry], error: Exception) -> None:
        """A group that fails in a way nobody foresaw must not come back at once and for ever: what
        was not begun is refused, what was is looked at again later."""
        ids, now = [row.id for row in rows], self._tools.now()
        JournalEntry.objects.filter(id__in=ids, state=EntryState.QUEUED).update(
            state=EntryState.REFUSED, changed_at=now, answer=errors.to_json(errors.Broken())
        )
        for row in JournalEntry.objects.filter(id__in=ids, state__in=UNFINISHED):
            journal.postpone(row, error, now)
            row.save(update_fields=("attempts", "next_attempt_at", "last_error"))
        self._queue.look_up(ids)

    def _do_job(self, held: HeldLease) -> bool:
        if len(self._jobs) == 0:
            return False
        job = self._jobs.popleft()
        if not job.future.set_running_or_notify_cancel():
            return True
        try:
            job.future.set_result(job.do(held))
        except LeaseLost as error:
            job.future.set_exception(error)
            raise
        except Exception as error:  # noqa: BLE001 - handed to whoever asked for it
            job.future.set_exception(error)
        return True
