"""The console: Django's admin under our name, its pages in the order in which they are needed."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from typing_extensions import override

NAME: Final = "Mock Exam Booking"
APP_NAMES: Final = {"auth": "Staff", "authtoken": "API tokens"}
# Apps and their models as an operator needs them; what is not named comes last, by its name.
ORDER: Final[dict[str, tuple[str, ...]]] = {
    "booking_api": (
        *("ExamPage", "JournalEntry", "OutboxNote", "CreditReview", "RecountRequest"),
        *("CountRecord", "ErasureRequest", "Lease"),
    ),
    "hubspot_sync": ("WebhookEvent", "UnreadableValue", "SeenSignature"),
    "cache": ("CachePage", "CacheInvalidation", "ValidationRun"),
    "auth": ("User", "Group"),
    "authtoken": (),
}


class ConsoleConfig(AdminConfig):
    """Django's app, with our site, and with our words for apps that are not ours."""

    default_site = "booking_api.ops.console_site.ConsoleSite"

    @override
    def ready(self) -> None:
        super().ready()
        for label, name in APP_NAMES.items():
            apps.get_app_config(label).verbose_name = name


class ConsoleSite(AdminSite):
    """The one site of this project."""

    site_header = NAME
    site_title = NAME
    index_title = "Console"

    @override
    def get_urls(self) -> list[Any]:
        """Without Django's address of any row on the public site: no row of ours has a page there,
        and it looks for rows of models that have no table."""
        return [each for each in super().get_urls() if getattr(each, "name", "") != "view_on_site"]

    @override
    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = super().get_app_list(request, app_label)
        for app in listed:
            names = ORDER.get(app["app_label"], ())
            app["models"].sort(key=lambda model: _place(model["object_name"], names))
        return sorted(listed, key=lambda app: _place(app["app_label"], tuple(ORDER)))


def _place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
