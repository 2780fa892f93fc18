"""What the survivor of a merge has still to pay, by what its history shows.

The whole stories are in `faults`; here is what takes an instant that no story can be made to hit.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from booking_api.desk.journal.models import EntryState, JournalEntry, RequestKind
from booking_api.desk.repair.merged_contacts import find_survivors_landing, move_to_survivor
from booking_api.rules.credit_landings import Landing
from hubspot_sync.portal.credit_history import Balance, Mark, Source
from hubspot_sync.portal.records import Contact
from hubspot_sync.writing.authoritative_reads import CreditHistory, SeenContact
from tests.plans import CREATES

pytestmark = pytest.mark.django_db

CREDIT = "credits_clinical"
BEGIN = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
MARK = "row-7.1"
OURS, PERSON = Source("INTEGRATION", "7"), Source("CRM_UI", "userId:1")
SKEW = timedelta(milliseconds=250)
"""So far apart HubSpot may note the two values of one write."""


def charge() -> JournalEntry:
    """Dana's charge, planned from 5 to 4; she has become part of the survivor since."""
    return JournalEntry.objects.create(
        kind=RequestKind.CREATE,
        state=EntryState.WRITTEN,
        idempotency_key="key-7",
        plan=CREATES["first desk"],
        email="dana@example.org",
        contact_id="1002",
        credit_property=CREDIT,
        credit_before=Decimal(5),
        credit_after=Decimal(4),
        contact_seen_at=BEGIN,
        credit_mark=MARK,
        arrived_at=BEGIN,
        wanted_until=BEGIN,
        changed_at=BEGIN,
    )


def balance(value: int, after: timedelta, source: Source) -> Balance:
    return Balance(
        value=Decimal(value), at=BEGIN + after, may_be_ours=source is OURS, source=source
    )


def survivor(*balances: Balance, marked: timedelta) -> CreditHistory:
    contact = Contact(
        id="1001",
        email="alice@example.org",
        firstname="Alice",
        lastname="Moreau",
        student_id="S1001",
        credits={CREDIT: balances[-1].value},
        merged_ids=("1002",),
    )
    return CreditHistory(
        seen=SeenContact(contact=contact, seen_at=balances[-1].at),
        balances={CREDIT: balances},
        marks=(Mark(text=MARK, at=BEGIN + marked),),
        last_mark=MARK,
    )


@pytest.mark.parametrize("apart", [timedelta(0), SKEW, -SKEW], ids=["at once", "after", "before"])
def test_a_planned_value_beside_the_mark_is_the_charge(apart: timedelta) -> None:
    at = timedelta(minutes=1)
    history = survivor(balance(5, timedelta(0), PERSON), balance(4, at + apart, OURS), marked=at)

    assert move_to_survivor(charge(), history).is_paid


def test_what_somebody_else_set_beside_the_mark_is_no_charge() -> None:
    """The mark came with the merge; within the same instant a person set another value."""
    at = timedelta(minutes=1)
    row = charge()
    history = survivor(
        balance(9, timedelta(0), PERSON), balance(8, at + SKEW / 2, PERSON), marked=at
    )

    still_to_pay = move_to_survivor(row, history)

    assert (still_to_pay.is_paid, still_to_pay.balance) == (False, 8)
    assert (row.contact_id, row.credit_mark, row.credit_after) == ("1001", "", None)


def test_a_planned_value_long_after_the_mark_is_no_charge() -> None:
    at = timedelta(minutes=1)
    history = survivor(
        balance(9, timedelta(0), PERSON),
        balance(4, at + SKEW + timedelta(milliseconds=1), PERSON),
        marked=at,
    )

    still_to_pay = move_to_survivor(charge(), history)

    assert (still_to_pay.is_paid, still_to_pay.balance) == (False, 4)


@pytest.mark.parametrize(("sent", "seen"), [(MARK, Landing.SEEN), ("row-7.2", Landing.NOT_SEEN)])
def test_the_latest_sending_is_over_where_its_own_mark_has_come(sent: str, seen: Landing) -> None:
    row, at = charge(), timedelta(minutes=1)
    row.credit_mark = sent
    history = survivor(balance(9, timedelta(0), PERSON), balance(8, at, PERSON), marked=at)

    assert find_survivors_landing(row, history) is seen
