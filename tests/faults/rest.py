"""Waiting until the desk has nothing left to do, without sitting out its patience."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from booking_api.composition import Clocks, Services
from booking_api.desk.journal.models import (
    ENDED,
    CreditReview,
    EntryState,
    JournalEntry,
    OutboxNote,
    RecountRequest,
)

MAX_WAIT_S = 45.0
POLL_INTERVAL_S = 0.02
FIRST_STEP, MAX_STEP = timedelta(seconds=5), timedelta(seconds=20)


@dataclass(slots=True)
class ForwardClock:
    """The wall's time, and what it was put forward by."""

    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return timezone.now() + self.ahead

    @property
    def clocks(self) -> Clocks:
        return Clocks(now=self.now)


def wait_until_idle(services: Services, clock: ForwardClock, *, hurry: bool) -> Mapping[str, int]:
    """Return once nothing is left, or what is left when patience is over. Notes, recounts and
    reviews that wait for their time are not waited for, the clock is put forward, further each time
    that nothing has happened; with `hurry` not for postponed rows of the journal either."""
    pause, step, before = threading.Event(), FIRST_STEP, None
    for _ in range(int(MAX_WAIT_S / POLL_INTERVAL_S)):
        left = count_unfinished()
        if len(left) == 0:
            return left
        if "queued" not in left and (hurry or "unfinished" not in left):
            # Each step has every worker look again, and what is in doubt is so for two minutes.
            step = min(step * 2, MAX_STEP) if left == before else FIRST_STEP
            clock.ahead += step
        before = left
        wake_for(left, services)
        pause.wait(POLL_INTERVAL_S)
    return count_unfinished()


def count_unfinished() -> Mapping[str, int]:
    """How many of each kind are not done; none where there is nothing."""
    rows = {
        "queued": JournalEntry.objects.filter(state=EntryState.QUEUED),
        "unfinished": JournalEntry.objects.exclude(state__in=(EntryState.QUEUED, *ENDED)),
        "notes": OutboxNote.objects.filter(state__in=("waiting", "sending")),
        "recounts": RecountRequest.objects.all(),
        "reviews": CreditReview.objects.all(),
    }
    counts = {name: found.count() for name, found in rows.items()}
    return {name: number for name, number in counts.items() if number > 0}


def wake_for(left: Iterable[str], services: Services) -> None:
    """Wake who is to do what is left, and nobody else: each would look for work many times over."""
    booking = services.booking
    others = {"notes": booking.outbox.worker.wake, "recounts": booking.recounts.worker.wake}
    for wake in {others.get(kind, booking.desk.wake) for kind in left}:
        wake()


def wait_for_queue(number: int) -> None:
    """Return once so many requests wait for the desk."""
    pause = threading.Event()
    for _ in range(int(MAX_WAIT_S / POLL_INTERVAL_S)):
        if JournalEntry.objects.filter(state=EntryState.QUEUED).count() >= number:
            connection.close()
            return
        pause.wait(POLL_INTERVAL_S)
    raise AssertionError(f"there were never {number} requests in the queue")
