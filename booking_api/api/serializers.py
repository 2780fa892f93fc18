"""The fields of what is sent and answered: who a student is, a record's id, and bookings.

The fields of other endpoints stand with their views.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, get_args

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from rest_framework import serializers
from typing_extensions import override

from booking_api.queries.student_bookings import PageRequest
from booking_api.rules.booking_end import BookingStatus
from booking_api.rules.cursors import MAX_CURSOR_LENGTH
from booking_api.rules.pages import DEFAULT_PAGE_SIZE, FILTERS, MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from booking_api.rules.students import StudentPair
from hubspot_sync.portal.identities import normalize_email, normalize_student_id

MAX_PROPERTY_CHARS = 65_536
"""What HubSpot takes in a property that holds a line of text."""
MAX_BOOKING_ID_CHARS = 255
"""A booking's readable id: a mock type, a student id and a date, and then some."""
# HubSpot's ids are digits; anything else cannot be one, and is not worth a call.
# Of Unicode's categories: letters, the marks upon them, and numerals.
LETTERS = frozenset("LMN")
RECORD_ID_PATTERN = re.compile(r"\A[0-9]{1,20}\Z")


def is_record_id(text: str) -> bool:
    """Return whether `text` can be the id of a record in HubSpot."""
    return RECORD_ID_PATTERN.match(text) is not None


class SentText:
    """A text in what is sent, and no number that could be read as one."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, int | float):
            self.fail("invalid")  # type: ignore[attr-defined]  # a mixin of fields, which have it
        value: str = super().to_internal_value(data)  # type: ignore[misc]  # likewise
        return value


class SentTextField(SentText, serializers.CharField):
    """A text."""


class EmailAddressValidator(EmailValidator):
    """Django's, for an address as it is compared: letters beyond ASCII are as good as others before
    the @, and behind it the domain is ASCII by now if it is one."""

    @override
    def __call__(self, value: Any) -> None:
        local, _, domain = str(value).rpartition("@")
        if not domain.isascii():
            raise ValidationError(self.message, code=self.code)
        super().__call__(f"{''.join(map(self._stand_in, local))}@{domain}")

    def _stand_in(self, sign: str) -> str:
        is_letter = not sign.isascii() and unicodedata.category(sign)[0] in LETTERS
        return "x" if is_letter else sign


class SentEmailField(SentText, serializers.EmailField):
    """An e-mail address, as it is compared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        message = str(self.error_messages["invalid"])
        others = [one for one in self.validators if not isinstance(one, EmailValidator)]
        self.validators = [*others, EmailAddressValidator(message=message)]

    @override
    def to_internal_value(self, data: Any) -> str:
        return normalize_email(super().to_internal_value(data))


class RecordIdField(serializers.RegexField):
    """The id of a record in HubSpot; as a number, too, as HubSpot's own events have it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(RECORD_ID_PATTERN, **options)


class StudentIdField(SentText, serializers.RegexField):
    """A student id; lower case is taken for upper case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(r"\A[A-Z0-9]+\Z", max_length=64, **options)

    @override
    def to_internal_value(self, data: Any) -> str:
        return normalize_student_id(super().to_internal_value(data))


class MockTypeField(SentTextField):
    """The value of one of the portal's mock types; validation.py looks it up."""


class FamilyField(SentTextField):
    """The name of one of the cache's families; what it is used for looks it up."""


class SentBooleanField(serializers.BooleanField):
    """True or false in what is sent: JSON's own, or a text that says so, but no number."""

    words = frozenset(
        {*serializers.BooleanField.TRUE_VALUES, *serializers.BooleanField.FALSE_VALUES}
    )

    @override
    def to_internal_value(self, data: Any) -> bool:
        if isinstance(data, int | float) and not isinstance(data, bool):
            self.fail("invalid", input=data)
        return super().to_internal_value(data)


class PairFields(serializers.Serializer[Any]):
    """The fields by which a student says who they are."""

    student_id = StudentIdField()
    email = SentEmailField(max_length=254)


def pair_of(values: Mapping[str, Any]) -> StudentPair:
    """Return the pair among checked values."""
    return StudentPair(student_id=values["student_id"], email=values["email"])


