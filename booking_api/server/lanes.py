"""Threads that call the application, and who gets the next one.

A lane has a number of threads, started when first needed. Where all are busy, requests wait, and
the addresses they come from take turns: whoever sends a thousand waits for a thousand, the next
address for one. No address has more than three quarters of the threads, so that slow requests of
one never hold them all. Nor do questions that anybody may ask, from however many addresses: while
HubSpot is slow they hold half of the threads, and the others of them wait here, without one. The
load that answers the first of a crowd answers all of it, so waiting is worth more than a refusal.

Who waits and who is served is decided in the event loop alone; the threads only work.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from queue import SimpleQueue

from booking_api.server.bodies import Refused
from booking_api.server.requests import Request

Work = Callable[[Request], None]
_Queuing = tuple[str, bool]
"""Who waits in one queue: those of an address, its anonymous questions apart."""


class Lane:
    """`work` is called in a thread of the lane and must not raise; whoever is told of its end calls
    `finish` in the event loop. `queued` is how many requests wait."""

    def __init__(self, name: str, *, threads: int, max_queued: int, work: Work) -> None:
        self._name = name
        self._threads = threads
        self._max_of_address = max(1, threads - max(1, threads // 4))
        self._max_anonymous = max(1, threads // 2)
        self._max_queued = max_queued
        self._work = work
        self._inbox: SimpleQueue[Request] = SimpleQueue()
        self._started = 0
        self._running = 0
        self._running_of: Counter[str] = Counter()
        self._running_anonymous = 0
        self.queued = 0
        self._queued_anonymous = 0
        # An address has a queue of its anonymous questions, too: the others do not stand behind it.
        self._queues: OrderedDict[_Queuing, deque[Request]] = OrderedDict()

    @property
    def is_busy(self) -> bool:
        return self._running > 0 or self.queued > 0

    def submit(self, request: Request) -> None:
        """Have the request served, now or in its turn (`is_queued` says which); raise Refused where
        too many wait. One address may have half of the places, and anonymous questions too."""
        who = _queuing_of(request)
        if self._has_thread_for(who):
            self._run(request)
            return
        if self.queued >= self._max_queued or self._has_half_of_places(who):
            raise Refused("RATE_LIMITED")
        self._queues.setdefault(who, deque()).append(request)
        self.queued += 1
        self._queued_anonymous += request.is_anonymous
        request.is_queued = True

    def withdraw(self, request: Request) -> None:
        """Take a request that waits out of the queue."""
        who = _queuing_of(request)
        self._queues[who].remove(request)
        self._leave_queue(who, request)

    def finish(self, request: Request) -> None:
        """Give the request's thread to who is next."""
        self._running -= 1
        self._running_anonymous -= request.is_anonymous
        self._running_of[request.address] -= 1
        if self._running_of[request.address] == 0:
            del self._running_of[request.address]
        while self.queued > 0 and (following := self._take_next()) is not None:
            self._run(following)

    def _has_thread_for(self, who: _Queuing) -> bool:
        address, is_anonymous = who
        if is_anonymous and self._running_anonymous >= self._max_anonymous:
            return False
        return self._running < self._threads and self._running_of[address] < self._max_of_address

    def _has_half_of_places(self, who: _Queuing) -> bool:
        address, is_anonymous = who
        of_address = sum(len(self._queues.get((address, kind), ())) for kind in (False, True))
        most = max(of_address, self._queued_anonymous if is_anonymous else 0)
        return most * 2 >= self._max_queued

    def _take_next(self) -> Request | None:
        for who, queue in self._queues.items():
            if self._has_thread_for(who):
                request = queue.popleft()
                self._queues.move_to_end(who)
                self._leave_queue(who, request)
                return request
        return None

    def _leave_queue(self, who: _Queuing, request: Request) -> None:
        if len(self._queues[who]) == 0:
            del self._queues[who]
        self.queued -= 1
        self._queued_anonymous -= request.is_anonymous
        request.is_queued = False

    def _run(self, request: Request) -> None:
        self._running += 1
        self._running_anonymous += request.is_anonymous
        self._running_of[request.address] += 1
        if self._running > self._started:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._work_forever, name=name, daemon=True).start()
        self._inbox.put(request)

    def _work_forever(self) -> None:
        while True:
            self._work(self._inbox.get())


def _queuing_of(request: Request) -> _Queuing:
    return request.address, request.is_anonymous
