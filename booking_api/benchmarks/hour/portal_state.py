"""The portal during the hour: what is in the sandbox, how a person edits it, what that invalidates.

`PortalState` holds every record as the sandbox gave it back after the last edit, so that the right
answer can be worked out at any moment without asking the code that is measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from booking_api.benchmarks.hour.plan import Edit, EditKind, Size
from booking_api.benchmarks.portal_data import (
    BOOKINGS,
    CONTACTS,
    EXAMS,
    MOCK_TYPES,
    PortalData,
    Student,
)
from booking_api.benchmarks.processes import Sandbox
from hubspot_sync.reading.tags import (
    booking_tag,
    contact_bookings_tag,
    contact_tag,
    exam_bookings_tag,
    exam_tag,
    exams_of_type_tag,
    tags_with_links,
)

Properties = Mapping[str, str | None]
Tags = frozenset[str]
EVERY_LIST = frozenset(exams_of_type_tag(mock_type) for mock_type in MOCK_TYPES)
MAX_BOOKINGS = 2
# Exams of the hour's own day: each half of them ends while the hour runs.
TODAY_ENDS = ("10:20", "10:40", "13:00")


@dataclass(slots=True)
class PortalState:
    """`exam_of`, `bookings_of` a student and `bookings_at` an exam are the associations; archived
    records are absent."""

    sandbox: Sandbox
    students: list[Student]
    exams: list[str]
    bookings_of: dict[str, tuple[str, ...]]
    bookings_at: dict[str, tuple[str, ...]]
    exam_of: dict[str, str]
    records: dict[str, dict[str, Properties]] = field(default_factory=dict)

    def edit(self, edit: Edit) -> Tags:
        """Edit as a person in HubSpot does; return the tags its webhook would drop."""
        return EDITORS[edit.edited](self, edit)

    def copy(self) -> PortalState:
        """Return the state as it is now, which later edits leave alone."""
        return replace(
            self,
            bookings_of=dict(self.bookings_of),
            bookings_at=dict(self.bookings_at),
            exam_of=dict(self.exam_of),
            records={object_type: dict(there) for object_type, there in self.records.items()},
        )

    def contact(self, student: Student) -> Properties:
        return self.records[CONTACTS][student.id]

    def bookings(self, student: Student) -> dict[str, Properties]:
        there = self.records[BOOKINGS]
        booking_ids = self.bookings_of[student.id]
        return {booking_id: there[booking_id] for booking_id in booking_ids if booking_id in there}

    def exam(self, booking_id: str) -> Properties | None:
        return self.records[EXAMS].get(self.exam_of.get(booking_id, ""))

    def link(self, booking_id: str, student: Student, exam_id: str) -> None:
        """Take down whose a booking is, and of what."""
        self.bookings_of[student.id] += (booking_id,)
        self.bookings_at[exam_id] += (booking_id,)
        self.exam_of[booking_id] = exam_id

    def read_all(self) -> None:
        """Take over every record there is."""
        for object_type in (CONTACTS, BOOKINGS, EXAMS):
            rows = self.sandbox.control("GET", f"records/{object_type}")["results"]
            there = {row["id"]: row["properties"] for row in rows if not row["archived"]}
            self.records[object_type] = there

    def change(self, object_type: str, record_id: str, **properties: str) -> None:
        path = f"records/{object_type}/{record_id}"
        self.sandbox.control("PATCH", path, {"properties": properties})
        self.records[object_type][record_id] = self.sandbox.control("GET", path)["properties"]

    def some_booking(self, edit: Edit) -> str | None:
        """Return a booking of the edit's student, None where they have none left."""
        there = list(self.bookings(self.students[edit.student]))
        return there[int(edit.choice * len(there))] if there else None


def fill_portal(sandbox: Sandbox, size: Size, day: date, chance: random.Random) -> PortalState:
    """Fill the sandbox with students, exams and bookings; `day` is the hour's own."""
    data = PortalData(sandbox, today=day)
    students = [data.add_student(credits_left=chance.randint(0, 9)) for _ in range(size.students)]
    exams: list[tuple[str, str]] = []
    for number in range(size.exams):
        mock_type = MOCK_TYPES[number % len(MOCK_TYPES)]
        in_days = chance.randint(-3, 20) if number % 8 else 0
        end_time = chance.choice(TODAY_ENDS)
        exams.append(
            (data.add_exam(in_days=in_days, mock_type=mock_type, end_time=end_time), mock_type)
        )
    chance.shuffle(exams)
    exam_ids = [exam_id for exam_id, _ in exams]
    state = PortalState(
        sandbox=sandbox,
        students=students,
        exams=exam_ids,
        bookings_of={student.id: () for student in students},
        bookings_at=dict.fromkeys(exam_ids, ()),
        exam_of={},
    )
    for student in students:
        for exam_id, mock_type in chance.sample(exams, chance.randint(1, MAX_BOOKINGS)):
            state.link(data.add_booking(student, exam_id, mock_type=mock_type), student, exam_id)
    data.write()
    state.read_all()
    return state


