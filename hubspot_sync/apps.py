"""The Django app; nothing happens at import."""

from __future__ import annotations

from django.apps import AppConfig


class HubspotSyncConfig(AppConfig):
    name = "hubspot_sync"
    label = "hubspot_sync"
    verbose_name = "HubSpot"
    default_auto_field = "django.db.models.BigAutoField"
