"""Pages of the admin for rows that the application writes and nobody changes."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.contrib.admin import helpers
from django.db import models
from django.http import HttpRequest
from typing_extensions import override


class ActionForm(helpers.ActionForm):
    """Django's, with the attribute by which unfold's button knows that an action is chosen."""

    action = forms.ChoiceField(label="Action:", widget=forms.Select(attrs={"x-model": "action"}))


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows are written by the application and by nobody else; who may view them may."""

    action_form = ActionForm

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False
