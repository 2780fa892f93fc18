"""The budget of requests: who may send now, who waits, and who is told at once that it is hopeless.

Those of one priority are served in the order they came, and those of a better one before them. Only
the booking desk may use all of it: readers, whoever they are, leave it a part of the window, the
day and the connections. Whoever has something for the desk and has not proved yet who they are asks
as a reader does, or where that has to wait, from a small part of the desk's too, whichever comes
free first. Other readers who have not proved it leave people who have another part, whatever they
do together; and questions that anybody may ask and background work have each a share of their own,
so that neither can use up the other's. Searches have a budget of their own besides, and do not hold
up the others. A HubSpot that answers 429 all the same pauses everybody: someone else is using the
token too.

What is counted, and how, is `rate_windows.py`'s.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.limits.budget_parts import PartBuilder, join_limits
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.wire.limits.rate_windows import ArrivalWindow, Day, RateLimit

if TYPE_CHECKING:
    from hubspot_sync.wire.limits.shared_windows import SharedArrivals

MAX_PAUSE_S: Final = 10.0
MIN_WAIT_S: Final = 0.001
UNPROVEN_WRITERS_PART: Final = 0.25
"""Of the desk's share: guesses may use that up, and leave the desk the rest."""


@dataclass(eq=False, slots=True)
class _Lane:
    """Those who need the same limits, in the order they came. `own` are those of the limits that
    nobody of a worse priority needs."""

    priority: Priority
    limits: tuple[RateLimit, ...]
    own: tuple[RateLimit, ...] = ()
    queue: deque[_Ticket] = field(default_factory=deque)

    @property
    def goes_first(self) -> bool:
        """Whether somebody waits here, and for what those behind would take away."""
        return len(self.queue) > 0 and all(limit.has_room() for limit in self.own)

    @property
    def is_free(self) -> bool:
        """Whether one more could go now, without a wait."""
        return len(self.queue) == 0 and all(limit.has_room() for limit in self.limits)

    def take(self) -> bool:
        """Take one from every limit for whoever is first, nothing for who only waits for room, and
        return True; where a limit has no room, take from none and return False. Those of this
        process are asked first, so that Redis counts nothing that they refuse."""
        first = self.queue[0]
        if first.takes_nothing:
            return all(limit.has_room(first.calls) for limit in self.limits)
        if not all(limit.has_room() for limit in self.limits if not limit.takes_at_once):
            return False
        taken: list[RateLimit] = []
        try:
            for limit in self.limits:
                if not limit.take():
                    break
                taken.append(limit)
        finally:
            is_taken = len(taken) == len(self.limits)
            for limit in () if is_taken else taken:
                limit.put_back()
        return is_taken

    def min_wait_s(self, ahead: int) -> float:
        return max(limit.min_wait_s(ahead) for limit in self.limits)


@dataclass(eq=False, slots=True)
class _Ticket:
    """Somebody who waits in `lanes`, until one of them lets them go: `lane`. That has room for so
    many `calls` then."""

    order: int
    lanes: tuple[_Lane, ...]
    lane: _Lane
    calls: int = 1
    takes_nothing: bool = False
    granted_s: float | None = None
    turn: threading.Event = field(default_factory=threading.Event)

    def join_queues(self) -> None:
        for lane in self.lanes:
            lane.queue.append(self)

    def leave_queues(self) -> None:
        for lane in self.lanes:
            lane.queue.remove(self)


class Slot:
    """The right to send one request now; exactly one of the two is called once it has ended."""

    def __init__(self, budget: RateBudget, lane: _Lane, asked_s: float, granted_s: float) -> None:
        self._budget = budget
        self._lane = lane
        self.granted_s = granted_s
        self.waited_s = granted_s - asked_s

    def report_answer(self, took_s: float, left: int | None = None) -> None:
        """`left` is how many more HubSpot says that may be sent, where it does."""
        self._budget.release(self._lane, took_s, left)

    def report_unused(self) -> None:
        """It was certainly never sent."""
        self._budget.release(self._lane, None)


@dataclass(frozen=True, slots=True)
class BudgetUsage:
    """How many calls were sent, and how many may be: in the window that is open, of searches in
    theirs, and since midnight."""

    window: tuple[int, int]
    search: tuple[int, int]
    day: tuple[int, int]


Wait = Callable[[threading.Event, float], object]


