"""Who may call the API. Tokens, which are as good as their holders, are for superusers."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from rest_framework.authtoken.admin import TokenAdmin
from rest_framework.authtoken.models import TokenProxy
from typing_extensions import override

admin.site.unregister(TokenProxy)


@admin.register(TokenProxy)
class SuperusersTokenAdmin(TokenAdmin):
    """Shows keys in full, and makes one for anybody: with less than all permissions, a member of
    staff who may do either would get at all."""

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    @override
    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._is_superuser(request)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    @override
    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._is_superuser(request)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._is_superuser(request)

    def _is_superuser(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_superuser
