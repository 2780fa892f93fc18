"""How many requests one caller may make, by scope; the rates are settings."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from typing_extensions import override

from booking_api.api.proxies import client_address
from booking_api.api.windows import SlidingWindow, Take


def window_of(scope: str) -> SlidingWindow:
    return SlidingWindow(scope, settings.THROTTLE_RATES[scope])


def normalize_student_id(sent: Any) -> str:
    """Return what `sent` is counted as: the spellings of one student id are one student."""
    return str(sent).strip().upper()


class ReadThrottle(BaseThrottle):
    """Reads, by the address asking; what is counted otherwise is derived from it."""

    scope: ClassVar[str] = "reads"

    def __init__(self) -> None:
        self._taken = Take(granted=True)

    def caller(self, request: Request) -> str:
        return client_address(request)

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        self._taken = window_of(self.scope).take(self.caller(request))
        return self._taken.granted

    @override
    def wait(self) -> float:
        return self._taken.retry_after_s


class StudentReadThrottle(ReadThrottle):
    """Reads of a student's own, by the student too, as a school's students share an address. Who
    invents students to be counted afresh is stopped by their wrong pairs."""

    @override
    def caller(self, request: Request) -> str:
        student_id = normalize_student_id(request.query_params.get("student_id", ""))
        return f"{super().caller(request)} {student_id}"


class StudentWriteThrottle(ReadThrottle):
    """Bookings, changes and cancellations, by the address and the student they are for."""

    scope: ClassVar[str] = "writes"

    @override
    def caller(self, request: Request) -> str:
        body = request.data if isinstance(request.data, dict) else {}
        # A cancellation may name its student in the address.
        sent = body.get("student_id", request.query_params.get("student_id", ""))
        return f"{super().caller(request)} {normalize_student_id(sent)}"
