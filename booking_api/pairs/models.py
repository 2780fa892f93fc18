"""What is kept of pairs that were right."""

from __future__ import annotations

from django.db import models
from typing_extensions import override


class RightPair(models.Model):
    """A student's pair was right from an address. Digests alone: nobody's e-mail, student id or
    address can be read from them, and without the secret nobody can find a student's row."""

    pair = models.CharField(
        max_length=32, primary_key=True, help_text="Digest of the address and both halves."
    )
    student_id = models.CharField(
        max_length=32, db_index=True, help_text="Digest of the address and the student id."
    )
    email = models.CharField(
        max_length=32, db_index=True, help_text="Digest of the address and the e-mail."
    )
    last_used = models.DateField(db_index=True)

    class Meta:
        ordering = ("last_used", "pair")

    @override
    def __str__(self) -> str:
        return self.pair
