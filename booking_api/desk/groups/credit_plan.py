"""The plan of a credit's change: from what to what, and the mark that its write leaves.

Saved before the write goes out: by it the write is known again in the contact's history.
"""

from __future__ import annotations

import secrets
from decimal import Decimal

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal.models import JournalEntry
from booking_api.rules.credit_landings import CreditWrite, first_mark, next_mark
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.writing.authoritative_reads import SeenContact
from hubspot_sync.writing.portal_writes import CreditChange

NONCE_BYTES = 4


class CreditPlans:
    """Plans the changes of one group."""

    def __init__(self, desk_context: DeskContext, context: CallContext) -> None:
        self._keeps_marks = desk_context.writes.keeps_marks(context)

    def fill_in(
        self,
        row: JournalEntry,
        seen: SeenContact,
        property_name: str,
        change: tuple[Decimal, Decimal],
    ) -> None:
        """Give the row its plan: the credit's change from what was `seen`, before and after."""
        row.credit_property = property_name
        row.credit_before, row.credit_after = change
        row.contact_seen_at = seen.seen_at
        row.credit_mark = self._mark(row)

    def _mark(self, row: JournalEntry) -> str:
        if not self._keeps_marks:
            return ""
        if row.credit_mark:
            return next_mark(row.credit_mark)
        return first_mark(row.id, secrets.token_hex(NONCE_BYTES))


def planned_write(row: JournalEntry) -> CreditWrite | None:
    """Return the write that the row has planned last; None where it has none."""
    if row.credit_before is None or row.credit_after is None:
        return None
    return CreditWrite(
        before=row.credit_before,
        after=row.credit_after,
        seen_at=row.contact_seen_at,
        mark=row.credit_mark,
    )


def planned_change(row: JournalEntry) -> CreditChange | None:
    """Return what the row's plan has written to the contact; None where that is nothing."""
    if row.credit_property == "" or row.credit_after is None:
        return None
    return CreditChange(
        property_name=row.credit_property, balance=row.credit_after, mark=row.credit_mark
    )