class BookingListQuery(PairFields):
    filter = serializers.ChoiceField(
        choices=FILTERS, default="all", allow_blank=True, help_text="Empty, it is `all`."
    )
    page = serializers.IntegerField(
        min_value=1,
        max_value=MAX_PAGE_NUMBER,
        default=1,
        help_text="Past the last one there are no bookings.",
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=MAX_PAGE_SIZE, default=DEFAULT_PAGE_SIZE
    )
    after = serializers.CharField(
        max_length=MAX_CURSOR_LENGTH,
        default="",
        allow_blank=True,
        help_text="A cursor from `pagination.next` of the same student and filter; `page` is then "
        "ignored.",
    )


def page_request_of(contact_id: str, values: Mapping[str, Any]) -> PageRequest:
    """Return the question of a checked query about this contact."""
    return PageRequest(
        contact_id=contact_id,
        filter=values["filter"] or "all",
        page=values["page"],
        limit=values["limit"],
        after=values["after"] or None,
    )


class ExamFields(serializers.Serializer[Any]):
    """A mock exam beside its booking."""

    id = serializers.CharField()
    mock_type = serializers.CharField()
    exam_date = serializers.DateField(allow_null=True)
    location = serializers.CharField()
    start_time = serializers.CharField()
    end_time = serializers.CharField()
    capacity = serializers.IntegerField()
    total_bookings = serializers.IntegerField()
    is_active = serializers.BooleanField()


class ListedExamFields(ExamFields):
    """The same in a row of the list, where frontends look for a text."""

    is_active = serializers.ChoiceField(choices=["true", "false"])  # type: ignore[assignment]  # see above


class ListedBookingFields(serializers.Serializer[Any]):
    """A row of the list; what the exam says wins over what the booking remembers of it."""

    id = serializers.CharField(source="booking.id")
    booking_id = serializers.CharField(source="booking.booking_id")
    booking_number = serializers.CharField(source="booking.booking_id")
    name = serializers.CharField(source="booking.name")
    email = serializers.CharField(source="booking.email")
    dominant_hand = serializers.BooleanField()
    attending_location = serializers.CharField(source="booking.attending_location")
    mock_type = serializers.CharField()
    exam_date = serializers.DateField(allow_null=True)
    location = serializers.CharField(source="exam.location", allow_null=True)
    start_time = serializers.CharField(source="exam.start_time", allow_null=True)
    end_time = serializers.CharField(source="exam.end_time", allow_null=True)
    is_active = serializers.CharField(source="booking.is_active")
    status = serializers.ChoiceField(get_args(BookingStatus))
    created_at = serializers.DateTimeField(source="booking.created_at", allow_null=True)
    mock_exam_id = serializers.CharField(allow_null=True)
    mock_exam = ListedExamFields(source="exam", allow_null=True)


class PaginationFields(serializers.Serializer[Any]):
    """The old names and the new; each pair says the same."""

    current_page = serializers.IntegerField(source="number")
    total_pages = serializers.IntegerField()
    total_bookings = serializers.IntegerField(source="total")
    has_next = serializers.BooleanField()
    has_previous = serializers.BooleanField()
    page = serializers.IntegerField(source="number")
    limit = serializers.IntegerField()
    total = serializers.IntegerField()
    hasMore = serializers.BooleanField(source="has_next")  # noqa: N815 - the contract's name
    next = serializers.CharField(allow_null=True)


class BookingListFields(serializers.Serializer[Any]):
    """What `queries/page_rendering.py` writes, for the documentation."""

    bookings = ListedBookingFields(many=True, source="page.values")
    pagination = PaginationFields(source="page")
    credits = serializers.DictField(child=serializers.IntegerField())


class BookingFields(serializers.Serializer[Any]):
    """The booking itself, in the detail."""

    id = serializers.CharField(source="booking.id")
    booking_id = serializers.CharField(source="booking.booking_id")
    name = serializers.CharField(source="booking.name")
    email = serializers.CharField(source="booking.email")
    dominant_hand = serializers.BooleanField()
    status = serializers.ChoiceField(get_args(BookingStatus))
    is_active = serializers.CharField(source="booking.is_active")
    created_at = serializers.DateTimeField(source="booking.created_at", allow_null=True)
    updated_at = serializers.DateTimeField(source="booking.updated_at", allow_null=True)
    attending_location = serializers.CharField(source="booking.attending_location")


