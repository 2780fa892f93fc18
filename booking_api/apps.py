"""The Django app; nothing happens at import."""

from __future__ import annotations

from django.apps import AppConfig


class BookingApiConfig(AppConfig):
    name = "booking_api"
    label = "booking_api"
    verbose_name = "Booking API"
    default_auto_field = "django.db.models.BigAutoField"
