"""How many callers of a student may wait at this process's desk: each holds one of its threads."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_OF_STUDENT: Final = 2


class WaitingRoom:
    """One process's; students are named by their contact's id, their requests by their keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: defaultdict[str, list[str]] = defaultdict(list)

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
