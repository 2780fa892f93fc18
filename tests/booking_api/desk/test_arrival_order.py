"""Who waits at the desk for HubSpot keeps their place before those that came later and ask for the
same seat, or are the same student."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from requests import PreparedRequest

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.answers import Refusal
from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.builders import Exam, Portal, Student
from tests.desk import (
    active_bookings,
    create,
    create_body,
)
from tests.faults.groups import DeskUnderTest, running_desk, use_up_everything
from tests.faults.tables import READS, WITHOUT_A_POLICY
from tests.journal_rows import make_row, state_of
from tests.waiting import eventually

LIMIT = 40
PATIENCE_S = 25
LATE_S = 60.0
AGAIN_S = 2

pytestmark = pytest.mark.django_db(transaction=True)

CALLS_OF_ONE_CREATE = 7
"""Of a student's first booking of an exam that has none: four reads, and three writes."""
SHORT, LONG = timedelta(seconds=LATE_S / 2), timedelta(seconds=10 * LATE_S)
SETTLED = {EntryState.DONE, EntryState.REFUSED}
REQUEST_FIELDS = ["student_id", "email", "contact_id", "mock_exam_id", "name", "exam_date"]


def warm_up(desk: DeskUnderTest, portal: Portal) -> None:
    """Have everything asked that is asked once."""
    assert create(desk.api, portal.student("olga"), portal.exam()).status == 201
    desk.wait_until_idle()


def wants(student: Student, exam: Exam, patience: timedelta) -> JournalEntry:
    """A create that has come to the desk and whose caller waits for so long."""
    body = create_body(student, exam)
    asked = {name: body.pop(name) for name in [*REQUEST_FIELDS, "mock_type"]}
    now = timezone.now()
    return make_row(
        email=student.email,
        contact_id=student.id,
        request={**asked, "fields": body},
        arrived_at=now,
        wanted_until=now + patience,
    )


def wants_no_more(student: Student, record_id: str, patience: timedelta) -> JournalEntry:
    """A cancel, as above."""
    now = timezone.now()
    return make_row(
        kind="cancel",
        email=student.email,
        contact_id=student.id,
        request={**student.pair, "booking_id": record_id, "reason": ""},
        arrived_at=now,
        wanted_until=now + patience,
    )


def test_the_last_seat_goes_to_who_came_first_though_they_can_wait(
    settings: Settings, portal: Portal
) -> None:
    """Who cannot wait for HubSpot, and came later, is told so; at another exam they are served."""
    portal.sandbox.kind()
    alice, ben, chloe = (portal.student(name) for name in ("alice", "ben", "chloe"))
    last_seat, other = portal.exam(capacity=1, in_days=9), portal.exam(in_days=11)
    config = DeskConfig(lease_s=1.0, grace_s=0.0)
    window = {"requests_per_window": 5 * LIMIT, "window_s": LATE_S}
    with running_desk(settings, portal.sandbox, config, **window) as desk:
        warm_up(desk, portal)
        with desk.held_up():
            use_up_everything(but=CALLS_OF_ONE_CREATE)
            first = wants(alice, last_seat, LONG)
            later, elsewhere = wants(ben, last_seat, SHORT), wants(chloe, other, SHORT)
        eventually(lambda: {state_of(later), state_of(elsewhere)} <= SETTLED)

        assert (state_of(later), state_of(elsewhere)) == (EntryState.REFUSED, EntryState.DONE)
        later.refresh_from_db()
        assert Refusal.from_json(later.answer).code == "RATE_LIMITED"
        assert state_of(first) == EntryState.QUEUED
    assert active_bookings(portal, last_seat) == []


def test_who_cannot_wait_is_told_so_though_others_wait_to_cancel(
    settings: Settings, portal: Portal
) -> None:
    portal.sandbox.kind()
    alice, ben = portal.student("alice"), portal.student("ben")
    booking = portal.booking(alice, portal.exam(in_days=9))
    config = DeskConfig(lease_s=1.0, grace_s=0.0)
    window = {"requests_per_window": 5 * LIMIT, "window_s": LATE_S}
    with running_desk(settings, portal.sandbox, config, **window) as desk:
        warm_up(desk, portal)
        with desk.held_up():
            use_up_everything()
            patient = wants_no_more(alice, booking.id, LONG)
            hasty = wants(ben, booking.exam, SHORT)
        eventually(lambda: state_of(hasty) == EntryState.REFUSED)
        hasty.refresh_from_db()
        assert hasty.changed_at < hasty.wanted_until
        assert state_of(patient) == EntryState.QUEUED


def test_nothing_of_a_student_is_done_before_what_they_asked_for_first(
    settings: Settings, portal: Portal
) -> None:
    portal.sandbox.kind()
    alice, exam = portal.student("alice"), portal.exam(in_days=9)
    config = DeskConfig(lease_s=LATE_S / 2, grace_s=0.0)
    window = {"requests_per_window": 5 * LIMIT, "window_s": LATE_S}
    with running_desk(settings, portal.sandbox, config, **window) as desk:
        warm_up(desk, portal)
        with desk.held_up():
            use_up_everything(but=CALLS_OF_ONE_CREATE)
            first, later = wants_no_more(alice, "999", LONG), wants(alice, exam, SHORT)
        eventually(lambda: state_of(later) in SETTLED)

        later.refresh_from_db()
        assert later.state == EntryState.REFUSED
        assert Refusal.from_json(later.answer).code == "RATE_LIMITED"
        assert state_of(first) == EntryState.QUEUED
    assert active_bookings(portal, exam) == []


