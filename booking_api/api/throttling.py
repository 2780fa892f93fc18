"""How many requests one caller may make, by scope; the rates are settings.

Counted in fixed windows with the cache's atomic increment, so that threads and processes cannot
lose counts. DRF's own throttle reads and writes a list in two steps, and a burst gets past it.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

from django.conf import settings
from django.core.cache import caches
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from typing_extensions import override

from booking_api.api.proxies import client_address


class Window:
    """One caller's count in the window that is now; None as rate is no limit."""

    def __init__(self, scope: str, caller: str) -> None:
        self._rate: tuple[int, int] | None = settings.THROTTLE_RATES[scope]
        self._scope = scope
        self._caller = hashlib.sha256(caller.encode()).hexdigest()[:32]

    def count_one(self) -> int:
        """Count one more and return the count."""
        if self._rate is None:
            return 0
        cache, key = caches["throttles"], self._key(self._rate[1])
        for _ in range(2):
            try:
                return cache.incr(key) or 0
            except ValueError:  # the window's first
                if cache.add(key, 1, timeout=self._rate[1]):
                    return 1
        return 1  # evicted between the two

    def exceeds_limit(self, count: int) -> bool:
        return self._rate is not None and count > self._rate[0]

    def remaining_s(self) -> float:
        period_s = 1 if self._rate is None else self._rate[1]
        return period_s - timezone.now().timestamp() % period_s

    def _key(self, period_s: int) -> str:
        number = int(timezone.now().timestamp() // period_s)
        return f"{self._scope}:{number}:{self._caller}"


class ReadThrottle(BaseThrottle):
    """Reads, by the address asking; what is counted otherwise is derived from it."""

    scope: ClassVar[str] = "reads"

    def caller(self, request: Request) -> str:
        return client_address(request)

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        self._window = Window(self.scope, self.caller(request))
        return not self._window.exceeds_limit(self._window.count_one())

    @override
    def wait(self) -> float:
        return self._window.remaining_s()


class StudentReadThrottle(ReadThrottle):
    """Reads of a student's own, by the student too, as a school's students share an address. Who
    invents students to be counted afresh is stopped by their wrong pairs (`guess_limits.py`)."""

    @override
    def caller(self, request: Request) -> str:
        return f"{super().caller(request)} {request.query_params.get('student_id', '')}"


class StudentWriteThrottle(ReadThrottle):
    """Bookings, changes and cancellations, by the address and the student they are for."""

    scope: ClassVar[str] = "writes"

    @override
    def caller(self, request: Request) -> str:
        sent = request.data if isinstance(request.data, dict) else {}
        return f"{super().caller(request)} {sent.get('student_id', '')}"
