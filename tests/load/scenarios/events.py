"""A hundred edits in ten seconds, each told by a signed webhook, while readers reload their lists;
and whether, once all were told, anybody is shown what is no longer so.

The old system heard of nothing, and kept nothing that could be old: its readers alone are played.
"""

from __future__ import annotations

import random
import threading
import time
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families

from tests.builders import Booking, Portal
from tests.load.deployment import Deployment, System, World
from tests.load.population import School, open_school
from tests.load.runs import GRACE_S, SYSTEMS, Run, people_of, plan_of, watch
from tests.load.size import Size
from tests.load.traffic import Group

READERS, BOOKINGS = 30, 10
EDITS, WITHIN_S = 100, 10.0
THINK_S = (0.2, 0.6)
DELIVERED_WITHIN_S = 20.0
LOOK_EVERY_S = 0.05
ROUTE = "webhooks/booking-sync"


class Editor:
    """Gives bookings other names, as a person in HubSpot."""

    def __init__(self, portal: Portal, bookings: list[Booking], *, edits: int, seconds: float):
        self._portal = portal
        self._bookings = bookings
        self._chance = random.Random(1)
        self._edits, self._seconds = edits, seconds
        self.names: dict[str, str] = {}

    def work(self) -> None:
        """Edit evenly spread over the seconds."""
        bookings_type = self._portal.profile.object_types.bookings
        pause, began_s = threading.Event(), time.monotonic()
        for number in range(self._edits):
            due_s = began_s + number * self._seconds / self._edits
            pause.wait(max(0.0, due_s - time.monotonic()))
            booking, name = self._chance.choice(self._bookings), f"Renamed {number}"
            self._portal.sandbox.edit(bookings_type, booking.id, name=name)
            self.names[booking.id] = name


def play_events(world: World, size: Size) -> list[Run]:
    return [_play(world, system, size) for system in SYSTEMS]


def _play(world: World, system: System, size: Size) -> Run:
    portal = world.empty_portal()
    school = open_school(portal, students=READERS, bookings=BOOKINGS)
    seconds = size.cut(WITHIN_S, 5.0)
    editor = Editor(portal, list(school.bookings), edits=size.count(EDITS, 50), seconds=seconds)
    group = Group(
        behaviour="list", people=people_of(school.students), users=READERS, think_s=THINK_S
    )
    with world.serving(system) as deployment:
        plan = plan_of(deployment, portal, [group], seconds + 2, grace_s=GRACE_S[system])
        if system == "naive":
            return watch(world, deployment, plan)
        world.deliver_webhooks_to(deployment.server)
        run = watch(world, deployment, plan, editor.work)
        told = _wait_until_told(world)
        run.numbers["events delivered"] = told["delivered"]
        run.numbers["events lost"] = told["failed"] + told["pending"]
        run.numbers["webhook, average in ms"] = _average_ms(deployment)
        run.numbers["stale rows"] = _count_stale(deployment, school, editor.names)
        return run


def _wait_until_told(world: World) -> dict[str, int]:
    pause, until_s = threading.Event(), time.monotonic() + DELIVERED_WITHIN_S
    while (told := world.sandbox.webhooks())["pending"] > 0 and time.monotonic() < until_s:
        pause.wait(LOOK_EVERY_S)
    return told


def _average_ms(deployment: Deployment) -> float:
    """Return how long HubSpot waited for the answer to a delivery, as the server measured it."""
    shown = deployment.server.get("/metrics").body.decode()
    sums = {"sum": 0.0, "count": 0.0}
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            kind = sample.name.removeprefix("mocks_request_seconds_")
            if kind in sums and sample.labels.get("route", "").endswith(ROUTE):
                sums[kind] += sample.value
    return 1000 * sums["sum"] / max(1.0, sums["count"])


def _count_stale(deployment: Deployment, school: School, names: dict[str, str]) -> int:
    """Return how many rows of lists show another name than the one that was given last."""
    stale = 0
    for person in people_of(school.students):
        target = f"/api/bookings/list?{urlencode({**person.pair, 'limit': 100})}"
        answer = deployment.server.send("GET", target, **{"X-Forwarded-For": person.address})
        rows = answer.body["data"]["bookings"]
        stale += sum(row["name"] != names.get(row["id"], row["name"]) for row in rows)
    return stale
