"""The demo data: invented people, exams around today, bookings that keep the rules.

Deterministic: the same portal, number of bookings, seed and day give the same records with the same
ids. Nobody here exists; every address ends in example.org. The cast that the README's curl lines
and newcomers rely on, the same in both portals ("first" is the portal's first mock type):

    101001  S1001  ada.lovelace@example.org   credits; upcoming, past and cancelled bookings;
                                              900001 is upcoming, 900003 cancelled, the exam of
                                              900005 archived
    101002  S1002  ben.okafor@example.org     no credits, no bookings
    101003  S1003  chiara.rossi@example.org   credits, no bookings
    101004  S1004  dmitri.ivanov@example.org  25 past bookings: two pages of a list
    101005  S1005  elif.yilmaz@example.org    credit for the second type alone; a shared one where
                                              the portal has them
    500001  first, open                       500002  first, full
    500003  first, 2 seats left               500004  first, no bookings
    500005  first, archived                   500006  first, not active
    500007  second, its stored count wrong by 3
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from hubspot_sync.sandbox.data.portals import (
    BOOKINGS,
    ENROLLMENTS,
    LOCATIONS,
    MOCK_EXAMS,
    MockType,
    Portal,
)
from hubspot_sync.sandbox.data.schemas import CONTACTS

FIRST_IDS = {CONTACTS: 101_001, MOCK_EXAMS: 500_001, BOOKINGS: 900_001, ENROLLMENTS: 700_001}
MORNING, AFTERNOON = (time(9), time(13)), (time(14), time(18))
CANCELLED_SHARE, WRONG_COUNT_SHARE = 0.1, 0.04

CAST = (
    ("Ada", "Lovelace", (5, 3, 2), 2),
    ("Ben", "Okafor", (0, 0, 0), 0),
    ("Chiara", "Rossi", (4, 4, 4), 0),
    ("Dmitri", "Ivanov", (1, 1, 1), 0),
    ("Elif", "Yilmaz", (0, 1, 0), 3),
)
FIRST_NAMES = (
    *("Amara", "Bianca", "Chen", "Dana", "Emeka", "Farah", "Goran", "Hana", "Idris", "Jun"),
    *("Kofi", "Leila", "Mateo", "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sana", "Tomas"),
)
LAST_NAMES = (
    *("Abara", "Bauer", "Costa", "Dubois", "Eriksen", "Farouk", "Grant", "Haddad", "Ito"),
    *("Jansen", "Kaur", "Lopez", "Mensah", "Novak", "Osei", "Park", "Quist", "Rahman"),
    *("Silva", "Tanaka", "Usman", "Vega", "Wong", "Yeboah", "Zhang"),
)


@dataclass(kw_only=True, slots=True)
class Exam:
    """An exam while the data is made; `seats` are those taken, and the stored count is wrong by
    `wrong_by`."""

    id: str
    mock_type: MockType
    day: date
    session: tuple[time, time]
    location: str
    capacity: int
    active: bool
    wrong_by: int
    seats: int = 0


@dataclass(kw_only=True, slots=True)
class Student:
    """A student while the data is made; `taken` has the mock type and day of active bookings."""

    id: str
    student_id: str
    first: str
    last: str
    email: str
    balances: tuple[int, ...]
    shared: int
    taken: set[tuple[str, date]] = field(default_factory=set)


class Builder:
    """Collects one portal's students, exams and bookings, in the shape `/_sandbox/bulk` takes."""

    def __init__(self, portal: Portal, *, today: date, chance: random.Random) -> None:
        self.portal = portal
        self.today = today
        self.chance = chance
        self.zone = ZoneInfo(portal.time_zone)
        self.students: list[Student] = []
        self.exams: list[Exam] = []
        self.bookings: list[dict[str, Any]] = []
        self.links: list[tuple[str, str, str, str]] = []
        self._ids = {object_type: count(first) for object_type, first in FIRST_IDS.items()}

    def add_student(
        self, first: str, last: str, balances: tuple[int, ...], shared: int = 0
    ) -> Student:
        record_id = next(self._ids[CONTACTS])
        number = record_id - 100_000
        known = number <= 1000 + len(CAST)
        mailbox = f"{first}.{last}".lower() + ("" if known else f".{number}")
        student = Student(
            id=str(record_id),
            student_id=f"S{number}",
            first=first,
            last=last,
            email=f"{mailbox}@example.org",
            balances=balances,
            shared=shared,
        )
        self.students.append(student)
        return student

    def add_exam(
        self,
        mock_type: MockType,
        days: int,
        session: tuple[time, time] = MORNING,
        *,
        capacity: int = 20,
        active: bool = True,
        wrong_by: int = 0,
        location: str = LOCATIONS[0],
    ) -> Exam:
        exam = Exam(
            id=str(next(self._ids[MOCK_EXAMS])),
            mock_type=mock_type,
            day=self.today + timedelta(days=days),
            session=session,
            location=location,
            capacity=capacity,
            active=active,
            wrong_by=wrong_by,
        )
        self.exams.append(exam)
        return exam

    def book(self, student: Student, exam: Exam, *, cancelled: bool = False) -> bool:
        """Add a booking and return True, or return False where the rules forbid it."""
        place = (exam.mock_type.value, exam.day)
        if not cancelled:
            if exam.seats >= exam.capacity or place in student.taken:
                return False
            student.taken.add(place)
            exam.seats += 1
        record_id = str(next(self._ids[BOOKINGS]))
        properties = booking_properties(self, record_id, student, exam, cancelled=cancelled)
        self.bookings.append({"type": BOOKINGS, "id": record_id, "properties": properties})
        self.links.append((BOOKINGS, record_id, CONTACTS, student.id))
        self.links.append((BOOKINGS, record_id, MOCK_EXAMS, exam.id))
        return True

    def as_bulk(self) -> dict[str, Any]:
        """Return the `records` and `associations` of everything collected."""
        contacts = [
            {"type": CONTACTS, "id": s.id, "properties": contact_properties(self.portal, s)}
            for s in self.students
        ]
        exams = [
            {"type": MOCK_EXAMS, "id": e.id, "properties": exam_properties(self, e)}
            for e in self.exams
        ]
        return {
            "records": [*contacts, *self._enrollments(), *exams, *self.bookings],
            "associations": self.links,
        }

    def _enrollments(self) -> list[dict[str, Any]]:
        """One for each student, who is named in a property; nothing links them."""
        if ENROLLMENTS not in {object_type.type_id for object_type in self.portal.object_types}:
            return []
        records = []
        for student in self.students:
            record_id = str(next(self._ids[ENROLLMENTS]))
            properties = {
                "enrollment_id": f"ENR-{record_id}",
                "course_id": "NDECC-1",
                "enrollment_status": "Registered",
                "contact_record_id": student.id,
            }
            records.append({"type": ENROLLMENTS, "id": record_id, "properties": properties})
        return records


