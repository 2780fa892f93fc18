"""What tests of the desk share: how a booking is asked for, and what HubSpot then has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from tests.api import Api, Reply
from tests.builders import EXTRA_FIELDS, Exam, Portal, Student

CREATE = "/api/bookings/create"


@dataclass(frozen=True, slots=True)
class School:
    """An API and the portal behind it."""

    api: Api
    portal: Portal

    @property
    def bookings(self) -> list[dict[str, Any]]:
        """The properties of all bookings HubSpot has."""
        records = self.portal.sandbox.records(self.portal.profile.object_types.bookings)
        return [record["properties"] for record in records]

    def stored(self, record_id: str) -> dict[str, Any]:
        """The properties of one booking as HubSpot has them."""
        record = self.portal.sandbox.record(self.portal.profile.object_types.bookings, record_id)
        properties: dict[str, Any] = record["properties"]
        return properties

    @property
    def notes(self) -> list[dict[str, Any]]:
        """The properties of all notes HubSpot has."""
        records = self.portal.sandbox.records(self.portal.profile.object_types.notes)
        return [record["properties"] for record in records]

    def read_through_api(
        self, student: Student, exam: Exam
    ) -> tuple[list[tuple[str, str, int]], int, tuple[int, int]]:
        """What the API shows: the student's list as (id, status, the exam's count), their credit,
        and the seats of the exam, free and taken."""
        listed = self.api.get("/api/bookings/list", **student.pair).data
        asked = {"mock_type": exam.mock_type, **student.pair}
        credit = self.api.post("/api/mock-exams/validate-credits", **asked).data
        offered = self.api.get("/api/mock-exams/available", mock_type=exam.mock_type).data
        specific = credit["credit_breakdown"]["specific_credits"]
        assert listed["credits"][self.portal.first_type.credit_property] == specific
        bookings = [
            (one["id"], one["status"], one["mock_exam"]["total_bookings"])
            for one in listed["bookings"]
        ]
        seats = (offered[0]["available_slots"], offered[0]["total_bookings"])
        return bookings, specific, seats


def create_body(student: Student, exam: Exam, **changes: Any) -> dict[str, Any]:
    """What a frontend sends to book this exam."""
    return {
        "contact_id": student.id,
        "mock_exam_id": exam.id,
        **student.pair,
        "name": student.name,
        "exam_date": exam.day.isoformat(),
        "mock_type": exam.mock_type,
        **EXTRA_FIELDS.get(exam.mock_type, {}),
        **changes,
    }


def create(api: Api, student: Student, exam: Exam, key: str | None = None, **changes: Any) -> Reply:
    headers = {} if key is None else {"Idempotency-Key": key}
    content = orjson.dumps(create_body(student, exam, **changes))
    return api.send("POST", CREATE, body=content, headers=headers)


def cancel(api: Api, student: Student, record_id: str, reason: str | None = None) -> Reply:
    sent = {**student.pair} if reason is None else {**student.pair, "reason": reason}
    return api.send("DELETE", f"/api/bookings/{record_id}", body=orjson.dumps(sent))


def update(api: Api, student: Student, record_id: str, **fields: Any) -> Reply:
    sent = orjson.dumps({**student.pair, **fields})
    return api.send("PATCH", f"/api/bookings/{record_id}", body=sent)


def credit_of(portal: Portal, student: Student, name: str | None = None) -> int:
    """The student's balance as HubSpot has it; of the first mock type's credit unless named."""
    record = portal.sandbox.record(portal.profile.object_types.contacts, student.id)
    return int(record["properties"][name or portal.first_type.credit_property])


def stored_total(portal: Portal, exam: Exam) -> int:
    """The exam's `total_bookings` as HubSpot has it."""
    record = portal.sandbox.record(portal.profile.object_types.mock_exams, exam.id)
    return int(record["properties"][portal.profile.exam_properties["total_bookings"]])


def active_bookings(portal: Portal, exam: Exam) -> list[dict[str, Any]]:
    """The exam's active bookings as HubSpot has them, whatever it shows of links."""
    profile = portal.profile
    records = portal.sandbox.records(profile.object_types.bookings)
    state, key = profile.booking_properties["is_active"], profile.booking_properties["seat_key"]
    return [
        record
        for record in records
        if record["properties"].get(state) in profile.booking_states["active"]
        and (record["properties"].get(key) or "").startswith(f"{exam.id}:")
    ]
