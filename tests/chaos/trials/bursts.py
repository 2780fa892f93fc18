"""Many students who book at once, in calm: what that costs HubSpot, and how soon it is done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from typing_extensions import override

from tests.chaos.judge.verdicts import Verdict
from tests.chaos.people.crowd import Numbers, gather_crowd, make_cast
from tests.chaos.world.world import World

MAX_CALLS_A_HUNDRED = 14
MIN_BURSTS, MAX_BURSTS = 3, 5
MIN_OF_BEFORE = 0.75
"""What another's work on the same machine may take of it."""


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


def find_best_burst(world: World, name: str, students: int) -> Burst:
    """Have several bursts, until one costs no more than it may, or enough of them; return the
    quickest that does. A periodic job, an arrival in two halves, or servers that have just begun,
    cost some of them more. HubSpot tells of nothing meanwhile."""
    world.keep_webhooks_back()
    bursts: list[Burst] = []
    for turn in range(MAX_BURSTS):
        bursts.append(book_at_once(world, f"{name}{turn}x", students))
        if turn + 1 >= MIN_BURSTS and any(burst.is_cheap for burst in bursts):
            break
    world.deliver_webhooks()
    # One in which somebody was not booked is not passed over for a quick one.
    return min(bursts, key=lambda burst: (burst.booked, not burst.is_cheap, burst.took_s))


def book_at_once(world: World, name: str, students: int) -> Burst:
    """Have so many new students, each known already, book one exam at the same moment."""
    cast = make_cast(world, name, students, (students,), first_day=300 + len(name))
    crowd = gather_crowd(world, 0, Numbers(readers=0, editors=1), cast)
    with ThreadPoolExecutor(students) as pool:
        list(pool.map(lambda pupil: pupil.look(), crowd.pupils))
        begun = len(world.sandbox.calls())
        begun_s = time.monotonic()
        attempts = list(pool.map(lambda pupil: pupil.book(cast.exams[0]), crowd.pupils))
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


def judge_bursts(before: Burst, after: Burst, students: int) -> Iterator[Verdict]:
    """Yield what is promised of them: all are booked, no slower than before, for few calls."""
    bursts = (before, after)
    missing = [f"{each.booked} of {students}" for each in bursts if each.booked != students]
    yield Verdict("everybody of a calm burst is booked", 2 * students, missing)
    slower = (
        [f"{after.a_minute:.0f} a minute, {before.a_minute:.0f} before"]
        if after.a_minute < MIN_OF_BEFORE * before.a_minute
        else []
    )
    yield Verdict("bookings a minute as before", 2 * students, slower)
    costly = [
        f"{each.calls_a_hundred:.0f} calls: {each.operations}"
        for each in bursts
        if not each.is_cheap
    ]
    promise = f"{MAX_CALLS_A_HUNDRED} calls a hundred bookings at most"
    yield Verdict(promise, sum(each.calls for each in bursts), costly)
