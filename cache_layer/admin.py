"""The cache in Django's admin: its page, and the two records, which nobody may change.

The page is for whoever holds one of the cache's permissions, and shows and does what each allows:
`cache.view_entries` its numbers and the look-up of a key, `cache.validate` the comparison of a
sample with the truth, `cache.invalidate` the removal of entries: first how many would go, then the
deed. Texts in a value are masked without `cache.view_personal_data`.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override

from cache_layer.entries.entries import MISS
from cache_layer.errors import (
    BackendUnavailable,
    BadPattern,
    InvalidationUnacknowledged,
    SentBefore,
)
from cache_layer.models import CacheInvalidation, CachePage, ValidationRun
from cache_layer.operating import admin_page
from cache_layer.operating.audit import remove_once, validate_and_record
from cache_layer.operating.forms import InvalidateForm, LookUpForm, ValidateForm
from cache_layer.operating.host import CacheHost, cache_host
from cache_layer.operating.manual_invalidation import (
    InvalidationRequest,
    preview,
    singles_out_person,
)
from cache_layer.operating.read_only import ReadOnly, may_see_personal_data
from cache_layer.operating.report import validation_as_json
from cache_layer.permissions import (
    INVALIDATE,
    VALIDATE,
    VIEW_ENTRIES,
    VIEW_PERSONAL_DATA,
    explain_missing,
)

NO_ANSWER = "The cache does not answer now. Requests are served from HubSpot; please try again."
SENT_TWICE = "That form had been sent before, and was carried out once."
NOBODY_TOLD = (
    "Nobody could be told: neither the cache nor the database answers. It is tried again by "
    "itself; until then other processes may show what was to go."
)
NOBODY_NAMED = (
    "This names an e-mail, or might find one: a * must stand for all between two colons. "
    + explain_missing(VIEW_PERSONAL_DATA)
)


@admin.register(CacheInvalidation)
class CacheInvalidationAdmin(ReadOnly):
    empty_sentence = "Nobody has removed anything from the cache."
    list_display = ("at", "who", "reason", "scope", "named", "removed", "delivered")
    list_filter = ("scope", "delivered")
    fields = (
        *("at", "who", "reason", "scope", "named", "subject", "removed", "removed_by_family"),
        *("delivered",),
    )
    readonly_fields = ("subject",)
    fields_with_emails = ("reason", "named")
    search_fields = ("who",)
    personal_search_fields = ("reason",)
    date_hierarchy = "at"

    @override
    def get_fields(self, request: HttpRequest, obj: CacheInvalidation | None = None) -> Any:
        """The page of what was named is for whoever may open it."""
        may = request.user.has_perm
        if obj is not None and admin_page.find_subject_page(
            cache_host(), obj.scope, obj.named, may
        ):
            return self.fields
        return tuple(name for name in self.fields if name != "subject")

    @admin.display(description="its page")
    def subject(self, row: CacheInvalidation) -> SafeString | None:
        url = admin_page.find_subject_page(cache_host(), row.scope, row.named, lambda _: True)
        return format_html('<a href="{}">{} {}</a>', url, row.scope, row.named[0]) if url else None


@admin.register(ValidationRun)
class ValidationRunAdmin(ReadOnly):
    empty_sentence = "The cache has not been compared with HubSpot yet."
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
        return any(map(request.user.has_perm, (VIEW_ENTRIES, VALIDATE, INVALIDATE)))

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
        if not request.user.has_perm(VIEW_ENTRIES):
            return self._refuse(request, explain_missing(VIEW_ENTRIES))
        extra: dict[str, Any] = {"look_up_form": form}
        if form.is_valid():
            key, unmasked = form.cleaned_data["key"], may_see_personal_data(request)
            if "@" in key and not unmasked:
                return self._refuse(request, NOBODY_NAMED)
            try:
                held = host.cache.peek(key)
            except BadPattern as error:
                form.add_error("key", str(error))
            except BackendUnavailable:
                form.add_error(None, NO_ANSWER)
            else:
                extra["not_held"] = key if held is MISS else None
                extra["found"] = (
                    None
                    if held is MISS
                    else admin_page.build_entry_details(
                        host.cache.catalogue.family(held.entry.family),
                        key,
                        held,
                        unmasked=unmasked,
                    )
                )
        return self._render_page(request, host, **extra)

    def validate(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return self._redirect_to_page()
        host, form = cache_host(), ValidateForm(request.POST)
        if not request.user.has_perm(VALIDATE):
            return self._refuse(request, explain_missing(VALIDATE))
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
        if not request.user.has_perm(INVALIDATE):
            return self._refuse(request, explain_missing(INVALIDATE))
        form = InvalidateForm(host, request.POST)
        if not form.is_valid():
            sentences = [str(sentence) for errors in form.errors.values() for sentence in errors]
            return self._refuse(request, " ".join(sentences), status=400)
        if singles_out_person(form.to_request()) and not may_see_personal_data(request):
            return self._refuse(request, NOBODY_NAMED)
        try:
            if form.cleaned_data["confirmed"]:
                return self._remove(request, host, form)
            return self._render_confirmation(request, host, form.to_request())
        except BadPattern as error:
            return self._refuse(request, str(error), status=400)

    def _refuse(self, request: HttpRequest, sentence: str, *, status: int = 403) -> HttpResponse:
        return self._render_page(request, cache_host(), status=status, refusal=sentence)

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
            "token": uuid4(),
        }
        return TemplateResponse(request, "admin/cache/confirm.html", context)

    def _remove(self, request: HttpRequest, host: CacheHost, form: InvalidateForm) -> HttpResponse:
        who, reason = request.user.get_username(), form.cleaned_data["reason"]
        token = form.cleaned_data["token"]
        try:
            done = remove_once(host, form.to_request(), who=who, reason=reason, token=token)
        except SentBefore:
            messages.warning(request, SENT_TWICE)
            return self._redirect_to_page()
        except InvalidationUnacknowledged:
            return self._refuse(request, NOBODY_TOLD, status=503)
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
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_view = request.user.has_perm(VIEW_ENTRIES)
        context = {
            **self._base_context(request, "Cache"),
            **admin_page.list_names(host),
            **(
                admin_page.build_overview(host, timezone.now(), request.user.has_perm)
                if may_view
                else {}
            ),
            "may_view": may_view,
            "may_view_records": request.user.has_perm("cache.view_cacheinvalidation"),
            "may_validate": request.user.has_perm(VALIDATE),
            "may_invalidate": request.user.has_perm(INVALIDATE),
            "may_not_view": explain_missing(VIEW_ENTRIES),
            "may_not_validate": explain_missing(VALIDATE),
            "may_not_invalidate": explain_missing(INVALIDATE),
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
