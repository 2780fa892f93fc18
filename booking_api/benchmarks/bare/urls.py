"""The application's routes, and beside them the bare view that the benchmark measures against.

Production never loads this: the route exists only under settings of this room.
"""

from __future__ import annotations

from functools import cache

from django.http import HttpRequest, HttpResponse
from django.urls import path

from booking_api.benchmarks.bare.settings import BARE_BODY
from booking_api.urls import urlpatterns as served


@cache
def read_body() -> bytes:
    return BARE_BODY.read_bytes()


def answer_bare(_: HttpRequest) -> HttpResponse:
    return HttpResponse(read_body(), content_type="application/json")


urlpatterns = [path("api/bookings/bare", answer_bare), *served]
