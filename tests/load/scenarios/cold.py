"""A hundred users with fifty bookings each, all at the same moment, and nothing is cached."""

from __future__ import annotations

from tests.load.deployment import System, World
from tests.load.population import open_school
from tests.load.runs import GRACE_S, SYSTEMS, Run, people_of, plan_of, watch
from tests.load.size import Size
from tests.load.traffic import Group, Person

USERS, BOOKINGS = 100, 50
SECONDS = 20.0


def play_cold(world: World, size: Size) -> list[Run]:
    """Not smaller where it is quick: the number that is promised is of so many."""
    return [_play(world, system, size) for system in SYSTEMS]


def _play(world: World, system: System, size: Size) -> Run:
    school = open_school(world.empty_portal(), students=USERS + 1, bookings=BOOKINGS)
    *people, alone = people_of(school.students)
    with world.serving(system) as deployment:
        calls_of_one = 0
        if system == "naive":
            plan = plan_of(deployment, school.portal, [_all_of([alone])], SECONDS)
            calls_of_one = len(watch(world, deployment, plan).calls)
        seconds = SECONDS if system == "ours" else size.cut(6, 3)
        plan = plan_of(
            *(deployment, school.portal, [_all_of(people)], seconds), grace_s=GRACE_S[system]
        )
        run = watch(world, deployment, plan)
    if system == "naive":
        run.numbers["calls a user"] = calls_of_one
        run.numbers["calls that all would take"] = calls_of_one * USERS
    return run


def _all_of(people: list[Person]) -> Group:
    return Group(behaviour="list once", people=people, users=len(people), think_s=(0, 0))
