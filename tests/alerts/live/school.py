"""Who uses the API while alerts are tried: students who read and book, somebody in HubSpot."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.builders import Exam, Student
from tests.chaos.world.world import World
from tests.server import Answer, Server

STUDENTS, EXAMS, SEATS = 300, 20, 300
LIST, CREATE = "/api/bookings/list", "/api/bookings/create"
AT_ONCE = 4
END_WITHIN_S = 60.0


@dataclass(slots=True)
class School:
    """A world with students and exams in it; each act is the next student's."""

    world: World
    students: list[Student] = field(default_factory=list)
    exams: list[Exam] = field(default_factory=list)
    turns: Iterator[int] = field(default_factory=itertools.count)

    def fill(self) -> None:
        portal = self.world.portal
        with portal.at_once():
            self.students = [portal.student(f"s{turn}", credits=15) for turn in range(STUDENTS)]
            self.exams = [portal.exam(in_days=3 + turn, capacity=SEATS) for turn in range(EXAMS)]

    @property
    def server(self) -> Server:
        """One that is there; the last is the one that trials strike."""
        here = [server for server in self.world.servers if server.away_since_s is None]
        return Server(here[next(self.turns) % len(here)].url)

    def read(self) -> Answer:
        """A student looks at their bookings."""
        student = self.students[next(self.turns) % STUDENTS]
        return self.server.get(LIST, **student.pair)

    def book(self) -> Answer:
        """A student books one exam, each time another of the two is."""
        turn = next(self.turns)
        student, exam = self.students[turn % STUDENTS], self.exams[turn // STUDENTS % EXAMS]
        named = {"contact_id": student.id, "mock_exam_id": exam.id, "name": student.name}
        kind = {"mock_type": exam.mock_type, "exam_date": exam.day.isoformat()}
        extra = {"attending_location": "mississauga"}
        return self.server.post(CREATE, {**named, **kind, **extra, **student.pair})

    def edit(self) -> None:
        """Somebody changes a student in HubSpot."""
        turn = next(self.turns)
        student = self.students[turn % STUDENTS]
        contacts = self.world.portal.profile.object_types.contacts
        self.world.sandbox.edit(contacts, student.id, firstname=f"Name{turn}")

    def validate(self) -> Answer:
        """The cron has the whole cache compared with HubSpot."""
        secret = self.world.servers[0].environment["CRON_SECRET"]
        body = json.dumps({"sample": 1000}).encode()
        path = "/api/cron/validate-cache-consistency"
        return self.server.send("POST", path, body, Authorization=f"Bearer {secret}")


@contextmanager
def at_work(
    act: Callable[[], object], *, at_once: int = AT_ONCE, rest_s: float = 0.05
) -> Iterator[None]:
    """Have people do something again and again meanwhile."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            try:
                act()
            except (OSError, http.client.HTTPException):
                pass  # of a server that is gone; the next turn is another's
            ended.wait(rest_s)

    people = [threading.Thread(target=go_on, daemon=True) for _ in range(at_once)]
    for person in people:
        person.start()
    try:
        yield
    finally:
        ended.set()
        for person in people:
            person.join(timeout=END_WITHIN_S)
