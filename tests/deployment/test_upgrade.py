"""An upgrade, as docs/operations.md has it: two servers behind nginx, one replaced after the other
while students book; nothing is lost, nothing is booked twice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.builders import Exam, Portal, Student
from tests.deployment.own_nginx import OwnNginx, running_nginx
from tests.deployment.places import Place, environment_behind_nginx
from tests.desk import active_bookings, create_body
from tests.server import Answer
from tests.waiting import eventually

NOBODY_ANSWERS = "No server answers at the moment; please try again."
WORKERS = 6
STUDENTS = 3_000
BEFORE, BETWEEN = 30, 60
"""How many bookings are made before the first restart, and after each."""

pytestmark = [pytest.mark.chaos, pytest.mark.postgres, pytest.mark.timeout(300)]


@dataclass(slots=True)
class Crowd:
    """Students, each of whom books, looks, and now and then cancels, once, by way of nginx."""

    nginx: OwnNginx
    exam: Exam
    students: Iterator[Student]
    booked: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ending: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        while not self.ending.is_set():
            with self.lock:
                turn, student = len(self.answers), next(self.students)
            self.book(student, cancels=turn % 3 == 0)

    def book(self, student: Student, *, cancels: bool) -> None:
        body = json.dumps(create_body(student, self.exam)).encode()
        made = self.ask("POST", "/api/bookings/create", body)
        if made.status != 201:
            return
        booking_id = made.body["data"]["booking_record_id"]
        listed = self.ask("GET", f"/api/bookings/list?{urlencode(student.pair)}")
        rows = listed.body["data"]["bookings"] if listed.status == 200 else []
        assert [row["id"] for row in rows] == [booking_id]
        self.booked.append(booking_id)
        if cancels:
            path = f"/api/bookings/{booking_id}"
            if self.ask("DELETE", path, json.dumps(student.pair).encode()).status == 200:
                self.cancelled.append(booking_id)

    def ask(self, method: str, target: str, body: bytes | None = None) -> Answer:
        answer = self.nginx.send(method, target, body, {"Content-Type": "application/json"})
        self.answers.append((method, answer))
        return answer

    def wait_for_more(self, number: int) -> None:
        wanted = len(self.booked) + number
        eventually(lambda: len(self.booked) >= wanted)


@dataclass(frozen=True, slots=True)
class Deployment:
    nginx: OwnNginx
    places: tuple[Place, Place]
    portal: Portal

    def take_out(self, place: Place | None) -> None:
        """Have nginx send nobody to this server, or to all where it is None."""
        down = [] if place is None else [place.port]
        self.nginx.name_servers([each.port for each in self.places], down=down)
        self.nginx.reload()


@pytest.fixture
def deployment(
    portal: Portal, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[Deployment]:
    # HubSpot's limits would let six students book in a second, at most.
    portal.sandbox.configure(rate_limit=100_000, search_rate=1_000)
    more = {"HUBSPOT_RATE_LIMIT": "100000", "HUBSPOT_SEARCH_RATE": "1000"}
    environment = environment_behind_nginx(portal.sandbox, database_url, redis_url, **more)
    places = (Place(environment, tmp_path / "1.log"), Place(environment, tmp_path / "2.log"))
    with ExitStack() as stack:
        for place in places:
            place.start()
            stack.callback(place.stop)
        ports = [place.port for place in places]
        nginx = stack.enter_context(running_nginx(tmp_path / "nginx", ports))
        yield Deployment(nginx, places, portal)


@pytest.mark.parametrize("takes_out", [True, False], ids=["taken out first", "just replaced"])
def test_while_servers_are_replaced_nothing_is_lost_or_done_twice(
    takes_out: bool, deployment: Deployment
) -> None:
    portal = deployment.portal
    with portal.at_once():
        exam = portal.exam(capacity=STUDENTS)
        students = [portal.student(f"student{number}", credits=1) for number in range(STUDENTS)]
    crowd = Crowd(deployment.nginx, exam, iter(students))

    with ThreadPoolExecutor(WORKERS) as pool:
        at_work = [pool.submit(crowd.work) for _ in range(WORKERS)]
        try:
            crowd.wait_for_more(BEFORE)
            for place in deployment.places:
                if takes_out:
                    deployment.take_out(place)
                assert place.stop() == 0
                place.start()
                if takes_out:
                    deployment.take_out(None)
                crowd.wait_for_more(BETWEEN)
        finally:
            crowd.ending.set()
        for each in at_work:
            each.result()

    failed = Counter(
        (method, answer.status, answer.body["error"])
        for method, answer in crowd.answers
        if answer.status not in {200, 201}
    )
    if not takes_out:
        # Told to come again, and nothing was done: nginx sends a cancellation once.
        failed.pop(("DELETE", 503, NOBODY_ANSWERS), None)
    assert failed == Counter()
    standing = {booking["id"] for booking in active_bookings(portal, exam)}
    assert standing == set(crowd.booked) - set(crowd.cancelled)
