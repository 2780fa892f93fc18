"""Everybody at work in one run: who there is, their threads, and how they are brought to an end."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from tests.builders import Exam, Student
from tests.chaos.judge.facts import Cast, count_active
from tests.chaos.people.editors import Editor
from tests.chaos.people.floors import Floors
from tests.chaos.people.front import Diary, Front
from tests.chaos.people.students import Ledger, Pupil
from tests.chaos.world.world import World

JOIN_LIMIT_S = 60.0
CREDITS = 200
WATCH_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """How many of each there are. Every second exam has fewer seats than there are students."""

    students: int = 10
    exams: int = 6
    readers: int = 3
    editors: int = 1


@dataclass(slots=True)
class Crowd:
    """The people of a run. `oversold` is what a watcher saw while they worked."""

    world: World
    cast: Cast
    front: Front
    floors: Floors
    ledger: Ledger
    pupils: Sequence[Pupil]
    readers: Sequence[Pupil]
    editors: Sequence[Editor]
    stop: threading.Event
    threads: list[threading.Thread] = field(default_factory=list)
    oversold: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def begin(self, idle: Collection[Pupil] = ()) -> None:
        """Set everybody to work but those who are `idle`."""
        deeds: list[Callable[[], None]] = [
            pupil.work for pupil in self.pupils if not any(pupil is each for each in idle)
        ]
        deeds += [reader.read for reader in self.readers]
        deeds += [editor.work for editor in self.editors]
        deeds.append(self._watch_seats)
        for deed in deeds:
            thread = threading.Thread(target=self._do, args=(deed,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def _do(self, deed: Callable[[], None]) -> None:
        try:
            deed()
        except Exception as error:  # noqa: BLE001 - raised by `end`, where the run can fail of it
            self.failures.append(error)

    def end(self) -> None:
        """Let everybody finish what they do; raise TimeoutError where somebody does not, and what
        anybody's own work has failed of: a run without them proves less than it says."""
        self.stop.set()
        for thread in self.threads:
            thread.join(JOIN_LIMIT_S)
        if any(thread.is_alive() for thread in self.threads):
            raise TimeoutError("somebody still waits for an answer")
        if self.failures:
            raise ExceptionGroup("somebody could not go on", self.failures)

    def _watch_seats(self) -> None:
        while not self.stop.wait(WATCH_EVERY_S):
            taken = count_active(self.world.portal)
            self.oversold += [
                f"exam {exam.id} had {taken[exam.id]} bookings for {exam.capacity} seats"
                for exam in self.cast.exams
                if taken[exam.id] > exam.capacity
            ]


def make_cast(
    world: World, name: str, students: int, capacities: Sequence[int], *, first_day: int = 3
) -> Cast:
    """Make students with plenty of credits, and an exam a day with so many seats each."""
    portal = world.portal
    with portal.at_once():
        people = [portal.student(f"{name}{turn}", credits=CREDITS) for turn in range(students)]
        exams = [
            portal.exam(in_days=first_day + day, capacity=seats, location="Room 000000")
            for day, seats in enumerate(capacities)
        ]
    owned = CREDITS * len(portal.profile.credit_properties)
    return Cast(students=people, exams=exams, owned={one.id: owned for one in people})


def gather_crowd(world: World, seed: int, numbers: Numbers, cast: Cast) -> Crowd:
    """Return the people of a run, none at work yet; their chance is the seed's."""
    stop, floors, ledger = threading.Event(), Floors(), Ledger()
    host = f"127.0.0.1:{world.front.port}"
    front = Front(world.servers, Diary(), random.Random(seed), host)

    def pupil(turn: int, student: Student) -> Pupil:
        chance = random.Random(f"{seed} {turn}")
        return Pupil(student, cast.exams, front, floors, ledger, chance, stop)

    pupils = [pupil(turn, student) for turn, student in enumerate(cast.students)]
    readers = [pupil(1000 + turn, cast.students[turn]) for turn in range(numbers.readers)]
    shares: list[Sequence[Exam]] = [
        cast.exams[turn :: numbers.editors] for turn in range(numbers.editors)
    ]
    editors = [
        Editor(
            share,
            world.portal,
            front,
            floors,
            world.webhook_url,
            world.webhook_secret,
            random.Random(f"{seed} editor {turn}"),
            stop,
        )
        for turn, share in enumerate(shares)
    ]
    return Crowd(world, cast, front, floors, ledger, pupils, readers, editors, stop)


def count_outcomes(ledger: Ledger) -> Counter[str]:
    return Counter(attempt.outcome for attempt in ledger.attempts)
