"""What HubSpot tells: do its webhooks come, and what became of them?

HubSpot shows an app's subscriptions to nobody but the app's owner, so that what arrives is all that
can be judged by.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db import Error as DatabaseFailure
from django.utils import timezone

from booking_api.ops.doctor.database_check import describe_failure
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue
from hubspot_sync.preflight import FindingKind

AREA: Final = "webhooks"
HOW_TO: Final = "docs/how-to/receive-webhooks.md"
MAX_SILENCE: Final = timedelta(days=3)
"""Longer than a weekend."""


def check_webhooks(deployment: Deployment) -> Iterator[Diagnosis]:
    if not deployment.takes_webhooks:
        yield _diagnose(
            "subscriptions",
            FindingKind.OK,
            f"none are taken, as HUBSPOT_WEBHOOK_SECRET is not set ({HOW_TO})",
        )
    try:
        yield from _look(deployment)
    except DatabaseFailure as error:
        yield _diagnose("", FindingKind.UNKNOWN, f"not known: {describe_failure(error)}")


def _look(deployment: Deployment) -> Iterator[Diagnosis]:
    if deployment.takes_webhooks:
        yield _judge_silence()
    failed = WebhookEvent.objects.order_by().filter(state=WebhookEvent.State.FAILED).count()
    if failed > 0:
        yield _diagnose(
            "failed",
            FindingKind.WARNING,
            f"{failed} events could not be applied",
            "The admin's webhook events say why, and apply them again.",
        )
    unreadable = UnreadableValue.objects.order_by().count()
    if unreadable > 0:
        yield _diagnose(
            "unreadable values",
            FindingKind.WARNING,
            f"{unreadable} values in HubSpot cannot be read",
            "The admin lists them; they are corrected in HubSpot.",
        )


def _judge_silence() -> Diagnosis:
    times = WebhookEvent.objects.order_by("-received_at").values_list("received_at", flat=True)
    last = times.first()
    advice = f"See the app's subscriptions and target URL in HubSpot: {HOW_TO}."
    if last is None:
        said = "no event is kept: HubSpot has told nothing, or not for long"
        return _diagnose("subscriptions", FindingKind.WARNING, said, advice)
    silent_for = timezone.now() - last
    minutes = silent_for.total_seconds() / 60
    said = f"the last event came {minutes:.0f} min ago"
    if silent_for > MAX_SILENCE:
        said = f"the last event came {silent_for.days} days ago"
        return _diagnose("subscriptions", FindingKind.WARNING, said, advice)
    return _diagnose("subscriptions", FindingKind.OK, said)


def _diagnose(subject: str, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, subject=subject, verdict=verdict, found=found, advice=advice)
