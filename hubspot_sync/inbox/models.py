"""The inbox: one row for each event that HubSpot sent, kept until it is pruned; and a row for each
record that its search may not know yet as it is."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone
from typing_extensions import override


class WebhookEvent(models.Model):
    """An event, and what became of it. `source` is how it was first told.

    Its tags were dropped from the cache before it was stored; `invalidated` is false where the
    cache could not hear of it then, or is to hear of it again. `exam_ids` are the exams to recount
    that were known at that time. `due_at` is when the row may be taken up (again): whoever claims
    it moves it on, so that the claims of a worker that was killed come back by themselves.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "waiting"
        APPLIED = "applied", "applied"
        FAILED = "failed", "failed"
        IGNORED = "ignored", "ignored"

    class Source(models.TextChoices):
        WEBHOOK = "webhook", "webhook"
        JOURNAL = "journal", "change journal"

    digest = models.CharField(max_length=64, unique=True, editable=False)
    event_id = models.CharField("HubSpot's number", max_length=40, blank=True)
    subscription = models.CharField("event", max_length=100)
    kind = models.CharField(max_length=20)
    records = models.CharField("about", max_length=200, blank=True)
    property_name = models.CharField("property", max_length=200, blank=True)
    change_source = models.CharField("changed by", max_length=60, blank=True)
    raw = models.TextField("as it came, without values")
    receipt = models.UUIDField("request", editable=False)
    # The database knows it too: a release that does not may write beside this one.
    source = models.CharField(
        "told by",
        max_length=10,
        choices=Source.choices,
        default=Source.WEBHOOK,
        db_default=Source.WEBHOOK,
    )

    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    invalidated = models.BooleanField("cache has heard of it", default=False)
    exam_ids = models.JSONField("exams to recount", default=list)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    occurred_at = models.DateTimeField("happened", null=True, blank=True)
    received_at = models.DateTimeField("received", default=timezone.now, db_index=True)
    applied_at = models.DateTimeField("applied", null=True, blank=True)
    due_at = models.DateTimeField("to be taken up after", default=timezone.now)
    claim = models.UUIDField(null=True, editable=False)

    class Meta:
        ordering = ("-received_at", "-id")
        verbose_name = "webhook event"
        indexes = (
            models.Index(fields=("state", "due_at"), name="webhook_event_due"),
            models.Index(fields=("applied_at",), name="webhook_event_applied"),
            # With this class PostgreSQL finds what begins with a record, too.
            models.Index(
                fields=("records",), name="webhook_event_about", opclasses=["varchar_pattern_ops"]
            ),
        )
        permissions = (("apply_webhookevent", "Can have a webhook event applied again"),)

    @override
    def __str__(self) -> str:
        return f"{self.subscription} of {self.records or 'nothing known'}"

    @property
    def delay(self) -> timedelta | None:
        """How long after it happened it was applied, None where it has not been."""
        if self.applied_at is None or self.occurred_at is None:
            return None
        return self.applied_at - self.occurred_at


class ToldRecord(models.Model):
    """A record that HubSpot told of lately, and when it last did. `topic` is one of
    `reading.recent_changes.Topic`."""

    topic = models.CharField(max_length=20)
    record_id = models.CharField(max_length=20)
    told_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("topic", "record_id"), name="told_record"),)
        indexes = (models.Index(fields=("topic", "told_at"), name="told_record_topic"),)

    @override
    def __str__(self) -> str:
        return f"{self.topic} of {self.record_id}"
