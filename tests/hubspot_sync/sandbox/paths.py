"""The paths the sandbox's own tests use, in the newest family."""

from __future__ import annotations

CONTACTS = "0-1"
BOOKINGS = "2-50158943"
EXAMS = "2-50158913"
V = "2026-09"


def objects(object_type: str, rest: str = "", family: str = V) -> str:
    return f"/crm/objects/{family}/{object_type}{rest}"


def pairs(from_type: str, to_type: str, rest: str) -> str:
    return f"/crm/associations/{V}/{from_type}/{to_type}{rest}"


def linked(to_id: str, type_id: int, category: str = "USER_DEFINED") -> dict[str, object]:
    """An inline association."""
    kind = {"associationCategory": category, "associationTypeId": type_id}
    return {"to": {"id": to_id}, "types": [kind]}
