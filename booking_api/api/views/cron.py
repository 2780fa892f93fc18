"""The periodic jobs by HTTP, for a scheduler with the cron secret, or staff."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from booking_api.api.authentication import CRON_AUTHENTICATION, CronOrStaff
from booking_api.api.openapi import answers
from booking_api.api.views.cache import ReportFields, ValidateAsked, name_of, validated

ANSWERS = answers("CacheConsistency", ReportFields(), 400, 401, 403, 413, 415, 503)


class NotFromElsewhere(BasePermission):
    """These GETs do something, and a GET has no CSRF token: a link on another site must not start
    one with the session of whoever follows it. Browsers say where a request comes from."""

    message = "With a session, this cannot be started from another site."

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.successful_authenticator, SessionAuthentication):
            return True
        return request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}


class ValidateCacheView(APIView):
    """The hourly sample; schedulers that can only GET may."""

    authentication_classes = CRON_AUTHENTICATION
    permission_classes = (CronOrStaff, NotFromElsewhere)

    @extend_schema(
        summary="Compare a sample of the cache with HubSpot",
        parameters=[ValidateAsked],
        responses=ANSWERS,
    )
    def get(self, request: Request) -> Response:
        return validated(request.query_params.dict(), who=name_of(request) or "cron")

    @extend_schema(
        summary="Compare a sample of the cache with HubSpot",
        request=ValidateAsked,
        responses=ANSWERS,
    )
    def post(self, request: Request) -> Response:
        return validated(request.data, who=name_of(request) or "cron")
