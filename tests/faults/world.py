"""What HubSpot has, as the promises of booking speak of it: seats, credits, counts, notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.builders import Exam, Portal, Student
from tests.desk import stored_total


@dataclass(frozen=True, slots=True)
class Seat:
    """An active booking: whose, in what; its name says of which type and on which day."""

    record_id: str
    contact_id: str
    exam_id: str
    name: str


def seats(portal: Portal) -> list[Seat]:
    """All active bookings there are, by their own words, whatever is linked to what."""
    names, states = portal.profile.booking_properties, portal.profile.booking_states
    return [
        Seat(
            record_id=record["id"],
            contact_id=record["properties"][names["contact_id"]],
            exam_id=record["properties"][names["mock_exam_id"]],
            name=record["properties"][names["booking_id"]],
        )
        for record in portal.sandbox.records(portal.profile.object_types.bookings)
        if not record["archived"]
        and record["properties"].get(names["is_active"]) in states["active"]
    ]


def linked(portal: Portal, to_type: str, record_ids: Sequence[str]) -> Mapping[str, set[str]]:
    """What each of these bookings is linked to, of one type."""
    path = f"/crm/associations/2026-09/{portal.profile.object_types.bookings}/{to_type}/batch/read"
    body = {"inputs": [{"id": record_id} for record_id in record_ids]}
    answer = portal.sandbox.call("POST", path, body).body
    return {
        result["from"]["id"]: {str(one["toObjectId"]) for one in result["to"]}
        for result in answer["results"]
    }


def all_credits(portal: Portal, student: Student) -> int:
    """The student's balances together."""
    record = portal.sandbox.record(portal.profile.object_types.contacts, student.id)
    return sum(int(record["properties"][name]) for name in portal.profile.credit_properties)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What students owned before: credits and active bookings together, which no booking and no
    cancelling changes."""

    portal: Portal
    total: Mapping[str, int]

    @classmethod
    def of(cls, portal: Portal, students: Collection[Student]) -> Holdings:
        booked = Counter(seat.contact_id for seat in seats(portal))
        owned = {one.id: all_credits(portal, one) + booked[one.id] for one in students}
        return cls(portal, owned)


def broken_promises(
    portal: Portal, exams: Collection[Exam], students: Collection[Student], owned: Holdings
) -> list[str]:
    """Return what does not hold of booking.md's invariants 1 to 5 once nothing is left to do; a
    sentence each."""
    found = seats(portal)
    per_exam = Counter(seat.exam_id for seat in found)
    per_student = Counter(seat.contact_id for seat in found)
    per_day = Counter((seat.contact_id, seat.name) for seat in found)
    wrong = [f"{key} is booked {number} times" for key, number in per_day.items() if number > 1]
    for exam in exams:
        taken, stored = per_exam[exam.id], stored_total(portal, exam)
        if taken > exam.capacity:
            wrong.append(f"exam {exam.id} has {taken} bookings for {exam.capacity} seats")
        if stored != taken:
            wrong.append(f"exam {exam.id} has {taken} bookings and says {stored}")
    for student in students:
        credit, booked = all_credits(portal, student), per_student[student.id]
        if credit + booked != owned.total[student.id]:
            had = owned.total[student.id]
            wrong.append(f"{student.id} has {credit} credits and {booked} bookings, of {had}")
    return wrong + _wrongly_linked(portal, found)


def _wrongly_linked(portal: Portal, found: Sequence[Seat]) -> list[str]:
    ids = [seat.record_id for seat in found]
    types = portal.profile.object_types
    contacts = linked(portal, types.contacts, ids) if ids else {}
    exams = linked(portal, types.mock_exams, ids) if ids else {}
    return [
        f"{seat} is linked to {contacts.get(seat.record_id)}, {exams.get(seat.record_id)}"
        for seat in found
        if contacts.get(seat.record_id) != {seat.contact_id}
        or exams.get(seat.record_id) != {seat.exam_id}
    ]


def notes_of(portal: Portal, title: str, booking_id: str) -> list[Mapping[str, Any]]:
    """The notes of this title on a booking."""
    records = portal.sandbox.records(portal.profile.object_types.notes)
    bodies = [(record, record["properties"].get("hs_note_body") or "") for record in records]
    return [record for record, body in bodies if title in body and booking_id in body]
