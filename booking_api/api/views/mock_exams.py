"""Mock exams over HTTP: which can be booked, and what a student may spend."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, get_args

import orjson
import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from booking_api import composition
from booking_api.api.context import Reuse, context_of
from booking_api.api.envelope import answer, success
from booking_api.api.schema.answers import envelope
from booking_api.api.schema.operations import OF_BODIES, OF_HUBSPOT, Operation, codes, documented
from booking_api.api.serializers import MockTypeField, PairFields, SentBooleanField, pair_of
from booking_api.api.student_gate import admit_student
from booking_api.api.throttling import hold_anonymous_place, limit_calls
from booking_api.api.validation import find_mock_type, validate_fields, validate_query
from booking_api.api.views.entity_tags import EntityTags
from booking_api.api.views.student_view_set import StudentViewSet
from booking_api.ops.metrics import metrics
from booking_api.queries.available_exams import ExamSeats, find_available_exams
from booking_api.queries.credit_check import check_credits
from booking_api.queries.exam_rendering import render_exams
from booking_api.rules.seats import ExamStatus

AVAILABLE = Operation(
    id="listAvailableExams",
    codes=codes(OF_HUBSPOT, "THROTTLED"),
    sentences={"VALIDATION_ERROR": "mock_type: This field is required."},
    is_revalidated=True,
)
IF_NONE_MATCH_PARAMETER = OpenApiParameter(
    "If-None-Match",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The `ETag` of the answer that is held, or several; browsers send it by "
    "themselves. While the exams are the same, the answer is 304.",
)
CREDITS = Operation(
    id="validateCredits",
    codes=codes(OF_HUBSPOT, OF_BODIES, "THROTTLED", "STUDENT_NOT_FOUND", "EMAIL_MISMATCH"),
)

available_tags = EntityTags()
log = structlog.get_logger(__name__)


class AvailableQuery(serializers.Serializer[Any]):
    mock_type = MockTypeField(max_length=100)
    include_capacity = SentBooleanField(default=True, help_text="List full exams too.")
    realtime = SentBooleanField(
        default=False, help_text="Count seats from the bookings themselves."
    )


class AvailableExamFields(serializers.Serializer[Any]):
    """What `queries/exam_rendering.py` writes, for the documentation."""

    mock_exam_id = serializers.CharField(source="exam.id")
    exam_date = serializers.DateField(source="exam.exam_date", allow_null=True)
    start_time = serializers.CharField(source="exam.start_time")
    end_time = serializers.CharField(source="exam.end_time")
    mock_type = serializers.CharField(source="exam.mock_type")
    capacity = serializers.IntegerField(source="exam.capacity")
    total_bookings = serializers.IntegerField()
    available_slots = serializers.IntegerField()
    location = serializers.CharField(help_text="`TBD` where the exam has none yet.")
    is_active = serializers.BooleanField(source="exam.is_active")
    status = serializers.ChoiceField(get_args(ExamStatus))


class CreditsAsked(PairFields):
    mock_type = MockTypeField(max_length=100)


class CreditBreakdownFields(serializers.Serializer[Any]):
    specific_credits = serializers.IntegerField(source="specific")
    shared_credits = serializers.IntegerField(source="shared")


class CreditCheckFields(serializers.Serializer[Any]):
    eligible = serializers.BooleanField()
    available_credits = serializers.IntegerField(source="credits.available")
    credit_breakdown = CreditBreakdownFields(source="credits")
    contact_id = serializers.CharField(source="contact.id")
    enrollment_id = serializers.CharField(allow_null=True)
    student_name = serializers.CharField()
    error_message = serializers.CharField(required=False, help_text="Only where not eligible.")


def queue_corrections(exam_ids: Collection[str]) -> None:
    """Have stored counts corrected that were seen to be wrong; the answer is right without, so a
    database that does not answer costs only the correction."""
    if not settings.CORRECT_COUNTS or len(exam_ids) == 0:
        return
    try:
        composition.services().booking.recounts.request_corrections(exam_ids)
    except DatabaseFailure as error:
        log.warning("correction_not_queued", exams=len(exam_ids), error=str(error))


def write_available(listed: Sequence[ExamSeats]) -> bytes:
    """Return the body of the answer."""
    exams = orjson.Fragment(render_exams(listed))
    return orjson.dumps(success(exams, f"{len(listed)} mock exams."))


class MockExamViewSet(StudentViewSet):
    """`/api/mock-exams/…`"""

    @documented(
        AVAILABLE,
        tag="Mock exams",
        summary="The exams of a type that can be booked, with their seats",
        description="Every active exam that is not over, by date and start. Nobody has to say who "
        "they are.",
        parameters=[AvailableQuery, IF_NONE_MATCH_PARAMETER],
        answers={200: envelope(AVAILABLE.id, AvailableExamFields(many=True)), 304: None},
    )
    def available(self, request: Request) -> HttpResponse:
        values = validate_query(AvailableQuery, request.query_params.dict())
        query = self.query_context(request)
        mock_type = find_mock_type(query.profile, values["mock_type"])
        # Through the cache, what many ask is loaded once for all of them.
        costly = query.reads.is_direct
        with hold_anonymous_place(), limit_calls(request) if costly else nullcontext():
            found = find_available_exams(
                query,
                mock_type,
                include_full=values["include_capacity"],
                realtime=values["realtime"],
            )
        queue_corrections(found.to_correct)
        context_of(request).items = len(found.listed)
        if len(found.to_correct) == 0:
            context_of(request).reuse = Reuse(until=found.changes_at)
        return available_tags.answer(
            request,
            (mock_type.slug, values["include_capacity"], values["realtime"]),
            found.listed,
            lambda: write_available(found.listed),
        )

    @documented(
        CREDITS,
        tag="Mock exams",
        summary="What a student may spend on a mock type",
        description="Tells who the student is, too: `contact_id` is what a booking asks for. "
        "Without credits the answer is still 200, with `eligible: false`.",
        request=CreditsAsked,
        answers={200: envelope(CREDITS.id, CreditCheckFields())},
    )
    def validate_credits(self, request: Request) -> Response:
        values = validate_fields(CreditsAsked, request.data)
        pair = pair_of(values)
        mock_type = find_mock_type(composition.services().profile, values["mock_type"])
        student = admit_student(request, pair, tells_half=True)
        found = check_credits(student.query, student.contact, mock_type)
        observe = metrics().requests.observe_credit_check
        count = partial(observe, mock_type.value, eligible=found.eligible)
        count()
        context_of(request).reuse = Reuse(pair=pair, count=count)
        data = CreditCheckFields(found).data
        if found.eligible:
            del data["error_message"]
        return answer(data, "The credits were checked.")
