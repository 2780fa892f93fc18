"""The periodic jobs by HTTP, for a scheduler with the cron secret, or staff who may."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from booking_api.api.authentication import CRON_AUTHENTICATION
from booking_api.api.permissions import CronOrStaff, MayValidate, NotCrossSite
from booking_api.api.schema.answers import response_schemas
from booking_api.api.views.cache import ReportFields, ValidateAsked, run_validation, username_of

ANSWERS = response_schemas("CacheConsistency", ReportFields(), 400, 401, 403, 413, 415, 429, 503)


class ValidateCacheView(APIView):
    """The hourly sample; schedulers that can only GET may."""

    authentication_classes = CRON_AUTHENTICATION
    permission_classes = (CronOrStaff, MayValidate, NotCrossSite)

    @extend_schema(
        summary="Compare a sample of the cache with HubSpot",
        parameters=[ValidateAsked],
        responses=ANSWERS,
    )
    def get(self, request: Request) -> Response:
        return run_validation(request.query_params.dict(), who=username_of(request) or "cron")

    @extend_schema(
        summary="Compare a sample of the cache with HubSpot",
        request=ValidateAsked,
        responses=ANSWERS,
    )
    def post(self, request: Request) -> Response:
        return run_validation(request.data, who=username_of(request) or "cron")
