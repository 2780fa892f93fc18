"""A class at work: each student lists, looks, books, changes and cancels, and thinks between."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.builders import Exam, Student
from tests.server import Answer, Server

LIST, CREATE, AVAILABLE = "/api/bookings/list", "/api/bookings/create", "/api/mock-exams/available"
THINK_S = (1.0, 3.0)
LOST = 0


@dataclass(frozen=True, slots=True)
class Deed:
    """One request of a student's: what came of it (LOST: nothing) and how long it took."""

    what: str
    status: int
    code: str
    begun_s: float
    took_s: float

    @property
    def is_served(self) -> bool:
        return self.status in (200, 201)


@dataclass(slots=True)
class AtWork:
    """One student, from an address; `standing` and `canceled` are record ids by what was answered
    last. Whoever is `late` begins when told to."""

    student: Student
    server: Server
    exams: Sequence[Exam]
    late: bool = False
    deeds: list[Deed] = field(default_factory=list)
    standing: set[str] = field(default_factory=set)
    canceled: set[str] = field(default_factory=set)
    unlisted: set[str] = field(default_factory=set)

    def work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            for exam in self.exams:
                self._have_a_round(exam, stop)

    def _have_a_round(self, exam: Exam, stop: threading.Event) -> None:
        """See, book, change and cancel; end early when told to stop."""
        pair, mock_type = self.student.pair, {"mock_type": exam.mock_type}
        if self._think(stop):
            return
        self._ask("list", LIST, pair)
        if self._think(stop):
            return
        self._ask("available", AVAILABLE, mock_type)
        if self._think(stop):
            return
        self._do("validate credits", "POST", "/api/mock-exams/validate-credits", mock_type)
        booked = self._do("create", "POST", CREATE, body_of(self.student, exam))
        if booked is None:
            return
        record_id = booked["booking_record_id"]
        self.standing.add(record_id)
        listed = self._ask("list", LIST, {**pair, "limit": "100"})
        if listed is not None and record_id not in {one["id"] for one in listed["bookings"]}:
            self.unlisted.add(record_id)
        address = f"/api/bookings/{record_id}"
        if self._think(stop):
            return
        self._ask("detail", address, pair)
        self._do("change", "PATCH", address, {"attending_location": random.choice("abc")})
        if self._think(stop):
            return
        if self._do("cancel", "DELETE", address, {"reason": "ill"}) is not None:
            self.standing.discard(record_id)
            self.canceled.add(record_id)

    def _think(self, stop: threading.Event) -> bool:
        """Wait a little; return whether to stop."""
        return stop.wait(random.uniform(*THINK_S))

    def _ask(self, what: str, path: str, query: Mapping[str, str]) -> Any:
        return self._note(what, lambda: self.server.get(path, **query))

    def _do(self, what: str, method: str, path: str, body: Mapping[str, Any]) -> Any:
        content = json.dumps({**body, **self.student.pair}).encode()
        return self._note(what, lambda: self.server.send(method, path, content))

    def _note(self, what: str, request: Any) -> Any:
        """Send it, write down what came, and return the data where it was served."""
        begun_s = time.monotonic()
        try:
            answer: Answer = request()
            status, body = answer.status, answer.body
        except OSError as error:
            status, body = LOST, {"code": type(error).__name__}
        took_s = time.monotonic() - begun_s
        code = "" if not isinstance(body, dict) else str(body.get("code", ""))
        deed = Deed(what, status, code, begun_s, took_s)
        self.deeds.append(deed)
        return body["data"] if deed.is_served else None


def body_of(student: Student, exam: Exam) -> dict[str, Any]:
    """What the default portal's frontend sends to book."""
    named = {"contact_id": student.id, "mock_exam_id": exam.id, "name": student.name}
    chosen = {"exam_date": exam.day.isoformat(), "mock_type": exam.mock_type}
    return {**student.pair, **named, **chosen}


@dataclass(slots=True)
class Class:
    """Students who work at the same time, each in a thread."""

    members: Sequence[AtWork]
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, *, late: bool) -> None:
        """Have those begin who are late, or those who are not."""
        for member in self.members:
            if member.late == late:
                thread = threading.Thread(target=member.work, args=(self.stop,), daemon=True)
                thread.start()
                self.threads.append(thread)

    def end(self, limit_s: float) -> None:
        """Let everybody finish what they do; raise TimeoutError where somebody does not."""
        self.stop.set()
        until_s = time.monotonic() + limit_s
        for thread in self.threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        if any(thread.is_alive() for thread in self.threads):
            raise TimeoutError("a student still waits for an answer")

    def deeds(self, begin_s: float, end_s: float) -> list[Deed]:
        """What was begun between these times."""
        everything = (deed for member in self.members for deed in member.deeds)
        return [deed for deed in everything if begin_s <= deed.begun_s < end_s]


def seat_class(
    server: Server, students: Sequence[Student], exams: Sequence[Exam], late: int
) -> Class:
    """Most at one address, the last ones and the first each at one of their own."""
    members = []
    for place, student in enumerate(students):
        turn = place % len(exams)
        own = place == 0 or place >= len(students) - 4
        source = f"127.0.0.{20 + place}" if own else "127.0.0.10"
        in_turn = [*exams[turn:], *exams[:turn]]
        is_late = place % 5 == 4 and place // 5 < late
        members.append(AtWork(student, replace(server, source=source), in_turn, is_late))
    return Class(members)
