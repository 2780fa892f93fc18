"""The first minute of a rush after `manage.py warm_cache`, of students who were here before: they
list, look and ask for their credits, and find the cache filled.
"""

from __future__ import annotations

from subprocess import CalledProcessError

from tests.load.deployment import Deployment, World
from tests.load.population import open_school
from tests.load.runs import LeftOut, Run, people_of, plan_of, send_crowd, watch
from tests.load.size import Size
from tests.load.traffic import Behaviour, Group, Person

COMMAND = "warm_cache"
STUDENTS, BOOKINGS = 300, 5
RUSH_S = 60.0
THINK_S = (2.0, 4.0)


def play_warm(world: World, size: Size) -> list[Run]:
    """Have everybody be here once, as on the days before; empty the cache, as their entries' times
    to live have; warm it; then have all of them come."""
    if world.stores.redis_url == "":
        raise LeftOut("left out: a command warms a cache in Redis alone (TEST_REDIS_URL)")
    school = open_school(world.empty_portal(), students=size.count(STUDENTS), bookings=BOOKINGS)
    people = people_of(school.students)
    with world.fresh_database() as database_url:
        with world.serving("ours", DATABASE_URL=database_url) as before:
            plan = plan_of(before, school.portal, [all_of(people, "list once")], RUSH_S)
            send_crowd(plan)
        with world.serving("ours", DATABASE_URL=database_url) as deployment:
            world.sandbox.clear_calls()
            warm(deployment)
            calls = len(world.sandbox.calls())
            rush = all_of(people, "visit own")
            plan = plan_of(deployment, school.portal, [rush], size.cut(RUSH_S))
            run = watch(world, deployment, plan)
    run.numbers["students"] = len(people)
    run.numbers["calls of warming"] = calls
    return [run]


def warm(deployment: Deployment) -> None:
    """Run the command; raises LeftOut where there is none."""
    try:
        deployment.manage(COMMAND)
    except CalledProcessError as error:
        if f"Unknown command: '{COMMAND}'" in error.stderr:
            raise LeftOut(f"left out: there is no command {COMMAND} yet") from None
        raise


def all_of(people: list[Person], behaviour: Behaviour) -> Group:
    return Group(behaviour=behaviour, people=people, users=len(people), think_s=THINK_S)
