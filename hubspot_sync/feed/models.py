"""Where the change feed stands: one row, moved on by whoever holds its lease."""

from __future__ import annotations

from django.db import models
from typing_extensions import override


class FeedPosition(models.Model):
    """How far the change journal has been read.

    Everything up to `offset` is stored; an empty one begins at the earliest entry. `source` names
    the app and the portal: an offset means nothing to another. `epoch` is that of the cache's
    proof which began with this position.
    """

    source = models.CharField(max_length=64, unique=True, editable=False)
    portal_id = models.CharField("portal", max_length=20)
    offset = models.CharField(max_length=200, blank=True)
    published_at = models.DateTimeField("last entry published", null=True)
    read_at = models.DateTimeField("last entry read", null=True)
    at_end_at = models.DateTimeField("last at the end", null=True)
    epoch = models.CharField(max_length=40, blank=True)
    epoch_began_at = models.DateTimeField("epoch began", null=True)
    epoch_reason = models.CharField("why it began", max_length=40, blank=True)
    coverage = models.CharField(max_length=64, blank=True, editable=False)
    lost_at = models.DateTimeField("offset last lost", null=True)
    recount_due = models.BooleanField("exams are to be recounted", default=False)
    erasures_missed_at = models.DateTimeField(
        "requests to forget somebody may have been lost", null=True
    )
    delay_s = models.FloatField("delay in seconds", null=True)
    delay_measured_at = models.DateTimeField("delay measured", null=True)
    owed_since = models.DateTimeField("owes us a booking since", null=True)
    error = models.CharField("last failure", max_length=300, blank=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "change feed"
        verbose_name_plural = "change feed"

    @override
    def __str__(self) -> str:
        return f"portal {self.portal_id} from {self.offset or 'the earliest entry'}"


class OwnWrite(models.Model):
    """A booking that we have made and the feed has yet to show; HubSpot answered at `answered_at`,
    by the database's clock."""

    record_id = models.CharField(max_length=20, unique=True)
    answered_at = models.DateTimeField(db_index=True)

    @override
    def __str__(self) -> str:
        return f"booking {self.record_id}"
