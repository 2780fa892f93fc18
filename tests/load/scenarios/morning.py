"""The morning on which registration opens: hundreds of students for three exams with too few seats,
everybody reloading lists and exams, and HubSpot telling of every booking by webhook.
"""

from __future__ import annotations

from tests.load.deployment import System, World
from tests.load.population import School
from tests.load.promises import find_broken, judge_all, look
from tests.load.runs import GRACE_S, SYSTEMS, Run, offers_of, people_of, plan_of, watch
from tests.load.size import Size
from tests.load.traffic import Diary, Group

STUDENTS, EXAMS, SEATS = 300, 3, 80
THINK_S = (2.0, 4.0)
HUBSPOT_CALLS, WINDOW_S = 190, 10.0
NAIVE_CALLS = 9
"""Of one booking of the old system: 8 and the note."""


def play_morning(world: World, size: Size) -> list[Run]:
    return [_play(world, system, size) for system in SYSTEMS]


def _play(world: World, system: System, size: Size) -> Run:
    portal = world.empty_portal()
    students = size.count(STUDENTS)
    with portal.at_once():
        exams = [portal.exam(in_days=7 + n, capacity=size.count(SEATS)) for n in range(EXAMS)]
        pupils = [portal.student(f"pupil{number}", credits=1) for number in range(students)]
    school = School(portal=portal, students=pupils, exams=exams, bookings=())
    owned = {pupil.id: sum(pupil.credits.values()) for pupil in pupils}
    group = Group(behaviour="rush", people=people_of(pupils), users=students, think_s=THINK_S)
    with world.serving(system) as deployment:
        plan = plan_of(
            *(deployment, portal, [group], size.cut(20, 8)),
            grace_s=GRACE_S[system],
            offers=offers_of(exams),
        )
        if system == "ours":
            world.deliver_webhooks_to(deployment.server)
        run = watch(world, deployment, plan)
        run.numbers["bookings"] = count_booked(run.diary)
        run.numbers["bookings a minute"] = 60 * count_booked(run.diary) / find_rush_s(run.diary)
        if system == "naive":
            at_best = HUBSPOT_CALLS / NAIVE_CALLS * 60 / WINDOW_S
            run.numbers["bookings a minute at best"] = at_best
        if system == "ours":
            run.broken.extend(find_broken(school, run.diary, owned))
    if system == "naive":
        # Once it has ended, so that nothing it had begun comes later.
        run.broken.extend(judge_all(school, look(school, run.diary, owned)))
    return run


def count_booked(diary: Diary) -> int:
    return sum(deed.what == "create" and deed.is_served for deed in diary.deeds)


def find_rush_s(diary: Diary) -> float:
    """Return how long it took from the first who asked for a seat to the last who got one; all the
    time there was where nobody got any."""
    asked = [deed.began_s for deed in diary.deeds if deed.what == "create"]
    got = [deed.ended_s for deed in diary.deeds if deed.what == "create" and deed.is_served]
    return max(got) - min(asked) if got else diary.seconds
