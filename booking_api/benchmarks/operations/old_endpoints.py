"""The rest of what the old system did, one endpoint a method; `old_system.py` has the others.

Where it is not known how the old system did something, the cheaper of two ways is taken: what it is
compared with must not look better than it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from booking_api.benchmarks.old_system import PROPERTIES, OldSystem
from booking_api.benchmarks.portal_data import BOOKINGS, CONTACTS, EXAMS, Student
from hubspot_sync.batching.raw_records import JsonObject
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request

PAGE = 100
SEEN_OF_EXAMS = [*PROPERTIES[EXAMS], "total_bookings", "is_active"]


class OldEndpoints(OldSystem):
    """Each method raises what the first call that failed raises."""

    def available(self, mock_type: str) -> int:
        """Search the exams and believe what search says of them: a call for each hundred."""
        return len(self._search_pages(EXAMS, "mock_type", mock_type, SEEN_OF_EXAMS))

    def realtime_pages(self, mock_type: str) -> int:
        """As `realtime`, of however many exams."""
        exams = self._search_pages(EXAMS, "mock_type", mock_type, SEEN_OF_EXAMS)
        for exam in exams:
            self._count(str(exam["id"]))
        return len(exams)

    def credits(self, student: Student) -> int:
        """The contact with its credits: 1."""
        return len(self._search(CONTACTS, "student_id", student.student_id))

    def webhook(self, booking_ids: Iterable[str]) -> int:
        """For each event its booking's exam, that exam's bookings, those, and its count: 4."""
        events = 0
        for booking_id in booking_ids:
            for exam_id in self._linked(BOOKINGS, booking_id, EXAMS):
                self._correct(exam_id, self._count(exam_id))
            events += 1
        return events

    def sync(self, exam_ids: Iterable[str]) -> int:
        """For each exam the exam, its bookings, those, and the count where it is wrong: 3 or 4."""
        corrected = 0
        for exam_id in exam_ids:
            (exam,) = self._read_stored_count(exam_id)
            counted = self._count(exam_id)
            if exam["properties"].get("total_bookings") != str(counted):
                self._correct(exam_id, counted)
                corrected += 1
        return corrected

    def _count(self, exam_id: str) -> int:
        """Return how many bookings of the exam are active: the ids, and a call for each hundred."""
        linked = self._linked(EXAMS, exam_id, BOOKINGS)
        pages = (linked[start : start + PAGE] for start in range(0, len(linked), PAGE))
        return sum(
            booking["properties"]["is_active"] == "true"
            for page in pages
            for booking in self._read(BOOKINGS, page)
        )

    def _read_stored_count(self, exam_id: str) -> Sequence[JsonObject]:
        body = {"inputs": [{"id": exam_id}], "properties": ["total_bookings"]}
        request = Request(operation=Operation.BATCH_READ, object_type=EXAMS, body=body)
        return self.transport.call(request, self.context).results

    def _correct(self, exam_id: str, counted: int) -> None:
        body = {"inputs": [{"id": exam_id, "properties": {"total_bookings": str(counted)}}]}
        request = Request(operation=Operation.BATCH_UPDATE, object_type=EXAMS, body=body)
        self.transport.call(request, self.context)

    def _search_pages(
        self, object_type: str, name: str, value: str, properties: Sequence[str]
    ) -> list[JsonObject]:
        filters = [{"propertyName": name, "operator": "EQ", "value": value}]
        found: list[JsonObject] = []
        while True:
            body = {
                "filterGroups": [{"filters": filters}],
                "limit": PAGE,
                "after": str(len(found)),
                "properties": properties,
            }
            request = Request(operation=Operation.SEARCH, object_type=object_type, body=body)
            page = self.transport.call(request, self.context).results
            found.extend(page)
            if len(page) < PAGE:
                return found
