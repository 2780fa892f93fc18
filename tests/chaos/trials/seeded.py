"""One run by seed: people at work, faults as planned, calm again, and the judgement."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from tests.chaos.faults.catalogue import Planned, plan_faults
from tests.chaos.judge.facts import USUAL_MAX_CALLS, Facts, gather
from tests.chaos.judge.promises import PROMISES, judge_seats, judge_times, judge_work
from tests.chaos.judge.recovery import (
    Happened,
    Recovery,
    judge_recoveries,
    time_recoveries,
)
from tests.chaos.judge.settling import wait_for_calm
from tests.chaos.judge.verdicts import Verdict
from tests.chaos.people.crowd import Crowd, Numbers, count_outcomes, gather_crowd, make_cast
from tests.chaos.people.students import resolve_open_ends
from tests.chaos.trials.bursts import have_bursts, judge_bursts
from tests.chaos.world.world import LATE_WRITE_S, World

CALM_FIRST_S, CALM_LAST_S = 3.0, 3.0
LIFT_LIMIT_S = 120.0
OPEN_ENDS_LIMIT_S = 2.0 * LATE_WRITE_S
CALM_LIMIT_S = 90.0
SHARED_OUT = 0.9
"""Of HubSpot's budget the servers share so much where they cannot count together."""


@dataclass(slots=True)
class Outcome:
    """What came of a run: what happened, with its recovery; each promise; figures to be shown; and
    the facts that it was judged by."""

    title: str
    recoveries: list[Recovery] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    facts: Facts | None = None

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts)


def run_trial(world: World, seed: int, seconds: float, numbers: Numbers, burst: int = 0) -> Outcome:
    """Have people work while faults come and go, and judge what is left when all is calm. With a
    `burst` so many students book at once before and after it."""
    before = have_bursts(world, f"before{seed}n", burst) if burst > 0 else None
    capacities = [
        2 * numbers.students if turn % 2 else max(1, numbers.students // 3)
        for turn in range(numbers.exams)
    ]
    cast = make_cast(world, f"seed{seed}x", numbers.students, capacities)
    crowd = gather_crowd(world, seed, numbers, cast)
    planned = plan_faults(seed, seconds, with_redis=world.redis is not None)
    world.sandbox.clear_calls()
    begun_s = time.monotonic()
    crowd.begin()
    pause = threading.Event()
    pause.wait(CALM_FIRST_S)
    happened = make_trouble(world, planned)
    pause.wait(CALM_LAST_S)
    crowd.end()
    until_s = time.monotonic()
    outcome = Outcome(f"seed {seed}, {seconds:.0f} s")
    judge_crowd(outcome, crowd, happened, worked_until_s=until_s)
    if outcome.facts is not None:
        outcome.verdicts.append(judge_work(outcome.facts))
    if before is not None:
        after = have_bursts(world, f"after{seed}n", burst, before)
        outcome.verdicts += judge_bursts(before, after, burst)
        outcome.figures |= {"burst before": str(before), "burst after": str(after)}
    outcome.figures |= {
        "worked": f"{until_s - begun_s:.0f} s",
        "attempts": ", ".join(f"{n} {word}" for word, n in count_outcomes(crowd.ledger).items()),
    }
    return outcome


def make_trouble(world: World, planned: Sequence[Planned]) -> list[Happened]:
    """Begin and lift every fault at its time; return what happened, when all is lifted."""
    begun_s = time.monotonic()
    pause = threading.Event()

    def happen(each: Planned) -> Happened:
        pause.wait(max(0.0, begun_s + each.begins_s - time.monotonic()))
        struck_s = time.monotonic()
        lift = each.fault.inject(world, random.Random(each.seed))
        pause.wait(each.lasts_s)
        lift()
        lifted_s = time.monotonic()
        from_s = struck_s if each.fault.counts_from_beginning else lifted_s
        fault = each.fault
        return Happened(fault.name, struck_s, lifted_s, from_s, fault.max_recovery_s, fault.hinders)

    groups: Mapping[str, list[Planned]] = {
        group: [each for each in planned if each.fault.group == group]
        for group in {each.fault.group for each in planned}
    }
    with ThreadPoolExecutor(max(1, len(groups))) as pool:
        # One of a group after the other, even where one takes longer than planned.
        runs = [
            pool.submit(lambda plan=plan: [happen(each) for each in plan])  # type: ignore[misc]
            for plan in groups.values()
        ]
        found = [happened for run in runs for happened in run.result()]
    return sorted(found, key=lambda each: each.begun_s)


def judge_crowd(
    outcome: Outcome,
    crowd: Crowd,
    happened: Sequence[Happened],
    *,
    worked_until_s: float = math.inf,
    calm_limit_s: float = CALM_LIMIT_S,
    max_request_s: float | None = None,
    max_calls: int = USUAL_MAX_CALLS,
) -> None:
    """Have everybody ask for what they were not told, wait for calm, and judge; people worked until
    `worked_until_s`, and a request may take `max_request_s` where that is not the usual."""
    world, cast, diary = crowd.world, crowd.cast, crowd.front.diary
    resolve_open_ends(crowd.pupils, min(calm_limit_s, OPEN_ENDS_LIMIT_S))
    calls = world.sandbox.calls()
    facts, calm_s = wait_for_calm(
        world.sandbox,
        lambda: gather(world.portal, cast, crowd.ledger.attempts, diary, calls, max_calls),
        calm_limit_s,
    )
    # At the end everybody looks once more, at every server: what is kept there is current.
    for pupil in crowd.pupils:
        pupil.look("last look")
    outcome.facts = facts
    outcome.verdicts = [judge(facts) for judge in PROMISES]
    if max_request_s is not None:
        outcome.verdicts.append(judge_times(facts, max_request_s))
    if crowd.oversold:
        seats = judge_seats(facts)
        broken = [*seats.broken, *dict.fromkeys(crowd.oversold)]
        outcome.verdicts[0] = replace(seats, broken=broken)
    bookings_type = world.portal.profile.object_types.bookings
    share = int(SHARED_OUT * max_calls / len(world.servers))
    outcome.recoveries = time_recoveries(happened, diary.deeds, calls, bookings_type, share)
    outcome.verdicts.append(judge_recoveries(outcome.recoveries, worked_until_s))
    outcome.figures["calm after"] = f"{calm_s:.0f} s"
