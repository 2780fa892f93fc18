"""What the console's charts are drawn from, and how each periodic job last went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from typing_extensions import override

if TYPE_CHECKING:
    from datetime import datetime

    JsonField = models.JSONField[object, object]
    """`object`: `measured.py` says as what it is read."""
    MomentField = models.DateTimeField[datetime | None, datetime | None]


class HistoryRow(models.Model):
    """What happened in a span of time: in one process, or, once rolled up, in all of them."""

    process = models.CharField(max_length=100, help_text="Empty once rolled up.", blank=True)
    began_at = models.DateTimeField(help_text="By the database's clock.")
    span_s = models.PositiveIntegerField("seconds")
    measured: JsonField = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("began_at", "span_s", "process"), name="history_once"),
        )

    @override
    def __str__(self) -> str:
        return f"{self.span_s} s from {self.began_at:%Y-%m-%d %H:%M}"


class JobRun(models.Model):
    """The latest run of a periodic job, whoever started it."""

    job = models.CharField(max_length=60, primary_key=True)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    failure = models.CharField(max_length=100, blank=True, help_text="Empty where it was done.")
    last_done_at: MomentField = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ("job",)

    @override
    def __str__(self) -> str:
        return self.job
