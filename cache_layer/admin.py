"""The cache in Django's admin: its page, and the two records, which nobody may change.

The page shows numbers to all staff. It looks up a key, compares a sample with the truth and, for
holders of `cache.invalidate`, removes entries: first how many would go, then the deed.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from typing_extensions import override

from cache_layer.entries.entries import MISS
from cache_layer.errors import BackendUnavailable, BadPattern
from cache_layer.models import (
    INVALIDATE_PERMISSION,
    CacheInvalidation,
    CachePage,
    ValidationRun,
)
from cache_layer.operating import admin_page
from cache_layer.operating.audit import validate_and_record
from cache_layer.operating.forms import InvalidateForm, LookUpForm, ValidateForm
from cache_layer.operating.host import CacheHost, cache_host
from cache_layer.operating.manual_invalidation import InvalidationRequest, preview, remove
from cache_layer.operating.read_only import ReadOnly
from cache_layer.operating.report import validation_as_json

NO_ANSWER = "The cache does not answer now. Requests are served from HubSpot; please try again."
NOT_ALLOWED = (
    "You may not remove entries: that needs the permission “Can remove entries from the cache” "
    f"({INVALIDATE_PERMISSION}). An administrator can give it to you."
)


@admin.register(CacheInvalidation)
class CacheInvalidationAdmin(ReadOnly):
    list_display = ("at", "who", "reason", "scope", "named", "removed", "delivered")
    list_filter = ("scope", "delivered")
    search_fields = ("who", "reason")
    date_hierarchy = "at"


@admin.register(ValidationRun)
class ValidationRunAdmin(ReadOnly):
    list_display = (
        "at",
        "who",
        "what",
        "sampled",
        "drifted",
        "repaired",
        "skipped",
        "unknown",
        "error",
    )
    list_filter = ("who",)
    date_hierarchy = "at"


@admin.register(CachePage)
class CachePageAdmin(ReadOnly):
    """Its list is the page; there are no rows behind it."""

    @override
    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.admin_site.has_permission(request)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.show), name="cache_cachepage_changelist"),
            path("look-up/", wrap(self.look_up), name="cache_look_up"),
            path("validate/", wrap(self.validate), name="cache_validate"),
            path("invalidate/", wrap(self.invalidate), name="cache_invalidate"),
        ]

    def show(self, request: HttpRequest) -> HttpResponse:
        return self._render_page(request, cache_host())

    def look_up(self, request: HttpRequest) -> HttpResponse:
        """By POST, because a key may hold an e-mail, and addresses are logged."""
        if request.method != "POST":
            return self._redirect_to_page()
        host, form = cache_host(), LookUpForm(request.POST)
        extra: dict[str, Any] = {"look_up_form": form}
        if form.is_valid():
            key = form.cleaned_data["key"]
            try:
                held = host.cache.peek(key)
            except BadPattern as error:
                form.add_error("key", str(error))
            except BackendUnavailable:
                form.add_error(None, NO_ANSWER)
            else:
                extra["not_held"] = key if held is MISS else None
                extra["found"] = None if held is MISS else admin_page.build_entry_details(key, held)
        return self._render_page(request, host, **extra)

    def validate(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return self._redirect_to_page()
        host, form = cache_host(), ValidateForm(request.POST)
        extra: dict[str, Any] = {"validate_form": form}
        if form.is_valid():
            try:
                extra["validation"] = validation_as_json(
                    validate_and_record(
                        host,
                        who=request.user.get_username(),
                        sample=form.cleaned_data["sample"],
                        repair=form.cleaned_data["repair"],
                    )
                )
            except BackendUnavailable:
                form.add_error(None, NO_ANSWER)
        return self._render_page(request, host, **extra)

    def invalidate(self, request: HttpRequest) -> HttpResponse:
        """Show how many entries would go; once that is confirmed, remove them."""
        if request.method != "POST":
            return self._redirect_to_page()
        host = cache_host()
        if not request.user.has_perm(INVALIDATE_PERMISSION):
            return self._render_page(request, host, status=403, refusal=NOT_ALLOWED)
        form = InvalidateForm(host, request.POST)
        if not form.is_valid():
            sentences = [str(sentence) for errors in form.errors.values() for sentence in errors]
            return self._render_page(request, host, status=400, refusal=" ".join(sentences))
        try:
            if form.cleaned_data["confirmed"]:
                return self._remove(request, host, form)
            return self._render_confirmation(request, host, form.to_request())
        except BadPattern as error:
            return self._render_page(request, host, status=400, refusal=str(error))

    def _render_confirmation(
        self, request: HttpRequest, host: CacheHost, invalidation: InvalidationRequest
    ) -> HttpResponse:
        try:
            number: int | None = preview(host, invalidation)
        except BackendUnavailable:
            number = None
        context = {
            **self._base_context(request, "Remove entries from the cache"),
            "invalidation": invalidation,
            "named": "\n".join(invalidation.named),
            "described": admin_page.describe_request(invalidation),
            "number": number,
        }
        return TemplateResponse(request, "admin/cache/confirm.html", context)

    def _remove(self, request: HttpRequest, host: CacheHost, form: InvalidateForm) -> HttpResponse:
        who, reason = request.user.get_username(), form.cleaned_data["reason"]
        done = remove(host, form.to_request(), who=who, reason=reason)
        if done.delivered:
            entries = "1 entry" if done.total_removed == 1 else f"{done.total_removed} entries"
            messages.success(
                request, f"{entries} removed: {admin_page.describe_request(form.to_request())}."
            )
        else:
            messages.warning(
                request,
                "The cache does not answer. It is told as soon as it does, and until then nothing "
                "is read from it.",
            )
        return self._redirect_to_page()

    def _render_page(
        self, request: HttpRequest, host: CacheHost, *, status: int = 200, **extra: Any
    ) -> HttpResponse:
        context = {
            **self._base_context(request, "Cache"),
            **admin_page.build_overview(host, timezone.now()),
            "may_invalidate": request.user.has_perm(INVALIDATE_PERMISSION),
            "not_allowed": NOT_ALLOWED,
            "look_up_form": LookUpForm(),
            "validate_form": ValidateForm(),
            **extra,
        }
        return TemplateResponse(request, "admin/cache/page.html", context, status=status)

    def _base_context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
        }

    def _redirect_to_page(self) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:cache_cachepage_changelist"))