def demo_data(
    portal: Portal, *, bookings: int, now: datetime, random_seed: int = 1
) -> dict[str, Any]:
    """Return demo data with about `bookings` bookings around the aware instant `now`, in the shape
    of `/_sandbox/bulk`, with `archived`: the `(type, id)` pairs to archive afterwards."""
    today = now.astimezone(ZoneInfo(portal.time_zone)).date()
    chance = random.Random(f"{portal.name}:{bookings}:{random_seed}")
    builder = Builder(portal, today=today, chance=chance)
    archived = add_cast(builder)
    add_crowd(builder, bookings - len(builder.bookings))
    return {**builder.as_bulk(), "archived": [(MOCK_EXAMS, archived.id)]}


def add_cast(builder: Builder) -> Exam:
    """Add the people and exams that the module's first lines describe; return the archived exam."""
    first, second, third = builder.portal.mock_types
    ada, _, _, dmitri, _ = (builder.add_student(*row) for row in CAST)
    open_, full, limited = (
        builder.add_exam(first, 7),
        builder.add_exam(first, 8, capacity=4),
        builder.add_exam(first, 9, capacity=6),
    )
    builder.add_exam(first, 10)
    archived = builder.add_exam(first, 11)
    builder.add_exam(first, 12, active=False)
    miscounted = builder.add_exam(second, 13, AFTERNOON, wrong_by=3)
    past = builder.add_exam(first, -14)

    builder.book(ada, open_)
    builder.book(ada, miscounted)
    builder.book(ada, limited, cancelled=True)
    builder.book(ada, past)
    builder.book(ada, archived)
    for days, mock_type in ((-30, second), (-45, third), (-60, first), (20, third)):
        builder.book(ada, builder.add_exam(mock_type, days))
    builder.book(ada, builder.add_exam(second, -21), cancelled=True)
    for days in range(25):
        builder.book(dmitri, builder.add_exam(second, -100 - days, AFTERNOON))
    for name in LAST_NAMES[:4]:
        filler = builder.add_student("Sam", name, (1, 1, 1))
        builder.book(filler, full)
        builder.book(filler, limited)
    return archived


