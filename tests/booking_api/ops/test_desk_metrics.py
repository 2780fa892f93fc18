"""What Prometheus is told of the booking desk: what it did, and what is waiting for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.lease import LONG_AGO, LeaseKeeper
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    JournalEntry,
    Lease,
    NoteState,
    OutboxNote,
    RecountRequest,
)
from hubspot_sync.background.wait_limits import longest_wait_s
from tests.api import Api
from tests.builders import Portal
from tests.desk import create, credit_of
from tests.metrics import grown, shown, value_of
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_requests_are_counted_by_kind_and_outcome_and_groups_by_size(
    api: Api, portal: Portal
) -> None:
    alice, bob, exam = portal.student("alice"), portal.student("bob"), portal.exam()
    before = shown(api)

    create(api, alice, exam)
    create(api, bob, exam)

    after = shown(api)
    requests = "mocks_desk_requests_total"
    assert grown(before, after, requests, kind="create", outcome="done") == 1
    assert grown(before, after, requests, kind="create", outcome="INSUFFICIENT_CREDITS") == 1
    assert grown(before, after, "mocks_desk_group_size_count", recovery="false") == 2
    assert grown(before, after, "mocks_desk_group_size_sum", recovery="false") == 2


def test_what_recovery_finishes_is_told_apart(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    create(api, alice, exam)
    before = shown(api)
    JournalEntry.objects.update(state=EntryState.WRITING, record_id="")

    composition.services().booking.desk.wake()

    eventually(lambda: JournalEntry.objects.get().state == EntryState.DONE)
    eventually(
        lambda: grown(before, shown(api), "mocks_desk_group_size_count", recovery="true") == 1
    )


def test_a_takeover_and_a_mended_credit_are_counted(
    settings: Settings, api: Api, portal: Portal
) -> None:
    settings.DESK = DeskConfig(grace_s=0)
    composition.close()
    alice, exam = portal.student("alice"), portal.exam()
    create(api, alice, exam)
    credit = portal.first_type.credit_property
    contacts = portal.profile.object_types.contacts
    # What a desk that was paused and woke too late would write once more.
    mark = JournalEntry.objects.get().credit_mark
    stale = {"inputs": [{"id": alice.id, "properties": {credit: "4", "credit_write_marker": mark}}]}
    create(api, alice, portal.exam(in_days=9))
    path = f"/crm/objects/2026-09/{contacts}/batch/update"
    assert portal.sandbox.call("POST", path, stale).status == 200
    before = shown(api)
    now = timezone.now()
    CreditReview.objects.create(
        subject_id=alice.id, asked_at=now, next_attempt_at=now, overtaken=True
    )
    assert LeaseKeeper(LEASE_NAME, settings.DESK.lease_duration).acquire() is not None
    Lease.objects.update(expires_at=LONG_AGO)

    composition.services().booking.desk.wake()

    eventually(lambda: CreditReview.objects.count() == 0)
    after = shown(api)
    assert credit_of(portal, alice) == 3
    assert grown(before, after, "mocks_desk_takeovers_total") == 1
    assert value_of(after, "mocks_desk_last_takeover_timestamp_seconds") >= now.timestamp()
    assert grown(before, after, "mocks_desk_credits_mended_total", credit=credit) == 1


def test_what_waits_is_shown_with_the_age_of_the_oldest(api: Api, portal: Portal) -> None:
    create(api, portal.student("alice"), portal.exam())
    composition.close()
    now = timezone.now()
    later, hour_ago = now + timedelta(hours=1), now - timedelta(hours=1)
    JournalEntry.objects.update(
        state=EntryState.WRITTEN, arrived_at=hour_ago, next_attempt_at=later
    )
    OutboxNote.objects.update(state=NoteState.WAITING, noted_at=hour_ago, next_attempt_at=later)
    for subject in ("1", "2"):
        RecountRequest.objects.create(subject_id=subject, asked_at=now, next_attempt_at=later)

    seen = shown(api)

    def value(name: str, what: str) -> float:
        return seen[(name, frozenset({("what", what)}))]

    waiting, oldest = "mocks_desk_waiting", "mocks_desk_oldest_waiting_seconds"
    assert {what: value(waiting, what) for what in ("requests", "unfinished", "notes")} == {
        "requests": 0,
        "unfinished": 1,
        "notes": 1,
    }
    assert (value(waiting, "recounts"), value(waiting, "credit_reviews")) == (2, 0)
    assert value(oldest, "unfinished") >= 3600
    assert value(oldest, "notes") >= 3600
    assert value(oldest, "requests") == value(oldest, "credit_reviews") == 0


def test_without_its_database_the_rest_is_shown_all_the_same(api: Api) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("away")

    with connection.execute_wrapper(away):
        seen = {name for name, _ in shown(api)}

    assert "mocks_desk_waiting" not in seen
    assert "mocks_desk_takeovers_total" in seen


def test_a_silent_database_is_waited_for_less_than_prometheus_waits(api: Api) -> None:
    allowed: list[float | None] = []

    def note(execute: Any, *asked: Any) -> Any:
        allowed.append(longest_wait_s())
        return execute(*asked)

    with connection.execute_wrapper(note):
        api.get("/metrics")

    assert len(allowed) > 0
    assert all(wait_s is not None and wait_s <= 3 for wait_s in allowed)
