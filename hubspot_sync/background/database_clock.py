"""The time that all processes of a deployment share: their database's.

Times in rows are written by one host and compared by another, whose clock may be minutes off. So
none goes by its own: the database is asked every few seconds, and in between its time is reckoned
from a clock that counts seconds. Hosts then differ by as much as a question takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

ASK_EVERY_S: Final = 5.0
"""A host that was suspended counts no seconds meanwhile: soon enough it learns how late it is."""


@dataclass(frozen=True, slots=True)
class _Reading:
    said: datetime
    at_s: float


class DatabaseClock:
    """`host_now` is the host's own wall clock: good enough where the database is a file there."""

    def __init__(
        self,
        host_now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        database: Any = connection,
    ) -> None:
        self._host_now = host_now
        self._monotonic = monotonic
        self._database = database
        self._lock = threading.Lock()
        self._reading: _Reading | None = None

    def now(self) -> datetime:
        """Return the database's time, aware; raise Django's database errors."""
        if self._database.vendor == "sqlite":
            return self._host_now()
        reading = self._reading
        if reading is None or self._is_old(reading):
            reading = self._read(reading)
        return reading.said + timedelta(seconds=self._monotonic() - reading.at_s)

    def _is_old(self, reading: _Reading) -> bool:
        # Inside a transaction that has failed nothing can be asked, and in any it can wait.
        is_due = self._monotonic() - reading.at_s >= ASK_EVERY_S
        return is_due and not self._database.in_atomic_block

    def _read(self, known: _Reading | None) -> _Reading:
        """Ask the database. While another thread does, what was known before is good enough; where
        nothing was, each asks, since the other may wait for longer than this one can."""
        if known is None:
            return self._ask()
        if not self._lock.acquire(blocking=False):
            return known
        try:
            return self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> _Reading:
        began_s = self._monotonic()
        with self._database.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            said: datetime = cursor.fetchone()[0]
        self._reading = reading = _Reading(said, (began_s + self._monotonic()) / 2)
        return reading
