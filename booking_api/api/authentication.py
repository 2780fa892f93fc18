"""Who is asking, where it is no student: a member of staff, or the scheduler.

A student has no login: the pair of student id and e-mail is checked against HubSpot by the queries
on every request (queries/students.py).
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

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

from booking_api.api.guesses import check_secret
from booking_api.env_types import csv

MAX_TOKEN_LENGTH = 40


class CronAuthentication(BaseAuthentication):
    """`Authorization: Bearer $CRON_SECRET`, any of them; without a secret, nobody."""

    @override
    def authenticate(self, request: Request) -> tuple[AnonymousUser, str] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        check_secret(request, "cron", partial(compare_cron_secret, secret))
        return AnonymousUser(), "cron"

    @override
    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def compare_cron_secret(secret: str) -> None:
    """Raise AuthenticationFailed unless it is right."""
    if not is_one_of(secret, csv(settings.CRON_SECRET)):
        raise AuthenticationFailed("The secret is not right.")


def is_one_of(secret: str, known: list[str]) -> bool:
    """Return whether the secret is one of those known, which are several while one replaces
    another; compared in constant time."""
    return any(secrets.compare_digest(secret.encode(), each.encode()) for each in known)


class StaffTokenAuthentication(TokenAuthentication):
    """`Authorization: Token …` of a user; what can be no token is not looked up."""

    @override
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        scheme = request.headers.get("Authorization", "").partition(" ")[0]
        if scheme.lower() != self.keyword.lower():
            return None
        return check_secret(request, "staff", partial(super().authenticate, request))

    @override
    def authenticate_credentials(self, key: str) -> tuple[Any, Any]:
        if len(key) > MAX_TOKEN_LENGTH or not (key.isascii() and key.isprintable()):
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(key)


STAFF_AUTHENTICATION = (StaffTokenAuthentication, SessionAuthentication)
CRON_AUTHENTICATION = (CronAuthentication, *STAFF_AUTHENTICATION)
