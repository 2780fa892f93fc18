"""The Django app; nothing happens at import."""

from __future__ import annotations

import gc
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
        # What is loaded stays as long as the process: nobody need look through it for garbage, nor
        # at the end. manage.py has had the collector rest until here.
        gc.freeze()
        gc.enable()
