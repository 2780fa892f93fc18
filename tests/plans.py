"""Plans as the journal has them: as the releases of each time wrote them, word for word."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def booked(record_id: str = "") -> Json:
    """What a create is answered with."""
    return {
        "booking_id": "Situational Judgment-S1-2026-12-01",
        "booking_record_id": record_id,
        "confirmation_message": "Your seat in the exam is booked.",
        "idempotency_key": "left",
        "exam_details": {
            "mock_exam_id": "501",
            "exam_date": "2026-12-01",
            "mock_type": "Situational Judgment",
            "location": "Mississauga",
        },
        "credit_details": {
            "credit_field_deducted": "sj_credits",
            "remaining_credits": 3,
            "credit_breakdown": {
                "specific_credits_before_deduction": 4,
                "shared_credits_before_deduction": 0,
                "used_field": "sj_credits",
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


def canceled(credit: str = "sj_credits", **more: str) -> Json:
    """What a cancel is answered with; `credit` "" where none is given back."""
    restored = {"credit_type": credit, "amount": 1, "new_balance": 5}
    return {
        "booking_id": "Situational Judgment-S1-2026-12-01",
        "status": "cancelled",
        "cancelled_at": "2026-11-26T05:00:00Z",
        "actions_completed": {
            "soft_delete": True,
            "note_created": True,
            "bookings_decremented": True,
            "credits_restored": credit != "",
        },
        "credit_restoration": restored if credit else None,
        **more,
    }


CREATES: dict[str, Json] = {
    "first desk": {"properties": {"name": "Ann"}, "seat_number": 7, "answer": booked()},
    "another seat": {
        "properties": {"name": "Ann"},
        "seat_number": 9,
        "answer": booked(),
        "refused_seats": [7, 8],
    },
    "unexplained conflict": {
        "properties": {"name": "Ann"},
        "seat_number": 8,
        "answer": booked(),
        "unexplained_conflicts": 1,
        "refused_seats": [7],
    },
    "taken back": {
        "properties": {"name": "Ann"},
        "seat_number": 7,
        "answer": booked("901"),
        "reason": "A rule forbids it: the booking was taken back.",
    },
    "merged contacts": {
        "properties": {"name": "Ann"},
        "seat_number": 7,
        "answer": booked("901"),
        "merged_contacts": ["101", "102"],
    },
}
CANCELS: dict[str, Json] = {
    "first desk": {"answer": canceled()},
    "without a credit": {"answer": canceled("", reason="ill")},
    "named exam": {"answer": canceled(), "mock_exam": "Situational Judgment on 2026-12-01"},
    "asked by another": {"asked_by": "103", "answer": canceled(), "mock_exam": ""},
    "owed": {"answer": canceled(), "mock_exam": "", "is_owed": True},
    "merged contacts": {"merged_contacts": ["101"], "answer": canceled(), "mock_exam": ""},
    "seen at": {
        "booking_seen_at": "2026-11-26T05:00:00.123000+00:00",
        "answer": canceled(),
        "mock_exam": "Situational Judgment on 2026-12-01",
    },
    "not known when": {"booking_seen_at": "", "answer": canceled(), "mock_exam": ""},
}
UPDATES: dict[str, Json] = {
    "first desk": {"properties": {"attending_location": "Here"}, "answer": {"booking_id": "901"}},
    "seen at": {
        "booking_seen_at": "2026-11-26T05:00:00+00:00",
        "properties": {"attending_location": "Here"},
        "answer": {"booking_id": "901"},
    },
    "not known when": {
        "booking_seen_at": "",
        "properties": {"attending_location": "Here"},
        "answer": {"booking_id": "901"},
        "merged_contacts": ["101"],
    },
}
