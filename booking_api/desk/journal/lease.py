"""Leases: something only one process of the deployment may do at a time, guarded by a database row.

A lease has an *epoch* that grows with every new holder. Whoever holds it renews it, and puts the
epoch into every transaction it makes, so that a holder that was paused and overtaken can write
nothing more. Time is the database's: hosts need not agree on it.

A holder's name has a part that nobody else knows. Whoever could not give the lease back, because
the database was away, has it again at once when the database is back.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from booking_api.desk.journal.models import Lease

LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


class LeaseLost(Exception):
    """Somebody else holds the lease now; what was begun is theirs to finish."""


class LeaseHandedOn(LeaseLost):
    """The holder ends; what was begun is for the next one to finish."""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """The lease as its holder has it. `taken_over` says that the holder before, whose epoch was
    one less, never gave it back: it may have left things half done, and may still be sending."""

    name: str
    holder: str
    epoch: int
    duration: timedelta
    taken_over: bool

    def renew(self) -> None:
        """Hold it for its full time from now; raises LeaseLost."""
        if self._own_row().update(expires_at=from_now(self.duration)) != 1:
            raise LeaseLost(f"The lease {self.name} has passed on from epoch {self.epoch}.")

    def raise_epoch(self, above: int) -> HeldLease:
        """Hold it with an epoch above another, for somebody who remembers higher ones than our
        database: it may be that of a backup. Returns the lease to go on with; raises LeaseLost."""
        epoch = max(self.epoch, above + 1)
        if self._own_row().update(epoch=epoch, expires_at=from_now(self.duration)) != 1:
            raise LeaseLost(f"The lease {self.name} has passed on from epoch {self.epoch}.")
        return replace(self, epoch=epoch)

    @contextmanager
    def fenced_transaction(self) -> Iterator[None]:
        """A transaction that takes place only while the lease is held; raises LeaseLost."""
        with transaction.atomic():
            self.renew()
            yield

    def give_back(self) -> None:
        """Let the next one have it at once; does nothing where it is lost already."""
        self._own_row().update(holder="", expires_at=LONG_AGO)

    def expire(self) -> None:
        """Let the next one take it over at once, as from a holder that vanished."""
        self._own_row().update(expires_at=LONG_AGO)

    def _own_row(self) -> QuerySet[Lease]:
        return Lease.objects.filter(name=self.name, holder=self.holder, epoch=self.epoch)


class LeaseKeeper:
    """Acquires one lease on behalf of one holder."""

    def __init__(self, name: str, duration: timedelta, holder: str | None = None) -> None:
        self._name = name
        self._duration = duration
        self._holder = holder if holder is not None else process_name()
        self._left: HeldLease | None = None

    def let_go(self, lease: HeldLease, *, in_order: bool) -> None:
        """Give the lease back. Not `in_order` it is kept for its time, and whoever has it next
        takes it over, this process too. Raises Django's database errors; the next `acquire` here
        makes up for it."""
        self._left = lease if in_order else replace(lease, taken_over=True)
        if in_order:
            lease.give_back()
            self._left = None

    def acquire(self) -> HeldLease | None:
        """Return the lease if it is free, its holder's time is over, or it was left here; else
        None."""
        left, free = self._left, Q(holder="") | Q(expires_at__lte=Now())
        if left is not None:
            free |= Q(holder=left.holder, epoch=left.epoch)
        row = self._rows().filter(free).first()
        if row is None:
            if self._rows().exists():
                return None
            row = self._get_or_create_row()
        claim = self._rows().filter(free, epoch=row.epoch, holder=row.holder)
        epoch, expires_at = row.epoch + 1, from_now(self._duration)
        if claim.update(holder=self._holder, epoch=epoch, expires_at=expires_at) != 1:
            return None
        self._left = None
        is_left_here = left is not None and (row.holder, row.epoch) == (left.holder, left.epoch)
        taken_over = left.taken_over if left is not None and is_left_here else row.holder != ""
        return HeldLease(self._name, self._holder, epoch, self._duration, taken_over)

    def epoch(self) -> int:
        """Return the epoch of the holder now, or of the last one."""
        return self._get_or_create_row().epoch

    def _rows(self) -> QuerySet[Lease]:
        return Lease.objects.filter(name=self._name)

    def _get_or_create_row(self) -> Lease:
        row, _ = Lease.objects.get_or_create(name=self._name, defaults={"expires_at": LONG_AGO})
        return row


def process_name() -> str:
    """Return a name for this process that no other has, and that an operator can make sense of."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def from_now(duration: timedelta) -> Combinable:
    """Return the database's own time, so much later."""
    return ExpressionWrapper(Now() + Value(duration), output_field=DateTimeField())
