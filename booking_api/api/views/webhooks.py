"""HubSpot's webhooks: raw bytes in, a flat answer out; nothing is decided here.

In steps that none of the two addresses can skip: look where it comes from, verify the raw bytes,
drop what is outdated and store the events, answer, apply in the background. What HubSpot does with
an answer: 2xx ends the delivery; anything else, or none within five seconds, is sent again up to
ten times in a day.

    401, 403, 400, 413    it is not HubSpot's, or not to be understood: another time changes nothing
    503                   the database is away, or not every process would see what is outdated, and
                          nothing was stored: please send it again
    500                   our own fault: please send it again
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import cache

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from booking_api import composition
from booking_api.api.envelope import PayloadTooLarge
from booking_api.api.errors import NOT_ALLOWED
from booking_api.api.proxies import client_address, public_url
from booking_api.api.schema.answers import named_answer
from booking_api.api.schema.operations import (
    OF_RAW_BODIES,
    OF_THE_SERVER,
    Operation,
    codes,
    documented,
)
from booking_api.api.views.released_view import ReleasedView
from booking_api.ops.metrics import metrics
from booking_api.ops.metrics.webhooks import SOURCE
from hubspot_sync.inbox.events import TooManyEvents
from hubspot_sync.webhooks.signature import (
    InvalidSignature,
    SignatureResult,
    SignatureVersion,
    SignedRequest,
)

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
RECEIPT = named_answer(
    "webhook",
    {
        "success": serializers.BooleanField(),
        "processed": serializers.IntegerField(help_text="Events stored for the first time."),
        "duplicates": serializers.IntegerField(help_text="Events that were known already."),
        "mockExamsUpdated": serializers.IntegerField(
            help_text="Exams whose count will be corrected, as far as they are known yet."
        ),
        "errors": serializers.IntegerField(
            help_text="What is no event, cannot be stored, or is older than HubSpot repeats where "
            "the signature has no time; and events of a known kind without what the kind needs, "
            "which are kept."
        ),
    },
)


RECEIVE = Operation(
    id="receiveBookingSync",
    codes=codes(
        *(OF_THE_SERVER, OF_RAW_BODIES, "HUBSPOT_UNAVAILABLE"),
        *("INVALID_SIGNATURE", "MALFORMED_EVENTS", "ACCESS_DENIED"),
    ),
    sentences={"ACCESS_DENIED": NOT_ALLOWED.message},
    ids={"/api/webhooks/cache-invalidation": "receiveCacheInvalidation"},
)
# Nothing of what they may hold: whatever is no right signature is 401.
SIGNATURE_PARAMETERS = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)
    for name, description in (
        (
            "X-HubSpot-Signature-v3",
            "HMAC-SHA256 of method, address, body and timestamp by the client secret, in Base64.",
        ),
        (
            "X-HubSpot-Request-Timestamp",
            "When a v3 signature was made, in milliseconds; worth nothing five minutes later.",
        ),
        (
            "X-HubSpot-Signature",
            "SHA-256 of the client secret and the body (v1), in hexadecimal; taken where "
            "HUBSPOT_WEBHOOK_SIGNATURES allows it and no right v3 has ever come.",
        ),
        ("X-HubSpot-Signature-Version", "Which one that is: `v1` or `v2`."),
    )
]


class WebhookView(ReleasedView):
    """Both addresses: two subscriptions in HubSpot, one pipeline."""

    authentication_classes = ()

    @documented(
        RECEIVE,
        tag="Webhooks",
        summary="Tell of changes in HubSpot",
        description="Signed by HubSpot: v3, or v1 by apps that have never sent a right v3. The "
        "body is an array of events, or one event; what is none among them is counted in "
        "`errors`. The value that a property took is not kept.",
        parameters=SIGNATURE_PARAMETERS,
        request={"application/json": EVENTS_SCHEMA},
        answers={200: RECEIPT},
    )
    def post(self, request: Request) -> Response:
        check_source(request)
        body = read_body(request)
        version = check_signature(request, body)
        webhooks = composition.services().webhooks
        # Unsigned, while developing, is as good as it gets.
        is_timed = version in {SignatureVersion.V3, None}
        try:
            receipt = webhooks.receiver.receive(body, is_timed=is_timed)
        except TooManyEvents as error:
            raise PayloadTooLarge from error
        except InvalidSignature as refusal:
            report_refusal(request, refusal.reason.name, str(refusal))
            raise
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


def check_source(request: Request) -> None:
    """Raise PermissionDenied for an address that WEBHOOK_SOURCES does not name, if it names any."""
    if len(settings.WEBHOOK_SOURCES) == 0:
        return
    address = client_address(request)
    if not is_within(address, settings.WEBHOOK_SOURCES):
        report_refusal(request, SOURCE, "not from WEBHOOK_SOURCES", address=address)
        raise PermissionDenied


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address, or the network a caller counts as, lies in one of the networks. An IPv6
    caller counts as its /64, so a smaller network means that one."""
    try:
        client = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return False
    return any(client.overlaps(network) for network in map(ipaddress.ip_network, networks))


def read_body(request: Request) -> bytes:
    """Return the raw body; raise PayloadTooLarge for more than MAX_WEBHOOK_BODY_BYTES. Django's own
    bound is that of the other addresses."""
    limit: int = settings.MAX_WEBHOOK_BODY_BYTES
    if read_content_length(request) > limit:
        raise PayloadTooLarge
    body: bytes = request._request.read(limit + 1)
    if len(body) > limit:
        raise PayloadTooLarge
    return body


def read_content_length(request: Request) -> int:
    """Return what the request says of its body's length; 0 where that is no number."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def check_signature(request: Request, body: bytes) -> SignatureVersion | None:
    """Return how the request is signed; raise InvalidSignature. While developing, without a secret,
    all is taken: that is None."""
    signed = SignedRequest(
        method=request.method or "",
        uri=public_url(request._request, settings.PUBLIC_BASE_URL),
        body=body,
        headers=request.headers,
    )
    accepted = frozenset(map(SignatureVersion, settings.HUBSPOT_WEBHOOK_SIGNATURES))
    policy = composition.services().webhooks.signatures
    try:
        return policy.check(signed, settings.HUBSPOT_WEBHOOK_SECRETS, accepted)
    except InvalidSignature as refusal:
        if refusal.reason is SignatureResult.NO_SECRET and settings.DEBUG:
            warn_once_of_unsigned_webhooks()
            return None
        # With the address as HubSpot must have called it: a proxy may be set otherwise.
        uri = signed.uri.partition("?")[0]
        report_refusal(request, refusal.reason.name, str(refusal), uri=uri)
        raise


def report_refusal(request: Request, name: str, reason: str, **details: str) -> None:
    """Count a delivery that is not believed by the name of the reason, and log it."""
    metrics().webhooks.observe_refusal(name.lower())
    log.warning("webhook_refused", reason=reason, path=request.path, **details)


@cache
def warn_once_of_unsigned_webhooks() -> None:
    log.warning("webhooks_are_not_verified", hint="Set HUBSPOT_WEBHOOK_SECRET.")
