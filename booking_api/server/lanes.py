"""Threads that call the application, and who gets the next one.

A lane has a number of threads, started when first needed. Where all are busy, requests wait, and
the addresses they come from take turns: whoever sends a thousand waits for a thousand, the next
address for one. No address has more than three quarters of the threads, so that slow requests of
one never hold them all.

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


class Lane:
    """`work` is called in a thread of the lane and must not raise; whoever is told of its end calls
    `finish` in the event loop. `queued` is how many requests wait."""

    def __init__(self, name: str, *, threads: int, max_queued: int, work: Work) -> None:
        self._name = name
        self._threads = threads
        self._max_of_address = max(1, threads - max(1, threads // 4))
        self._max_queued = max_queued
        self._work = work
        self._inbox: SimpleQueue[Request] = SimpleQueue()
        self._started = 0
        self._running = 0
        self._running_of: Counter[str] = Counter()
        self.queued = 0
        self._queues: OrderedDict[str, deque[Request]] = OrderedDict()

    @property
    def is_busy(self) -> bool:
        return self._running > 0 or self.queued > 0

    def submit(self, request: Request) -> None:
        """Have the request served, now or in its turn (`is_queued` says which); raise Refused where
        too many wait. One address may have half of the places."""
        if self._has_thread_for(request.address):
            self._run(request)
            return
        queue = self._queues.get(request.address)
        of_address = 0 if queue is None else len(queue)
        if self.queued >= self._max_queued or of_address * 2 >= self._max_queued:
            raise Refused("RATE_LIMITED")
        if queue is None:
            queue = self._queues[request.address] = deque()
        queue.append(request)
        self.queued += 1
        request.is_queued = True

    def withdraw(self, request: Request) -> None:
        """Take a request that waits out of the queue."""
        queue = self._queues[request.address]
        queue.remove(request)
        self._forget_if_empty(request.address, queue)
        self.queued -= 1
        request.is_queued = False

    def finish(self, request: Request) -> None:
        """Give the request's thread to who is next."""
        self._running -= 1
        self._running_of[request.address] -= 1
        if self._running_of[request.address] == 0:
            del self._running_of[request.address]
        while self.queued > 0 and (following := self._take_next()) is not None:
            self._run(following)

    def _has_thread_for(self, address: str) -> bool:
        has_free = self._running < self._threads
        return has_free and self._running_of[address] < self._max_of_address

    def _take_next(self) -> Request | None:
        for address, queue in self._queues.items():
            if self._has_thread_for(address):
                request = queue.popleft()
                self._queues.move_to_end(address)
                self._forget_if_empty(address, queue)
                self.queued -= 1
                request.is_queued = False
                return request
        return None

    def _forget_if_empty(self, address: str, queue: deque[Request]) -> None:
        if len(queue) == 0:
            del self._queues[address]

    def _run(self, request: Request) -> None:
        self._running += 1
        self._running_of[request.address] += 1
        if self._running > self._started:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._work_forever, name=name, daemon=True).start()
        self._inbox.put(request)

    def _work_forever(self) -> None:
        while True:
            self._work(self._inbox.get())
