"""A budget whose time stands still: waiting moves it, and brings the answers that are due by then;
and threads that queue at one.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.wire.limits.rate_budget import RateBudget, Slot, build_rate_budget

PATIENCE_S = 30.0
BEGINNING = datetime(2026, 11, 25, tzinfo=UTC)
"""The clock began to count at a midnight in UTC."""
PATIENT = Deadline(at_s=1_000_000.0, clock=lambda: 1_000.0)


class World:
    """A clock, and the answers under way."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.zone: tzinfo = UTC
        self._due: list[tuple[float, int, Slot, float]] = []

    def clock(self) -> float:
        return self.now_s

    def answer_later(self, slot: Slot, after_s: float) -> None:
        heapq.heappush(self._due, (self.now_s + after_s, id(slot), slot, after_s))

    def advance(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self._due and self._due[0][0] <= until_s:
            self.now_s, _, slot, took_s = heapq.heappop(self._due)
            slot.report_answer(took_s)
        self.now_s = until_s

    def wait(self, event: threading.Event, seconds: float) -> None:
        """The budget's wait: time passes instead of us."""
        if not event.is_set():
            self.advance(max(seconds, 0.001))

    def budget(self, **config: float) -> RateBudget:
        settings = HubSpotConfig(**config)  # type: ignore[arg-type] # floats and ints by name
        day = PortalDay(zone=self.zone, now=lambda: BEGINNING + timedelta(seconds=self.now_s))
        return build_rate_budget(settings, clock=self.clock, day=day, wait=self.wait)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline.after(seconds, self.clock)


def acquire(
    budget: RateBudget,
    deadline: Deadline,
    *,
    priority: Priority = Priority.DESK,
    search: bool = False,
) -> Slot:
    return budget.acquire(deadline, priority=priority, search=search)


def most_in_a_window(arrivals: list[float], window_s: float) -> int:
    ordered = sorted(arrivals)
    return max(
        sum(1 for other in ordered[index:] if other < start + window_s)
        for index, start in enumerate(ordered)
    )


class Queue:
    """Threads that wait at a budget; `served` is the order they got it in."""

    def __init__(self, config: HubSpotConfig) -> None:
        self.served: list[str] = []
        self._waiting = threading.Semaphore(0)
        self.budget = build_rate_budget(
            config, clock=lambda: 1_000.0, day=PortalDay(), wait=self._wait
        )
        self._threads: list[threading.Thread] = []

    def _wait(self, event: threading.Event, _seconds: float) -> None:
        self._waiting.release()
        assert event.wait(PATIENCE_S)

    def join(self, name: str, *, priority: Priority = Priority.DESK, search: bool = False) -> None:
        """Have somebody wait; returns once they do."""

        def ask() -> None:
            slot = acquire(self.budget, PATIENT, priority=priority, search=search)
            self.served.append(name)
            slot.report_unused()

        self._have_wait(ask)

    def join_for_room(self, name: str, *, calls: int) -> None:
        """Have the desk wait for room for so many calls; returns once it does."""

        def ask() -> None:
            try:
                self.budget.await_room(calls, PATIENT, priority=Priority.DESK)
            except RateLimited:
                self.served.append(f"{name}, refused")
            else:
                self.served.append(name)

        self._have_wait(ask)

    def _have_wait(self, ask: Callable[[], None]) -> None:
        thread = threading.Thread(target=ask)
        thread.start()
        self._threads.append(thread)
        assert self._waiting.acquire(timeout=PATIENCE_S)

    def ask(self, name: str, *, priority: Priority) -> None:
        """Have somebody be served who need not wait."""
        deadline = Deadline(at_s=1_000.0, clock=lambda: 1_000.0)
        acquire(self.budget, deadline, priority=priority).report_unused()
        self.served.append(name)

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_S)


@contextmanager
def full_budget(
    config: HubSpotConfig, *, priority: Priority = Priority.PEOPLE, search: bool = False
) -> Iterator[tuple[Queue, Callable[[], None]]]:
    """A queue whose only slot is taken, and how to give it back."""
    queue = Queue(config)
    deadline = Deadline(at_s=1_001.0, clock=lambda: 1_000.0)
    slot = acquire(queue.budget, deadline, priority=priority, search=search)
    yield queue, slot.report_unused
    queue.finish()
