"""How many callers of a student may wait at this process's desk: each holds one of its threads.

Repeats without a key wait for one another, so that one of them is served and the others are
answered with it.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

MAX_OF_STUDENT: Final = 2
"""Requests that the desk is to serve."""
MAX_KEYLESS_OF_STUDENT: Final = 24
"""Requests without a key, those included that only wait for the same one."""


class WaitingRoom:
    """One process's; students are named by their contact's id, their requests by their keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._keys: defaultdict[str, list[str]] = defaultdict(list)
        self._keyless: Counter[str] = Counter()
        self._taken_turns: set[str] = set()

    @contextmanager
    def seat(self, student: str, key: str) -> Iterator[bool]:
        """Yield whether the student may have one more who waits, for as long as the block lasts."""
        with self._lock:
            seated = len(self._keys[student]) < MAX_OF_STUDENT
            if seated:
                self._keys[student].append(key)
        try:
            yield seated
        finally:
            if seated:
                with self._lock:
                    self._keys[student].remove(key)
                    if len(self._keys[student]) == 0:
                        del self._keys[student]

    def has_seated(self, student: str, key: str) -> bool:
        """Whether the student's request with this key waits already."""
        with self._lock:
            return key in self._keys.get(student, ())

    @contextmanager
    def admit_keyless(self, student: str) -> Iterator[bool]:
        """Yield whether the student may have one more request without a key here."""
        with self._lock:
            is_admitted = self._keyless[student] < MAX_KEYLESS_OF_STUDENT
            self._keyless[student] += is_admitted
        try:
            yield is_admitted
        finally:
            with self._lock:
                self._keyless[student] -= is_admitted
                if self._keyless[student] == 0:
                    del self._keyless[student]

    @contextmanager
    def take_turn(
        self, name: str, wait_s: float, before_waiting: Callable[[], None]
    ) -> Iterator[bool]:
        """Yield whether the turn called `name` is the caller's alone, as soon as it is or `wait_s`
        are over."""
        with self._lock:
            must_wait = name in self._taken_turns
        if must_wait:
            before_waiting()
        with self._freed:
            is_ours = self._freed.wait_for(lambda: name not in self._taken_turns, wait_s)
            if is_ours:
                self._taken_turns.add(name)
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._freed:
                    self._taken_turns.remove(name)
                    self._freed.notify_all()
