"""How many requests one caller may make, by scope, and how many calls to HubSpot the questions may
cost that anybody may ask; the rates are settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import ClassVar, Final

from django.conf import settings
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from typing_extensions import override

from booking_api import composition
from booking_api.api.context import context_of
from booking_api.api.proxies import client_address
from booking_api.api.windows import SlidingWindow, Take
from hubspot_sync.errors import RateLimited
from hubspot_sync.portal.identities import normalize_student_id

MAX_WAIT_FOR_PLACE_S: Final = 0.5
CROWD_RETRY_S: Final = 2.0


def window_of(scope: str) -> SlidingWindow:
    return recall_window(scope, settings.THROTTLE_RATES[scope])


# There are few, and a window keeps nothing itself.
recall_window = lru_cache(maxsize=32)(SlidingWindow)


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

    def has_room(self, request: Request) -> bool:
        """Whether the caller may make one more; nothing is counted."""
        return window_of(self.scope).look(self.caller(request)).granted

    @override
    def wait(self) -> float:
        return self._taken.retry_after_s


class StudentReadThrottle(ReadThrottle):
    """Reads of a student's own, by the student too, as a school's students share an address. Who
    invents students to be counted afresh is stopped by their wrong pairs (`guess_limits.py`)."""

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
        return f"{super().caller(request)} {normalize_student_id(str(sent))}"


@contextmanager
def limit_calls(request: Request) -> Iterator[None]:
    """Count the calls to HubSpot that a question costs for the address that asks; raise Throttled
    where it has spent too many."""
    window = SlidingWindow("anonymous_calls", settings.THROTTLE_ANONYMOUS_CALLS)
    caller = client_address(request)
    # What it costs is known afterwards; until then it counts as one.
    taken = window.take(caller)
    if not taken.granted:
        raise Throttled(taken.retry_after_s)
    try:
        yield
    finally:
        taken.give_back()
        for _ in range(context_of(request).meter.calls):
            window.add(caller)


@contextmanager
def hold_anonymous_place() -> Iterator[None]:
    """Hold one of the places for questions that anybody may ask: while HubSpot is slow, a crowd
    that waits for it leaves threads for others. Raises RateLimited."""
    places = composition.services().anonymous_places
    # From the cache an answer takes a millisecond, and then there is a place again.
    if not places.acquire(timeout=MAX_WAIT_FOR_PLACE_S):
        raise RateLimited("Too many wait for HubSpot.", retry_after_s=CROWD_RETRY_S)
    try:
        yield
    finally:
        places.release()
