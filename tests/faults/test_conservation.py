"""Whatever students, persons in HubSpot, faults and restarts do in any order: nothing is lost.

At rest each student's credits and active bookings together are what the student began with, plus
what persons changed; every count equals its bookings; no exam has more bookings than seats; nobody
has two on one day. HubSpot's own records say so, not what we were answered.

The desk comes to rest by itself. Only after that it is asked, as once a day, to mend what a person
has done behind its back: a count set by hand, a booking taken away, a credit written late.
Each run walks other paths; a failure tells its steps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.journal.models import (
    UNFINISHED,
    CreditReview,
    JournalEntry,
    OutboxNote,
    RecountRequest,
)
from hubspot_sync.portal.profile import load_profile
from tests.api import Reply
from tests.builders import Exam, Portal, Student
from tests.desk import cancel, create, credit_of
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.rest import FIRST_STEP, MAX_WAIT_S, POLL_INTERVAL_S, count_unfinished, wake_for
from tests.faults.tables import FAULTS, OF_A_CANCEL, OF_A_CREATE
from tests.faults.world import Holdings, Seat, broken_promises, seats
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db(transaction=True)

STUDENTS = st.integers(0, 2)
EXAMS = st.integers(0, 3)
WHICH = st.integers(0, 99)
"""Of the bookings made so far, if there are any: which there are is not chance's alone to say."""
KEYS = st.sampled_from([None, None, "key-a", "key-b"])
CHARGES, CANCELS = OF_A_CREATE["credits"], OF_A_CANCEL["cancel"]
BUDGET = settings(
    max_examples=6,
    stateful_step_count=25,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Conservation(RuleBasedStateMachine):
    """One portal, one desk; `world` makes both anew."""

    def __init__(self, world: Callable[[], tuple[Portal, DeskUnderTest]]) -> None:
        super().__init__()
        self.portal, self.desk = world()
        self.students: list[Student] = []
        self.exams: list[Exam] = []
        self.booked: list[tuple[Student, str]] = []
        self.keeps_writes = False
        self.counts_by_hand: set[str] = set()
        """The exams whose count a person has made wrong, and that nobody has told us of."""
        self.owned: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        """Two exams on one day, one of them with a single seat; one on another day; one of another
        type with nothing to do with the others."""
        portal = self.portal
        self.students = [portal.student(name, credits=2) for name in ("ann", "ben", "cleo")]
        self.exams = [
            portal.exam(capacity=1),
            portal.exam(capacity=2),
            portal.exam(capacity=2, in_days=9),
            portal.exam(capacity=3, in_days=9, mock_type="written"),
        ]
        self.owned = dict(Holdings.of(portal, self.students).total)

    # What students do

    @rule(who=STUDENTS, what=EXAMS, key=KEYS)
    def book(self, who: int, what: int, key: str | None) -> None:
        student, exam = self.students[who], self.exams[what]
        reply = self._served(lambda: create(self.desk.api, student, exam, key))
        note(f"book: {reply.status} {reply.body.get('code', '')}")
        if reply.status == 201:
            record_id = reply.data["booking_record_id"]
            assert record_id in {seat.record_id for seat in seats(self.portal)}
            self.booked.append((student, record_id))

    @rule(what=EXAMS)
    def book_all_at_once(self, what: int) -> None:
        exam = self.exams[what]
        replies: list[Reply] = []
        threads = [
            threading.Thread(target=lambda s=one: replies.append(create(self.desk.api, s, exam)))
            for one in self.students
        ]
        self._hurried(threads)
        for reply in replies:
            note(f"all at once: {reply.status} {reply.body.get('code', '')}")
            if reply.status == 201:
                record_id = reply.data["booking_record_id"]
                (seat,) = [one for one in seats(self.portal) if one.record_id == record_id]
                owner = next(one for one in self.students if one.id == seat.contact_id)
                self.booked.append((owner, record_id))

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        if len(self.booked) == 0:
            return
        student, record_id = self.booked[which % len(self.booked)]
        reply = self._served(lambda: cancel(self.desk.api, student, record_id))
        note(f"cancel: {reply.status} {reply.body.get('code', '')}")
        assert reply.status in {200, 404, 409, 503} or reply.code == "ALREADY_CANCELED", reply.body

    @rule(which=WHICH, hand=st.booleans())
    def update(self, which: int, hand: bool) -> None:
        if len(self.booked) == 0:
            return
        student, record_id = self.booked[which % len(self.booked)]
        path, body = f"/api/bookings/{record_id}", {**student.pair, "dominant_hand": hand}
        api = self.desk.api
        self._served(lambda: api.send("PATCH", path, body=orjson.dumps(body)))

    # What persons do in HubSpot, while the desk is doing nothing

    @rule(who=STUDENTS, balance=st.integers(0, 3))
    def change_credit(self, who: int, balance: int) -> None:
        student = self.students[who]
        if self.keeps_writes:
            return  # what should be there is not what is
        with self.desk.held_up():
            before = credit_of(self.portal, student)
            contacts = self.portal.profile.object_types.contacts
            self.portal.sandbox.edit(contacts, student.id, credits_clinical=str(balance))
            self.owned[student.id] += balance - before

    @rule(which=WHICH, archived=st.booleans())
    def take_booking_away(self, which: int, archived: bool) -> None:
        """Delete a booking, or cancel it by hand: nobody gives its credit back."""
        if len(self.booked) == 0:
            return
        _, record_id = self.booked[which % len(self.booked)]
        bookings = self.portal.profile.object_types.bookings
        with self.desk.held_up():
            seat = next((one for one in seats(self.portal) if one.record_id == record_id), None)
            if seat is None or self._in_doubt(seat):
                return
            if archived:
                self.portal.sandbox.archive(bookings, record_id)
            else:
                self.portal.sandbox.edit(bookings, record_id, is_active="false")
            self.owned[seat.contact_id] -= 1
            self.counts_by_hand.add(seat.exam_id)

    @rule(what=EXAMS, active=st.booleans())
    def switch_exam(self, what: int, active: bool) -> None:
        exams = self.portal.profile.object_types.mock_exams
        self.portal.sandbox.edit(exams, self.exams[what].id, is_active=str(active).lower())

    @rule(what=EXAMS, total=st.integers(0, 9))
    def spoil_count(self, what: int, total: int) -> None:
        exams = self.portal.profile.object_types.mock_exams
        self.portal.sandbox.edit(exams, self.exams[what].id, total_bookings=str(total))
        self.counts_by_hand.add(self.exams[what].id)

    # What goes wrong

    @rule(
        path=st.sampled_from([*OF_A_CREATE.values(), *OF_A_CANCEL.values()]),
        fault=st.sampled_from([*FAULTS.values()]),
    )
    def order_fault(self, path: str, fault: Mapping[str, Any]) -> None:
        self.portal.sandbox.fault(path=path, times=1, **fault)

    @rule(path=st.sampled_from([CHARGES, CANCELS]))
    def keep_a_write(self, path: str) -> None:
        """HubSpot does not answer, and does it when it is let: after any time."""
        self.portal.sandbox.fault("hold", path=path, times=1)
        self.keeps_writes = True

    @rule()
    def let_kept_writes_come(self) -> None:
        self.portal.sandbox.clear_faults()

    @rule()
    def review(self) -> None:
        composition.services().booking.review_credits(timedelta(hours=12))

    @rule()
    def restart(self) -> None:
        composition.close()

    # What holds

    @rule()
    def come_to_rest(self) -> None:
        self.portal.sandbox.clear_faults()
        self.desk.wait_until_idle()
        if not self.keeps_writes:
            own_counts = [each for each in self.exams if each.id not in self.counts_by_hand]
            self._check_promises(own_counts)
        composition.services().booking.review_credits(timedelta(hours=12))
        self.keeps_writes = False
        self.desk.wait_until_idle()
        self._check_promises([each for each in self.exams if each.id not in self.counts_by_hand])
        composition.services().booking.recounts.request(self.counts_by_hand)
        self.desk.wait_until_idle()
        self.counts_by_hand.clear()
        self._check_promises(self.exams)

    def teardown(self) -> None:
        if self.exams:
            self.come_to_rest()

    # The ways

    def _check_promises(self, exams: Sequence[Exam]) -> None:
        owned = Holdings(self.portal, self.owned)
        assert broken_promises(self.portal, exams, self.students, owned) == []

    def _in_doubt(self, seat: Seat) -> bool:
        """Whether a cancel of it may be under way: then it would be ours or the person's."""
        return JournalEntry.objects.filter(record_id=seat.record_id, state__in=UNFINISHED).exists()

    def _served(self, ask: Callable[[], Reply]) -> Reply:
        replies: list[Reply] = []
        self._hurried([threading.Thread(target=lambda: replies.append(ask()))])
        return replies[0]

    def _hurried(self, threads: list[threading.Thread]) -> None:
        """Run the threads to their end; what waits to be tried again does not wait long."""
        for thread in threads:
            thread.start()
        for _ in range(int(MAX_WAIT_S / POLL_INTERVAL_S)):
            if not any(thread.is_alive() for thread in threads):
                return
            left = count_unfinished()
            if "unfinished" in left and "queued" not in left:
                self.desk.clock.ahead += FIRST_STEP
                wake_for(left, composition.services())
            for thread in threads:
                thread.join(POLL_INTERVAL_S)
        raise AssertionError("a request was never answered")


@pytest.fixture
def world(
    settings: Settings, sandbox: SandboxHandle
) -> Iterator[Callable[[], tuple[Portal, DeskUnderTest]]]:
    """Makes a new portal and a new desk, with nothing remembered."""
    sandbox.kind()
    sandbox.configure(rate_limit=100_000)
    with running_desk(settings, sandbox) as desk:

        def anew() -> tuple[Portal, DeskUnderTest]:
            composition.close()
            for kind in (OutboxNote, JournalEntry, RecountRequest, CreditReview):
                kind.objects.all().delete()
            portal = Portal(sandbox, load_profile("default"))
            sandbox.configure(rate_limit=100_000)
            return portal, desk

        yield anew


def test_nothing_is_lost(world: Callable[[], tuple[Portal, DeskUnderTest]]) -> None:
    run_state_machine_as_test(lambda: Conservation(world), settings=BUDGET)
