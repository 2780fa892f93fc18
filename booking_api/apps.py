"""The Django app; nothing happens at import."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from typing_extensions import override


class BookingApiConfig(AppConfig):
    name = "booking_api"
    label = "booking_api"
    verbose_name = "Booking desk"
    default_auto_field = "django.db.models.BigAutoField"

    @override
    def ready(self) -> None:
        import_module("booking_api.checks")  # registers them
