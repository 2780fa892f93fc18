"""Re-exports for Django."""

from __future__ import annotations

from hubspot_sync.inbox.models import WebhookEvent

__all__ = ["WebhookEvent"]
