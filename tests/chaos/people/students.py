"""Students: they book, look, change, cancel, and ask again whatever they were not told.

Each keeps a ledger of what was answered, in which every booking is an `Attempt`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from tests.builders import EXTRA_FIELDS, Exam, Student
from tests.chaos.class_at_work import AVAILABLE, CREATE, LIST, body_of
from tests.chaos.people.floors import Floors, find_stale_exams, find_stale_rows, write_version
from tests.chaos.people.front import Front, Reply
from tests.chaos.world.servers import ApiServer

PATIENCE_S = 20.0
RETRY_S = 0.3
SECOND_TAB = 0.1
CANCELS = 0.5
CHANGES = 2
Outcome = Literal["unclear", "booked", "refused", "cancelled"]


@dataclass(slots=True)
class Attempt:
    """One booking as its student knows it: by its key, for an exam; what was answered last."""

    student: Student
    exam: Exam
    key: str
    outcome: Outcome = "unclear"
    record_id: str = ""
    code: str = ""
    booked_once: bool = False
    cancel_asked: bool = False

    @property
    def booking_name(self) -> str:
        """What people call the booking, in the words of the API."""
        return f"{self.exam.mock_type}-{self.student.student_id}-{self.exam.day.isoformat()}"

    @property
    def is_open(self) -> bool:
        """Whether its student does not know what became of it, or of its cancelling."""
        return self.outcome == "unclear" or (self.cancel_asked and self.outcome != "cancelled")


@dataclass(slots=True)
class Ledger:
    """All attempts of a run; safe between threads, since lists grow in one step."""

    attempts: list[Attempt] = field(default_factory=list)


@dataclass(slots=True)
class Pupil:
    """One student at work; `think_s` is the pause between two deeds, at most."""

    student: Student
    exams: Sequence[Exam]
    front: Front
    floors: Floors
    ledger: Ledger
    chance: random.Random
    stop: threading.Event
    think_s: float = 0.6
    number: int = 0
    changed: int = 0

    def work(self) -> None:
        """Do as students do until told to stop."""
        while not self.stop.is_set():
            attempt = self.book(self.chance.choice(self._free_exams()))
            if attempt.outcome == "booked":
                self.look()
                for _ in range(CHANGES):
                    if self._think():
                        return
                    self.change(attempt)
                    self.look()
                if self._think():
                    return
                if self.chance.random() < CANCELS or len(self._free_exams()) == 1:
                    self.cancel(attempt)
                    self.look()
            if self._think():
                return

    def book(self, exam: Exam, *, tabs: int = 2) -> Attempt:
        """Book, and ask again with the same key until it is known what became of it; now and then
        in two tabs at once."""
        attempt = self.prepare(exam)
        if tabs > 1 and self.chance.random() < SECOND_TAB:
            tab = threading.Thread(target=self._send_create, args=(attempt,), daemon=True)
            tab.start()
            self.learn_outcome(attempt)
            tab.join()
        else:
            self.learn_outcome(attempt)
        return attempt

    def prepare(self, exam: Exam) -> Attempt:
        """Write a new attempt into the ledger; nothing is sent."""
        self.number += 1
        attempt = Attempt(self.student, exam, f"{self.student.student_id}-{self.number}")
        self.ledger.attempts.append(attempt)
        return attempt

    def learn_outcome(self, attempt: Attempt, *, at: ApiServer | None = None) -> None:
        """Ask with the attempt's key until it is settled, as long as patience lasts."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            reply = self.ask_once(attempt, at=at)
            if not reply.is_unclear or self.stop.wait(_pause_s(reply)):
                return

    def learn_open_outcomes(self, *, at: ApiServer | None = None) -> None:
        """Ask for everything of one's own that is unclear."""
        for attempt in self._own_attempts():
            if attempt.outcome == "unclear":
                self.learn_outcome(attempt, at=at)

    def ask_once(self, attempt: Attempt, *, at: ApiServer | None = None) -> Reply:
        """Send the attempt's request, and note its outcome where the answer says one."""
        reply = self._send_create(attempt, at=at)
        if not reply.is_unclear:
            self._settle_create(attempt, reply)
        return reply

    def _settle_create(self, attempt: Attempt, reply: Reply) -> None:
        attempt.code = reply.code
        if reply.is_served:
            attempt.outcome, attempt.booked_once = "booked", True
            attempt.record_id = reply.data["booking_record_id"]
            self.floors.add_booking(self.student.id, attempt.record_id)
        elif reply.code == "ALREADY_CANCELED":
            attempt.outcome, attempt.booked_once = "cancelled", True
        else:
            attempt.outcome = "refused"

    def _send_create(self, attempt: Attempt, *, at: ApiServer | None = None) -> Reply:
        headers = {"Idempotency-Key": attempt.key}
        more = EXTRA_FIELDS.get(attempt.exam.mock_type, {})
        body = {**body_of(self.student, attempt.exam), **more}
        return self.front.send("create", "POST", CREATE, body=body, headers=headers, at=at)

    def change(self, attempt: Attempt, *, at: ApiServer | None = None) -> None:
        """Write the next version into the booking; raise its floor where that is acknowledged."""
        self.changed += 1
        version = self.changed
        body = {"attending_location": write_version("Place", version), **self.student.pair}
        path = f"/api/bookings/{attempt.record_id}"
        reply = self.front.send("change", "PATCH", path, body=body, at=at)
        if reply.is_served:
            self.floors.raise_booking(attempt.record_id, version)

    def cancel(self, attempt: Attempt) -> None:
        """Cancel, and ask again until it is known that it is done."""
        attempt.cancel_asked = True
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            body = {"reason": "ill", **self.student.pair}
            path = f"/api/bookings/{attempt.record_id}"
            reply = self.front.send("cancel", "DELETE", path, body=body)
            if reply.is_served or reply.code == "ALREADY_CANCELED":
                attempt.outcome = "cancelled"
                self.floors.cancel(attempt.record_id)
                return
            if not reply.is_unclear or self.stop.wait(RETRY_S):
                return

    def look(self, what: str = "list", *, at: ApiServer | None = None) -> None:
        """Read the own list at any server, and compare it with what was acknowledged before."""
        floors = self.floors.take()
        query = {**self.student.pair, "limit": "100"}
        reply = self.front.send(what, "GET", LIST, query=query, at=at)
        if reply.is_served:
            wrong = find_stale_rows(floors, self.student.id, reply.data["bookings"])
            self.front.diary.note_comparison(wrong)

    def look_at_exams(self) -> None:
        """Read the available exams, and compare them."""
        floors = self.floors.take()
        query = {"mock_type": self.exams[0].mock_type}
        reply = self.front.send("available", "GET", AVAILABLE, query=query)
        if reply.is_served:
            wrong = find_stale_exams(floors, reply.data, "the available exams")
            self.front.diary.note_comparison(wrong)

    def read(self) -> None:
        """Only read until told to stop."""
        while not self.stop.is_set():
            self.look()
            self.look_at_exams()
            if self._think():
                return

    def resolve_open_ends(self, until_s: float) -> None:
        """Ask until then (monotonic) for everything of one's own that is not known."""
        self.stop = threading.Event()
        while time.monotonic() < until_s:
            left = [attempt for attempt in self._own_attempts() if attempt.is_open]
            if not left:
                return
            for attempt in left:
                if attempt.outcome == "unclear":
                    self.learn_outcome(attempt)
                else:
                    self.cancel(attempt)
            self.stop.wait(RETRY_S)

    def _own_attempts(self) -> list[Attempt]:
        return [each for each in self.ledger.attempts if each.student is self.student]

    def _free_exams(self) -> Sequence[Exam]:
        taken = {
            attempt.exam.id
            for attempt in self._own_attempts()
            if attempt.outcome in ("booked", "unclear")
        }
        return [exam for exam in self.exams if exam.id not in taken] or self.exams[:1]

    def _think(self) -> bool:
        """Wait a little; return whether to stop."""
        return self.stop.wait(self.chance.uniform(0.05, self.think_s))


def _pause_s(reply: Reply) -> float:
    return max(RETRY_S, min(reply.retry_after_s, 1.0))


def resolve_open_ends(pupils: Sequence[Pupil], limit_s: float) -> None:
    """Once all is calm have everybody ask for what they were not told, all at the same time, for so
    long at most."""
    until_s = time.monotonic() + limit_s
    with ThreadPoolExecutor(len(pupils)) as pool:
        list(pool.map(lambda pupil: pupil.resolve_open_ends(until_s), pupils))
