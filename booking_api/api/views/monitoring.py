"""What monitors ask: health, readiness, metrics."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from booking_api.api.context import context_of
from booking_api.api.envelope import failure, success
from booking_api.api.openapi import ErrorFields
from booking_api.ops.health import check_readiness
from booking_api.ops.metrics import render_metrics

SERVICE = "mocks-booking-api"


class HealthFields(serializers.Serializer[Any]):
    status = serializers.CharField()
    timestamp = serializers.DateTimeField()
    service = serializers.CharField()


class ReadyFields(HealthFields):
    checks = serializers.DictField(child=serializers.CharField())


class NotReadyFields(ErrorFields, ReadyFields):
    """Which part does not answer, flat, and the error beside it."""


def envelop_and_keep_flat(data: dict[str, Any], message: str) -> dict[str, Any]:
    """Return `data` in the envelope and beside it: monitors read it flat, as they always have."""
    return data | success(data, message)


def flat_and_enveloped_schema(
    name: str, data: type[serializers.Serializer[Any]]
) -> serializers.Serializer[Any]:
    """Return how `envelop_and_keep_flat` looks in the schema."""
    fields: dict[str, Any] = {
        **data().get_fields(),
        "success": serializers.BooleanField(),
        "message": serializers.CharField(),
        "data": data(),
    }
    return inline_serializer(name, fields)


class HealthView(APIView):
    """Whether this process answers; nothing else is asked."""

    @extend_schema(
        summary="Is the process alive?",
        responses={200: flat_and_enveloped_schema("Health", HealthFields)},
    )
    def get(self, _: Request) -> Response:
        data = {"status": "healthy", "timestamp": timezone.now(), "service": SERVICE}
        return Response(envelop_and_keep_flat(data, "Healthy."))


class ReadyView(APIView):
    """Whether everything it needs answers."""

    @extend_schema(
        summary="Are database, cache and HubSpot there?",
        responses={200: flat_and_enveloped_schema("Ready", ReadyFields), 503: NotReadyFields},
    )
    def get(self, request: Request) -> Response:
        context = context_of(request)
        parts = check_readiness(context.call_context())
        checks = {"database": parts.database, "cache": parts.cache, "hubspot": parts.hubspot}
        data = {
            "status": "ready" if parts.ready else "not ready",
            "timestamp": timezone.now(),
            "service": SERVICE,
            "checks": {name: "ok" if there else "failed" for name, there in checks.items()},
        }
        if parts.ready:
            return Response(envelop_and_keep_flat(data, "Ready."))
        silent = ", ".join(name for name, there in checks.items() if not there)
        body = failure(
            code="NOT_READY" if parts.hubspot else "HUBSPOT_UNAVAILABLE",
            message=f"No answer from: {silent}.",
            request_id=context.request_id,
        )
        return Response(data | body, status=503)


def answer_metrics(_: HttpRequest) -> HttpResponse:
    return HttpResponse(render_metrics(), content_type=CONTENT_TYPE_LATEST)