class RateBudget:
    """Grants slots. `lanes` are looked up by (priority, search), `pausable` by search; of `shared`
    HubSpot says how much is left; `wait` may be a test's."""

    def __init__(
        self,
        lanes: Mapping[tuple[Priority, bool], _Lane],
        pausable: Mapping[bool, ArrivalWindow],
        day: Day,
        shared: Sequence[SharedArrivals] = (),
        *,
        clock: Monotonic,
        wait: Wait,
    ) -> None:
        self._lanes = lanes
        self._lanes_by_priority = tuple(
            tuple(lane for lane in lanes.values() if lane.priority is priority)
            for priority in Priority
        )
        self._shared = shared
        self._pausable = pausable
        self._day = day
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._orders = itertools.count()
        self._lets_wait_for_room = True

    def acquire(self, deadline: Deadline, *, priority: Priority, search: bool) -> Slot:
        """Return a slot once there is one, in the order of asking.

        Raises RateLimited, with the time to try again, when there will be none before the deadline:
        at once where that is known.
        """
        asked_s = self._clock()
        with self._lock:
            lanes = self._find_lanes(priority, search=search)
            ticket = _Ticket(order=next(self._orders), lanes=lanes, lane=lanes[0])
        granted_s = self._wait_for_turn(ticket, deadline)
        return Slot(self, ticket.lane, asked_s, granted_s)

    def await_room(self, calls: int, deadline: Deadline, *, priority: Priority) -> None:
        """Return once so many calls can be sent, in the order of asking. None of them is kept for
        whoever asked; but while they wait, nobody of a worse priority takes what comes free.

        Raises RateLimited as `acquire` does.
        """
        with self._lock:
            lanes = (self._lanes[priority, False],)
            ticket = _Ticket(next(self._orders), lanes, lanes[0], calls, takes_nothing=True)
        self._wait_for_turn(ticket, deadline)

    def end_waits_for_room(self) -> None:
        """Refuse all who wait for room, now and from now on."""
        with self._lock:
            self._lets_wait_for_room = False
            for lane in self._lanes.values():
                for ticket in lane.queue:
                    if ticket.takes_nothing:
                        ticket.turn.set()

    def pause(self, seconds: float, *, search: bool) -> float:
        """Let nobody send (or nobody search) for so long, `MAX_PAUSE_S` at most; return how long
        that is."""
        pause_s = min(seconds, MAX_PAUSE_S)
        with self._lock:
            self._pausable[search].pause(pause_s)
        return pause_s

    def usage(self) -> BudgetUsage:
        """Return what this process has used of its budget, and what there is of it."""
        with self._lock:
            limits = (self._pausable[False], self._pausable[True], self._day)
            return BudgetUsage(*((limit.used, limit.amount) for limit in limits))

    def has_day_left(self) -> bool:
        """Return whether anybody may send anything more today."""
        with self._lock:
            return self._day.has_room()

    def release(self, lane: _Lane, took_s: float | None, left: int | None = None) -> None:
        """Count a slot's end; None where nothing was sent."""
        with self._lock:
            if left is not None:
                for window in self._shared:
                    window.note_left(left)
            for limit in lane.limits:
                if took_s is None:
                    limit.put_back()
                else:
                    limit.count_answer(took_s)
            self._grant_slots()

    def _wait_for_turn(self, ticket: _Ticket, deadline: Deadline) -> float:
        """Return when the ticket's turn came; raise RateLimited where it does not in time. Whatever
        ends the waiting, nobody waits behind it then."""
        with self._lock:
            ticket.join_queues()
        try:
            with self._lock:
                self._grant_slots()
            while ticket.granted_s is None:
                with self._lock:
                    wait_s = self._decide_wait_s(ticket, deadline)
                self._wait(ticket.turn, wait_s)
                with self._lock:
                    ticket.turn.clear()
                    self._grant_slots()
        except BaseException:
            with self._lock:
                self._give_up(ticket)
            raise
        return ticket.granted_s

    def _give_up(self, ticket: _Ticket) -> None:
        """Take a ticket out of its queues, or give back what it was granted and does not use."""
        if ticket.granted_s is None:
            was_first = any(lane.queue[0] is ticket for lane in ticket.lanes)
            ticket.leave_queues()
            if not was_first:
                return
        elif not ticket.takes_nothing:
            for limit in ticket.lane.limits:
                limit.put_back()
        self._grant_slots()
        self._wake_first_of_lanes()

    def _find_lanes(self, priority: Priority, *, search: bool) -> tuple[_Lane, ...]:
        own, readers = self._lanes[priority, search], self._lanes[Priority.UNPROVEN, search]
        if priority is not Priority.UNPROVEN_WRITER:
            return (own,)
        if readers.is_free and not self._must_yield(readers):
            return (readers,)
        return own, readers

    def _decide_wait_s(self, ticket: _Ticket, deadline: Deadline) -> float:
        """Return how many seconds this ticket may sleep; raise RateLimited if waiting is hopeless.
        Only the first of a lane wakes by the clock; the others, and
        background work that yields, are woken when it is their turn to look."""
        if ticket.granted_s is not None:
            return 0.0
        left_s = deadline.remaining_s()
        others = ticket.calls - 1
        min_wait_s = min(
            lane.min_wait_s(lane.queue.index(ticket) + others) for lane in ticket.lanes
        )
        first_in = [lane for lane in ticket.lanes if lane.queue[0] is ticket]
        may_wait = self._lets_wait_for_room or not ticket.takes_nothing
        if left_s <= 0 or min_wait_s > left_s or not may_wait:
            raise RateLimited(
                "The budget of HubSpot requests is used up; try again later.",
                retry_after_s=max(min_wait_s, 1.0),
            )
        waits_s = [lane.min_wait_s(others) for lane in first_in if not self._must_yield(lane)]
        return min([left_s, *(max(wait_s, MIN_WAIT_S) for wait_s in waits_s)])

    def _must_yield(self, lane: _Lane) -> bool:
        """Whether somebody of a better priority waits."""
        return any(
            other.goes_first for other in self._lanes.values() if other.priority < lane.priority
        )

    def _grant_slots(self) -> None:
        """Give slots to all who can have one; to those of a priority only when nobody of a better
        one waits."""
        granted = False
        for lanes in self._lanes_by_priority:
            if not any(lane.queue for lane in lanes):
                continue
            while (lane := _take_for_first(lanes)) is not None:
                ticket = lane.queue[0]
                ticket.leave_queues()
                ticket.lane = lane
                ticket.granted_s, granted = self._clock(), True
                ticket.turn.set()
            if any(lane.goes_first for lane in lanes):
                break
        if granted:
            self._wake_first_of_lanes()

    def _wake_first_of_lanes(self) -> None:
        for lane in self._lanes.values():
            if lane.queue:
                lane.queue[0].turn.set()


