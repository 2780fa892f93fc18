"""The right answer to every request of the hour, from the sandbox's records alone.

Written a second time on purpose, from the contract and for the default portal only: it shares no
code with what it judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from booking_api.benchmarks.hour.portal_state import PortalState, Properties
from booking_api.benchmarks.portal_data import BOOKINGS, EXAMS, MOCK_TYPES, Student

LONDON = ZoneInfo("Europe/London")
CREDITS = tuple(f"credits_{mock_type}" for mock_type in MOCK_TYPES)


@dataclass(frozen=True, slots=True)
class Oracle:
    """Answers as `data` of the envelope; of a page everything but the cursor's own text."""

    state: PortalState

    def booking_list(
        self, student: Student, wanted: str, page: int, limit: int, now: datetime
    ) -> dict[str, Any]:
        bookings = self.state.bookings(student).items()
        rows = [self._row(booking_id, booking, now) for booking_id, booking in bookings]
        rows = [row for row in rows if wanted == "all" or self._group(row) == wanted]
        rows.sort(key=lambda row: self._place(row["id"], backwards=wanted == "past"))
        first = (page - 1) * limit
        shown = rows[first : first + limit]
        return {
            "bookings": shown,
            "total": len(rows),
            "has_next": first + limit < len(rows),
            "credits": self._credits(student),
        }

    def available(self, mock_type: str, *, realtime: bool, now: datetime) -> list[dict[str, Any]]:
        rows = [
            self._seats(exam_id, exam, realtime=realtime)
            for exam_id, exam in self.state.records[EXAMS].items()
            if exam["mock_type"] == mock_type and exam["is_active"] == "true" and end_of(exam) > now
        ]
        return sorted(
            rows, key=lambda row: (row["exam_date"], row["start_time"], row["mock_exam_id"])
        )

    def detail(self, student: Student, booking_id: str, now: datetime) -> dict[str, Any] | None:
        """None where there is no such booking."""
        properties = self.state.bookings(student).get(booking_id)
        if properties is None:
            return None
        contact = self.state.contact(student)
        exam = self._row(booking_id, properties, now)["mock_exam"]
        exam = exam | {"is_active": exam["is_active"] == "true"}
        return {
            "id": booking_id,
            "status": self._status(booking_id, properties, now),
            "mock_exam": exam,
            "firstname": contact["firstname"],
            "student_id": contact["student_id"],
        }

    def spendable(self, student: Student, mock_type: str) -> dict[str, Any]:
        contact = self.state.contact(student)
        left = self._credits(student)[f"credits_{mock_type}"]
        return {
            "available_credits": left,
            "eligible": left > 0,
            "contact_id": student.id,
            "student_name": f"{contact['firstname']} {contact['lastname']}",
        }

    def _row(self, booking_id: str, booking: Properties, now: datetime) -> dict[str, Any]:
        exam_id = self.state.exam_of[booking_id]
        exam = self.state.records[EXAMS][exam_id]
        return {
            "id": booking_id,
            "booking_id": booking["booking_id"],
            "is_active": booking["is_active"],
            "status": self._status(booking_id, booking, now),
            "mock_type": exam["mock_type"],
            "exam_date": exam["exam_date"],
            "start_time": exam["start_time"],
            "mock_exam": {
                "id": exam_id,
                "mock_type": exam["mock_type"],
                "exam_date": exam["exam_date"],
                "location": exam["location"],
                "start_time": exam["start_time"],
                "end_time": exam["end_time"],
                "capacity": int(exam["capacity"] or 0),
                "total_bookings": int(exam["total_bookings"] or 0),
                "is_active": exam["is_active"],
            },
        }

    def _status(self, booking_id: str, booking: Properties, now: datetime) -> str:
        if booking["is_active"] == "false":
            return "cancelled"
        exam = self.state.records[EXAMS][self.state.exam_of[booking_id]]
        return "completed" if end_of(exam) <= now else "scheduled"

    def _group(self, row: Mapping[str, Any]) -> str:
        return {"cancelled": "cancelled", "completed": "past", "scheduled": "upcoming"}[
            row["status"]
        ]

    def _place(self, booking_id: str, *, backwards: bool) -> tuple[float, int]:
        exam = self.state.records[EXAMS][self.state.exam_of[booking_id]]
        begins = instant_of(exam, "start_time").timestamp()
        return (-begins if backwards else begins), int(booking_id)

    def _seats(self, exam_id: str, exam: Properties, *, realtime: bool) -> dict[str, Any]:
        taken = self._counted(exam_id) if realtime else int(exam["total_bookings"] or 0)
        slots = max(0, int(exam["capacity"] or 0) - taken)
        return {
            "mock_exam_id": exam_id,
            "exam_date": exam["exam_date"],
            "start_time": exam["start_time"],
            "capacity": int(exam["capacity"] or 0),
            "total_bookings": taken,
            "available_slots": slots,
            "status": "full" if slots == 0 else "limited" if slots <= 3 else "available",
        }

    def _counted(self, exam_id: str) -> int:
        bookings = self.state.records[BOOKINGS]
        return sum(
            bookings[booking_id]["is_active"] == "true"
            for booking_id in self.state.bookings_at[exam_id]
            if booking_id in bookings
        )

    def _credits(self, student: Student) -> dict[str, int]:
        contact = self.state.contact(student)
        return {name: int(contact[name] or 0) for name in CREDITS}


def instant_of(exam: Properties, name: str) -> datetime:
    day, clock = str(exam["exam_date"]), time.fromisoformat(str(exam[name]))
    return datetime.combine(datetime.fromisoformat(day), clock, tzinfo=LONDON).astimezone(UTC)


def end_of(exam: Properties) -> datetime:
    ends_at = instant_of(exam, "end_time")
    return ends_at if ends_at > instant_of(exam, "start_time") else ends_at + timedelta(days=1)


def matches(answer: Any, right: Any) -> bool:
    """Say whether the answer has everything that is right; it may say more."""
    if isinstance(right, dict):
        return isinstance(answer, dict) and all(
            name in answer and matches(answer[name], value) for name, value in right.items()
        )
    if isinstance(right, list):
        same_length = isinstance(answer, list) and len(answer) == len(right)
        return same_length and all(map(matches, answer, right))
    return bool(answer == right)
