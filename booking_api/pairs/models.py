"""What is kept of pairs that were right, and of whose they were."""

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


class SeenStudent(models.Model):
    """A student whose pair was right on some day. Nothing but the contact's id."""

    contact_id = models.CharField("contact", max_length=20, primary_key=True)
    last_seen = models.DateField(db_index=True)

    class Meta:
        default_permissions = ()
        ordering = ("-last_seen", "contact_id")

    @override
    def __str__(self) -> str:
        return self.contact_id
