"""A student's bookings over HTTP: seen from the cache, changed by the booking desk."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from booking_api import composition
from booking_api.api.context import Reuse, context_of
from booking_api.api.envelope import answer, answer_rendered
from booking_api.api.schema.answers import KeyedErrorFields, envelope
from booking_api.api.schema.operations import (
    OF_A_BOOKING,
    OF_STUDENTS,
    OF_THE_DESK,
    Operation,
    codes,
    documented,
)
from booking_api.api.serializers import (
    MAX_BOOKING_ID_CHARS,
    BookedFields,
    BookingDetailFields,
    BookingListFields,
    BookingListQuery,
    CancelAskedFields,
    CanceledFields,
    CreateAskedFields,
    PairFields,
    UpdateAskedFields,
    is_record_id,
    page_request_of,
    pair_of,
)
from booking_api.api.student_gate import Admitted, admit_student, turn_away
from booking_api.api.throttling import ReadThrottle, StudentReadThrottle, StudentWriteThrottle
from booking_api.api.validation import (
    check_edited_fields,
    check_extra_fields,
    drop_fields_of_other_types,
    find_mock_type,
    validate_body_or_query,
    validate_fields,
    validate_query,
)
from booking_api.api.views.student_view_set import StudentViewSet
from booking_api.desk.journal.models import RequestKind
from booking_api.desk.journal.requests import (
    CancelRequest,
    CreateRequest,
    DeskRequest,
    UpdateRequest,
)
from booking_api.desk.reception import Asking, DeskAnswer
from booking_api.ops.history.process import history
from booking_api.ops.metrics import metrics
from booking_api.ops.metrics.requests import OTHER
from booking_api.queries.booking_detail import find_booking_detail
from booking_api.queries.booking_names import find_named_booking
from booking_api.queries.page_rendering import add_credits, count_rows, put_number
from booking_api.queries.student_bookings import normalize_page_request
from booking_api.rules.errors import (
    BookingError,
    InvalidRequest,
    MissingBookingId,
    WrongPair,
)
from booking_api.rules.students import StudentPair

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENCY_KEY_PATTERN = re.compile(r"[!-~]{1,255}")
IDEMPOTENCY_HEADERS = ("Idempotency-Key", "X-Idempotency-Key")
BOOKING_ID_PARAMETER = OpenApiParameter(
    "booking_id",
    {"type": "string", "minLength": 1, "maxLength": MAX_BOOKING_ID_CHARS},
    OpenApiParameter.PATH,
    description="The booking's record id, or the readable `booking_id` of one of the student's own "
    "bookings, whatever its case; of several with that name the active one is meant, else the "
    "newest.",
)
IDEMPOTENCY_KEY_PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY_PATTERN.pattern}$", "maxLength": 255},
    OpenApiParameter.HEADER,
    description="Makes a request safe to repeat: the same key with the same body gets the first "
    "answer again. `X-Idempotency-Key` is taken as well.",
)
BOOKED = {201: "made", 200: "repeated"}
NOT_YOUR_CONTACT = "This contact is not yours."

LIST = Operation(id="listBookings", codes=codes(OF_STUDENTS))
DETAIL = Operation(id="getBooking", codes=codes(OF_A_BOOKING))
CREATE = Operation(
    id="createBooking",
    codes=codes(
        OF_THE_DESK,
        *("EXAM_NOT_ACTIVE", "EXAM_FULL", "EXAM_MISMATCH", "DUPLICATE_BOOKING"),
        *("INSUFFICIENT_CREDITS", "ACCESS_DENIED", "CONTACT_NOT_FOUND", "EXAM_NOT_FOUND"),
        *("ALREADY_CANCELED", "REQUEST_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"),
    ),
    sentences={"ACCESS_DENIED": NOT_YOUR_CONTACT},
)
UPDATE = Operation(id="updateBooking", codes=codes(OF_THE_DESK, OF_A_BOOKING, "ALREADY_CANCELED"))
CANCEL = Operation(id="cancelBooking", codes=codes(OF_THE_DESK, OF_A_BOOKING, "ALREADY_CANCELED"))


def read_idempotency_key(request: Request) -> str | None:
    """Return the caller's key, None where there is none; raise InvalidRequest for one that cannot
    be."""
    sent = {request.headers[name] for name in IDEMPOTENCY_HEADERS if name in request.headers}
    if len(sent) == 0:
        return None
    key = sent.pop()
    if len(sent) > 0 or IDEMPOTENCY_KEY_PATTERN.fullmatch(key) is None:
        raise InvalidRequest(
            "Idempotency-Key: must be one key of 1 to 255 letters, digits and signs of ASCII."
        )
    return key


class BookingViewSet(StudentViewSet):
    """`/api/bookings/…`: what is changed, the desk decides, from what HubSpot says now."""

    throttle_classes: tuple[type[ReadThrottle], ...] = ()
    asked_type = OTHER
    """The mock type that is to be booked, once it is known to be one."""

    @override
    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """DRF's; and bookings are counted, whatever became of them."""
        if self.action == "create":
            outcome = BOOKED.get(response.status_code) or response.data["code"]
            metrics().requests.observe_booking(self.asked_type, outcome)
            history().observers.observe_booking(outcome)
        return super().finalize_response(request, response, *args, **kwargs)

    def _admit(self, request: Request, pair: StudentPair) -> Admitted:
        """Let a student in, and count the request for them: what others ask in their name is not
        counted for them. Raises what the gate raises, and Throttled."""
        reads = request.method in READING_METHODS
        throttle = StudentReadThrottle() if reads else StudentWriteThrottle()
        # Who will be told to wait does not spend what is kept for bookings.
        context_of(request).is_for_desk = not reads and throttle.has_room(request)
        student = admit_student(request, pair)
        if not throttle.allow_request(request, self):
            raise Throttled(throttle.wait())
        return student

    @documented(
        LIST,
        tag="Bookings",
        summary="A student's bookings, a page at a time",
        description="`upcoming` and `past` leave cancelled bookings out; every page but the last "
        "is full. A booking whose exam is gone has `mock_exam: null`.",
        parameters=[BookingListQuery],
        answers={200: envelope(LIST.id, BookingListFields())},
    )
    def list(self, request: Request) -> HttpResponse:
        sent = request.query_params.dict()
        if sent.get("after", "") != "":
            sent.pop("page", None)
        values = validate_query(BookingListQuery, sent)
        student = self._admit(request, pair_of(values))
        query, contact = student.query, student.contact
        asked = normalize_page_request(query, page_request_of(contact.id, values))
        page = query.reads.booking_page(asked.key_arguments(), query.call)
        if asked.after is None:
            page = put_number(page, values["page"])
        credits_left = query.reads.all_credits(contact.id, query.call)
        context_of(request).items = count_rows(page)
        context_of(request).reuse = reuse_for(student)
        return answer_rendered(add_credits(page, credits_left), "The student's bookings.")

    @documented(
        DETAIL,
        tag="Bookings",
        summary="One booking with its exam and its student",
        description="Only the student whose booking it is gets to see it.",
        parameters=[BOOKING_ID_PARAMETER, PairFields],
        answers={200: envelope(DETAIL.id, BookingDetailFields())},
    )
    def retrieve(self, request: Request, booking_id: str) -> Response:
        pair = pair_of(validate_query(PairFields, request.query_params.dict()))
        student, record_id = self._admit_to_booking(request, booking_id, pair)
        found = find_booking_detail(student.query, record_id, student.contact)
        context_of(request).reuse = reuse_for(student, until=found.ends_at)
        return answer(BookingDetailFields(found).data, "The booking.")

    @documented(
        CREATE,
        tag="Bookings",
        summary="Book a seat in a mock exam",
        description="Charges one credit: the mock type's own before a shared one. 201 is a new "
        "booking; 200 is the answer to an earlier request, given again.",
        parameters=[IDEMPOTENCY_KEY_PARAMETER],
        request=CreateAskedFields,
        answers=dict.fromkeys((200, 201), envelope(CREATE.id, BookedFields())),
        error_bases=dict.fromkeys((409, 429, 503), KeyedErrorFields),
    )
    def create(self, request: Request) -> Response:
        profile = composition.services().profile
        values = validate_fields(
            CreateAskedFields, drop_fields_of_other_types(profile, request.data)
        )
        key = read_idempotency_key(request)
        pair = pair_of(values)
        mock_type = find_mock_type(profile, values["mock_type"])
        self.asked_type = mock_type.value
        asked = CreateRequest(
            pair=pair,
            contact_id=values["contact_id"],
            mock_exam_id=values["mock_exam_id"],
            name=values["name"],
            exam_date=values["exam_date"],
            mock_type=mock_type.value,
            fields=check_extra_fields(mock_type, values),
        )
        booked = submit_to_desk(request, self._admit(request, pair), asked, key)
        message = str(booked.data["confirmation_message"])
        if not booked.replayed:
            return answer(booked.data, message, status=201)
        return answer({**booked.data, "idempotent_request": True}, message)

    @documented(
        UPDATE,
        tag="Bookings",
        summary="Change what a student may edit of a booking",
        description="At least one field has to be given besides `student_id` and `email`. The very "
        "next read shows the change.",
        parameters=[BOOKING_ID_PARAMETER],
        request=UpdateAskedFields,
        answers={200: envelope(UPDATE.id, BookingDetailFields())},
    )
    def partial_update(self, request: Request, booking_id: str) -> Response:
        values = validate_fields(UpdateAskedFields, request.data)
        pair = pair_of(values)
        profile = composition.services().profile
        fields = check_edited_fields(profile, dict(request.data) | values)
        student, record_id = self._admit_to_booking(request, booking_id, pair)
        asked = UpdateRequest(pair=pair, booking_id=record_id, fields=fields)
        submit_to_desk(request, student, asked)
        found = find_booking_detail(student.query, record_id, student.contact)
        return answer(BookingDetailFields(found).data, "The booking was changed.")

    @documented(
        CANCEL,
        tag="Bookings",
        summary="Cancel a booking and give its credit back",
        description="`student_id` and `email` have to be given, in the body or in the query, for "
        "clients and balancers that send a DELETE no body; so may `reason`. Given in both, they "
        "must say the same. The booking stays, marked as cancelled.",
        parameters=[BOOKING_ID_PARAMETER, CancelAskedFields],
        request=CancelAskedFields,
        answers={200: envelope(CANCEL.id, CanceledFields())},
    )
    def destroy(self, request: Request, booking_id: str) -> Response:
        values = validate_body_or_query(CancelAskedFields, request.data, request.query_params)
        pair = pair_of(values)
        student, record_id = self._admit_to_booking(request, booking_id, pair)
        asked = CancelRequest(pair=pair, booking_id=record_id, reason=values["reason"] or "")
        canceled = submit_to_desk(request, student, asked)
        return answer(canceled.data, "The booking was cancelled.")

    def _admit_to_booking(
        self, request: Request, booking_id: str, pair: StudentPair
    ) -> tuple[Admitted, str]:
        """Let a student in who names a booking; return them and the id of its record. Raises
        MissingBookingId, what the gate raises, and then what `find_named_booking` raises."""
        if booking_id.strip() == "":
            raise MissingBookingId
        student = self._admit(request, pair)
        if is_record_id(booking_id):
            return student, booking_id
        if request.method in READING_METHODS:
            return student, find_named_booking(student.query, student.contact, booking_id)
        # What is to be changed is not looked for in the cache.
        query = composition.fresh_query_context(student.query.call)
        return student, find_named_booking(query, student.contact, booking_id)


def reuse_for(student: Admitted, until: datetime | None = None) -> Reuse:
    """Return how an answer to a student may be given again: until an instant that lies ahead."""
    is_ahead = until is not None and until > student.query.now
    pair = student.pair
    return Reuse(until=until if is_ahead else None, pair=pair, reader=pair.student_id)


def submit_to_desk(
    request: Request, student: Admitted, asked: DeskRequest, key: str | None = None
) -> DeskAnswer:
    """Have the desk serve a student's request; raise its refusal, which names the key to ask again
    with."""
    context = context_of(request)
    asking = Asking(
        student=student.contact.id,
        key=key if key is not None else uuid.uuid4().hex,
        is_keyless=key is None,
        deadline=context.deadline,
        meter=context.meter,
    )
    try:
        return composition.services().booking.desk.reception.submit(asked, asking)
    except WrongPair:
        turn_away(request, student)
        raise
    except BookingError as refusal:
        if asked.kind == RequestKind.CREATE and refusal.retry_after_s is not None:
            refusal.details.setdefault("idempotency_key", asking.key)
        raise
