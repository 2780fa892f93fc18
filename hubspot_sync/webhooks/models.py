"""What is remembered of how HubSpot signs."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from typing_extensions import override


class SeenSignature(models.Model):
    """A kind of signature that came here and was right. Once v3 has been, v1 and v2 are refused.

    Deleting the row forgets it; see docs/how-to/receive-webhooks.md.
    """

    version = models.CharField(max_length=10, primary_key=True)
    first_seen_at = models.DateTimeField("first seen", default=timezone.now)

    class Meta:
        ordering = ("version",)
        verbose_name = "seen signature"

    @override
    def __str__(self) -> str:
        return self.version