def edit_credits(state: PortalState, edit: Edit) -> Tags:
    student = state.students[edit.student]
    mock_type = MOCK_TYPES[int(edit.choice * len(MOCK_TYPES))]
    state.change(CONTACTS, student.id, **{f"credits_{mock_type}": str(int(edit.choice * 100))})
    return frozenset({contact_tag(student.id)})


def edit_name(state: PortalState, edit: Edit) -> Tags:
    student = state.students[edit.student]
    state.change(CONTACTS, student.id, firstname=f"Renamed {edit.at_s:.0f}")
    return frozenset({contact_tag(student.id)})


def cancel_booking(state: PortalState, edit: Edit) -> Tags:
    booking_id = state.some_booking(edit)
    if booking_id is None:
        return edit_name(state, edit)
    state.change(BOOKINGS, booking_id, is_active="false", booking_status="cancelled")
    return frozenset({booking_tag(booking_id)})


def create_booking(state: PortalState, edit: Edit) -> Tags:
    """A creation event and two of associations: the collections at both ends change."""
    student, exam_id = state.students[edit.student], state.exams[edit.exam]
    properties = {
        "booking_id": f"new-{student.student_id}-{edit.at_s:.3f}",
        "name": "Student",
        "email": student.email,
        "student_id": student.student_id,
        "is_active": "true",
        "contact_id": student.id,
        "mock_exam_id": exam_id,
    }
    links = [{"to_type": CONTACTS, "to_id": student.id}, {"to_type": EXAMS, "to_id": exam_id}]
    made = state.sandbox.control(
        "POST", f"records/{BOOKINGS}", {"properties": properties, "associations": links}
    )
    booking_id = str(made["id"])
    path = f"records/{BOOKINGS}/{booking_id}"
    state.records[BOOKINGS][booking_id] = state.sandbox.control("GET", path)["properties"]
    state.link(booking_id, student, exam_id)
    collections = {contact_bookings_tag(student.id), exam_bookings_tag(exam_id)}
    return tags_with_links(booking_tag(booking_id)) | collections


def archive_booking(state: PortalState, edit: Edit) -> Tags:
    """A deletion event names nothing but the dead."""
    booking_id = state.some_booking(edit)
    if booking_id is None:
        return edit_name(state, edit)
    state.sandbox.control("DELETE", f"records/{BOOKINGS}/{booking_id}")
    del state.records[BOOKINGS][booking_id]
    return tags_with_links(booking_tag(booking_id))


def edit_capacity(state: PortalState, edit: Edit) -> Tags:
    exam_id = state.exams[edit.exam]
    seats = {"capacity": str(int(edit.choice * 30)), "total_bookings": str(int(edit.choice * 20))}
    state.change(EXAMS, exam_id, **seats)
    return frozenset({exam_tag(exam_id)})


def move_exam(state: PortalState, edit: Edit) -> Tags:
    """Another date may put the exam on a list that does not show it yet."""
    exam_id = state.exams[edit.exam]
    day = date.fromisoformat(str(state.records[EXAMS][exam_id]["exam_date"]))
    later = day + timedelta(days=1 + int(edit.choice * 5))
    state.change(EXAMS, exam_id, exam_date=later.isoformat())
    return frozenset({exam_tag(exam_id)}) | EVERY_LIST


def switch_exam(state: PortalState, edit: Edit) -> Tags:
    exam_id = state.exams[edit.exam]
    was = state.records[EXAMS][exam_id]["is_active"]
    state.change(EXAMS, exam_id, is_active="false" if was == "true" else "true")
    return frozenset({exam_tag(exam_id)}) | EVERY_LIST


EDITORS: Mapping[EditKind, Callable[[PortalState, Edit], Tags]] = {
    "credits": edit_credits,
    "name": edit_name,
    "cancel": cancel_booking,
    "book": create_booking,
    "archive": archive_booking,
    "capacity": edit_capacity,
    "move": move_exam,
    "switch": switch_exam,
}
