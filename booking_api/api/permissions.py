"""What those who are no students may do; students' requests are decided by their pair."""

from __future__ import annotations

from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission, IsAdminUser
from rest_framework.request import Request
from rest_framework.views import APIView
from typing_extensions import override

from booking_api.api.authentication import CronAuthentication
from cache_layer import permissions as needed


def is_scheduler(request: Request) -> bool:
    """Return whether the caller knew the cron secret; where that is not asked for, nobody does."""
    return isinstance(request.successful_authenticator, CronAuthentication)


class CronOrStaff(BasePermission):
    """Whoever knows the cron secret, and staff."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        return is_scheduler(request) or IsAdminUser().has_permission(request, view)


class NotCrossSite(BasePermission):
    """Some GETs do something, and a GET has no CSRF token: a link on another site must not start
    one with the session of whoever follows it. Browsers say where a request comes from."""

    message = "With a session, this cannot be started from another site."

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.successful_authenticator, SessionAuthentication):
            return True
        return request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}


class StaffPermission(BasePermission):
    """Base of those that want one of Django's permissions, which every superuser has."""

    permission: str

    @property
    def message(self) -> str:
        return f"This needs the permission {self.permission}."

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        return is_scheduler(request) or request.user.has_perm(self.permission)


class MayViewEntries(StaffPermission):
    permission = needed.VIEW_ENTRIES


class MayValidate(StaffPermission):
    permission = needed.VALIDATE


class MayInvalidate(StaffPermission):
    permission = needed.INVALIDATE