def test_what_is_served_meanwhile_does_not_put_off_the_end_of_a_wait(
    settings: Settings, portal: Portal
) -> None:
    """Who is still there when HubSpot takes calls again waits for that, behind who came first."""
    portal.sandbox.kind()
    alice, ben, chloe = (portal.student(name) for name in ("alice", "ben", "chloe"))
    last_seat = portal.exam(capacity=1, in_days=9)
    config = DeskConfig(lease_s=LATE_S / 2, grace_s=0.0)
    window = {"requests_per_window": 5 * LIMIT, "window_s": LATE_S}

    decided, looked_at = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        decided.set()
        assert looked_at.wait(PATIENCE_S)

    @contextmanager
    def take_long(_: PreparedRequest) -> Iterator[None]:
        desk.clock.ahead = before + timedelta(seconds=LATE_S / 3)
        # After this round's groups: a call that took so long makes the next one reckon with more.
        composition.services().booking.desk.run(hold)
        yield

    with running_desk(settings, portal.sandbox, config, **window) as desk:
        composition.use_clocks(
            composition.Clocks(
                now=desk.clock.now,
                monotonic=lambda: time.monotonic() + desk.clock.ahead.total_seconds(),
            )
        )
        warm_up(desk, portal)
        # No call of these is in the window any more.
        before = desk.clock.ahead = desk.clock.ahead + timedelta(seconds=LATE_S)
        with desk.sender.watched(take_long):
            with desk.held_up():
                use_up_everything(but=1)
                hasty = wants_no_more(chloe, "999", before + SHORT)
                first = wants(alice, last_seat, before + LONG)
                later = wants(ben, last_seat, before + timedelta(seconds=LATE_S + 1))
            assert decided.wait(PATIENCE_S)
            states = [state_of(row) for row in (hasty, first, later)]
            looked_at.set()

    assert states == [EntryState.REFUSED, EntryState.QUEUED, EntryState.QUEUED]


def test_who_waits_for_hubspot_alone_keeps_the_last_seat(
    settings: Settings, portal: Portal
) -> None:
    """A limit that is not the account's keeps one student waiting; a later one does not pass."""
    portal.sandbox.kind()
    alice, ben = portal.student("alice"), portal.student("ben")
    last_seat = portal.exam(capacity=1, in_days=9)
    config = DeskConfig(lease_s=1.0, grace_s=0.0)
    with running_desk(settings, portal.sandbox, config) as desk:
        warm_up(desk, portal)
        refusing = {
            "status": 429,
            "body": WITHOUT_A_POLICY,
            "headers": {"Retry-After": str(AGAIN_S)},
            "times": 4,
        }
        portal.sandbox.fault("status", path=READS["contacts"], **refusing)
        with desk.held_up():
            first = wants(alice, last_seat, LONG)
        eventually(lambda: portal.sandbox.calls_count(status=429) >= 1)
        portal.sandbox.clear_faults()

        later = wants(ben, last_seat, LONG)
        composition.services().booking.desk.wake()
        eventually(lambda: {state_of(first), state_of(later)} <= SETTLED)

    assert (state_of(first), state_of(later)) == (EntryState.DONE, EntryState.REFUSED)


def test_nobody_of_the_same_group_passes_who_waits_for_hubspot(
    settings: Settings, portal: Portal
) -> None:
    """Of one student more is to be read than of the other, who came later."""
    portal.sandbox.kind()
    alice, ben, chloe = (portal.student(name) for name in ("alice", "ben", "chloe"))
    last_seat = portal.exam(capacity=1, in_days=9)
    config = DeskConfig(lease_s=1.0, grace_s=0.0)

    @contextmanager
    def refuse_once(request: PreparedRequest) -> Iterator[None]:
        if alice.email in str(request.body) and portal.sandbox.calls_count(status=429) == 0:
            limit = {"body": WITHOUT_A_POLICY, "headers": {"Retry-After": str(AGAIN_S)}}
            portal.sandbox.fault("status", path=READS["contacts"], status=429, times=4, **limit)
        yield
        portal.sandbox.clear_faults()

    with running_desk(settings, portal.sandbox, config) as desk:
        warm_up(desk, portal)
        with desk.sender.watched(refuse_once):
            with desk.held_up():
                first, later = wants(alice, last_seat, LONG), wants(chloe, last_seat, LONG)
                first.request["contact_id"] = ben.id  # so that whose it is has to be asked
                first.save()
            eventually(lambda: {state_of(first), state_of(later)} <= SETTLED)

    assert portal.sandbox.calls_count(status=429) >= 1
    assert (state_of(first), state_of(later)) == (EntryState.REFUSED, EntryState.DONE)
    first.refresh_from_db()
    later.refresh_from_db()
    assert first.changed_at <= later.changed_at
