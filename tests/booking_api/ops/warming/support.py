"""A school whose students were here lately, and what frontends ask first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from booking_api import composition
from booking_api.ops.warming.rounds import ALL_STUDENTS, Plan, Report, Rounds
from booking_api.pairs.models import SeenStudent
from cache_layer import Count
from tests.api import Api
from tests.builders import Exam, Portal, Student

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
CREDITS = "/api/mock-exams/validate-credits"
NOON: Final = datetime(2027, 1, 20, 12, 0, tzinfo=UTC)
EVERY_S: Final = 60.0


@dataclass(slots=True)
class WarmSchool:
    """An API, its portal, and what warms for it: `rounds` are made with the first round."""

    api: Api
    portal: Portal
    exams: list[Exam] = field(default_factory=list)
    students: list[Student] = field(default_factory=list)
    _rounds: Rounds | None = None

    def fill(self, students: int, bookings: int = 2) -> None:
        """Add two exams of each type and so many students with so many bookings each, all of whom
        were here today. The exams' stored counts are right."""
        portal = self.portal
        types = [each.value for each in portal.profile.mock_types for _ in range(2)]
        booked = [
            (number, (number + turn) % len(types))
            for number in range(students)
            for turn in range(bookings)
        ]
        totals = Counter(exam for _, exam in booked)
        with portal.at_once():
            exams = [
                portal.exam(
                    mock_type=mock_type, in_days=3 + day, capacity=5_000, total_bookings=totals[day]
                )
                for day, mock_type in enumerate(types)
            ]
            added = [portal.student(f"warm{number}", credits=3) for number in range(students)]
        with portal.at_once():
            for number, exam in booked:
                portal.booking(added[number], exams[exam])
        self.exams += exams
        self.students += added
        self.see(added)

    def see(self, students: Iterable[Student]) -> None:
        today = composition.services().clocks.now().date()
        SeenStudent.objects.bulk_create(
            [SeenStudent(contact_id=each.id, last_seen=today) for each in students]
        )

    def warm(self, *, students: int = ALL_STUDENTS, with_seats: bool = True) -> Report:
        """Make a round."""
        services = composition.services()
        if self._rounds is None or not self._rounds.is_of(services):
            self._rounds = Rounds(services, every_s=EVERY_S)
        plan = Plan(
            mock_types=services.profile.mock_types,
            with_seats=with_seats,
            students=students,
            days=14,
        )
        contact_ids, _ = self._rounds.find_students(plan)
        return self._rounds.warm(plan, contact_ids)

    def ask_first(self, students: Sequence[Student] | None = None) -> None:
        """Ask what frontends ask first: the exams of each type, and of each student the list and
        the credits of each type."""
        types = [each.value for each in self.portal.profile.mock_types]
        for mock_type in types:
            for realtime in ("false", "true"):
                asked = {"mock_type": mock_type, "realtime": realtime}
                assert self.api.get(AVAILABLE, **asked).status == 200
        for student in self.students if students is None else students:
            assert self.api.get(LIST, **student.pair).status == 200
            for mock_type in types:
                assert self.api.post(CREDITS, **student.pair, mock_type=mock_type).status == 200

    def calls_of_first_requests(self, students: Sequence[Student] | None = None) -> int:
        self.portal.sandbox.clear_calls()
        self.ask_first(students)
        return self.portal.sandbox.calls_count()


def counted(count: Count) -> int:
    return composition.services().cached.cache.counters.snapshot().total(count)
