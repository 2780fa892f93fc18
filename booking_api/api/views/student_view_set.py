"""What all views that students call have in common."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from booking_api import composition
from booking_api.api.context import context_of
from booking_api.api.failed_pairs import FailedPairThrottle, count_failed_pair
from booking_api.api.throttling import ReadThrottle
from booking_api.queries.query_context import QueryContext
from booking_api.rules.errors import WrongPair


class StudentViewSet(ViewSet):
    """Base of what students call; wrong pairs are counted here, against guessing."""

    throttle_classes = (FailedPairThrottle, ReadThrottle)

    def query_context(self, request: Request, subject: str | None = None) -> QueryContext:
        """Return what this request's queries ask with; `subject` is the student's e-mail, by
        which the rollout of the cache chooses. Without one the caller need not be a student."""
        context = context_of(request)
        call = context.call_context(anonymous=subject is None)
        query = composition.query_context(call, subject)
        context.built_from = query.reads.built_from
        return query

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
            count_failed_pair(self.request)
        return super().handle_exception(exc)
