"""What becomes of a row whose credit HubSpot refuses to write for good, or whose contact is gone.

A create is taken back: nobody has a seat without paying. A cancel stands: it is answered without
the credit, which is owed and tried again slowly, beside the student's other requests.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import is_refused_by_rule
from booking_api.desk.events import CreditRefused
from booking_api.desk.journal import journal
from booking_api.desk.journal.models import JournalEntry, RequestKind
from booking_api.desk.journal.plans import CancelPlan, change_plan
from booking_api.rules.errors import ContactNotFound, InvalidRequest
from hubspot_sync.errors import HubSpotError, Refused

log = structlog.get_logger(__name__)


def settle_without_credit(
    desk_context: DeskContext, row: JournalEntry, error: HubSpotError
) -> bool:
    """Take the row further without its credit where HubSpot refuses that for good; return whether
    it does. The refused write is not on its way any more."""
    if not isinstance(error, Refused) or not is_refused_by_rule(error):
        return False
    log.error(
        "credit_refused",
        entry=row.id,
        kind=row.kind,
        contact=row.contact_id,
        credit=row.credit_property,
        error=error.safe_text,
    )
    desk_context.notify(CreditRefused(kind=row.kind, credit_property=row.credit_property))
    mend = f"{error.safe_text} Mend the rule of the contact's {_list_names(error)}, or its value"
    if row.kind == RequestKind.CREATE:
        refusal = InvalidRequest(
            f"{_list_names(error)}: HubSpot does not let this credit be charged; nothing is booked."
        )
        journal.undo(row, refusal, f"{mend}: the booking was taken back.", desk_context.now())
        return True
    plan = CancelPlan.from_json(row.plan)
    was_never_sent = row.attempts == 0 or plan.is_owed
    if was_never_sent and row.credit_mark == "":
        row.credit_after = None  # another write may have left this value; a mark is nobody else's
    change_plan(row, replace(plan, is_owed=True))
    reason = f"{mend}: one credit is owed."
    journal.owe(row, plan.answer.without_credit(), reason, desk_context.now())
    return True


def settle_without_contact(row: JournalEntry, now: datetime) -> None:
    """Take the row further whose contact was deleted before its credit could be written."""
    log.error("credit_not_written", entry=row.id, reason="contact deleted")
    reason = "The contact was deleted before its credit could be written."
    if row.kind == RequestKind.CREATE:
        journal.undo(row, ContactNotFound(), reason, now)
        return
    plan = CancelPlan.from_json(row.plan)
    change_plan(row, replace(plan, answer=plan.answer.without_credit()))
    row.last_error = reason
    journal.complete(row)


def _list_names(error: Refused) -> str:
    return ", ".join(error.property_names)
