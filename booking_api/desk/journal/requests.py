"""What the desk is asked to do: typed, and as JSON for the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from booking_api.desk.journal.models import RequestKind
from booking_api.rules.students import StudentPair


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateRequest:
    """A seat wanted. `fields` are the mock type's extra fields, as callers send them."""

    pair: StudentPair
    contact_id: str
    mock_exam_id: str
    name: str
    exam_date: date
    mock_type: str
    fields: Mapping[str, str | bool]

    kind = RequestKind.CREATE

    def to_json(self) -> dict[str, Any]:
        return {
            **_pair_to_json(self.pair),
            "contact_id": self.contact_id,
            "mock_exam_id": self.mock_exam_id,
            "name": self.name,
            "exam_date": self.exam_date.isoformat(),
            "mock_type": self.mock_type,
            "fields": dict(self.fields),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> CreateRequest:
        return cls(
            pair=_pair_from_json(stored),
            contact_id=stored["contact_id"],
            mock_exam_id=stored["mock_exam_id"],
            name=stored["name"],
            exam_date=date.fromisoformat(stored["exam_date"]),
            mock_type=stored["mock_type"],
            fields=stored["fields"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelRequest:
    """A booking to be cancelled; `reason` may be empty."""

    pair: StudentPair
    booking_id: str
    reason: str

    kind = RequestKind.CANCEL

    def to_json(self) -> dict[str, Any]:
        return {**_pair_to_json(self.pair), "booking_id": self.booking_id, "reason": self.reason}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> CancelRequest:
        return cls(
            pair=_pair_from_json(stored), booking_id=stored["booking_id"], reason=stored["reason"]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateRequest:
    """New values for a booking's editable fields, as callers send them."""

    pair: StudentPair
    booking_id: str
    fields: Mapping[str, str | bool]

    kind = RequestKind.UPDATE

    def to_json(self) -> dict[str, Any]:
        return {
            **_pair_to_json(self.pair),
            "booking_id": self.booking_id,
            "fields": dict(self.fields),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> UpdateRequest:
        return cls(
            pair=_pair_from_json(stored), booking_id=stored["booking_id"], fields=stored["fields"]
        )


DeskRequest = CreateRequest | CancelRequest | UpdateRequest


def _pair_to_json(pair: StudentPair) -> dict[str, str]:
    return {"student_id": pair.student_id, "email": pair.email}


def _pair_from_json(stored: Mapping[str, Any]) -> StudentPair:
    return StudentPair(student_id=stored["student_id"], email=stored["email"])
