"""A row that can wait for HubSpot is in the journal, and in memory, as it was before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from booking_api import composition
from booking_api.desk.groups.decision import plan_or_refuse
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import EntryState, JournalEntry
from hubspot_sync.errors import RateLimited
from tests.api import Api
from tests.journal_rows import make_row

LONG = timedelta(minutes=5)


@pytest.mark.django_db
def test_only_what_was_decided_is_written() -> None:
    waiting, decided = make_row(), make_row()
    before = JournalEntry.objects.filter(id=waiting.id).values().get()
    decided.state = EntryState.WRITING
    lease = LeaseKeeper("desk", LONG, "first").acquire()
    assert lease is not None

    with lease.fenced_transaction():
        begun = journal.begin(lease, [waiting, decided], timezone.now())

    assert [row.id for row in begun] == [decided.id]
    assert JournalEntry.objects.filter(id=waiting.id).values().get() == before


@pytest.mark.django_db(transaction=True)
def test_what_a_plan_had_begun_to_fill_in_is_taken_back(api: Api) -> None:
    now = timezone.now()
    row = make_row(arrived_at=now)
    before = {name: getattr(row, name) for name in journal.MUTABLE_FIELDS}

    def plan() -> None:
        row.contact_id, row.exam_id, row.state = "1789", "5012", EntryState.WRITING
        raise RateLimited("No calls for now.", retry_after_s=1.0)

    plan_or_refuse(composition.services().booking.desk_context, row, plan)

    assert {name: getattr(row, name) for name in journal.MUTABLE_FIELDS} == before
    assert row.waits_until is not None
