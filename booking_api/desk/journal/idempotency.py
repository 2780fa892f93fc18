"""One key, one deed: what a request becomes whose idempotency key may have come before.

The key is the row's, unique in the database. A key that comes again with the same request finds the
first one's row; with another request it is refused. Nothing came of a refused row, so its key is
free again. Of a person who was forgotten (erasure.py) a digest of the key is left: nobody reads the
key out of it, and it is not used a second time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from booking_api.desk import errors
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.requests import DeskRequest

ERASED: Final = "erased "
"""Begins what stands for the key of a row whose person was forgotten. No caller can send a key with
a blank."""
MAX_KEY_RACES: Final = 3
"""A key found taken, and given free before it could be read, so often: it was not about the key."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """A row in the queue; `own` says that this call made it, not an earlier one with its key."""

    row: JournalEntry
    own: bool


def fingerprint(request: DeskRequest) -> str:
    """Return the same SHA-256, in hexadecimal, for the same request, however it was spelt."""
    text = json.dumps([request.kind, request.to_json()], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def erased_key(row: JournalEntry) -> str:
    """Return what stands for the row's key from now on. A refused row's key is nobody's."""
    if row.state == EntryState.REFUSED:
        return f"{ERASED}{row.id}"
    return _digest_key(row.idempotency_key)


def _digest_key(key: str) -> str:
    return ERASED + salted_hmac("booking_api.idempotency", key, algorithm="sha256").hexdigest()


def insert_or_find(new: JournalEntry) -> QueuePlace:
    """Store a new row, or find the one its key belongs to.

    Raises IdempotencyKeyReused where that was another request, and the database's error for what it
    refuses to keep.
    """
    races = 0
    while True:
        try:
            with transaction.atomic():
                new.save(force_insert=True)
                # After the insert: an earlier row may lose this key to its digest meanwhile.
                used = JournalEntry.objects.filter(idempotency_key=_digest_key(new.idempotency_key))
                if used.exists():
                    raise errors.IdempotencyKeyReused
        except IntegrityError:
            races += 1
            earlier = JournalEntry.objects.filter(idempotency_key=new.idempotency_key).first()
            if earlier is None and races >= MAX_KEY_RACES:
                raise
        else:
            return QueuePlace(new, own=True)
        if earlier is None:
            continue  # its key has just been given free
        # A key somebody else was refused with is nobody's: or any stranger could use it up.
        refused = earlier.state == EntryState.REFUSED
        is_strangers = refused and earlier.email != new.email
        if earlier.fingerprint != new.fingerprint and not is_strangers:
            raise errors.IdempotencyKeyReused
        if not refused:
            return QueuePlace(earlier, own=False)
        _free_key(earlier)
        new.pk = None


def find_earlier(request: DeskRequest, key: str) -> JournalEntry | None:
    """Return the row that the request's key belongs to, None where that is free; raise
    IdempotencyKeyReused where it was another request's."""
    earlier = JournalEntry.objects.filter(idempotency_key=key).first()
    if earlier is None or earlier.state == EntryState.REFUSED:
        return None
    if earlier.fingerprint != fingerprint(request):
        raise errors.IdempotencyKeyReused
    return earlier


def _free_key(refused: JournalEntry) -> None:
    """Nothing came of it: the same request may be made anew, at the queue's end. Who waits for the
    old row still finds it by its id. No caller can send a key with a blank."""
    JournalEntry.objects.filter(id=refused.id, state=EntryState.REFUSED).update(
        idempotency_key=f"refused {refused.id}"
    )
