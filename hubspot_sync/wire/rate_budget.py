"""The budget of requests: who may send now, who waits, and who is told at once that it is hopeless.

People are served in the order they came. Background work gets a share of the window and of the day,
and only while nobody is waiting. Searches have a budget of their own besides, and do not hold up
the others. A HubSpot that answers 429 all the same pauses everybody: someone else is using the
token too.

What is counted, and how, is `rate_windows.py`'s.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from limits.storage import RedisStorage
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.portal_day import PortalDay
from hubspot_sync.wire.rate_windows import (
    ArrivalWindow,
    Day,
    RateLimit,
    SharedWindow,
    WindowStorage,
)

MAX_PAUSE_S: Final = 10.0
MIN_WAIT_S: Final = 0.001
REDIS_TIMEOUT_S: Final = 0.25


@dataclass(eq=False, slots=True)
class _Ticket:
    order: int
    granted: bool = False
    turn: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False, slots=True)
class _Lane:
    """Those who need the same limits, in the order they came."""

    limits: tuple[RateLimit, ...]
    queue: deque[_Ticket] = field(default_factory=deque)

    def take(self) -> bool:
        """Take one from every limit and return True; where one has no room, take from none and
        return False. All are asked first, because what Redis has counted cannot be put back."""
        if not all(limit.has_room() for limit in self.limits):
            return False
        for index, limit in enumerate(self.limits):
            if not limit.take():
                for taken in self.limits[:index]:
                    taken.put_back()
                return False
        return True

    def min_wait_s(self, ticket: _Ticket) -> float:
        ahead = self.queue.index(ticket)
        return max(limit.min_wait_s(ahead) for limit in self.limits)


class Slot:
    """The right to send one request now; exactly one of the two is called once it has ended."""

    def __init__(self, budget: RateBudget, lane: _Lane, waited_s: float) -> None:
        self._budget = budget
        self._lane = lane
        self.waited_s = waited_s

    def report_answer(self, took_s: float) -> None:
        self._budget.release(self._lane, took_s)

    def report_unused(self) -> None:
        """It was certainly never sent."""
        self._budget.release(self._lane, None)


Wait = Callable[[threading.Event, float], object]


class RateBudget:
    """Grants slots. `lanes` are looked up by (background, search); `wait` may be a test's."""

    def __init__(
        self,
        lanes: Mapping[tuple[bool, bool], _Lane],
        pausable: Mapping[bool, ArrivalWindow],
        *,
        clock: Monotonic,
        wait: Wait,
    ) -> None:
        self._lanes = lanes
        self._pausable = pausable
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._orders = itertools.count()

    def acquire(self, deadline: Deadline, *, background: bool, search: bool) -> Slot:
        """Return a slot once there is one, in the order of asking.

        Raises RateLimited, with the time to try again, when there will be none before the deadline:
        at once where that is known.
        """
        started_s = self._clock()
        lane = self._lanes[background, search]
        with self._lock:
            ticket = _Ticket(order=next(self._orders))
            lane.queue.append(ticket)
            self._grant_slots()
        while not ticket.granted:
            with self._lock:
                wait_s = self._decide_wait_s(lane, ticket, deadline)
            self._wait(ticket.turn, wait_s)
            with self._lock:
                ticket.turn.clear()
                self._grant_slots()
        return Slot(self, lane, self._clock() - started_s)

    def pause(self, seconds: float, *, search: bool) -> None:
        """Let nobody send (or nobody search) for so long, `MAX_PAUSE_S` at most."""
        with self._lock:
            self._pausable[search].pause(min(seconds, MAX_PAUSE_S))

    def release(self, lane: _Lane, took_s: float | None) -> None:
        """Count a slot's end; None where nothing was sent."""
        with self._lock:
            for limit in lane.limits:
                if took_s is None:
                    limit.put_back()
                else:
                    limit.count_answer(took_s)
            if took_s is None:
                self._grant_slots()

    def _decide_wait_s(self, lane: _Lane, ticket: _Ticket, deadline: Deadline) -> float:
        """Return how many seconds this ticket may sleep. If waiting is hopeless, take it out of the
        queue and raise RateLimited. Only the first of a lane wakes by the clock; the others, and
        background work that yields, are woken when it is their turn to look."""
        if ticket.granted:
            return 0.0
        left_s, min_wait_s = deadline.remaining_s(), lane.min_wait_s(ticket)
        if left_s <= 0 or min_wait_s > left_s:
            first = lane.queue[0] is ticket
            lane.queue.remove(ticket)
            if first:
                self._grant_slots()
                self._wake_first_of_lanes()
            raise RateLimited(
                "The budget of HubSpot requests is used up; try again later.",
                retry_after_s=max(min_wait_s, 1.0),
            )
        if lane.queue[0] is not ticket or self._must_yield(lane):
            return left_s
        return min(left_s, max(min_wait_s, MIN_WAIT_S))

    def _must_yield(self, lane: _Lane) -> bool:
        """Whether this is background work while people wait."""
        people = [other for (is_background, _), other in self._lanes.items() if not is_background]
        return lane not in people and any(other.queue for other in people)

    def _grant_slots(self) -> None:
        """Give slots to all who can have one; to background work only when no person waits."""
        granted = False
        for background in (False, True):
            lanes = [
                lane
                for (is_background, _), lane in self._lanes.items()
                if is_background is background
            ]
            while (lane := _take_for_first(lanes)) is not None:
                ticket = lane.queue.popleft()
                ticket.granted = granted = True
                ticket.turn.set()
            if any(lane.queue for lane in lanes):
                break
        if granted:
            self._wake_first_of_lanes()

    def _wake_first_of_lanes(self) -> None:
        for lane in self._lanes.values():
            if lane.queue:
                lane.queue[0].turn.set()


