"""Webhooks as HubSpot sends them: events in its words, signed, posted to the API."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
from django.utils import timezone
from hubspot.utils.signature import Signature

from booking_api import composition
from booking_api.desk.journal import follow_ups
from booking_api.desk.journal.models import RecountRequest
from hubspot_sync.inbox.applier import ApplyResult, ExamsOfBookings, RequestRecounts, find_no_exams
from hubspot_sync.inbox.observers import EventObservers
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.webhooks.pipeline import WebhookPipeline, build_webhook_pipeline
from tests.api import Api, Reply

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
BOOKING_SYNC = "/api/webhooks/booking-sync"
CACHE_INVALIDATION = "/api/webhooks/cache-invalidation"
HOST = "http://testserver"

Raw = dict[str, Any]


def signed(body: bytes, url: str, *, secret: str = SECRET, method: str = "POST") -> dict[str, str]:
    """Return the headers with which HubSpot's own client would sign this, version 3."""
    timestamp = str(int(datetime.now(UTC).timestamp() * 1000))
    made = Signature.get_signature(
        client_secret=secret,
        request_body=body.decode(),
        signature_version="v3",
        http_uri=url,
        http_method=method,
        timestamp=timestamp,
    )
    return {"X-HubSpot-Signature-v3": made, "X-HubSpot-Request-Timestamp": timestamp}


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one portal, each another; by a person unless said otherwise."""

    profile: PortalProfile
    numbers: Any = field(default_factory=lambda: count(1))

    def event(self, subscription: str, **fields: Any) -> Raw:
        return {
            "eventId": next(self.numbers),
            "subscriptionId": 1000,
            "portalId": 62515,
            "appId": 54321,
            "occurredAt": int(datetime.now(UTC).timestamp() * 1000),
            "subscriptionType": subscription,
            "attemptNumber": 0,
            "changeSource": "CRM_UI",
            "sourceId": "userId:1",
            **fields,
        }

    def booking(self, kind: str, booking_id: str, **fields: Any) -> Raw:
        return self._object(kind, self.profile.object_types.bookings, booking_id, fields)

    def exam(self, kind: str, exam_id: str, **fields: Any) -> Raw:
        return self._object(kind, self.profile.object_types.mock_exams, exam_id, fields)

    def contact(self, kind: str, contact_id: str, **fields: Any) -> Raw:
        return self._object(kind, self.profile.object_types.contacts, contact_id, fields)

    def changed(self, booking_id: str, name: str = "name", **fields: Any) -> Raw:
        """A booking's property, in the portal's words."""
        named = self.profile.booking_properties.get(name, name)
        return self.booking("propertyChange", booking_id, propertyName=named, **fields)

    def link(self, one: tuple[str, str], other: tuple[str, str], **fields: Any) -> Raw:
        """A link between two records, each by the profile's word for its type and its id."""
        ends = [(getattr(self.profile.object_types, name), int(id_)) for name, id_ in (one, other)]
        named = {
            "fromObjectTypeId": ends[0][0],
            "fromObjectId": ends[0][1],
            "toObjectTypeId": ends[1][0],
            "toObjectId": ends[1][1],
        }
        return self.event(
            "object.associationChange", **named, **{"associationRemoved": False, **fields}
        )

    def _object(self, kind: str, type_id: str, id_: str, fields: Mapping[str, Any]) -> Raw:
        return self.event(f"object.{kind}", objectTypeId=type_id, objectId=int(id_), **fields)


def tell(api: Api, *events: Raw, path: str = BOOKING_SYNC, secret: str = SECRET) -> Reply:
    """Post these events, signed."""
    return post(api, orjson.dumps(list(events)), path=path, secret=secret)


def post(
    api: Api,
    body: bytes,
    *,
    path: str = BOOKING_SYNC,
    secret: str = SECRET,
    headers: Mapping[str, str] | None = None,
    **environ: str,
) -> Reply:
    given = signed(body, f"{HOST}{path}", secret=secret) if headers is None else headers
    return api.send("POST", path, body=body, headers=given, **environ)


def pipeline(
    request_recounts: RequestRecounts | None = None,
    exams_of_bookings: ExamsOfBookings = find_no_exams,
    observers: EventObservers | None = None,
    now: Callable[[], datetime] = timezone.now,
) -> WebhookPipeline:
    """The API's pipeline with other neighbours; by default recounts are written down as ever, but
    nobody is woken to do them."""
    built = composition.services()
    return build_webhook_pipeline(
        profile=built.profile,
        cached=built.cached,
        hubspot=built.hubspot,
        request_recounts=write_down if request_recounts is None else request_recounts,
        exams_of_bookings=exams_of_bookings,
        observers=EventObservers() if observers is None else observers,
        told=built.webhooks.told,
        now=now,
        host_now=now,
    )


def write_down(exam_ids: Collection[str]) -> None:
    follow_ups.request_recounts(exam_ids, timezone.now())


def apply_waiting() -> ApplyResult:
    """Do what the worker of a serving process would."""
    return composition.services().webhooks.applier.apply_waiting()


def exams_to_recount() -> set[str]:
    return set(RecountRequest.objects.values_list("subject_id", flat=True))
