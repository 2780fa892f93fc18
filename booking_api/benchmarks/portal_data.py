"""Invented students, exams and bookings in the default portal of a sandbox, thousands at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from booking_api.benchmarks.processes import Sandbox

CONTACTS = "0-1"
BOOKINGS = "2-50158943"
EXAMS = "2-50158913"
MOCK_TYPES = ("clinical", "osce", "written")
MAX_RECORDS_PER_REQUEST = 5_000


@dataclass(frozen=True, slots=True)
class Student:
    """`pair` is what every request of theirs carries."""

    id: str
    student_id: str
    email: str

    @property
    def pair(self) -> dict[str, str]:
        return {"student_id": self.student_id, "email": self.email}


@dataclass(slots=True)
class PortalData:
    """Writes records; what is made is kept until `write`, which is one request for thousands. Ids
    come from `numbers`: data of two portals that one database hears of must not share them."""

    sandbox: Sandbox
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    numbers: Iterator[int] = field(default_factory=lambda: count(1001))
    _offered: dict[str, list[str]] = field(default_factory=dict)
    _records: list[dict[str, Any]] = field(default_factory=list)
    _links: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add_student(self, credits_left: int = 5) -> Student:
        number = next(self.numbers)
        student = Student(f"1{number}", f"S{number}", f"student{number}@example.org")
        properties = {
            "email": student.email,
            "firstname": "Student",
            "lastname": f"Number {number}",
            "student_id": student.student_id,
            **{f"credits_{mock_type}": str(credits_left) for mock_type in MOCK_TYPES},
        }
        self._add(CONTACTS, student.id, properties)
        return student

    def add_exam(
        self, *, in_days: int, mock_type: str = "clinical", end_time: str = "13:00", taken: int = 0
    ) -> str:
        """Make an active exam; return its id."""
        exam_id = f"5{next(self.numbers)}"
        properties = {
            "exam_date": self.day(in_days),
            "start_time": "09:00",
            "end_time": end_time,
            "capacity": "20",
            "total_bookings": str(taken),
            "mock_type": mock_type,
            "location": "London",
            "is_active": "true",
        }
        self._add(EXAMS, exam_id, properties)
        return exam_id

    def add_booking(self, student: Student, exam_id: str, *, mock_type: str = "clinical") -> str:
        """Make an active booking linked to both; return its id."""
        booking_id = f"9{next(self.numbers)}"
        properties = {
            "booking_id": f"{mock_type}-{student.student_id}-{booking_id}",
            "name": "Student",
            "email": student.email,
            "student_id": student.student_id,
            "is_active": "true",
            "booking_status": "confirmed",
            "contact_id": student.id,
            "mock_exam_id": exam_id,
            "token_used": mock_type,
            "created_at": "2026-10-01T08:00:00Z",
        }
        self._add(BOOKINGS, booking_id, properties)
        self._links.append((CONTACTS, student.id, BOOKINGS, booking_id))
        self._links.append((BOOKINGS, booking_id, EXAMS, exam_id))
        return booking_id

    def add_student_with(self, *, bookings: int, exams: int) -> Student:
        """Make a student with so many bookings, spread over new exams, and write all of it."""
        student = self.add_student()
        exam_ids = [self.add_exam(in_days=1 + day) for day in range(exams)]
        for number in range(bookings):
            self.add_booking(student, exam_ids[number % exams])
        self.write()
        return student

    def add_offered(
        self, exams: int, mock_type: str, *, bookings: int, wrong: int = 0
    ) -> list[str]:
        """Make the exams of a type, of so many bookings each, all by the same students, and write
        all of it; the stored counts of the first `wrong` of them are one too low. Return the exams'
        ids, where they were made before those."""
        if mock_type in self._offered:
            return self._offered[mock_type]
        students = [self.add_student() for _ in range(bookings)]
        exam_ids = [
            self.add_exam(
                in_days=1 + number % 365, mock_type=mock_type, taken=bookings - (number < wrong)
            )
            for number in range(exams)
        ]
        for exam_id in exam_ids:
            for student in students:
                self.add_booking(student, exam_id, mock_type=mock_type)
        self.write()
        self._offered[mock_type] = exam_ids
        return exam_ids

    def day(self, in_days: int) -> str:
        """Return the date of an exam in so many days, as HubSpot has it."""
        return (self.today + timedelta(days=in_days)).isoformat()

    def write(self) -> None:
        """Put everything made so far into the sandbox."""
        records, links = self._records, self._links
        self._records, self._links = [], []
        for start in range(0, len(records), MAX_RECORDS_PER_REQUEST):
            self._put(records[start : start + MAX_RECORDS_PER_REQUEST], [])
        for start in range(0, len(links), MAX_RECORDS_PER_REQUEST):
            self._put([], links[start : start + MAX_RECORDS_PER_REQUEST])

    def _put(self, records: list[dict[str, Any]], links: list[tuple[str, str, str, str]]) -> None:
        self.sandbox.control("POST", "bulk", {"records": records, "associations": links})

    def _add(self, object_type: str, record_id: str, properties: dict[str, Any]) -> None:
        self._records.append({"type": object_type, "id": record_id, "properties": properties})
