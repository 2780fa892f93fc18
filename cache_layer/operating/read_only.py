"""Pages of the admin for rows that the application writes and nobody changes.

Who may view a model's rows sees them. What says who somebody is, in the fields that a page names
as personal, is masked for all but the holders of `cache.view_personal_data`; and as a search or a
filter that finds a text, or an order by it, tells it letter by letter, those have no part of it
either.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest
from django.utils.text import capfirst
from typing_extensions import override

from cache_layer.operating.redaction import mask_emails, mask_texts
from cache_layer.permissions import VIEW_PERSONAL_DATA

# What the admin's own filters ask. Others, as addresses written by hand may hold them, would find a
# text letter by letter, or compare in ways that not every database knows.
FILTER_LOOKUPS = frozenset({"exact", "in", "isnull", "isempty", "gte", "lt"})
DATE_LOOKUPS = frozenset({"year", "month", "day"})
MAX_SEARCH_CHARS = 200
"""Each word is a condition of its own: a thousand keep a database busy for seconds."""


def may_see_personal_data(request: HttpRequest) -> bool:
    return request.user.has_perm(VIEW_PERSONAL_DATA)


class BoundedSearchForm(ChangeListSearchForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[SEARCH_VAR] = forms.CharField(required=False, max_length=MAX_SEARCH_CHARS)


class BoundedChangeList(ChangeList):
    """Django's, called by what it lists, with a sentence for when there is nothing."""

    search_form_class = BoundedSearchForm
    empty_sentence = ""

    @override
    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.title = capfirst(str(self.opts.verbose_name_plural))

    @override
    def get_ordering_field(self, field_name: Any) -> Any:
        """Django heeds `sortable_by` in the heads of columns, and not in an address."""
        if self.sortable_by is not None and field_name not in self.sortable_by:
            return None
        return super().get_ordering_field(field_name)


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows are written by the application and by nobody else; who may view them may."""

    show_facets = admin.ShowFacets.NEVER
    """They count all rows for each choice of each filter: a million, at anybody's word."""
    personal_fields: tuple[str, ...] = ()
    """All texts in them are masked, those inside of JSON too."""
    fields_with_emails: tuple[str, ...] = ()
    """Only e-mails in them are masked."""
    personal_search_fields: tuple[str, ...] = ()
    """Searched besides `search_fields`, by whoever may see what is in them."""
    personal_search_help_text: str | None = None
    empty_sentence = "There is nothing here yet."
    """Said by a list without any row, whatever is asked of it."""

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    @override
    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        personal = self.personal_search_fields if may_see_personal_data(request) else ()
        return (*self.search_fields, *personal)

    @override
    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        """Whoever can have a row of their own stand among others learns by its place what they
        hold."""
        hidden = {*self.personal_fields, *self.fields_with_emails}
        if may_see_personal_data(request):
            hidden = set()
        return [name for name in super().get_sortable_by(request) if name not in hidden]

    @override
    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        filters = set(map(_parameter_of, self.list_filter))
        field, _, kind = lookup.rpartition(LOOKUP_SEP)
        if field == self.date_hierarchy:
            return kind in DATE_LOOKUPS
        return lookup in filters or (field in filters and kind in FILTER_LOOKUPS)

    @override
    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None and not may_see_personal_data(request):
            self._mask(row)
        return row

    @override
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    @override
    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        listed = super().get_changelist_instance(request)
        if isinstance(listed, BoundedChangeList):
            listed.empty_sentence = self.empty_sentence
        if may_see_personal_data(request):
            listed.search_help_text = self.personal_search_help_text or listed.search_help_text
        else:
            listed.result_list = list(listed.result_list)
            for row in listed.result_list:
                self._mask(row)
        return listed

    def _mask(self, row: models.Model) -> None:
        """Mask a row in memory; it is shown and never saved."""
        for name in self.personal_fields:
            setattr(row, name, mask_texts(getattr(row, name)))
        for name in self.fields_with_emails:
            held = getattr(row, name)
            masked = mask_emails(held) if isinstance(held, str) else list(map(mask_emails, held))
            setattr(row, name, masked)


def _parameter_of(item: Any) -> Any:
    """Return by what an address names a filter: a field, or a word of the filter's own."""
    if isinstance(item, type) and issubclass(item, admin.SimpleListFilter):
        return item.parameter_name
    return item[0] if isinstance(item, tuple) else item