class ContactFields(serializers.Serializer[Any]):
    id = serializers.CharField()
    firstname = serializers.CharField()
    lastname = serializers.CharField()
    student_id = serializers.CharField()


class EnrollmentFields(serializers.Serializer[Any]):
    id = serializers.CharField()
    enrollment_id = serializers.CharField()
    course_id = serializers.CharField()
    enrollment_status = serializers.CharField()


class BookingDetailFields(serializers.Serializer[Any]):
    booking = BookingFields(source="*")
    mock_exam = ExamFields(source="exam", allow_null=True)
    contact = ContactFields()
    enrollment = EnrollmentFields(allow_null=True)


class CreateAskedFields(PairFields):
    """A seat wanted; the mock type's extra fields come besides."""

    contact_id = RecordIdField()
    mock_exam_id = RecordIdField()
    name = SentTextField(min_length=2, max_length=100)
    exam_date = serializers.DateField()
    mock_type = MockTypeField(max_length=100)
    dominant_hand = SentBooleanField(
        required=False, allow_null=True, help_text="Where the mock type asks for it."
    )
    attending_location = SentTextField(
        max_length=MAX_PROPERTY_CHARS,
        required=False,
        allow_null=True,
        help_text="Where the mock type asks for it.",
    )


class CancelAskedFields(PairFields):
    reason = SentTextField(
        max_length=500, required=False, allow_blank=True, allow_null=True, default=""
    )


class UpdateAskedFields(PairFields):
    """New values for fields that students may edit."""

    dominant_hand = SentBooleanField(required=False)
    attending_location = SentTextField(max_length=MAX_PROPERTY_CHARS, required=False)


class ExamDetailsFields(serializers.Serializer[Any]):
    mock_exam_id = serializers.CharField()
    exam_date = serializers.DateField()
    mock_type = serializers.CharField()
    location = serializers.CharField()


class SpentBreakdownFields(serializers.Serializer[Any]):
    specific_credits_before_deduction = serializers.IntegerField()
    shared_credits_before_deduction = serializers.IntegerField()
    used_field = serializers.CharField()


class CreditDetailsFields(serializers.Serializer[Any]):
    credit_field_deducted = serializers.CharField()
    remaining_credits = serializers.IntegerField(help_text="Left of the credit charged.")
    credit_breakdown = SpentBreakdownFields()


class AssociationFields(serializers.Serializer[Any]):
    type = serializers.CharField()
    success = serializers.BooleanField()


class AssociationsFields(serializers.Serializer[Any]):
    results = AssociationFields(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    critical_success = serializers.BooleanField()


class BookedFields(serializers.Serializer[Any]):
    booking_id = serializers.CharField()
    booking_record_id = serializers.CharField()
    confirmation_message = serializers.CharField()
    idempotency_key = serializers.CharField()
    exam_details = ExamDetailsFields()
    credit_details = CreditDetailsFields()
    associations = AssociationsFields()
    idempotent_request = serializers.BooleanField(
        required=False, help_text="Only where an earlier request was answered again."
    )


class ActionsFields(serializers.Serializer[Any]):
    soft_delete = serializers.BooleanField()
    note_created = serializers.BooleanField(help_text="The note is safely queued.")
    bookings_decremented = serializers.BooleanField()
    credits_restored = serializers.BooleanField()


class RestorationFields(serializers.Serializer[Any]):
    credit_type = serializers.CharField()
    amount = serializers.IntegerField()
    new_balance = serializers.IntegerField()


class CanceledFields(serializers.Serializer[Any]):
    booking_id = serializers.CharField()
    status = serializers.ChoiceField(["cancelled"])
    cancelled_at = serializers.DateTimeField()
    actions_completed = ActionsFields()
    credit_restoration = RestorationFields(allow_null=True)
    reason = serializers.CharField(required=False)
