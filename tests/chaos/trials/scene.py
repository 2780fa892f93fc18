"""What a directed fault has to play with: servers, a few people, and records of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.builders import Exam
from tests.chaos.judge.facts import read_notes
from tests.chaos.judge.recovery import Happened
from tests.chaos.people.crowd import Crowd
from tests.chaos.people.editors import Editor
from tests.chaos.people.front import Reply
from tests.chaos.people.students import Attempt, Pupil
from tests.chaos.world.servers import ApiServer
from tests.chaos.world.world import World
from tests.waiting import eventually

PLENTY = 1_900
AT_WORK = {"HUBSPOT_RATE_LIMIT": str(PLENTY)}
"""Where everybody is at work and the next booking is timed, nobody waits for HubSpot's budget."""
STEP_S = 0.02
CALM_AFTER_KILL_S = 90.0
"""A note that a killed server was sending is looked for, and sent, once its claim is over."""


@dataclass(slots=True)
class Scene:
    """One directed fault as it is played; what it says in `happened` is timed."""

    world: World
    crowd: Crowd
    max_recovery_s: float | None = None
    happened: list[Happened] = field(default_factory=list)

    @property
    def one(self) -> ApiServer:
        return self.world.servers[0]

    @property
    def other(self) -> ApiServer:
        return self.world.servers[1]

    @property
    def alice(self) -> Pupil:
        return self.crowd.pupils[0]

    @property
    def bob(self) -> Pupil:
        return self.crowd.pupils[1]

    @property
    def witness(self) -> Pupil:
        """Whoever has nothing to do with a fault: nothing of theirs is under way when it begins."""
        return self.crowd.pupils[-1]

    @property
    def editor(self) -> Editor:
        return self.crowd.editors[0]

    @property
    def exams(self) -> Sequence[Exam]:
        return self.crowd.cast.exams

    def begin_attempt(self, pupil: Pupil, exam: Exam, *, at: ApiServer) -> Attempt:
        """Send one create to a server and note what came; what is unclear stays so."""
        attempt = pupil.prepare(exam)
        pupil.ask_once(attempt, at=at)
        return attempt

    def book(self, pupil: Pupil, exam: Exam) -> Attempt:
        """Book at any server, and ask again until the outcome is known."""
        return pupil.book(exam)

    def add_old_booking(self, pupil: Pupil, exam: Exam) -> Attempt:
        """Put a booking into HubSpot that was made long ago, and its exam's count with it."""
        portal = self.world.portal
        booking = portal.booking(pupil.student, exam)
        total = portal.profile.exam_properties["total_bookings"]
        portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, **{total: "1"})
        attempt = Attempt(pupil.student, exam, "old", "booked", booking.id)
        self.crowd.ledger.attempts.append(attempt)
        self.crowd.cast.owned[pupil.student.id] += 1
        return attempt

    def happen(self, name: str, begun_s: float, *, from_beginning: bool) -> None:
        """Note a fault that began then and is lifted now."""
        now_s = time.monotonic()
        counts_from_s = begun_s if from_beginning else now_s
        self.happened.append(Happened(name, begun_s, now_s, counts_from_s, self.max_recovery_s))

    def wait_until_met(self, fault_id: str) -> None:
        """Return once a call has met an ordered fault."""
        eventually(lambda: self._met(fault_id) > 0)

    def wait_until_noted(self, attempt: Attempt) -> None:
        """Return once the student's timeline has a note of the booking."""
        types = self.world.portal.profile.object_types
        eventually(
            lambda: attempt.booking_name in read_notes(self.world.sandbox.records(types.notes))
        )

    def _met(self, fault_id: str) -> int:
        found = [each for each in self.world.sandbox.faults() if each["id"] == fault_id]
        return int(found[0]["fired"]) if found else 0

    def wait(self, seconds: float) -> None:
        """Let time pass that is the fault's own: it lasts so long."""
        threading.Event().wait(seconds)

    def wait_for_booking(self, since_s: float, limit_s: float) -> None:
        """Return when a booking was made that was answered after then, or at the limit."""
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            deeds = list(self.crowd.front.diary.deeds)
            if any(d.what == "create" and d.is_served and d.ended_s > since_s for d in deeds):
                return
            self.wait(STEP_S)

    @contextmanager
    def at_work(self, *, but_witness: bool = False) -> Any:
        """Have all pupils work beside what is done inside, perhaps but the witness; they end with
        it."""
        self.crowd.begin(idle=[self.witness] if but_witness else [])
        try:
            yield
        finally:
            self.crowd.end()

    def at_once(self, deeds: Sequence[Callable[[], Any]]) -> list[Any]:
        """Have all of these done at the same time; return what they return."""
        with ThreadPoolExecutor(len(deeds)) as pool:
            return [done.result() for done in [pool.submit(deed) for deed in deeds]]

    def path_of(self, word: str, call: str) -> str:
        """Return a pattern of the paths of a call about contacts, bookings, exams or notes."""
        type_id = getattr(self.world.portal.profile.object_types, word)
        return rf"/{type_id}/batch/{call}$"

    def ask(self, pupil: Pupil, method: str, path: str, body: Mapping[str, Any]) -> Reply:
        return self.crowd.front.send("change", method, path, body={**body, **pupil.student.pair})


Play = Callable[[Scene], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Directed:
    """A fault on purpose: what is played, and the guards without which it fails. `max_recovery_s`
    bounds the next booking's time; `settings` are the servers' of this time; within `calm_limit_s`
    all has to be right that may take a while. Where it `serves_everybody`, nobody who asks once it
    is lifted is told to come back."""

    name: str
    play: Play
    guards: Sequence[str] = ()
    students: int = 2
    capacities: Sequence[int] = (5, 5)
    settings: Mapping[str, str] = field(default_factory=dict)
    clocks_ahead_s: Sequence[float] = ()
    max_recovery_s: float | None = None
    max_request_s: float | None = None
    calm_limit_s: float = 25.0
    serves_everybody: bool = False
    hubspot: Mapping[str, Any] = field(default_factory=dict)
