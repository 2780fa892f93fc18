"""Times in the console are those of the portal's place: staff compare them with their own clock."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from booking_api import composition
from booking_api.api.middleware.content_policy import ADMIN


class PortalTimeMiddleware:
    """Render the console in the time zone of the portal's profile. Everything else stays in UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(ADMIN):
            return self.get_response(request)
        with timezone.override(composition.services().profile.time_zone):
            return self.get_response(request)
