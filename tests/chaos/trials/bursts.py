"""Many students who book at once, in calm: what that costs HubSpot, and how soon it is done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from typing_extensions import override

from tests.builders import Exam
from tests.chaos.judge.verdicts import Verdict
from tests.chaos.people.crowd import Numbers, gather_crowd, make_cast
from tests.chaos.people.students import Pupil
from tests.chaos.world.world import World
from tests.waiting import eventually

MAX_CALLS_A_HUNDRED = 14
FREE_BURSTS, MAX_BURSTS, MAX_GATHERED = 3, 8, 3
MIN_OF_BEFORE = 0.75
"""What another's work on the same machine may take of it."""
GATHERING_MS = 600
"""So long HubSpot takes over the booking before: time for everybody to be in the queue."""


@dataclass(frozen=True, slots=True)
class Burst:
    """How many were booked, in which time, and the calls that HubSpot had meanwhile: those for
    bookings and their links, not those for notes and the pairs of students."""

    booked: int
    took_s: float
    calls: int
    operations: str

    @override
    def __str__(self) -> str:
        return (
            f"{self.booked} booked in {self.took_s:.1f} s, {self.a_minute:.0f} a minute,"
            f" {self.calls_a_hundred:.0f} calls a hundred"
        )

    @property
    def a_minute(self) -> float:
        return 60 * self.booked / self.took_s

    @property
    def is_cheap(self) -> bool:
        return self.calls_a_hundred <= MAX_CALLS_A_HUNDRED

    @property
    def calls_a_hundred(self) -> float:
        return 100 * self.calls / max(1, self.booked)


@dataclass(frozen=True, slots=True)
class Bursts:
    """The quickest of several, and the cheapest: a hundred that do not arrive in the same instant
    are two groups, or more, and cost as much."""

    quickest: Burst
    cheapest: Burst

    @override
    def __str__(self) -> str:
        return f"{self.quickest}; {self.cheapest.calls_a_hundred:.0f} at the cheapest"


def have_bursts(world: World, name: str, students: int, before: Bursts | None = None) -> Bursts:
    """Have several bursts, and where none costs as little as it may, others that wait while the
    desk is at somebody's booking. A periodic job, and whoever is told to come back, cost some of
    them more; and of two that follow each other with nothing between one may take twice as long,
    so that there are more of them where they are slower than `before`. HubSpot tells of nothing
    meanwhile."""
    world.keep_webhooks_back()
    free = [book_at_once(world, f"{name}{turn}x", students) for turn in range(FREE_BURSTS)]
    while len(free) < MAX_BURSTS and before is not None and _are_slower(before, free):
        free.append(book_at_once(world, f"{name}{len(free)}x", students))
    bursts = list(free)
    for turn in range(MAX_GATHERED):
        if any(burst.is_cheap for burst in bursts):
            break
        bursts.append(book_at_once(world, f"{name}{turn}g", students, gathering=True))
    world.deliver_webhooks()
    # One in which somebody was not booked is not passed over for a better one.
    return Bursts(
        min(free, key=lambda burst: (burst.booked, burst.took_s)),
        min(bursts, key=lambda burst: (burst.booked, burst.calls)),
    )


def _are_slower(before: Bursts, bursts: Sequence[Burst]) -> bool:
    quickest = max(burst.a_minute for burst in bursts)
    return quickest < MIN_OF_BEFORE * before.quickest.a_minute


def book_at_once(world: World, name: str, students: int, *, gathering: bool = False) -> Burst:
    """Have so many new students, each known already, book one exam at the same moment; `gathering`
    while the desk is at another's booking."""
    cast = make_cast(world, name, students + 1, (students + 1,), first_day=300 + len(name))
    crowd = gather_crowd(world, 0, Numbers(readers=0, editors=1), cast)
    exam, others = cast.exams[0], crowd.pupils[1:]
    with ThreadPoolExecutor(students + 1) as pool:
        list(pool.map(lambda pupil: pupil.look(), crowd.pupils))
        if gathering:
            _keep_desk_busy(world, pool, crowd.pupils[0], exam)
        begun = len(world.sandbox.calls())
        begun_s = time.monotonic()
        attempts = list(pool.map(lambda pupil: pupil.book(exam, tabs=1), others))
        took_s = time.monotonic() - begun_s
    types = world.portal.profile.object_types
    calls = [
        call
        for call in world.sandbox.calls(since=begun)
        if call["object_type"] != types.notes and not call["operation"].startswith("labels")
    ]
    booked = sum(1 for attempt in attempts if attempt.outcome == "booked")
    operations = Counter(f"{call['operation']} {call['object_type']}" for call in calls)
    shown = ", ".join(f"{number} {name}" for name, number in sorted(operations.items()))
    return Burst(booked, took_s, len(calls), shown)


def _keep_desk_busy(world: World, pool: ThreadPoolExecutor, pupil: Pupil, exam: Exam) -> None:
    path = rf"/{world.portal.profile.object_types.bookings}/batch/create$"
    fault_id = world.sandbox.fault("delay", path=path, delay_ms=GATHERING_MS, times=1)
    pool.submit(pupil.book, exam, tabs=1)
    eventually(
        lambda: any(each["id"] == fault_id and each["fired"] for each in world.sandbox.faults())
    )


def judge_bursts(before: Bursts, after: Bursts, students: int) -> Iterator[Verdict]:
    """Yield what is promised of them: all are booked, no slower than before, for few calls."""
    bursts = (before.quickest, after.quickest, before.cheapest, after.cheapest)
    missing = [f"{each.booked} of {students}" for each in bursts if each.booked != students]
    yield Verdict("everybody of a calm burst is booked", len(bursts) * students, missing)
    slower = [f"{after.quickest}; before: {before.quickest}"]
    slower = slower if _are_slower(before, [after.quickest]) else []
    yield Verdict("bookings a minute as before", 2 * students, slower)
    costly = [
        f"{each.calls_a_hundred:.0f} calls: {each.operations}"
        for each in (before.cheapest, after.cheapest)
        if not each.is_cheap
    ]
    promise = f"{MAX_CALLS_A_HUNDRED} calls a hundred bookings at most"
    yield Verdict(promise, before.cheapest.calls + after.cheapest.calls, costly)
