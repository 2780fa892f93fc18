"""What a student can be told instead of an answer, as a tree.

    BookingError          carries `code`, the contract's word for it
    ├── WrongPair         student id and e-mail are not one contact's; counted against guessing
    │   ├── AuthFailed        the answer of everything that shows or changes bookings
    │   ├── StudentNotFound   no contact has that student id   (validate-credits only)
    │   └── EmailMismatch     another e-mail is that student's (validate-credits only)
    ├── AccessDenied      somebody else's booking, or somebody else's credits
    ├── ContactNotFound, ExamNotFound, BookingNotFound
    ├── ExamNotActive, ExamMismatch, ExamFull, DuplicateBooking, InsufficientCredits
    ├── AlreadyCanceled
    ├── MissingBookingId
    └── InvalidRequest    understood, but not acceptable; `reasons` has a sentence each
        └── TooManyExams

Which HTTP status a code has is the API's business. Frontends look for "not found", "Email does not
match" and "credit" in the sentences of StudentNotFound, EmailMismatch and InsufficientCredits.
"""

from __future__ import annotations

from typing import ClassVar


class BookingError(Exception):
    """Raised where the reason is known; the message is a sentence for a person."""

    code: ClassVar[str]
    default_message: ClassVar[str]
    retry_after_s: int | None = None
    """Seconds after which asking again makes sense, None where it does not."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message
        self.details: dict[str, str] = {}
        """Further fields of the answer, such as the idempotency key to ask again with."""


class WrongPair(BookingError):
    """Base of the answers to a student id and an e-mail that do not belong together."""


class AuthFailed(WrongPair):
    code = "AUTH_FAILED"
    default_message = "Student ID and e-mail do not match."


class StudentNotFound(WrongPair):
    code = "STUDENT_NOT_FOUND"
    default_message = "Student not found: nobody has this student ID."


class EmailMismatch(WrongPair):
    code = "EMAIL_MISMATCH"
    default_message = "Email does not match this student ID."


class AccessDenied(BookingError):
    code = "ACCESS_DENIED"
    default_message = "This booking belongs to another student."


class BookingNotFound(BookingError):
    code = "BOOKING_NOT_FOUND"
    default_message = "There is no such booking."


class ContactNotFound(BookingError):
    code = "CONTACT_NOT_FOUND"
    default_message = "There is no such contact."


class ExamNotFound(BookingError):
    code = "EXAM_NOT_FOUND"
    default_message = "There is no such mock exam."


class ExamNotActive(BookingError):
    code = "EXAM_NOT_ACTIVE"
    default_message = "This mock exam cannot be booked any more."


class ExamMismatch(BookingError):
    code = "EXAM_MISMATCH"
    default_message = "The date or the type is not this mock exam's."


class ExamFull(BookingError):
    code = "EXAM_FULL"
    default_message = "This mock exam is full."


class DuplicateBooking(BookingError):
    code = "DUPLICATE_BOOKING"
    default_message = "You have a booking for this type of mock exam on that day already."


class InsufficientCredits(BookingError):
    code = "INSUFFICIENT_CREDITS"
    default_message = "You have no credit left for this type of mock exam."


class AlreadyCanceled(BookingError):
    code = "ALREADY_CANCELED"
    default_message = "This booking has been cancelled already."


class MissingBookingId(BookingError):
    code = "MISSING_BOOKING_ID"
    default_message = "The address needs a booking's id."


class InvalidRequest(BookingError):
    code = "VALIDATION_ERROR"
    default_message = "The request is not valid."

    def __init__(self, *reasons: str) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = reasons


class TooManyExams(InvalidRequest):
    code = "TOO_MANY_EXAMS"
    default_message = "Too many mock exams at once."
