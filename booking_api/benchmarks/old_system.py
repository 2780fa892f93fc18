"""The old system's calls, as it made them: one record at a time, one after the other.

An honest copy of its sequence through the same HTTP client, limiter and sandbox, so that what
differs is how many calls there are and that each waits for the one before. A record got by its id
is a batch of one here: the same call in number and in time. What the old system did with the
answers takes no time and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from booking_api.benchmarks.portal_data import BOOKINGS, CONTACTS, EXAMS, Student
from hubspot_sync.batching.raw_records import JsonObject
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

PROPERTIES = {
    CONTACTS: ["email", "student_id", "firstname", "lastname"],
    BOOKINGS: ["booking_id", "is_active", "name", "mock_exam_id"],
    EXAMS: ["exam_date", "start_time", "end_time", "capacity", "mock_type", "location"],
}


@dataclass(frozen=True, slots=True)
class OldSystem:
    """The reads of the old system; each method raises what the first call that failed raises."""

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

    def _search(self, object_type: str, name: str, value: str) -> list[str]:
        filters = [{"propertyName": name, "operator": "EQ", "value": value}]
        body = {"filterGroups": [{"filters": filters}], "limit": 100, "properties": [name]}
        request = Request(operation=Operation.SEARCH, object_type=object_type, body=body)
        return [str(row["id"]) for row in self.transport.call(request, self.context).results]

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
