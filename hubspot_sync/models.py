"""Re-exports for Django."""

from __future__ import annotations

from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue

__all__ = ["UnreadableValue", "WebhookEvent"]
