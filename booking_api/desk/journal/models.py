"""What the desk keeps in the database: leases, the journal, the outbox and its follow-ups.

The journal is the queue too: a request is a row from its arrival on. The desk of any process
serves it in its turn; once begun, it is finished whatever happens to the process that began it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import models
from django.db.models.fields.json import KT
from typing_extensions import override

from hubspot_sync.portal.property_values import MAX_DECIMAL_PLACES, MAX_DIGITS

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    CreditField = models.DecimalField[Decimal | None, Decimal | None]
    JsonField = models.JSONField[object, object]
    """`object`: who reads one says as what (requests.py, plans.py, answers.py)."""

MAX_PROPERTY_NAME_CHARS: Final = 250
"""More than HubSpot gives a property's name."""
MAX_MARK_CHARS: Final = 60
CREDIT_DIGITS: Final = MAX_DIGITS + MAX_DECIMAL_PLACES
"""For every balance that can be read: its digits may stand before the point or behind it."""


class Lease(models.Model):
    """Who may do something that only one process of the deployment may do at a time."""

    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(
        max_length=100, blank=True, help_text="Empty once it was given back in good order."
    )
    epoch = models.PositiveBigIntegerField(
        default=0, help_text="Grows by one with every new holder."
    )
    expires_at = models.DateTimeField(help_text="By the database's clock.")

    class Meta:
        ordering = ("name",)

    @override
    def __str__(self) -> str:
        return self.name


class RequestKind(models.TextChoices):
    CREATE = "create", "book"
    CANCEL = "cancel", "cancel"
    UPDATE = "update", "change"


class EntryState(models.TextChoices):
    QUEUED = "queued", "waiting for the desk"
    WRITING = "writing", "being written to HubSpot"
    WRITTEN = "written", "the booking stands, the rest follows"
    DONE = "done", "done"
    REFUSED = "refused", "refused, nothing was changed"
    UNDOING = "undoing", "HubSpot refuses the charge: being taken back"
    UNDONE = "undone", "HubSpot refused the charge: taken back"
    OWING = "owing", "cancelled, but HubSpot refuses the credit: tried again"


UNSETTLED = (EntryState.WRITING, EntryState.WRITTEN)
"""What may still change a student's credits: no other request of theirs is begun before."""
UNFINISHED = (*UNSETTLED, EntryState.UNDOING, EntryState.OWING)
ENDED = (EntryState.DONE, EntryState.REFUSED, EntryState.UNDONE)
ANSWERED = (*ENDED, EntryState.OWING)
"""What nobody waits for any more."""
REFUSALS = (EntryState.REFUSED, EntryState.UNDONE)
"""With these the row's answer is an error."""


class JournalEntry(models.Model):
    """One create, cancel or update, from its arrival to its answer."""

    kind = models.CharField(max_length=10, choices=RequestKind)
    state = models.CharField(max_length=10, choices=EntryState, default=EntryState.QUEUED)
    idempotency_key = models.CharField(max_length=255, unique=True)
    fingerprint = models.CharField(max_length=64, help_text="Of the request, as SHA-256.")
    email = models.CharField(max_length=254, help_text="The student's; one at a time for each.")
    request: JsonField = models.JSONField(default=dict)
    plan: JsonField = models.JSONField(
        default=dict, help_text="What was decided, before anything is written."
    )

    contact_id = models.CharField(max_length=20, blank=True)
    exam_id = models.CharField(max_length=20, blank=True)
    record_id = models.CharField("booking", max_length=20, blank=True)

    credit_property = models.CharField(max_length=MAX_PROPERTY_NAME_CHARS, blank=True)
    credit_before: CreditField = models.DecimalField(
        max_digits=CREDIT_DIGITS, decimal_places=MAX_DECIMAL_PLACES, null=True, blank=True
    )
    credit_after: CreditField = models.DecimalField(
        max_digits=CREDIT_DIGITS, decimal_places=MAX_DECIMAL_PLACES, null=True, blank=True
    )
    contact_seen_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the contact had last changed as its credit was read, by HubSpot's clock.",
    )

    credit_mark = models.CharField(
        max_length=MAX_MARK_CHARS,
        blank=True,
        default="",
        db_default="",
        help_text="What its latest credit write leaves in the contact's history; empty for none.",
    )
    in_doubt_since: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, blank=True, help_text="Since when a write of it may be under way in HubSpot."
    )

    epoch = models.PositiveBigIntegerField(default=0, help_text="Of the desk that wrote it last.")
    arrived_at = models.DateTimeField("arrived")
    wanted_until = models.DateTimeField(help_text="Nobody waits for it after this.")
    changed_at = models.DateTimeField("last change")
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    answer: JsonField = models.JSONField(default=dict)

    was_set_aside = False
    """Whether this object stands for a row that has just been put away: nobody is to wait for it.
    No column."""
    waits_until: datetime | None = None
    """Until when HubSpot takes no calls for a row that waits on. No column."""

    class Meta:
        ordering = ("-id",)
        verbose_name = "journal entry"
        verbose_name_plural = "journal entries"
        permissions = (("finish_bookings", "Can have bookings finished now"),)
        indexes = (
            models.Index(fields=("state", "id"), name="journal_state"),
            models.Index(fields=("exam_id", "changed_at"), name="journal_exam"),
            models.Index(fields=("contact_id", "changed_at"), name="journal_contact"),
            models.Index(fields=("record_id",), name="journal_record"),
            models.Index(fields=("fingerprint",), name="journal_fingerprint"),
            models.Index(fields=("arrived_at",), name="journal_arrived"),
            models.Index(fields=("email",), name="journal_email"),
            models.Index(KT("request__student_id"), name="journal_student"),
            models.Index(
                KT("request__mock_exam_id"),
                name="journal_asked_exam",
                condition=models.Q(exam_id=""),
            ),
            models.Index(
                KT("answer__code"),
                name="journal_answer_code",
                condition=models.Q(state__in=REFUSALS),
            ),
        )

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class MergedContact(models.Model):
    """Two ids that mean one contact: HubSpot has merged them."""

    contact_id = models.CharField(max_length=20)
    same_as = models.CharField(max_length=20, db_index=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("contact_id", "same_as"), name="merged_contact_pair"),
        )

    @override
    def __str__(self) -> str:
        return f"{self.contact_id} is {self.same_as}"