def add_crowd(builder: Builder, bookings: int) -> None:
    """Add students, exams from 90 days ago to 90 ahead, and `bookings` bookings that fill them by
    about two thirds."""
    if bookings <= 0:
        return
    chance, capacity = builder.chance, max(20, bookings // 500)
    students = [
        builder.add_student(
            chance.choice(FIRST_NAMES),
            chance.choice(LAST_NAMES),
            tuple(chance.randint(0, 6) for _ in builder.portal.mock_types),
            chance.randint(0, 3),
        )
        for _ in range(max(20, bookings // 6))
    ]
    exams = [
        builder.add_exam(
            chance.choice(builder.portal.mock_types),
            chance.randint(-90, 90),
            chance.choice((MORNING, AFTERNOON)),
            capacity=capacity,
            location=chance.choice(LOCATIONS),
            wrong_by=chance.choice((-1, 1, 2)) if chance.random() < WRONG_COUNT_SHARE else 0,
        )
        for _ in range(max(30, bookings * 3 // (2 * capacity)))
    ]
    made = 0
    while made < bookings:
        cancelled = chance.random() < CANCELLED_SHARE
        made += builder.book(chance.choice(students), chance.choice(exams), cancelled=cancelled)


def contact_properties(portal: Portal, student: Student) -> dict[str, str]:
    names = (mock_type.credit for mock_type in portal.mock_types)
    balances = dict(zip(names, student.balances, strict=True))
    if portal.shared_credit is not None:
        balances[portal.shared_credit] = student.shared
    return {
        "email": student.email,
        "firstname": student.first,
        "lastname": student.last,
        "student_id": student.student_id,
        **{name: str(number) for name, number in balances.items()},
    }


def exam_properties(builder: Builder, exam: Exam) -> dict[str, str]:
    start, end = exam.session
    return {
        "mock_type": exam.mock_type.value,
        "exam_date": exam.day.isoformat(),
        "start_time": format_time(builder, exam.day, start),
        "end_time": format_time(builder, exam.day, end),
        "capacity": str(exam.capacity),
        "total_bookings": str(max(0, exam.seats + exam.wrong_by)),
        "location": exam.location,
        "is_active": "true" if exam.active else "false",
    }


def format_time(builder: Builder, day: date, at: time) -> str:
    """Return "09:00" where the portal stores that, else the ISO 8601 instant in UTC."""
    if builder.portal.clock_times:
        return f"{at:%H:%M}"
    instant = datetime.combine(day, at, builder.zone).astimezone(UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S.000Z}"


def booking_properties(
    builder: Builder, record_id: str, student: Student, exam: Exam, *, cancelled: bool
) -> dict[str, str]:
    portal, mock_type = builder.portal, exam.mock_type
    made_on = exam.day - timedelta(days=21)
    active = portal.completed if exam.day < builder.today else portal.active
    properties = {
        "booking_id": f"{mock_type.value}-{student.student_id}-{exam.day.isoformat()}",
        "name": f"{student.first} {student.last}",
        "email": student.email,
        "student_id": student.student_id,
        "created_at": f"{made_on.isoformat()}T10:00:00.000Z",
        "token_used": mock_type.paid_by,
        "idempotency_key": f"demo-{record_id}",
        "is_active": portal.cancelled if cancelled else active,
    }
    if not cancelled:
        properties["seat_key"] = f"{exam.id}:{exam.seats}"
    properties.update(exam_copies(builder, record_id, student, exam, cancelled=cancelled))
    return properties


def exam_copies(
    builder: Builder, record_id: str, student: Student, exam: Exam, *, cancelled: bool
) -> dict[str, str]:
    """Return what a booking says of its exam and student, which differs most between portals."""
    if builder.portal.copies_on_bookings:
        return {
            "booking_date": exam.day.isoformat(),
            "booking_status": "cancelled" if cancelled else "confirmed",
            "contact_id": student.id,
            "mock_exam_id": exam.id,
        }
    told = {"mock_type": exam.mock_type.value, "exam_date": exam.day.isoformat()}
    if exam.mock_type.asks_for_hand:
        return {**told, "dominant_hand": "false" if int(record_id) % 9 == 0 else "true"}
    return {**told, "attending_location": exam.location}
