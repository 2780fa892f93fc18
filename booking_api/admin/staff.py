"""Who may log in: Django's pages of users and groups, with two fields and one widget changed."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import models
from django.forms import CheckboxSelectMultiple

# Django's two boxes with arrows between them are of no use to a screen reader or on a telephone.
CHOICES_AS_CHECKBOXES: Final[dict[type[models.Field[Any, Any]], dict[str, Any]]] = {
    models.ManyToManyField: {"widget": CheckboxSelectMultiple}
}

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(UserAdmin):  # type: ignore[type-arg]  # not generic at run time
    """When somebody joined and was last here is recorded, not entered."""

    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()
    formfield_overrides = CHOICES_AS_CHECKBOXES


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin):
    filter_horizontal = ()
    formfield_overrides = CHOICES_AS_CHECKBOXES
