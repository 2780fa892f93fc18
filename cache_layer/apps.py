"""The Django app; nothing happens at import."""

from __future__ import annotations

from django.apps import AppConfig


class CacheLayerConfig(AppConfig):
    name = "cache_layer"
    label = "cache"  # so that the permission is `cache.invalidate`
    verbose_name = "Cache"
    default_auto_field = "django.db.models.BigAutoField"
