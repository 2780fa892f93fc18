"""Readers: fifty who list their bookings, a hundred who look which exams there are; each before
this system and before the old one.
"""

from __future__ import annotations

from tests.load.deployment import System, World
from tests.load.population import open_school
from tests.load.runs import GRACE_S, SYSTEMS, Run, people_of, plan_of, watch
from tests.load.size import Size
from tests.load.traffic import Behaviour, Group

THINK_S = (0.2, 0.6)
BOOKINGS = 20


def play_listing(world: World, size: Size) -> list[Run]:
    """Fifty users reload their lists."""
    return [_read(world, system, "list", 50, size.cut(8)) for system in SYSTEMS]


def play_availability(world: World, size: Size) -> list[Run]:
    """A hundred users look which exams there are."""
    return [_read(world, system, "look", 100, size.cut(8)) for system in SYSTEMS]


def _read(world: World, system: System, behaviour: Behaviour, users: int, seconds: float) -> Run:
    school = open_school(world.empty_portal(), students=users, bookings=BOOKINGS)
    group = Group(
        behaviour=behaviour, people=people_of(school.students), users=users, think_s=THINK_S
    )
    with world.serving(system) as deployment:
        plan = plan_of(deployment, school.portal, [group], seconds, grace_s=GRACE_S[system])
        return watch(world, deployment, plan)
