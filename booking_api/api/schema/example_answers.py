"""Alice books a seat: what the API then answers, whatever is asked."""

from __future__ import annotations

from typing import Any, Final

from hubspot_sync.portal.mock_types import MockType

PAIR: Final = {"student_id": "S1001", "email": "alice@example.org"}
NOW: Final = {"day": "2027-03-14", "at": "2027-03-01T09:30:00Z", "later": "2027-03-02T18:05:00Z"}
EXAM_ID: Final = "7001"
RECORD_ID: Final = "9001"
CONTACT: Final = {
    "id": "301",
    "firstname": "Alice",
    "lastname": "Moreau",
    "student_id": PAIR["student_id"],
}
EVENT: Final = {
    "eventId": 1,
    "subscriptionId": 12345,
    "portalId": 62515,
    "occurredAt": 1564113600000,
    "subscriptionType": "object.propertyChange",
    "objectTypeId": "2-50158913",
    "objectId": 123,
    "propertyName": "capacity",
    "propertyValue": "20",
}
PARTS: Final = ("database", "cache", "hubspot")


def make_answers(mock_type: MockType) -> dict[tuple[str, int], Any]:
    """Return the bodies of all successes, by operation and status."""
    booked = _booked(mock_type)
    detail = _succeed(_detail(mock_type), "The booking.")
    capacity = _succeed(_capacity(mock_type), "1 mock exams were counted.")
    comparison = _succeed(_comparison(), "20 entries compared, 1 drifted.")
    return {
        ("listBookings", 200): _succeed(_listed(mock_type), "The student's bookings."),
        ("getBooking", 200): detail,
        ("updateBooking", 200): detail | {"message": "The booking was changed."},
        ("createBooking", 201): booked,
        ("createBooking", 200): booked | {"data": {**booked["data"], "idempotent_request": True}},
        ("cancelBooking", 200): _succeed(_canceled(mock_type), "The booking was cancelled."),
        ("listAvailableExams", 200): _succeed([_available(mock_type)], "1 mock exams."),
        ("validateCredits", 200): _succeed(_credits(), "The credits were checked."),
        ("syncCapacity", 200): capacity,
        ("cronSyncCapacity", 200): capacity,
        ("receiveBookingSync", 200): _receipt(),
        ("getCacheStats", 200): _succeed(_stats(), "The cache in numbers."),
        ("invalidateCache", 200): _succeed(_invalidated(), "4 entries removed."),
        ("validateCache", 200): comparison,
        ("cronValidateCache", 200): comparison,
        ("cronValidateCacheByPost", 200): comparison,
        ("getHealth", 200): _flat(_health("healthy"), "Healthy."),
        ("getReadiness", 200): _flat(_readiness("ready", "ok"), "Ready."),
    }


def not_ready(code: str) -> dict[str, Any]:
    """Return what readiness says besides, where a part does not answer."""
    silent = "hubspot" if code == "HUBSPOT_UNAVAILABLE" else "database"
    found = _readiness("not ready", "ok")
    return found | {
        "error": f"No answer from: {silent}.",
        "checks": {**found["checks"], silent: "failed"},
    }


def _succeed(data: Any, message: str) -> dict[str, Any]:
    return {"success": True, "message": message, "data": data}


def _flat(data: dict[str, Any], message: str) -> dict[str, Any]:
    return data | _succeed(data, message)


def _exam(mock_type: MockType) -> dict[str, Any]:
    return {
        "id": EXAM_ID,
        "mock_type": mock_type.value,
        "exam_date": NOW["day"],
        "location": "Mississauga",
        "start_time": "09:00",
        "end_time": "12:30",
        "capacity": 20,
        "total_bookings": 13,
        "is_active": True,
    }


def _booking_id(mock_type: MockType) -> str:
    return f"{mock_type.value}-{PAIR['student_id']}-{NOW['day']}"


def _booking(mock_type: MockType) -> dict[str, Any]:
    return {
        "id": RECORD_ID,
        "booking_id": _booking_id(mock_type),
        "name": "Alice Moreau",
        "email": PAIR["email"],
        "dominant_hand": True,
        "status": "scheduled",
        "is_active": "true",
        "created_at": NOW["at"],
        "attending_location": "mississauga",
    }


def _detail(mock_type: MockType) -> dict[str, Any]:
    return {
        "booking": {**_booking(mock_type), "updated_at": NOW["later"]},
        "mock_exam": _exam(mock_type),
        "contact": CONTACT,
        "enrollment": {
            "id": "5001",
            "enrollment_id": "ENR-2027-0042",
            "course_id": "NDECC-27A",
            "enrollment_status": "Registered",
        },
    }


def _listed(mock_type: MockType) -> dict[str, Any]:
    exam = _exam(mock_type)
    shown = ("mock_type", "exam_date", "location", "start_time", "end_time")
    row = {
        **_booking(mock_type),
        "booking_number": _booking_id(mock_type),
        **{name: exam[name] for name in shown},
        "mock_exam_id": EXAM_ID,
        "mock_exam": {**exam, "is_active": "true"},
    }
    pages = {
        "current_page": 1,
        "total_pages": 1,
        "total_bookings": 1,
        "has_next": False,
        "has_previous": False,
        "page": 1,
        "limit": 20,
        "total": 1,
        "hasMore": False,
        "next": None,
    }
    return {"bookings": [row], "pagination": pages, "credits": {mock_type.credit_property: 4}}


