"""The calls of a create and of a cancel, by their paths in the default portal, and their faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTACTS, BOOKINGS, EXAMS, NOTES = "0-1", "2-50158943", "2-50158913", "0-46"
READS = {
    "contacts": f"/{CONTACTS}/batch/read",
    "exams": f"objects/.*/{EXAMS}/batch/read",
    "bookings": f"objects/.*/{BOOKINGS}/batch/read",
    "exams>bookings": f"/{EXAMS}/{BOOKINGS}/batch/read",
    "contacts>bookings": f"/{CONTACTS}/{BOOKINGS}/batch/read",
    "bookings>exams": f"/{BOOKINGS}/{EXAMS}/batch/read",
    "bookings>contacts": f"/{BOOKINGS}/{CONTACTS}/batch/read",
}
WRITES = {
    "credits": f"/{CONTACTS}/batch/update",
    "count": f"/{EXAMS}/batch/update",
    "note": f"/{NOTES}/batch/create",
}
OF_A_CREATE = {
    **{name: READS[name] for name in READS if not name.startswith("bookings>")},
    "create": f"/{BOOKINGS}/batch/create",
    **WRITES,
}
OF_A_CANCEL = {
    **{name: READS[name] for name in READS if name != "contacts>bookings"},
    # One exam is read alone, and its bookings by a call of their own where it does not tell them.
    "exams": rf"objects/.*/{EXAMS}/\d+",
    "bookings again": READS["bookings"],
    "cancel": f"/{BOOKINGS}/batch/update",
    **WRITES,
}
# One with a policy would pause all calls for a second.
WITHOUT_A_POLICY = {"status": "error", "message": "Too many.", "errorType": "RATE_LIMIT"}
NOT_NOW: Mapping[str, Any] = {"action": "status", "status": 429, "body": WITHOUT_A_POLICY}
FAULTS: dict[str, Mapping[str, Any]] = {
    "429": NOT_NOW,
    "500": {"action": "status", "status": 500},
    "cut before": {"action": "cut_before"},
    "cut after": {"action": "cut_after"},
    "207 for one": {"action": "partial", "last": 1},
}
