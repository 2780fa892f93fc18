"""Routes. No address under /api/ ends in a slash or redirects: the slashed form serves too."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path, re_path

from booking_api.admin.now.views import show_front_page, show_now
from booking_api.api import errors
from booking_api.api.views import (
    admin_login,
    cache,
    capacity,
    cron,
    documentation,
    front_page,
    monitoring,
    webhooks,
)
from booking_api.api.views.bookings import BookingViewSet
from booking_api.api.views.mock_exams import MockExamViewSet

# A readable id may have slashes in its mock type; it ends in a day.
SLASHED_BOOKING_ID = r"^api/bookings/(?P<booking_id>[^/]+/.*-[0-9]{4}-[0-9]{2}-[0-9]{2}\s*)/?$"
booking_view = BookingViewSet.as_view(
    {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
)

API_ROUTES: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("bookings/list", BookingViewSet.as_view({"get": "list"}), {}),
    ("bookings/create", BookingViewSet.as_view({"post": "create"}), {}),
    ("bookings", booking_view, {"booking_id": ""}),
    ("bookings/<booking_id>", booking_view, {}),
    ("mock-exams/available", MockExamViewSet.as_view({"get": "available"}), {}),
    ("mock-exams/validate-credits", MockExamViewSet.as_view({"post": "validate_credits"}), {}),
    (
        "mock-exams/sync-capacity",
        capacity.SyncCapacityView.as_view(http_method_names=["post", "options"]),
        {},
    ),
    ("admin/cache/stats", cache.CacheStatsView.as_view(), {}),
    ("admin/cache/invalidate", cache.CacheInvalidateView.as_view(), {}),
    ("admin/cache/validate", cache.CacheValidateView.as_view(), {}),
    ("webhooks/booking-sync", webhooks.WebhookView.as_view(), {}),
    ("webhooks/cache-invalidation", webhooks.WebhookView.as_view(), {}),
    ("cron/validate-cache-consistency", cron.ValidateCacheView.as_view(), {}),
    ("cron/sync-capacity", capacity.SyncCapacityView.as_view(), {}),
    ("health", monitoring.HealthView.as_view(), {}),
    ("ready", monitoring.ReadyView.as_view(), {}),
    ("schema", documentation.SchemaView.as_view(), {}),
    ("docs", documentation.DocsView.as_view(), {}),
)


def make_both_forms(route: str, view: Any, arguments: dict[str, Any]) -> list[URLPattern]:
    return [
        path(f"api/{route}", view, arguments, name=route),
        path(f"api/{route}/", view, arguments),
    ]


urlpatterns: list[URLPattern | URLResolver] = [
    *(pattern for row in API_ROUTES for pattern in make_both_forms(*row)),
    re_path(SLASHED_BOOKING_ID, booking_view),
    re_path(r"^api(?:/|$)", errors.answer_unknown_address),
    path("metrics", monitoring.answer_metrics),
    path("metrics/", monitoring.answer_metrics),
    path("admin/", show_front_page),
    path("admin/now/", show_now, name="now"),
    path("admin/login/", admin_login.answer_login),
    path("admin/", admin.site.urls),
    path("", front_page.answer_front_page),
]

handler400 = errors.handle_400
handler403 = errors.handle_403
handler404 = errors.handle_404
handler500 = errors.handle_500
