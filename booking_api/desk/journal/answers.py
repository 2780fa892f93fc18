"""What requests are answered with, typed, and as JSON for the journal: the contract's `data` field
by field once they are carried out, or their refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace

from booking_api.desk.errors import InternalError
from booking_api.desk.journal.stored_json import NotUnderstood, read_stored, to_stored
from booking_api.rules.errors import BookingError, InvalidRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamDetails:
    mock_exam_id: str
    exam_date: str
    mock_type: str
    location: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SpentBreakdown:
    specific_credits_before_deduction: int
    shared_credits_before_deduction: int
    used_field: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditDetails:
    credit_field_deducted: str
    remaining_credits: int
    credit_breakdown: SpentBreakdown


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeLink:
    type: str
    success: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Associations:
    results: tuple[MadeLink, ...]
    warnings: tuple[str, ...]
    critical_success: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class BookedAnswer:
    """Of a 201. `booking_record_id` is "" until there is a record."""

    booking_id: str
    booking_record_id: str
    confirmation_message: str
    idempotency_key: str
    exam_details: ExamDetails
    credit_details: CreditDetails
    associations: Associations

    def with_record(self, record_id: str) -> BookedAnswer:
        return replace(self, booking_record_id=record_id)

    def with_remaining(self, credits_: int) -> BookedAnswer:
        """Return the answer for a charge that has left so many credits."""
        return replace(
            self, credit_details=replace(self.credit_details, remaining_credits=credits_)
        )

    def with_warnings(self, warnings: tuple[str, ...]) -> BookedAnswer:
        return replace(self, associations=replace(self.associations, warnings=warnings))

    def to_json(self) -> dict[str, object]:
        return to_stored(self)

    @classmethod
    def from_json(cls, stored: object) -> BookedAnswer:
        """Raises NotUnderstood."""
        return read_stored(stored, cls)


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionsCompleted:
    soft_delete: bool
    note_created: bool
    bookings_decremented: bool
    credits_restored: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditRestoration:
    credit_type: str
    amount: int
    new_balance: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CanceledAnswer:
    """Of a cancel. `credit_restoration` is None where no credit is given back; `reason` is the
    student's, if they gave one."""

    booking_id: str
    status: str
    cancelled_at: str
    actions_completed: ActionsCompleted
    credit_restoration: CreditRestoration | None
    reason: str = ""

    def with_balance(self, credits_: int) -> CanceledAnswer:
        """Return the answer for a credit given back that has left so many."""
        if self.credit_restoration is None:
            raise ValueError("No credit is given back.")
        restored = replace(self.credit_restoration, new_balance=credits_)
        return replace(self, credit_restoration=restored)

    def without_credit(self) -> CanceledAnswer:
        """Return the answer with nothing said to be restored."""
        done = replace(self.actions_completed, credits_restored=False)
        return replace(self, actions_completed=done, credit_restoration=None)

    def to_json(self) -> dict[str, object]:
        return to_stored(self)

    @classmethod
    def from_json(cls, stored: object) -> CanceledAnswer:
        """Raises NotUnderstood."""
        return read_stored(stored, cls)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedAnswer:
    """Of an update; the API answers with the booking as it is then."""

    booking_id: str

    def to_json(self) -> dict[str, object]:
        return to_stored(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a request was refused, as a BookingError says it. `reasons` are an InvalidRequest's."""

    code: str
    message: str
    reasons: tuple[str, ...] | None = None
    retry_after_s: int | None = None

    @classmethod
    def of(cls, error: BookingError) -> Refusal:
        return cls(
            code=error.code,
            message=error.message,
            reasons=tuple(error.reasons) if isinstance(error, InvalidRequest) else None,
            retry_after_s=error.retry_after_s,
        )

    def error(self) -> BookingError:
        """Return the error that was stored."""
        error_class = _classes_by_code(BookingError).get(self.code, InternalError)
        said = (self.message,) if self.reasons is None else self.reasons
        error = error_class(*said)
        error.retry_after_s = self.retry_after_s
        return error

    def to_json(self) -> dict[str, object]:
        return to_stored(self)

    @classmethod
    def from_json(cls, stored: object) -> Refusal:
        """Raises NotUnderstood."""
        return read_stored(stored, cls)


def refusal_code(stored: object) -> str:
    """Return the code of a stored refusal; of one that is forgotten, or not understood, our own."""
    try:
        return Refusal.from_json(stored).code
    except NotUnderstood:
        return InternalError.code


def _classes_by_code(base: type[BookingError]) -> dict[str, type[BookingError]]:
    """Return the classes below `base`; of several with one code the first defined."""
    classes: dict[str, type[BookingError]] = {}
    for error_class in base.__subclasses__():
        if hasattr(error_class, "code"):
            classes.setdefault(error_class.code, error_class)
        for code, subclass in _classes_by_code(error_class).items():
            classes.setdefault(code, subclass)
    return classes
