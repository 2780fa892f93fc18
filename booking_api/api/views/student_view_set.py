"""What all views that students call have in common."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.viewsets import ViewSet
from typing_extensions import override

from booking_api import composition
from booking_api.api.context import context_of
from booking_api.api.serializers import MAX_BOOKING_ID_CHARS
from booking_api.api.throttling import ReadThrottle
from booking_api.api.views.released_view import ReleasedView
from booking_api.api.views.warm_answers import given_again
from booking_api.queries.query_context import QueryContext
from booking_api.rules.errors import InvalidRequest


class StudentViewSet(ReleasedView, ViewSet):
    """Base of what students call; what is a student's own begins with `admit_student`."""

    throttle_classes: tuple[type[ReadThrottle], ...] = (ReadThrottle,)

    @classmethod
    @override
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        return given_again(super().as_view(actions, **initkwargs))

    def query_context(self, request: Request) -> QueryContext:
        """Return what the queries of a request ask with that may be anybody's."""
        context = context_of(request)
        query = composition.query_context(context.call_context(anonymous=True))
        context.built_from = query.reads.built_from
        return query

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """DRF's, without its questions about versions, users and permissions: here are none."""
        self.format_kwarg = None
        negotiated = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = negotiated
        self.check_throttles(request)
        if len(kwargs.get("booking_id", "")) > MAX_BOOKING_ID_CHARS:
            raise InvalidRequest(f"booking_id: at most {MAX_BOOKING_ID_CHARS} characters.")
