"""The desk's loop: it takes over everything, and goes on whatever happens to its thread."""

from __future__ import annotations

import sys
import threading

import pytest
from django.utils import timezone

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.lease import LONG_AGO
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    JournalEntry,
    Lease,
    RequestKind,
)
from tests.builders import Portal
from tests.desk import create
from tests.faults.groups import DeskUnderTest
from tests.plans import CREATES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.desk(config=DeskConfig(lease_s=60, grace_s=0)),
]

UNFINISHED = 130
LIMIT_S = 40.0


def left_by_a_vanished_desk(number: int) -> None:
    now = timezone.now()
    JournalEntry.objects.bulk_create(
        JournalEntry(
            kind=RequestKind.CREATE,
            state=EntryState.WRITTEN,
            idempotency_key=f"key-{turn}",
            email=f"{turn}@example.org",
            contact_id=f"1{turn:06}",
            record_id=f"9{turn:06}",
            credit_property="credits_clinical",
            plan=CREATES["first desk"],
            arrived_at=now,
            changed_at=now,
            wanted_until=now,
        )
        for turn in range(number)
    )
    Lease.objects.create(name=LEASE_NAME, holder="vanished", epoch=7, expires_at=LONG_AGO)


def test_whoever_takes_over_has_every_credit_looked_at(desk: DeskUnderTest, portal: Portal) -> None:
    """More than go into one group: the vanished desk may have been writing any of them."""
    left_by_a_vanished_desk(UNFINISHED)

    composition.services().booking.desk.run(lambda _: None).result(LIMIT_S)

    assert CreditReview.objects.count() == UNFINISHED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_desk_whose_thread_died_has_a_new_one(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    inner = composition.services().booking.desk
    thread = inner.run(lambda _: threading.current_thread()).result(LIMIT_S)
    inner.run(lambda _: sys.exit())
    thread.join(LIMIT_S)
    assert not thread.is_alive()

    assert create(desk.api, alice, exam).status == 201
