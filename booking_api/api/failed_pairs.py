"""Wrong student pairs, counted by the address that names them, against guessing."""

from __future__ import annotations

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from typing_extensions import override

from booking_api.api.proxies import client_address
from booking_api.api.throttling import window_of
from booking_api.api.windows import Take


def count_failed_pair(request: HttpRequest | Request) -> None:
    window_of("failed_pairs").add(client_address(request))


class FailedPairThrottle(BaseThrottle):
    """Addresses that named too many wrong student pairs, refused before their next guess."""

    def __init__(self) -> None:
        self._found = Take(granted=True)

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        self._found = window_of("failed_pairs").look(client_address(request))
        return self._found.granted

    @override
    def wait(self) -> float:
        return self._found.retry_after_s
