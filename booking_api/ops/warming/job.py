"""Warming by the scheduler: what the settings allow, and what the change feed makes nearly free.

While the feed proves that entries stay fresh, a student costs their first load and then what has
changed. Without that proof everything is loaded again each time it would expire, which is worth it
for exams, that all ask for, and for students only where somebody says so: `WARM_CACHE=always`, or
`manage.py warm_cache` before a rush.

A cache in Redis is warmed by the process that holds the scheduler's lease. One in a process's
memory nobody else can reach: each process warms its own, from its own share of the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from booking_api import composition
from booking_api.composition import Services
from booking_api.ops.warming.rounds import ALL_STUDENTS, Plan, Report, Rounds
from cache_layer import BackendUnavailable

WARM_CACHE: Final = "warm cache"
PROVEN: Final = "proven"
ALWAYS: Final = "always"


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmingPolicy:
    """What is kept warm: `extent` is `exams`, `proven` or `always`, see the setting WARM_CACHE;
    students who were here within `student_days`; and by whom: `everywhere`, by each process."""

    extent: str
    every_s: float
    student_days: int
    everywhere: bool


class WarmingJob:
    """This process's; keeps from round to round what is left alone for a while."""

    def __init__(self, policy: WarmingPolicy) -> None:
        self._policy = policy
        self._rounds: Rounds | None = None

    def warm(self) -> Report:
        """Warm what is due; raise Django's database errors."""
        services = composition.services()
        rounds = self._rounds
        if rounds is None or not rounds.is_of(services):
            rounds = self._rounds = Rounds(services, every_s=self._policy.every_s)
        plan = self._plan(services)
        contact_ids, _ = rounds.find_students(plan)
        return rounds.warm(plan, contact_ids)

    def _plan(self, services: Services) -> Plan:
        extent = self._policy.extent
        is_kept = extent == ALWAYS or (extent == PROVEN and is_proven(services))
        return Plan(
            mock_types=services.profile.mock_types,
            with_seats=is_kept,
            students=ALL_STUDENTS if is_kept else 0,
            days=self._policy.student_days,
        )


def is_proven(services: Services) -> bool:
    """Whether the change feed proves now that entries are fresh."""
    try:
        return services.cached.cache.freshness.describe().proven
    except BackendUnavailable:
        return False
