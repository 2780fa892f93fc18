"""HubSpot's webhooks: raw bytes in, a flat answer out; nothing is decided here.

In steps that none of the two addresses can skip: verify the raw bytes, drop what is outdated and
store the events, answer, apply in the background. What HubSpot does with an answer: 2xx ends the
delivery; anything else, or none within five seconds, is sent again up to ten times in a day.

    401, 400, 413    it is not HubSpot's, or not to be understood: sending it again changes nothing
    503              the database is away, nothing was stored: please send it again
    500              our own fault: please send it again
"""

from __future__ import annotations

from functools import cache

import structlog
from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from booking_api import composition
from booking_api.api.openapi import ErrorFields
from booking_api.api.proxies import public_url
from hubspot_sync.webhooks.signature import InvalidSignature, SignatureResult, SignedRequest, verify

log = structlog.get_logger(__name__)


# What is no event among others is counted, so that the schema promises nothing of the items.
EVENTS_SCHEMA = {
    "anyOf": [
        {"type": "array", "items": {}},
        {"type": "object", "required": ["subscriptionType"]},
    ],
    "example": [
        {
            "eventId": 1,
            "subscriptionId": 12345,
            "portalId": 62515,
            "occurredAt": 1564113600000,
            "subscriptionType": "object.propertyChange",
            "objectTypeId": "2-50158913",
            "objectId": 123,
            "propertyName": "capacity",
            "propertyValue": "20",
        }
    ],
}


# Inline, because a serializer's own `errors` would be in the way of the field.
RECEIPT = inline_serializer(
    "WebhookReceipt",
    {
        "success": serializers.BooleanField(),
        "processed": serializers.IntegerField(help_text="Events stored for the first time."),
        "duplicates": serializers.IntegerField(help_text="Events that were known already."),
        "mockExamsUpdated": serializers.IntegerField(
            help_text="Exams whose count will be corrected, as far as they are known yet."
        ),
        "errors": serializers.IntegerField(
            help_text="What is no event or cannot be stored, and events of a known kind without "
            "what the kind needs, which are kept."
        ),
    },
)


class WebhookView(APIView):
    """Both addresses: two subscriptions in HubSpot, one pipeline."""

    authentication_classes = ()

    @extend_schema(
        summary="Tell of changes in HubSpot",
        description="Signed by HubSpot: v3, or v2 or v1 where no v3 signature is sent. The body is "
        "an array of events, or one event; what is none among them is counted in `errors`.",
        request={"application/json": EVENTS_SCHEMA},
        responses={200: RECEIPT} | dict.fromkeys((400, 401, 413, 503), ErrorFields),
    )
    def post(self, request: Request) -> Response:
        body: bytes = request.body
        check_signature(request, body)
        webhooks = composition.services().webhooks
        receipt = webhooks.receiver.receive(body)
        if receipt.waiting:
            webhooks.worker.wake()
        return Response(
            {
                "success": True,
                "processed": receipt.processed,
                "duplicates": receipt.duplicates,
                "mockExamsUpdated": len(receipt.exam_ids),
                "errors": receipt.errors,
            }
        )


def check_signature(request: Request, body: bytes) -> None:
    """Raise InvalidSignature. While developing, without a secret, all is taken."""
    signed = SignedRequest(
        method=request.method or "",
        uri=public_url(request._request, settings.PUBLIC_BASE_URL),
        body=body,
        headers=request.headers,
    )
    verdict = verify(signed, settings.HUBSPOT_WEBHOOK_SECRETS, timezone.now())
    if verdict is SignatureResult.NO_SECRET and settings.DEBUG:
        warn_once_of_unsigned_webhooks()
    elif verdict is not SignatureResult.VERIFIED:
        log.warning("webhook_refused", reason=str(verdict), uri=signed.uri.partition("?")[0])
        raise InvalidSignature(verdict)


@cache
def warn_once_of_unsigned_webhooks() -> None:
    log.warning("webhooks_are_not_verified", hint="Set HUBSPOT_WEBHOOK_SECRET.")
