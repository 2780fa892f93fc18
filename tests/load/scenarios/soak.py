"""What lasts: minutes of students who read, book and cancel, and whether memory stays what it is;
and a hundred thousand requests by ten thousand students.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from tests.load.deployment import World
from tests.load.population import open_school
from tests.load.promises import find_broken
from tests.load.runs import Run, offers_of, people_of, plan_of, watch
from tests.load.size import Size
from tests.load.traffic import Diary, Group
from tests.load.visits import Held, Order
from tests.manage import ROOT

STUDENTS, BOOKINGS, USERS = 400, 3, 40
SOAK_S = 30.0
THINK_S = (0.2, 1.0)
MANY_STUDENTS = 10_000
FIRST, ALL = 20_000, 100_000
MANY = 1_000_000
LIFTED = {
    "REDIS_URL": "",
    "SCHEDULER": "false",
    "HUBSPOT_RATE_LIMIT": str(MANY),
    "HUBSPOT_SEARCH_RATE": str(MANY),
    "THROTTLE_READS": "",
    "THROTTLE_ANONYMOUS_CALLS": "",
}
MIB = 1024**2
MAX_MEMORY_RUN_S = 900.0
MAX_SAID = 2_000


def play_soak(world: World, size: Size) -> list[Run]:
    """Students at work for as long as is asked for, the periodic jobs and webhooks as deployed."""
    portal = world.empty_portal()
    school = open_school(portal, students=STUDENTS, bookings=BOOKINGS, exams=30, credits_each=9)
    owned = {pupil.id: sum(pupil.credits.values()) + BOOKINGS for pupil in school.students}
    group = Group(
        behaviour="study", people=people_of(school.students), users=USERS, think_s=THINK_S
    )
    with world.serving("ours", SCHEDULER="true", RECOUNT_EVERY_S="30") as deployment:
        world.deliver_webhooks_to(deployment.server)
        seconds = size.soak_s or size.cut(SOAK_S, 12.0)
        plan = plan_of(deployment, portal, [group], seconds, offers=offers_of(school.exams))
        run = watch(world, deployment, plan)
        run.numbers["growth"] = find_growth(run.memory)
        run.broken.extend(find_broken(school, run.diary, owned))
        return [run]


def play_memory(world: World, size: Size) -> list[Run]:
    """A first part of the requests, then the others, by students drawn from all, with the cache in
    the process. HubSpot's limits are lifted and it answers at once: what is kept is what is looked
    at, not how fast it came."""
    portal = world.empty_portal()
    school = open_school(portal, students=size.count(MANY_STUDENTS, 1_000), bookings=1, exams=30)
    world.sandbox.configure(rate_limit=MANY, search_rate=MANY, latency_ms=0, jitter_ms=0)
    order = Order(
        people=people_of(school.students),
        mock_types=[each.value for each in portal.profile.mock_types],
        first=size.count(FIRST, 4_000),
        every=size.count(ALL, 12_000),
    )
    world.sandbox.clear_calls()
    with world.environment(**LIFTED) as environment:
        held = have_visited(order, environment)
    run = Run(
        system="ours",
        diary=Diary(deeds=[], asked=0, seconds=held.seconds),
        calls=world.sandbox.calls(),
        memory=(),
        lifted=True,
    )
    run.numbers["requests"] = order.every
    run.numbers["requests a second"] = held.served / held.seconds
    run.numbers["not served"] = order.every - held.served
    run.numbers["memory after the first, in MiB"] = held.first_bytes / MIB
    run.numbers["memory after all, in MiB"] = held.last_bytes / MIB
    run.numbers["growth"] = held.last_bytes / max(1, held.first_bytes)
    return [run]


def have_visited(order: Order, environment: Mapping[str, str]) -> Held:
    """Run the application in a process of its own until all have visited. Raise RuntimeError, with
    what it said last, where it did not come to that end."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.visits"],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
        timeout=MAX_MEMORY_RUN_S,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")[-MAX_SAID:]
        raise RuntimeError(f"The visits ended with {done.returncode}: {said}")
    return msgspec.json.decode(done.stdout, type=Held)


def sum_of(sizes: Mapping[int, int]) -> float:
    """Return what all processes hold together, in MiB."""
    return sum(sizes.values()) / MIB


def find_growth(samples: Sequence[tuple[float, Mapping[int, int]]]) -> float:
    """Return by what the mean of the last third is more than that of the middle third; the first is
    when caches fill and threads begin."""
    held = [sum_of(sizes) for _, sizes in samples]
    third = len(held) // 3
    if third == 0:
        return 1.0
    middle, last = held[third : 2 * third], held[-third:]
    return (sum(last) / len(last)) / (sum(middle) / len(middle))