def _take_for_first(lanes: Iterable[_Lane]) -> _Lane | None:
    """Take from the limits for whoever came first and can be served; None if nobody can."""
    waiting = [lane for lane in lanes if lane.queue]
    waiting.sort(key=lambda lane: lane.queue[0].order)
    return next((lane for lane in waiting if lane.take()), None)


def build_rate_budget(
    config: HubSpotConfig,
    *,
    clock: Monotonic,
    day: PortalDay,
    wait: Wait = threading.Event.wait,
    redis_url: str | None = None,
) -> RateBudget:
    """Return the budget of this process, or with a Redis its part of everybody's."""
    builder = PartBuilder(config, clock, day, redis_url)
    everything = builder.build_whole()
    readers = builder.build_share("readers", 1.0 - config.desk_share)
    writers = builder.build_share("writers", config.desk_share * UNPROVEN_WRITERS_PART)
    unreserved = builder.build_share("unreserved", 1.0 - config.reserved_share)
    anonymous = builder.build_share("anonymous", config.anonymous_share)
    parts = {
        Priority.DESK: (everything,),
        Priority.UNPROVEN_WRITER: (everything, writers),
        Priority.PEOPLE: (everything, readers),
        Priority.UNPROVEN: (everything, readers, unreserved),
        Priority.ANONYMOUS: (everything, readers, unreserved, anonymous),
        Priority.BACKGROUND: (everything, readers, unreserved, builder.build_background()),
    }
    own = {Priority.ANONYMOUS: (anonymous,), Priority.UNPROVEN_WRITER: (writers,)}
    lanes = {
        (priority, search): _Lane(
            priority,
            join_limits(parts[priority], search=search),
            own=join_limits(own.get(priority, ()), search=search),
        )
        for priority in Priority
        for search in (False, True)
    }
    pausable = {False: everything.window, True: everything.search_windows[0]}
    shared = everything.shared_window
    return RateBudget(lanes, pausable, everything.day, shared, clock=clock, wait=wait)
