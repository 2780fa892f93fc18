"""What the desk is asked to do: typed, and as JSON for the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from booking_api.desk.journal.models import RequestKind
from booking_api.desk.journal.stored_json import read_stored, to_stored
from booking_api.rules.students import StudentPair

R = TypeVar("R")


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

    def to_json(self) -> dict[str, object]:
        return _to_json(self)

    @classmethod
    def from_json(cls, stored: object) -> CreateRequest:
        """Raises NotUnderstood."""
        return _from_json(stored, cls)


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelRequest:
    """A booking to be cancelled; `reason` may be empty."""

    pair: StudentPair
    booking_id: str
    reason: str

    kind = RequestKind.CANCEL

    def to_json(self) -> dict[str, object]:
        return _to_json(self)

    @classmethod
    def from_json(cls, stored: object) -> CancelRequest:
        """Raises NotUnderstood."""
        return _from_json(stored, cls)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateRequest:
    """New values for a booking's editable fields, as callers send them."""

    pair: StudentPair
    booking_id: str
    fields: Mapping[str, str | bool]

    kind = RequestKind.UPDATE

    def to_json(self) -> dict[str, object]:
        return _to_json(self)

    @classmethod
    def from_json(cls, stored: object) -> UpdateRequest:
        """Raises NotUnderstood."""
        return _from_json(stored, cls)


DeskRequest = CreateRequest | CancelRequest | UpdateRequest


def _to_json(request: DeskRequest) -> dict[str, object]:
    """The pair's two fields stand among the others; fingerprints are made of this."""
    stored = to_stored(request)
    del stored["pair"]
    return {**to_stored(request.pair), **stored}


def _from_json(stored: object, wanted: type[R]) -> R:
    whole = {**stored, "pair": stored} if isinstance(stored, dict) else stored
    return read_stored(whole, wanted)
