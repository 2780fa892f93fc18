"""The old system's calls, as it made them: one record at a time, one after the other.

An honest copy of its sequence through the same HTTP client, limiter and sandbox, so that what
differs is how many calls there are and that each waits for the one before. A record got or written
by its id is a batch of one here: the same call in number and in time. What the old system did with
the answers takes no time and is left out, but for what its writes depend on: it refused what looked
full, doubled or unpaid, by the count it had stored and by search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from booking_api.benchmarks.portal_data import BOOKINGS, CONTACTS, EXAMS, MOCK_TYPES, Student
from hubspot_sync.batching.raw_records import (
    NOTE_BODY,
    NOTE_TIME,
    JsonObject,
    NewAssociation,
    NewRecord,
)
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

NOTES: Final = "0-46"
NOTE_TO_CONTACT: Final = 202
PROPERTIES = {
    CONTACTS: [
        *("email", "student_id", "firstname", "lastname"),
        *(f"credits_{mock_type}" for mock_type in MOCK_TYPES),
    ],
    BOOKINGS: ["booking_id", "is_active", "name", "mock_exam_id"],
    EXAMS: [
        *("exam_date", "start_time", "end_time", "capacity", "mock_type", "location"),
        *("total_bookings", "is_active"),
    ],
}


@dataclass(frozen=True, slots=True)
class OldSystem:
    """What the old system did, in the default portal; each method raises what the first call that
    failed raises."""

    transport: Transport
    context: CallContext

    def booking_list(self, student: Student) -> int:
        """Search the contact, ask for its bookings; then for each the booking and the exam it
        names: two calls and two more for each booking."""
        self._search(CONTACTS, "student_id", student.student_id)
        booking_ids = self._linked(CONTACTS, student.id, BOOKINGS)
        for booking_id in booking_ids:
            (booking,) = self._read(BOOKINGS, [booking_id])
            self._read(EXAMS, [booking["properties"]["mock_exam_id"]])
        return len(booking_ids)

    def realtime(self, mock_type: str) -> int:
        """Search the exams; then for each ask for its bookings, and read them: one call
        and two more for each exam."""
        exam_ids = self._search(EXAMS, "mock_type", mock_type)
        for exam_id in exam_ids:
            self._read(BOOKINGS, self._linked(EXAMS, exam_id, BOOKINGS))
        return len(exam_ids)

    def booking(self, student: Student, booking_id: str) -> int:
        """The contact, the booking, whose it is, which exam, the exam: 5."""
        self._search(CONTACTS, "student_id", student.student_id)
        self._read(BOOKINGS, [booking_id])
        self._linked(BOOKINGS, booking_id, CONTACTS)
        self._read(EXAMS, self._linked(BOOKINGS, booking_id, EXAMS))
        return 1

    def naive_create(self, student: Student, exam_id: str) -> str | None:
        """Book: the exam, whether there is such a booking, the contact, the booking, its two links,
        the count and the credit: 8 before the answer. `naive_note` follows it. Return the booking's
        id, None where it was refused: 1 to 3 calls."""
        (exam,) = self._read(EXAMS, [exam_id])
        facts = exam["properties"]
        if int(facts["total_bookings"] or 0) >= int(facts["capacity"]):
            return None
        mock_type = facts["mock_type"]
        name = f"{mock_type}-{student.student_id}-{facts['exam_date']}"
        if len(self._search(BOOKINGS, "booking_id", name)) > 0:
            return None
        (contact,) = self._read(CONTACTS, [student.id])
        credit = f"credits_{mock_type}"
        left = int(contact["properties"][credit] or 0)
        if left <= 0:
            return None
        booking_id = self._make(
            BOOKINGS,
            {
                "booking_id": name,
                "name": "Student",
                "email": student.email,
                "student_id": student.student_id,
                "contact_id": student.id,
                "mock_exam_id": exam_id,
                "token_used": mock_type,
                "is_active": "true",
                "booking_status": "confirmed",
            },
        )
        self._link(BOOKINGS, booking_id, CONTACTS, student.id)
        self._link(BOOKINGS, booking_id, EXAMS, exam_id)
        self._set(EXAMS, exam_id, {"total_bookings": str(int(facts["total_bookings"] or 0) + 1)})
        self._set(CONTACTS, student.id, {credit: str(left - 1)})
        return booking_id

    def naive_cancel(self, student: Student, booking_id: str) -> bool:
        """Cancel: the contact, the booking with its links, the exam, the booking's state, the note,
        the exam again for its count, the count and the credit: 8. Say whether there was a booking
        to cancel; where it was cancelled before: 2 calls."""
        (contact,) = self._find(CONTACTS, "student_id", student.student_id)
        (booking,) = self._read(BOOKINGS, [booking_id])
        if booking["properties"]["is_active"] != "true":
            return False
        exam_id = booking["properties"]["mock_exam_id"]
        self._read(EXAMS, [exam_id])
        self._set(BOOKINGS, booking_id, {"is_active": "false", "booking_status": "cancelled"})
        self.naive_note(student)
        (exam,) = self._read(EXAMS, [exam_id])
        taken = int(exam["properties"]["total_bookings"] or 0)
        self._set(EXAMS, exam_id, {"total_bookings": str(max(0, taken - 1))})
        credit = f"credits_{exam['properties']['mock_type']}"
        left = int(contact["properties"][credit] or 0)
        self._set(CONTACTS, student.id, {credit: str(left + 1)})
        return True

    def naive_note(self, student: Student) -> None:
        """Put a note on the contact's timeline: 1."""
        link = NewAssociation(to_id=student.id, type_id=NOTE_TO_CONTACT, category="HUBSPOT_DEFINED")
        self._make(NOTES, {NOTE_BODY: "A booking.", NOTE_TIME: "2026-10-01T08:00:00Z"}, link)

    def _search(self, object_type: str, name: str, value: str) -> list[str]:
        return [str(row["id"]) for row in self._find(object_type, name, value)]

    def _find(self, object_type: str, name: str, value: str) -> Sequence[JsonObject]:
        filters = [{"propertyName": name, "operator": "EQ", "value": value}]
        body = {
            "filterGroups": [{"filters": filters}],
            "limit": 100,
            "properties": PROPERTIES[object_type],
        }
        request = Request(operation=Operation.SEARCH, object_type=object_type, body=body)
        return self.transport.call(request, self.context).results

    def _read(self, object_type: str, record_ids: Sequence[str]) -> Sequence[JsonObject]:
        body = {
            "inputs": [{"id": record_id} for record_id in record_ids],
            "properties": PROPERTIES[object_type],
        }
        request = Request(operation=Operation.BATCH_READ, object_type=object_type, body=body)
        return self.transport.call(request, self.context).results

    def _linked(self, from_type: str, from_id: str, to_type: str) -> list[str]:
        request = Request(
            operation=Operation.ASSOCIATIONS_READ,
            object_type=from_type,
            to_type=to_type,
            body={"inputs": [{"id": from_id}]},
        )
        results = self.transport.call(request, self.context).results
        return [str(to["toObjectId"]) for row in results for to in row["to"]]

    def _make(self, object_type: str, properties: Mapping[str, str], *links: NewAssociation) -> str:
        new = NewRecord(trace_id="1", properties=properties, associations=links)
        body = {"inputs": [new.to_json()]}
        request = Request(operation=Operation.BATCH_CREATE, object_type=object_type, body=body)
        (made,) = self.transport.call(request, self.context).results
        return str(made["id"])

    def _set(self, object_type: str, record_id: str, properties: Mapping[str, str]) -> None:
        body = {"inputs": [{"id": record_id, "properties": properties}]}
        request = Request(operation=Operation.BATCH_UPDATE, object_type=object_type, body=body)
        self.transport.call(request, self.context)

    def _link(self, from_type: str, from_id: str, to_type: str, to_id: str) -> None:
        request = Request(
            operation=Operation.ASSOCIATE,
            object_type=from_type,
            to_type=to_type,
            body={"inputs": [{"from": {"id": from_id}, "to": {"id": to_id}}]},
        )
        self.transport.call(request, self.context)