def _booked(mock_type: MockType) -> dict[str, Any]:
    message = f"Your seat in the {mock_type.value} mock exam on {NOW['day']} is booked."
    data = {
        "booking_id": _booking_id(mock_type),
        "booking_record_id": RECORD_ID,
        "confirmation_message": message,
        "idempotency_key": "5b0a1d0e-7f3c-4f5e-9a51-2c7d8e9f0a1b",
        "exam_details": {
            "mock_exam_id": EXAM_ID,
            "exam_date": NOW["day"],
            "mock_type": mock_type.value,
            "location": "Mississauga",
        },
        "credit_details": {
            "credit_field_deducted": mock_type.credit_property,
            "remaining_credits": 4,
            "credit_breakdown": {
                "specific_credits_before_deduction": 5,
                "shared_credits_before_deduction": 0,
                "used_field": mock_type.credit_property,
            },
        },
        "associations": {
            "results": [
                {"type": "contact", "success": True},
                {"type": "mock_exam", "success": True},
            ],
            "warnings": [],
            "critical_success": True,
        },
    }
    return _succeed(data, message)


def _canceled(mock_type: MockType) -> dict[str, Any]:
    return {
        "booking_id": _booking_id(mock_type),
        "status": "cancelled",
        "cancelled_at": NOW["later"],
        "actions_completed": {
            "soft_delete": True,
            "note_created": True,
            "bookings_decremented": True,
            "credits_restored": True,
        },
        "credit_restoration": {
            "credit_type": mock_type.credit_property,
            "amount": 1,
            "new_balance": 5,
        },
        "reason": "I am ill.",
    }


def _available(mock_type: MockType) -> dict[str, Any]:
    exam = _exam(mock_type)
    return {"mock_exam_id": exam.pop("id"), **exam, "available_slots": 7, "status": "available"}


def _credits() -> dict[str, Any]:
    return {
        "eligible": True,
        "available_credits": 5,
        "credit_breakdown": {"specific_credits": 5, "shared_credits": 0},
        "contact_id": CONTACT["id"],
        "enrollment_id": "ENR-2027-0042",
        "student_name": "Alice Moreau",
    }


def _capacity(mock_type: MockType) -> dict[str, Any]:
    correction = {
        "examId": EXAM_ID,
        "examDate": NOW["day"],
        "mockType": mock_type.value,
        "previousCount": 15,
        "actualCount": 13,
        "difference": -2,
        "needsUpdate": True,
        "updated": True,
    }
    return {
        "summary": {
            "processed": 1,
            "successful": 1,
            "failed": 0,
            "updated": 1,
            "wouldUpdate": 0,
            "unchanged": 0,
            "totalCorrections": 2,
        },
        "mode": "live",
        "results": {"updated": [correction], "wouldUpdate": [], "unchanged": [], "failed": []},
    }


def _receipt() -> dict[str, Any]:
    counts = {"processed": 1, "duplicates": 0, "mockExamsUpdated": 1, "errors": 0}
    return {"success": True, **counts}


def _stats() -> dict[str, Any]:
    return {
        "hits": 720,
        "misses": 280,
        "enabled": True,
        "available": True,
        "backend": "redis",
        "totalKeys": 412,
        "keysByType": {"booking": 300, "mockexam": 112},
        "maxSize": 10_000,
        "estimatedHitRate": "72%",
        "hitRate": 0.72,
        "byFamily": {"booking": {"hits": 700, "misses": 200}},
        "memoryBytes": 181_204,
        "usedBytes": 260_118,
        "maxBytes": 134_217_728,
        "rolloutPercentage": 100.0,
        "refusedStores": {"invalidated": 2},
        "evictions": {"entries": 0, "bytes": 0},
        "unreadable": {"other version": 4},
        "invalidations": {"webhook": 31},
        "failures": {},
        "undelivered": False,
        "since": NOW["at"],
    }


def _invalidated() -> dict[str, Any]:
    by_family = {"contact": 1, "booking_page": 3}
    return {"scope": "student", "removed": 4, "byFamily": by_family, "delivered": True}


def _comparison() -> dict[str, Any]:
    counts = {"sampled": 20, "same": 19, "drifted": 1, "repaired": 1, "skipped": 0, "unknown": 0}
    drift = {
        "family": "booking",
        "key": f"booking:{RECORD_ID}:details",
        "verdict": "differs",
        "ageSeconds": 41.5,
        "difference": "attending_location",
        "repaired": True,
    }
    return {**counts, "complete": True, "byFamily": {"booking": counts}, "drifts": [drift]}


def _health(status: str) -> dict[str, Any]:
    return {"status": status, "timestamp": NOW["at"], "service": "mocks-booking-api"}


def _readiness(status: str, state: str) -> dict[str, Any]:
    checks = dict.fromkeys(PARTS, state)
    return {**_health(status), "checks": checks, "checked_s_ago": dict.fromkeys(PARTS, 2.4)}
