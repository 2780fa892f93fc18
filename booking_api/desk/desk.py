"""The booking desk: the one loop in the deployment that writes bookings, credits and counts.

Every process has a desk, and all of them take requests; whichever holds the lease serves the queue,
the others look for the answers of the requests that came to them. A turn: finish what is
unfinished, then groups of cancels, updates and creates, then one job that wanted the lease, until
nothing is left. To a process that takes over a lease that was never given back, all that its former
holder had begun is in doubt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from datetime import datetime
from enum import Enum
from typing import Final, TypeVar

import structlog
from django.db import Error as DatabaseFailure
from django.db import connection

from booking_api.desk.backlog import Backlog, read_backlog
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.events import GroupServed
from booking_api.desk.groups.arrival_order import share_out_turns
from booking_api.desk.groups.cancel_group import serve_cancels
from booking_api.desk.groups.create_group import serve_creates
from booking_api.desk.groups.credits_and_counts import tags_of
from booking_api.desk.groups.update_group import serve_updates
from booking_api.desk.jobs import Jobs
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease, LeaseHandedOn, LeaseKeeper, LeaseLost
from booking_api.desk.journal.models import (
    ANSWERED,
    UNFINISHED,
    EntryState,
    JournalEntry,
    RequestKind,
)
from booking_api.desk.journal.queue import Queue
from booking_api.desk.reception import Reception
from booking_api.desk.repair.credit_reconciliation import request_checks, review_due_credits
from booking_api.desk.repair.recovery import recover
from booking_api.desk.repair.takeover import take_over
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.wait_limits import waiting_at_most
from hubspot_sync.background.worker import Worker
from hubspot_sync.errors import HubSpotError, RateLimited
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

LEASE_NAME: Final = "booking-desk"
LOOK_FOR_ANSWERS_S: Final = 0.025
LOOK_FOR_LEFT_WORK_S: Final = 5.0
AFTER_A_FAILURE_S: Final = 0.5

MAX_TURN_S: Final = 2.0
LET_OTHERS_S: Final = 0.05
AFTER_A_STALL_S: Final = 0.5

T = TypeVar("T")
Serve = Callable[[DeskContext, HeldLease, Sequence[JournalEntry], Collection[CallMeter]], None]
SERVING_ORDER: Final[tuple[tuple[RequestKind, Serve], ...]] = (
    (RequestKind.CANCEL, serve_cancels),
    (RequestKind.UPDATE, serve_updates),
    (RequestKind.CREATE, serve_creates),
)

log = structlog.get_logger(__name__)


class TurnOutcome(Enum):
    """What became of a turn: there was nothing to do, everything was done, or it was cut short for
    other processes and there is more to do; or it was, because HubSpot takes no calls for now."""

    IDLE = "idle"
    WORKED = "worked"
    CUT = "cut"
    STALLED = "stalled"


class Desk:
    """One process's desk; its thread starts at first use.

    `after_serving` is called once rows were served: notes and recounts may be waiting. Without
    `serves_callers` it does jobs alone, for a command beside a server: what is written for a caller
    must be invalidated in the cache that caller reads, and a cache may be its process's own.
    """

    def __init__(
        self,
        desk_context: DeskContext,
        *,
        after_serving: Callable[[], None],
        serves_callers: bool = True,
    ) -> None:
        self._desk_context = desk_context
        self._after_serving = after_serving
        self._serves_callers = serves_callers
        self._keeper = LeaseKeeper(LEASE_NAME, desk_context.config.lease_duration)
        self._queue = Queue(desk_context.now, self.wake, self._show_ended_elsewhere)
        self.reception = Reception(self._queue, desk_context.hubspot, desk_context.now)
        self._jobs = Jobs()
        self._stopping, self._is_handing_on = threading.Event(), False
        self._lease: HeldLease | None = None
        # Rows that our database refuses to change at all, by id: they are nobody's turn here.
        self._left_out: set[int] = set()
        # Rows for which HubSpot takes no calls for a while, by id.
        self._waiting_on: dict[int, JournalEntry] = {}
        # In this round: until when HubSpot takes no calls at all, and who waits for that.
        self._stall_ends_at: datetime | None = None
        self._stalled: list[JournalEntry] = []
        self._worker = Worker("desk", self._next_pause_s)

    # For callers --------------------------------------------------------------------------------

    def run(self, work: Callable[[HeldLease], T]) -> Future[T]:
        """Have `work` done in the desk's own thread while it holds the lease. Return its future,
        which is cancelled where the desk has ended."""
        future = self._jobs.add(work)
        self.wake()
        return future

    def finish(self) -> Future[None]:
        """Have this process finish what is unfinished, and do the credit reviews, as far as they
        are due."""
        return self.run(self._finish_due)

    def epoch(self) -> int:
        """Return the epoch of the desk at work now, or of the last one."""
        return self._keeper.epoch()

    def wake(self) -> None:
        """Look for work now."""
        self._worker.wake()

    def start(self) -> None:
        self._worker.start()

    def hand_on(self) -> None:
        """Let others have the lease after each group; what they do not serve is served here."""
        self._is_handing_on = True

    def begin_close(self) -> None:
        """Let the step under way end, give the lease back, and end; wait for nothing."""
        self._jobs.end()
        self._stopping.set()
        self._desk_context.renewal.hand_on()
        self._desk_context.end_waits_for_room()
        self._worker.begin_stop()

    def close(self) -> None:
        """As `begin_close`, and wait for it. Where it takes too long, the next process takes over
        at once. Raises Django's database errors."""
        self.begin_close()
        lease = None if self._worker.stop() else self._lease
        self._desk_context.renewal.worker.stop()
        self._jobs.cancel_waiting()
        if lease is not None:
            log.warning("lease_left", epoch=lease.epoch)
            lease.expire()

    # The loop -----------------------------------------------------------------------------------

    def _next_pause_s(self) -> float:
        """Work, and return for how long nothing will be to do unless somebody comes, in seconds."""
        try:
            # After that the lease is somebody else's, whatever the database would still say.
            with waiting_at_most(self._desk_context.config.lease_s):
                worked = self._turn()
        except Exception as error:
            # The only thread that serves anybody: it must go on, and say what happened.
            is_away = is_database_away(error)
            trace, name = None if is_away else error, type(error).__name__
            log.exception("desk_failed", exc_info=trace, database_away=is_away, error=name)
            connection.close()
            return AFTER_A_FAILURE_S
        if worked is TurnOutcome.STALLED:
            return AFTER_A_STALL_S
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
            self._queue.deliver_ended_elsewhere(waited_for)
        if len(self._jobs) == 0 and (not self._serves_callers or self._read_backlog().is_empty):
            return TurnOutcome.IDLE
        lease = self._lease = self._keeper.acquire()
        if lease is None:
            return TurnOutcome.IDLE
        # Not where taking over did not end: the next holder must be as careful.
        may_give_back = not lease.taken_over
        try:
            if not may_give_back:
                take_over(self._desk_context, lease, self._leave_out)
                may_give_back = True
            return self._run_rounds(lease)
        except LeaseHandedOn:
            return TurnOutcome.WORKED
        except LeaseLost:
            log.warning("lease_lost", epoch=lease.epoch)
            return TurnOutcome.WORKED
        except DatabaseFailure:
            connection.close()  # where it is only the connection, a new one gives the lease back
            raise
        finally:
            self._desk_context.renewal.end_steps()
            self._keeper.let_go(lease, in_order=may_give_back)
            self._lease = None

    def _run_rounds(self, lease: HeldLease) -> TurnOutcome:
        """Do rounds until nothing is left, this process ends, or MAX_TURN_S are over."""
        turn, until = TurnOutcome.IDLE, Deadline.after(MAX_TURN_S)
        while not self._stopping.is_set() and self._run_round(lease):
            turn = TurnOutcome.WORKED
            if until.passed or self._is_handing_on:
                return TurnOutcome.CUT
        return turn if self._stall_ends_at is None else TurnOutcome.STALLED

    def _run_round(self, lease: HeldLease) -> bool:
        """Do some of everything there is; say whether there was anything."""
        if not self._serves_callers:
            return self._jobs.do_next(lease)
        desk_context = self._desk_context
        backlog, now, done = self._read_backlog(), desk_context.now(), False
        self._stall_ends_at, self._stalled = None, []
        if backlog.has_given_up:
            journal.refuse_expired(now, self._leave_out, left_out=self._left_out)
        if backlog.has_unfinished:
            done = self._recover_due(lease, now)
            backlog = self._read_backlog()
        for kind, serve in SERVING_ORDER:
            if done and self._is_handing_on:
                return True
            if kind not in backlog.waiting:
                continue
            rows = self._read_group(lease, kind)
            if len(rows) > 0:
                self._serve_rows(lease, serve, rows)
                done, backlog = True, self._read_backlog()
        if self._jobs.do_next(lease):
            return True
        return (backlog.has_reviews and review_due_credits(desk_context, lease) > 0) or done

    def _read_group(self, lease: HeldLease, kind: RequestKind) -> list[JournalEntry]:
        """Return the next rows of a kind once HubSpot takes their calls. Where it does not for now,
        they stay in the queue, and only those are returned that cannot wait so long, to be told
        so."""
        desk_context = self._desk_context
        if self._stall_ends_at is None:  # else it has been waited for
            try:
                desk_context.await_room_for_group(lease)
            except RateLimited as error:
                self._stall_ends_at = journal.find_end(error, desk_context.now())
        now = desk_context.now()
        passed_over = self._list_passed_over(now)
        rows = journal.read_next_group([kind], now, desk_context.config.late_write, passed_over)
        waiting_on = journal.keep_queued([*self._waiting_on.values(), *self._stalled])
        turns = share_out_turns(rows, waiting_on, self._stall_ends_at)
        self._stalled += turns.stalled
        self._deliver(turns.held)
        if len(turns.hopeless) > 0:
            journal.refuse_hopeless(turns.hopeless, now, self._leave_out)
            self._deliver(journal.read_again(turns.hopeless))
        return turns.served

    def _read_backlog(self) -> Backlog:
        now = self._desk_context.now()
        return read_backlog(now, self._list_passed_over(now))

    def _list_passed_over(self, now: datetime) -> frozenset[int]:
        """Return the rows that are nobody's turn now."""
        self._waiting_on = {
            row_id: row
            for row_id, row in self._waiting_on.items()
            if row.waits_until is not None and row.waits_until > now
        }
        return frozenset(self._left_out | self._waiting_on.keys())

    def _recover_due(self, lease: HeldLease, now: datetime) -> bool:
        """Take up again what is due; say whether anything was. A row that has failed several times
        goes by itself, and one of them a round, so that it holds up no other."""
        due = journal.read_unfinished(now, left_out=self._left_out)
        stubborn = [row for row in due if row.attempts >= journal.MAX_ATTEMPTS_TOGETHER]
        groups = [[row for row in due if row not in stubborn], stubborn[:1]]
        for rows in groups:
            if len(rows) > 0:
                self._serve_rows(lease, recover, rows)
        return len(due) > 0

    def _finish_due(self, lease: HeldLease) -> None:
        while self._recover_due(lease, self._desk_context.now()):
            pass
        while review_due_credits(self._desk_context, lease) > 0:
            pass

    def _serve_rows(self, lease: HeldLease, serve: Serve, rows: Sequence[JournalEntry]) -> None:
        """Serve rows and deliver what became of them. Where our own side fails, the halves of them
        are served again, down to the row that fails alone; an error of HubSpot's is no row's.
        LeaseLost is raised, and the errors of a database that is away: the journal has what was
        begun."""
        try:
            serve(self._desk_context, lease, rows, self._queue.meters_of(rows))
        except LeaseHandedOn:
            raise
        except LeaseLost:
            request_checks(self._desk_context, rows)
            raise
        except Exception as error:
            if is_database_away(error):
                raise
            log.exception("group_failed", entries=[row.id for row in rows])
            if len(rows) == 1 or isinstance(error, HubSpotError):
                self._set_aside(rows, error)
                return
        else:
            self._deliver(rows, recovery=serve is recover)
            return
        half = len(rows) // 2
        self._serve_again(lease, rows[:half])
        self._serve_again(lease, rows[half:])

    def _serve_again(self, lease: HeldLease, rows: Sequence[JournalEntry]) -> None:
        """Serve rows as the journal has them now: what waits still, and what was begun."""
        found, now = journal.read_again(rows), self._desk_context.now()
        self._deliver([row for row in found if row.state in ANSWERED])
        begun = [row for row in found if row.state in UNFINISHED]
        due = [row for row in begun if row.next_attempt_at is None or row.next_attempt_at <= now]
        if len(due) > 0:
            self._serve_rows(lease, recover, due)
        for kind, serve in SERVING_ORDER:
            waiting = [row for row in found if row.state == EntryState.QUEUED and row.kind == kind]
            if len(waiting) > 0:
                self._serve_rows(lease, serve, waiting)

    def _deliver(self, rows: Sequence[JournalEntry], *, recovery: bool = False) -> None:
        """Let whoever waits for these rows hear of them, and those who listen; not of those that
        wait on."""
        self._waiting_on |= {row.id: row for row in rows if row.waits_until is not None}
        rows = [row for row in rows if row.state != EntryState.QUEUED]
        if len(rows) == 0:
            return
        self._desk_context.notify(GroupServed.from_rows(rows, recovery=recovery))
        self._queue.deliver(rows)
        self._queue.release(row.id for row in rows if row.was_set_aside)
        self._queue.release_hopeless(rows)
        self._after_serving()

    def _set_aside(self, rows: Sequence[JournalEntry], error: Exception) -> None:
        """Refuse what was not begun, and postpone what was: what fails in a way nobody foresaw must
        not come back at once and for ever."""
        now = self._desk_context.now()
        for row in journal.read_again(rows):
            try:
                journal.set_aside(row, error, now)
            except Exception as refusal:
                if is_database_away(refusal):
                    raise
                self._leave_out(row.id, refusal)
            else:
                self._deliver([row])

    def _show_ended_elsewhere(self, rows: Sequence[JournalEntry]) -> None:
        """Let this process's readers see what another has done. A cache that is shared that one
        has told, before it ended the rows; whoever tells it again may wait for it, and their
        callers have no time left."""
        cache = self._desk_context.cache
        if not cache.backend.shared:
            self._desk_context.invalidate_cache(tags_of(rows))

    def _leave_out(self, row_id: int, error: Exception) -> None:
        """Pass a row over from now on that our database does not let us put away."""
        log.error("row_left_out", entry=row_id, exc_info=error)
        self._left_out.add(row_id)
        self._queue.release([row_id])