def _take_for_first(lanes: Iterable[_Lane]) -> _Lane | None:
    """Take from the limits for whoever came first and can be served; None if nobody can."""
    waiting = sorted((lane for lane in lanes if lane.queue), key=lambda lane: lane.queue[0].order)
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
    requests, searches = config.requests_per_window, config.searches_per_second
    share, day_storage = config.background_share, WindowStorage(clock, day.remaining_s)

    def build_window(name: str, amount: int, seconds: float) -> ArrivalWindow:
        return ArrivalWindow(name, amount, seconds, clock)

    def build_day(name: str, amount: int) -> Day:
        return Day(name, amount, day_storage, clock)

    def background_part(amount: int) -> int:
        return max(1, int(amount * share))

    all_window = build_window("all", requests, config.window_s)
    search_window = build_window("search", searches, 1.0)
    whole_day = build_day("day", config.daily_limit)
    late_window = build_window("background", background_part(requests), config.window_s)
    late_search_window = build_window("background-search", background_part(searches), 1.0)
    late_day = build_day("background-day", background_part(config.daily_limit))
    shared, shared_search = _build_shared_windows(config, redis_url, clock)
    # In the order they are taken from: what can be put back, then what another process may have
    # emptied meanwhile, then the days, which keep what was counted.
    late = (all_window, late_window)
    shared_both = (*shared, *shared_search)
    return RateBudget(
        {
            (False, False): _Lane((all_window, *shared, whole_day)),
            (False, True): _Lane((all_window, search_window, *shared_both, whole_day)),
            (True, False): _Lane((*late, *shared, late_day, whole_day)),
            (True, True): _Lane(
                (*late, search_window, late_search_window, *shared_both, late_day, whole_day)
            ),
        },
        {False: all_window, True: search_window},
        clock=clock,
        wait=wait,
    )


def _build_shared_windows(
    config: HubSpotConfig, redis_url: str | None, clock: Monotonic
) -> tuple[tuple[RateLimit, ...], tuple[RateLimit, ...]]:
    if redis_url is None:
        return (), ()
    # One attempt, and a short one: the budget waits for nobody while it asks.
    pool = ConnectionPool.from_url(
        redis_url,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    storage = RedisStorage(redis_url, connection_pool=pool)
    # Whoever has another token, or asks another HubSpot, has another budget.
    app = hashlib.sha256(f"{config.base_url} {config.token}".encode()).hexdigest()[:12]
    every = SharedWindow(f"{app}-all", config.requests_per_window, config.window_s, storage, clock)
    search = SharedWindow(f"{app}-search", config.searches_per_second, 1.0, storage, clock)
    return (every,), (search,)
