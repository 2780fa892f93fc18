"""Who may log in: Django's pages of users and groups, with two fields and one widget changed, and
without the keys of tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import models
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest
from rest_framework.authtoken.models import Token
from typing_extensions import override

from cache_layer.operating.redaction import MASK

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

    @override
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A token goes with its user, and is called by its key, which is for superusers alone."""
        named, *rest = super().get_deleted_objects(objs, request)
        keys = list(Token.objects.filter(user__in=objs).values_list("key", flat=True))
        return _hide(named, keys), *rest


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin):
    filter_horizontal = ()
    formfield_overrides = CHOICES_AS_CHECKBOXES


def _hide(named: Any, keys: Iterable[str]) -> Any:
    """Return the nested lists of what would go, without the keys."""
    if isinstance(named, list):
        return [_hide(each, keys) for each in named]
    for key in keys:
        if key in named:
            return str(named).replace(key, MASK)
    return named
