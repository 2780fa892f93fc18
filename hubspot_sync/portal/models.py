"""What operators are shown of the portal's data: values that cannot be read."""

from __future__ import annotations

from django.db import models
from typing_extensions import override


class ObjectKind(models.TextChoices):
    CONTACT = "contact", "contact"
    BOOKING = "booking", "booking"
    EXAM = "mock_exam", "mock exam"


class UnreadableValue(models.Model):
    """A property of a record whose text means nothing to us. The text is not kept: it may be
    personal, and whoever may see it finds it in HubSpot."""

    kind = models.CharField("object", max_length=20, choices=ObjectKind)
    record_id = models.CharField("record", max_length=20)
    property_name = models.CharField("property", max_length=250)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("kind", "record_id", "property_name")
        verbose_name = "unreadable value"
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "record_id", "property_name"), name="unreadable_value_once"
            ),
        )

    @override
    def __str__(self) -> str:
        return f"{self.property_name} of {self.kind} {self.record_id}"
