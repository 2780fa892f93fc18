"""A student's bookings over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from booking_api.api.documentation import answers
from booking_api.api.envelope import answer, answer_rendered
from booking_api.api.identity import PairFields, StudentViewSet, pair_of
from booking_api.api.inputs import checked_query
from booking_api.api.throttles import FailedPairThrottle, StudentReadThrottle
from booking_api.queries.booking_detail import booking_detail
from booking_api.queries.page_rendering import with_credits
from booking_api.queries.student_bookings import DEFAULT_LIMIT, PageAsked
from booking_api.queries.students import authenticated_contact
from booking_api.rules.errors import BookingNotFound, MissingBookingId
from booking_api.rules.pages import FILTERS

# JSON's integers end somewhere; the last page of any list comes long before.
MOST_PAGES = 1_000_000_000
# HubSpot's ids are digits; anything else cannot be one, and is not worth a call.
RECORD_ID = re.compile(r"[0-9]{1,20}")


class BookingListQuery(PairFields):
    filter = serializers.ChoiceField(choices=FILTERS, default="all")
    page = serializers.IntegerField(min_value=1, max_value=MOST_PAGES, default=1)
    limit = serializers.IntegerField(min_value=1, max_value=100, default=DEFAULT_LIMIT)
    after = serializers.CharField(
        max_length=512,
        default="",
        allow_blank=True,
        help_text="A cursor from `pagination.next`; `page` is then ignored.",
    )


def page_asked(contact_id: str, values: Mapping[str, Any]) -> PageAsked:
    """Return the question of a checked query about this contact."""
    return PageAsked(
        contact_id=contact_id,
        filter=values["filter"],
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
    status = serializers.CharField()
    created_at = serializers.DateTimeField(source="booking.created_at", allow_null=True)
    mock_exam_id = serializers.CharField(allow_null=True)
    mock_exam = ExamFields(source="exam", allow_null=True)


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
    status = serializers.CharField()
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
    properties = serializers.DictField(child=serializers.CharField())


class BookingDetailFields(serializers.Serializer[Any]):
    booking = BookingFields(source="*")
    mock_exam = ExamFields(source="exam", allow_null=True)
    contact = ContactFields()
    enrollment = EnrollmentFields(allow_null=True)


class BookingViewSet(StudentViewSet):
    """`/api/bookings/…`"""

    throttle_classes = (FailedPairThrottle, StudentReadThrottle)

    @extend_schema(
        summary="A student's bookings, a page at a time",
        parameters=[BookingListQuery],
        responses=answers("BookingList", BookingListFields(), 400, 401, 429, 503),
    )
    def list(self, request: Request) -> HttpResponse:
        query = request.query_params.dict()
        if query.get("after", "") != "":
            query.pop("page", None)
        values = checked_query(BookingListQuery, query)
        pair = pair_of(values)
        portal = self.portal(request, pair.email)
        contact = authenticated_contact(portal, pair)
        asked = page_asked(contact.id, values)
        page = portal.reads.booking_page(asked.key_arguments(), portal.context)
        credits_left = portal.reads.all_credits(contact.id, portal.context)
        return answer_rendered(with_credits(page, credits_left), "The student's bookings.")

    @extend_schema(
        summary="One booking with its exam and its student",
        parameters=[OpenApiParameter("booking_id", str, OpenApiParameter.PATH), PairFields],
        responses=answers("BookingDetail", BookingDetailFields(), 400, 401, 403, 404, 429, 503),
    )
    def retrieve(self, request: Request, booking_id: str) -> Response:
        if booking_id.strip() == "":
            raise MissingBookingId
        pair = pair_of(checked_query(PairFields, request.query_params.dict()))
        portal = self.portal(request, pair.email)
        if RECORD_ID.fullmatch(booking_id) is None:
            authenticated_contact(portal, pair)  # whoever is not a student is told that first
            raise BookingNotFound
        found = booking_detail(portal, booking_id, pair)
        return answer(BookingDetailFields(found).data, "The booking.")
