"""How many requests may wait for HubSpot at once whose pair is not proved yet.

Each holds one of the server's threads. While HubSpot is quick, those for whom there is no room wait
a moment; while it is slow they are refused at once, so that threads are left for students who are
known, and one address may have half of the room. A part of it is for those who want to book alone,
who do not wait for readers.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from booking_api.rules.students import StudentPair
from hubspot_sync.wire.deadlines import Deadline, Monotonic

SLOW_S: Final = 5.0
"""HubSpot is slow while a look-up has taken so long: more than a call of two seconds, and another
one under way before it, which it waits for."""
RETRY_AFTER_S: Final = 2.0
MAX_SUSPECTS: Final = 10_000
WRITERS_PART: Final = 8
"""One place in so many is kept from readers; of those, one address is sure of half."""


class NoRoom(Exception):
    """Too many look-ups are under way, and HubSpot is slow."""


class LookUps:
    """One process's look-ups: at most `max_at_once`, from all addresses."""

    def __init__(self, max_at_once: int, clock: Monotonic) -> None:
        self._max_at_once = max(1, max_at_once)
        self._max_of_address = max(1, max_at_once // 2)
        self._kept_for_writers = max_at_once // WRITERS_PART
        self._sure_of_address = self._kept_for_writers // 2
        self._clock = clock
        self._changed = threading.Condition()
        self._places = 0
        self._began: dict[object, float] = {}
        self._of_address: Counter[str] = Counter()
        self._writers_of_address: Counter[str] = Counter()
        self._on_trust: Counter[str] = Counter()
        self._pairs: set[tuple[StudentPair, bool]] = set()
        self._suspects: OrderedDict[str, float] = OrderedDict()

    def suspect(self, address: str, for_s: float) -> None:
        """Take notice that a guess from there was refused unheard; it counts for so long."""
        with self._changed:
            self._suspects[address] = self._clock() + for_s
            self._suspects.move_to_end(address)
            if len(self._suspects) > MAX_SUSPECTS:
                self._suspects.popitem(last=False)

    def is_suspected(self, address: str) -> bool:
        """Whether a guess from there was refused unheard lately."""
        return self._suspects.get(address, 0.0) > self._clock()

    @contextmanager
    def enter(self, address: str, deadline: Deadline, *, writes: bool = False) -> Iterator[None]:
        """Hold a place inside the block; raise NoRoom."""
        counters = [self._of_address] + ([self._writers_of_address] if writes else [])
        with self._changed:
            while not self._has_room(address, writes=writes):
                patience_s = min(self._quick_for_s(), deadline.remaining_s())
                if patience_s <= 0:
                    raise NoRoom
                self._changed.wait(patience_s)
            self._places += 1
            for counter in counters:
                counter[address] += 1
        try:
            yield
        finally:
            with self._changed:
                self._places -= 1
                for counter in counters:
                    _count_down(counter, address)
                self._changed.notify_all()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Say that HubSpot is asked inside the block: how long that takes shows whether it is slow.
        Who holds a place may wait for other look-ups, too, and that shows nothing."""
        question = object()
        with self._changed:
            self._began[question] = self._clock()
        try:
            yield
        finally:
            with self._changed:
                del self._began[question]

    @contextmanager
    def alone(self, pair: StudentPair, *, writes: bool = False) -> Iterator[bool]:
        """Yield whether nobody else is looking this pair up, for as long as the block lasts. For
        who `writes` readers do not count: their call may have to wait for longer."""
        look_up = (pair, writes)
        with self._changed:
            is_alone = look_up not in self._pairs
            if is_alone:
                self._pairs.add(look_up)
        try:
            yield is_alone
        finally:
            if is_alone:
                with self._changed:
                    self._pairs.discard(look_up)
                    self._changed.notify_all()

    @contextmanager
    def on_trust(self, address: str, at_most: int) -> Iterator[bool]:
        """Yield whether the address may have one more of `at_most` look-ups inside the block."""
        with self._changed:
            granted = self._on_trust[address] < at_most
            if granted:
                self._on_trust[address] += 1
        try:
            yield granted
        finally:
            if granted:
                with self._changed:
                    _count_down(self._on_trust, address)

    def wait_for_others(self, limit_s: float) -> None:
        """Return once some look-up has ended, or after `limit_s` seconds."""
        with self._changed:
            self._changed.wait(limit_s)

    def crowds(self, address: str, *, writes: bool = False) -> bool:
        """Whether an address holds more places than it may while HubSpot is slow."""
        with self._changed:
            if writes and self._writers_of_address[address] <= self._sure_of_address:
                return False
            return self._of_address[address] > self._max_of_address and self._quick_for_s() <= 0

    def _has_room(self, address: str, *, writes: bool) -> bool:
        if self._places >= self._max_at_once - (0 if writes else self._kept_for_writers):
            return False
        if writes and self._writers_of_address[address] < self._sure_of_address:
            return True
        return self._of_address[address] < self._max_of_address or self._quick_for_s() > 0

    def _quick_for_s(self) -> float:
        """Return in how many seconds HubSpot will count as slow if nothing ends."""
        # In the order in which they began.
        oldest = next(iter(self._began.values()), None)
        return SLOW_S if oldest is None else oldest + SLOW_S - self._clock()


def _count_down(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if counter[name] <= 0:
        del counter[name]
