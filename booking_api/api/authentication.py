"""Who is asking, where it is no student: a member of staff, or the scheduler.

A student has no login: the pair of student id and e-mail is checked against HubSpot by the queries
on every request (queries/students.py).
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from typing_extensions import override


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
