"""A round of warming: the exams, then the students who were here lately, the latest first.

A round that is made again right away finds everything up to date and asks HubSpot for nothing. It
may be cut off anywhere: what was warmed is warm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from booking_api.composition import Services
from booking_api.ops.warming.exams import warm_exams
from booking_api.ops.warming.loading import BATCH, AheadLoads, WarmingStopped
from booking_api.ops.warming.postponed import Postponed
from booking_api.ops.warming.students import warm_students
from hubspot_sync.batching.chunking import chunks
from hubspot_sync.portal.mock_types import MockType

ALL_STUDENTS: Final = 1_000_000
"""More than there is room for."""
ENTRIES_OF_A_STUDENT: Final = 16
"""The contact twice, links, enrollments, a page, credits, a few bookings with their links."""
STUDENTS_SHARE: Final = 0.5
"""Of the entries there is room for; the rest is for whoever comes besides."""
ROUNDS_OF_MARGIN: Final = 1.5
"""What would end before the next round, and a little after, is renewed in this one."""

log = structlog.get_logger(__name__)

Progress = Callable[[int], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to warm: the lists of these types, whether with seats; and `students` at most, of those
    seen within `days`, or the `named` contacts instead."""

    mock_types: Sequence[MockType]
    with_seats: bool
    students: int
    days: int
    named: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a round came to: exams that may be booked, students, entries loaded for them, and calls.
    `left` counts what HubSpot would not give or the cache not keep. `stopped` says why it ended
    early, "" where it did not."""

    exams: int = 0
    students: int = 0
    entries: int = 0
    calls: int = 0
    left: int = 0
    stopped: str = ""


class Rounds:
    """One process's rounds, `every_s` apart. Who is `patient` waits for the budget."""

    def __init__(self, services: Services, *, every_s: float, patient: bool = False) -> None:
        self._services = services
        self._margin_s = every_s * ROUNDS_OF_MARGIN
        self._patient = patient
        self._postponed = Postponed(services.clocks.monotonic)

    def is_of(self, services: Services) -> bool:
        """Whether these are the services it warms for."""
        return self._services is services

    def find_students(self, plan: Plan) -> tuple[Sequence[str], int]:
        """Return the contacts to warm, and how many more there is no room for; raise Django's
        database errors."""
        room = students_within(self._services.cached.cache.config.max_entries)
        found = plan.named
        if found is None:
            found = self._services.seen.seen_lately(plan.days, plan.students)
        return found[:room], max(0, len(found) - room)

    def warm(
        self, plan: Plan, contact_ids: Sequence[str] = (), progress: Progress = lambda _: None
    ) -> Report:
        """Warm, and tell `progress` of each batch of students how many it had; raise Django's
        database errors. Contacts that nobody has any more are forgotten here, too."""
        loads = AheadLoads(
            self._services, self._postponed, margin_s=self._margin_s, patient=self._patient
        )
        exams, students, stopped = 0, 0, ""
        try:
            exams = warm_exams(loads, plan.mock_types, with_seats=plan.with_seats)
            for part in chunks(contact_ids, BATCH):
                number, gone = warm_students(loads, part, plan.mock_types)
                students += number
                if gone:
                    self._services.seen.forget(gone)
                progress(len(part))
        except WarmingStopped as reason:
            stopped = reason.reason
        report = Report(
            exams=exams,
            students=students,
            entries=loads.loaded.entries,
            calls=loads.meter.calls,
            left=loads.loaded.left,
            stopped=stopped,
        )
        if report.entries > 0 or stopped:
            log.info(
                "cache_warmed",
                exams=exams,
                students=students,
                entries=report.entries,
                calls=report.calls,
                left=report.left,
                stopped=stopped,
            )
        return report


def students_within(max_entries: int) -> int:
    """Return for how many students a cache of so many entries has room beside everybody else."""
    return int(max_entries * STUDENTS_SHARE) // ENTRIES_OF_A_STUDENT
