"""What is kept of counts: the last one of each exam, and those that a person asked for by name.

Counting decides nothing by these rows. Where one could not be written the count stands, and the
console says that it does not know of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from typing_extensions import override

if TYPE_CHECKING:
    from datetime import datetime

MAX_WHO_CHARS = 150
MAX_REASON_CHARS = 200


class LastCount(models.Model):
    """How many seats of an exam were taken when its bookings were last counted, and for whom."""

    exam_id = models.CharField("exam", max_length=20, primary_key=True)
    counted_at = models.DateTimeField("counted", db_index=True)
    who = models.CharField("for", max_length=MAX_WHO_CHARS)
    stored: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        "HubSpot had", null=True, help_text="Before it was corrected; empty where unreadable."
    )
    actual = models.PositiveIntegerField("seats taken")
    corrected = models.BooleanField(default=False)

    class Meta:
        ordering = ("-counted_at", "exam_id")
        verbose_name = "last count"
        verbose_name_plural = "last counts"

    @override
    def __str__(self) -> str:
        return f"{self.actual} in exam {self.exam_id}"


class CountKind(models.TextChoices):
    RECOUNT = "recount", "recount"
    DRY_RUN = "dry run", "dry run"


class CountRecord(models.Model):
    """A count that somebody asked for by naming the exam: who, when, why, and what came of it.

    `token` is its form's: a form that is sent twice is carried out once. Without `ended_at` it is
    under way, or the process that did it has ended before it could write what came of it.
    """

    token = models.UUIDField(unique=True, editable=False)
    at = models.DateTimeField("when", db_index=True)
    who = models.CharField(max_length=MAX_WHO_CHARS)
    reason = models.CharField("why", max_length=MAX_REASON_CHARS, blank=True)
    kind = models.CharField("what", max_length=10, choices=CountKind)
    exam_id = models.CharField("exam", max_length=20)
    stored: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        "HubSpot had", null=True, blank=True
    )
    actual: models.PositiveIntegerField[int | None, int | None] = models.PositiveIntegerField(
        "counted", null=True, blank=True
    )
    corrected = models.BooleanField(default=False)
    error = models.CharField(max_length=500, blank=True)
    calls: models.PositiveIntegerField[int | None, int | None] = models.PositiveIntegerField(
        "calls to HubSpot", null=True, blank=True
    )
    ended_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        "ended", null=True, blank=True
    )

    class Meta:
        ordering = ("-at", "-id")
        verbose_name = "count on record"
        verbose_name_plural = "counts on record"
        indexes = (models.Index(fields=("exam_id", "at"), name="count_record_exam"),)

    @override
    def __str__(self) -> str:
        return f"{self.kind} of exam {self.exam_id}"


class ExamPage(models.Model):
    """Stands for the console's page of exams; there is no table behind it."""

    class Meta:
        managed = False
        default_permissions = ()
        verbose_name = "exams"
        verbose_name_plural = "exams"
        permissions = (
            ("view_exams", "Can see the exams and their seats"),
            ("recount_exams", "Can have exams counted and their counts corrected"),
        )

    @override
    def __str__(self) -> str:
        return "exams"
