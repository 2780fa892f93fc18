"""Which process does what only one may do."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin

from booking_api.admin.formats import stored_now
from booking_api.desk.journal.models import Lease
from cache_layer.operating.read_only import ReadOnly


@admin.register(Lease)
class LeaseAdmin(ReadOnly):
    empty_sentence = "No process has begun to work for the desk yet."
    list_display = ("name", "state", "holder", "until", "epoch")
    fields = ("name", "state", "holder", "until", "epoch")
    readonly_fields = ("state", "until")

    @admin.display(description="state", empty_value="free")
    def state(self, row: Lease) -> str | None:
        if row.holder == "":
            return None
        return "held" if row.expires_at > stored_now() else "left by its holder"

    @admin.display(description="until", empty_value="—")
    def until(self, row: Lease) -> datetime | None:
        return None if row.holder == "" else row.expires_at
