"""What is kept about the cache in the database: who removed what, what validation found, and what
has yet to be delivered."""

from __future__ import annotations

from django.db import models
from typing_extensions import override

from cache_layer import permissions as needed


class CacheInvalidation(models.Model):
    """A forced invalidation: somebody named what had to go."""

    at = models.DateTimeField("when", db_index=True)
    who = models.CharField(max_length=150)
    reason = models.CharField("why", max_length=200, blank=True)
    scope = models.CharField(max_length=20)
    named = models.JSONField(default=list)
    removed = models.PositiveIntegerField("entries removed")
    removed_by_family = models.JSONField(default=dict)
    delivered = models.BooleanField(
        help_text="Whether the cache had heard of it when this was written; if not, it was kept "
        "and delivered later."
    )
    token = models.UUIDField(
        null=True, unique=True, editable=False, help_text="Of the form, which is one deed."
    )

    class Meta:
        ordering = ("-at", "-id")
        verbose_name = "invalidation"
        permissions = needed.describe_for_model(needed.INVALIDATE)

    @override
    def __str__(self) -> str:
        return f"{self.scope} by {self.who}"


class ValidationRun(models.Model):
    """One comparison of the cache with the truth."""

    at = models.DateTimeField("when", db_index=True)
    who = models.CharField(max_length=150)
    duration_s = models.FloatField("seconds")
    sampled = models.PositiveIntegerField(default=0)
    drifted = models.PositiveIntegerField(default=0)
    repaired = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField("not answered", default=0)
    by_family = models.JSONField("verdicts by family", default=dict)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-at", "-id")
        verbose_name = "validation run"

    @override
    def __str__(self) -> str:
        return f"{self.sampled} compared for {self.who}"

    @property
    def what(self) -> str:
        """The family, where it was one: all of a cache are compared one after the other."""
        families = list(self.by_family)
        return families[0] if len(families) == 1 else f"{len(families)} families"


class UndeliveredInvalidation(models.Model):
    """What a shared cache has not heard of; there are rows only while a process cannot reach it.
    `prefix` is the cache's, by which processes share it."""

    prefix = models.CharField(max_length=200)
    tags = models.JSONField(default=list)
    keys = models.JSONField(default=list)
    flush = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    @override
    def __str__(self) -> str:
        return f"{'flush' if self.flush else 'invalidation'} {self.pk}"


class CachePage(models.Model):
    """Stands for the cache page in the admin's index; there is no table behind it."""

    class Meta:
        managed = False
        default_permissions = ()
        verbose_name = "overview"
        verbose_name_plural = "overview"
        permissions = needed.describe_for_model(
            needed.VIEW_ENTRIES, needed.VALIDATE, needed.VIEW_PERSONAL_DATA
        )

    @override
    def __str__(self) -> str:
        return "overview"
