"""Re-exports for Django."""

from __future__ import annotations

from hubspot_sync.feed.models import FeedPosition, OwnWrite
from hubspot_sync.inbox.models import ToldRecord, WebhookEvent
from hubspot_sync.portal.models import UnreadableValue
from hubspot_sync.webhooks.models import SeenSignature

__all__ = [
    "FeedPosition",
    "OwnWrite",
    "SeenSignature",
    "ToldRecord",
    "UnreadableValue",
    "WebhookEvent",
]