class NoteState(models.TextChoices):
    WAITING = "waiting", "waiting"
    SENDING = "sending", "being sent"
    SENT = "sent", "sent"
    REFUSED = "refused", "refused by HubSpot"


class OutboxNote(models.Model):
    """A note for a contact's timeline, written with the journal row it tells of."""

    entry = models.OneToOneField(JournalEntry, on_delete=models.CASCADE, related_name="note")
    contact_id = models.CharField(max_length=20)
    body = models.TextField()
    reference = models.CharField(
        max_length=32, help_text="Stands in the body, so that the note is known again."
    )
    noted_at = models.DateTimeField("when", help_text="What the timeline says.")
    state = models.CharField(max_length=10, choices=NoteState, default=NoteState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    perhaps_sent = models.BooleanField(
        default=False, help_text="Looked for on the timeline before it is sent again."
    )
    note_id = models.CharField("note", max_length=20, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name = "note"
        verbose_name_plural = "outbox"
        indexes = (models.Index(fields=("state", "next_attempt_at"), name="outbox_due"),)

    @override
    def __str__(self) -> str:
        return f"note on {self.contact_id}"


class FollowUp(models.Model):
    """Something to be looked at again later, once for each subject however often that is asked."""

    subject_id = models.CharField(max_length=20, unique=True)
    asked_at = models.DateTimeField("asked")
    version = models.PositiveBigIntegerField(
        default=1, help_text="Changes when it is asked for again while it is being done."
    )
    next_attempt_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        abstract = True
        ordering = ("next_attempt_at",)

    @override
    def __str__(self) -> str:
        return self.subject_id


class RecountRequest(FollowUp):
    """An exam whose bookings are to be counted."""

    class Meta(FollowUp.Meta):
        abstract = False
        verbose_name = "recount"


class ErasureRequest(FollowUp):
    """A contact whose person wants to be forgotten: what names them is removed, and looked for
    again for a while. Holds the contact's id and nothing that could be read back."""

    email_digests = models.JSONField(
        default=list, help_text="Of e-mails under which rows may still come."
    )

    class Meta(FollowUp.Meta):
        abstract = False
        verbose_name = "erasure"


class CreditReview(FollowUp):
    """A contact whose credits are to be compared with the journal."""

    overtaken = models.BooleanField(
        default=False, help_text="A desk that had lost its lease may have written them."
    )
    in_doubt_since: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, blank=True, help_text="Since when a correction may be under way in HubSpot."
    )
    mark = models.CharField(
        max_length=MAX_MARK_CHARS,
        blank=True,
        default="",
        db_default="",
        help_text="Of its latest correction.",
    )

    class Meta(FollowUp.Meta):
        abstract = False
        verbose_name = "credit review"
