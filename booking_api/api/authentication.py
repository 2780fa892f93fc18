"""Who is asking: a student by pair, a member of staff, or the scheduler.

A student has no login: the pair of student id and e-mail is checked against HubSpot by the queries
on every request. Wrong pairs are counted here, against guessing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework import serializers
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from booking_api import composition
from booking_api.api.context import context_of
from booking_api.api.throttling import FailedPairThrottle, ReadThrottle, failed_pairs
from booking_api.queries.portal import Portal
from booking_api.rules.errors import WrongPair
from booking_api.rules.students import StudentPair


class PairFields(serializers.Serializer[Any]):
    """The fields by which a student says who they are."""

    student_id = serializers.RegexField(r"\A[A-Z0-9]+\Z", max_length=64)
    email = serializers.EmailField(max_length=254)


def pair_of(values: Mapping[str, Any]) -> StudentPair:
    """Return the pair among checked values."""
    return StudentPair(student_id=values["student_id"], email=values["email"].lower())


class StudentViewSet(ViewSet):
    """Base of what students call."""

    throttle_classes = (FailedPairThrottle, ReadThrottle)

    def portal(self, request: Request, subject: str | None = None) -> Portal:
        """Return the portal as this request sees it; `subject` is the student's e-mail, by which
        the rollout of the cache chooses."""
        context = context_of(request)
        portal = composition.portal(context.for_calls(), subject)
        context.built_from = portal.reads.built_from
        return portal

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """DRF's, without its questions about versions, users and permissions: here are none."""
        self.format_kwarg = None
        negotiated = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = negotiated
        self.check_throttles(request)

    @override
    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, WrongPair):
            failed_pairs(self.request).add()
        return super().handle_exception(exc)


class CronAuthentication(BaseAuthentication):
    """`Authorization: Bearer $CRON_SECRET`; without a secret, nobody."""

    @override
    def authenticate(self, request: Request) -> tuple[AnonymousUser, str] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        known = settings.CRON_SECRET
        if known == "" or not secrets.compare_digest(secret.encode(), known.encode()):
            raise AuthenticationFailed("The secret is not right.")
        return AnonymousUser(), "cron"

    @override
    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


STAFF_AUTHENTICATION = (TokenAuthentication, SessionAuthentication)
CRON_AUTHENTICATION = (CronAuthentication, *STAFF_AUTHENTICATION)


class CronOrStaff(BasePermission):
    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        if isinstance(request.successful_authenticator, CronAuthentication):
            return True
        return IsAdminUser().has_permission(request, view)
