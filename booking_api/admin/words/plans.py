"""What was decided of a request, in words that name nobody."""

from __future__ import annotations

from typing import assert_never

from booking_api.admin.words.requests import FORGOTTEN
from booking_api.desk.errors import UnreadablePlan
from booking_api.desk.journal.erasure import is_erased
from booking_api.desk.journal.models import EntryState, JournalEntry
from booking_api.desk.journal.plans import CancelPlan, CreatePlan, Plan, UpdatePlan, read_plan
from hubspot_sync.portal.record_names import is_record_id
from hubspot_sync.wire.storable_text import make_storable


def describe_plan(row: JournalEntry) -> str:
    """Return what was decided, as one or more sentences; of any row."""
    if is_erased(row):
        return f"Not kept: {FORGOTTEN}."
    if row.plan == {}:
        queued = row.state == EntryState.QUEUED
        return "Nothing yet." if queued else "Nothing: no booking was touched."
    try:
        return make_storable(_describe(read_plan(row)))
    except UnreadablePlan as error:
        return error.message


def _describe(plan: Plan) -> str:
    match plan:
        case CreatePlan():
            return _describe_create(plan)
        case CancelPlan():
            back = plan.answer.credit_restoration
            credit = "No credit is given back."
            if back is not None:
                credit = f"A credit is given back: {back.credit_type}."
            asked = (
                f" Contact {plan.asked_by} asked for it."
                if is_record_id(plan.asked_by or "")
                else ""
            )
            owed = " HubSpot has refused the credit before." if plan.is_owed else ""
            return f"The booking is cancelled. {credit}{asked}{owed}"
        case UpdatePlan():
            names = ", ".join(sorted(plan.properties)) or "none"
            return f"The booking gets new values: {names}."
        case _:
            assert_never(plan)


def _describe_create(plan: CreatePlan) -> str:
    sentences = [f"Seat {plan.seat_number}."]
    if plan.refused_seats:
        seats = ", ".join(map(str, plan.refused_seats))
        sentences.append(f"HubSpot had refused for this request: {seats}.")
    if plan.unexplained_conflicts == 1:
        sentences.append("One of these refusals is nobody's seat.")
    elif plan.unexplained_conflicts > 1:
        sentences.append(f"{plan.unexplained_conflicts} of these refusals are nobody's seat.")
    if plan.merged_contacts:
        sentences.append(f"Merged into the contact: {', '.join(plan.merged_contacts)}.")
    return " ".join(sentences)
