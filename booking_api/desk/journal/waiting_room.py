"""How many callers of a student may wait at this process's desk: each holds one of its threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_OF_STUDENT: Final = 2


class WaitingRoom:
    """One process's; students are named by their contact's id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def seat(self, student: str) -> Iterator[bool]:
        """Yield whether the student may have one more who waits, for as long as the block lasts."""
        with self._lock:
            seated = self._waiting[student] < MAX_OF_STUDENT
            if seated:
                self._waiting[student] += 1
        try:
            yield seated
        finally:
            if seated:
                with self._lock:
                    self._waiting[student] -= 1
                    if self._waiting[student] == 0:
                        del self._waiting[student]
