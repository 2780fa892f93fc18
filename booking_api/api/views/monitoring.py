"""What monitors ask: health, readiness, metrics.

A monitor may call the machine by any name or by its address, so these answer whatever the Host
header says, and nothing in their answers depends on it. The metrics say how busy a school is and
which records cannot be read: they are for the operator's network, or for whoever has the token.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from booking_api.api.authentication import is_one_of
from booking_api.api.context import context_of
from booking_api.api.envelope import failure, success
from booking_api.api.errors import (
    RETRY_AFTER_S,
    SOMETHING_AWAY,
    Failure,
    answer_outside_drf,
    explain_throttled,
    refuses_writes,
)
from booking_api.api.guesses import check_secret
from booking_api.api.proxies import find_caller, is_trusted
from booking_api.api.schema.answers import ErrorFields, named_answer
from booking_api.api.schema.operations import ALWAYS, Operation, codes, documented
from booking_api.api.views.released_view import ReleasedView
from booking_api.env_types import csv
from booking_api.ops.health import check_readiness
from booking_api.ops.metrics import render_metrics

SERVICE = "mocks-booking-api"
ANY_HOST_PATHS: Final = frozenset({"/api/health", "/api/ready", "/metrics"})
HEALTH: Final = Operation(id="getHealth", codes=ALWAYS)
READY: Final = Operation(id="getReadiness", codes=codes(ALWAYS, SOMETHING_AWAY))
NO_METRICS: Final = Failure(
    code="ACCESS_DENIED",
    message="The metrics are for METRICS_NETWORKS, and for who has METRICS_TOKEN.",
)


class HealthFields(serializers.Serializer[Any]):
    status = serializers.CharField()
    timestamp = serializers.DateTimeField()
    service = serializers.CharField()


class ReadyFields(HealthFields):
    checks = serializers.DictField(
        child=serializers.CharField(), help_text="ok, failed, or unknown right after the start."
    )
    checked_s_ago = serializers.DictField(
        child=serializers.FloatField(allow_null=True), help_text="How old each of them is."
    )


class NotReadyFields(ErrorFields, ReadyFields):
    """Which part does not answer, flat, and the error beside it."""


def envelop_and_keep_flat(data: dict[str, Any], message: str) -> dict[str, Any]:
    """Return `data` in the envelope and beside it: monitors read it flat, as they always have."""
    return data | success(data, message)


def flat_and_enveloped_schema(
    operation_id: str, data: type[serializers.Serializer[Any]]
) -> serializers.Serializer[Any]:
    """Return how `envelop_and_keep_flat` looks in the schema."""
    fields: dict[str, Any] = {
        **data().get_fields(),
        "success": serializers.BooleanField(help_text="Always true."),
        "message": serializers.CharField(help_text="A sentence for a person."),
        "data": data(),
    }
    return named_answer(operation_id, fields)


class HealthView(ReleasedView):
    """Whether this process answers; nothing else is asked."""

    @documented(
        HEALTH,
        tag="Monitoring",
        summary="Is the process alive?",
        description="Asks nothing else; answers whatever the `Host` header says.",
        answers={200: flat_and_enveloped_schema(HEALTH.id, HealthFields)},
    )
    def get(self, _: Request) -> Response:
        data = {"status": "healthy", "timestamp": timezone.now(), "service": SERVICE}
        return Response(envelop_and_keep_flat(data, "Healthy."))


class ReadyView(ReleasedView):
    """Whether everything it needs answers; asking costs nothing."""

    @documented(
        READY,
        tag="Monitoring",
        summary="Are database, cache and HubSpot there?",
        description="A verdict some seconds old, learnt from the traffic: asking costs nothing.",
        answers={200: flat_and_enveloped_schema(READY.id, ReadyFields)},
        error_bases={503: NotReadyFields},
    )
    def get(self, request: Request) -> Response:
        readiness = check_readiness()
        silent = readiness.silent
        data = {
            "status": "not ready" if silent else "ready",
            "timestamp": timezone.now(),
            "service": SERVICE,
            "checks": {name: part.state for name, part in readiness.parts()},
            "checked_s_ago": {
                name: None if part.checked_s_ago is None else round(part.checked_s_ago, 1)
                for name, part in readiness.parts()
            },
        }
        if not silent:
            return Response(envelop_and_keep_flat(data, "Ready."))
        context = context_of(request)
        context.failure_code = SOMETHING_AWAY
        body = failure(
            code=SOMETHING_AWAY,
            message=f"No answer from: {', '.join(silent)}.",
            request_id=context.request_id,
            retry_after_s=RETRY_AFTER_S,
        )
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return Response(data | body, status=503, headers=headers)


@refuses_writes
def answer_metrics(request: HttpRequest) -> HttpResponse:
    try:
        if not may_read_metrics(request):
            return answer_outside_drf(request, NO_METRICS)
    except Throttled as error:
        return answer_outside_drf(request, explain_throttled(error))
    return HttpResponse(render_metrics(), content_type=CONTENT_TYPE_LATEST)


def may_read_metrics(request: HttpRequest) -> bool:
    """Whether this comes from METRICS_NETWORKS, or with METRICS_TOKEN; raise Throttled where too
    many wrong secrets came from there."""
    caller = find_caller(request)
    if caller is not None and is_trusted(caller, tuple(settings.METRICS_NETWORKS)):
        return True
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN == "" or scheme.lower() != "bearer":
        return False
    try:
        check_secret(request, "metrics", partial(compare_metrics_token, token.strip()))
    except AuthenticationFailed:
        return False
    return True


def compare_metrics_token(token: str) -> None:
    """Raise AuthenticationFailed unless it is right."""
    if not is_one_of(token, csv(settings.METRICS_TOKEN)):
        raise AuthenticationFailed("The token is not right.")


class AnyHostMiddleware(CommonMiddleware):
    """Django's, which refuses a Host that ALLOWED_HOSTS does not name, but not for monitors."""

    @override
    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        if request.path_info.removesuffix("/") in ANY_HOST_PATHS:
            return None
        return super().process_request(request)
