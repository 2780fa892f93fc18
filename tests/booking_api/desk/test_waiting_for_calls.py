"""HubSpot takes no more calls for a while: what waits at the desk goes on waiting, for as long as
its caller does; and is told so at once where that cannot be long enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from requests import PreparedRequest

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.journal.answers import Refusal
from booking_api.desk.journal.models import EntryState, JournalEntry, Lease
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.limits.rate_budget import Slot
from tests.api import Reply, connected
from tests.builders import Booking, Exam, Portal, Student
from tests.desk import (
    School,
    active_bookings,
    cancel,
    create,
    create_body,
    credit_of,
    stored_total,
    update,
)
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.tables import EXAMS, READS, WITHOUT_A_POLICY
from tests.faults.watched_sender import Watch
from tests.journal_rows import make_row
from tests.waiting import eventually

LIST = "/api/bookings/list"
LIMIT = 40
PATIENCE_S = 25
SOON_S, LATE_S = 5.0, 60.0

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[[School, Student, Exam, Booking], Reply]
ASKED: dict[str, Ask] = {
    "create": lambda school, alice, exam, _: create(school.api, alice, exam),
    "cancel": lambda school, alice, _, booking: cancel(school.api, alice, booking.id),
    "update": lambda school, alice, _, booking: update(
        school.api, alice, booking.id, attending_location="calgary"
    ),
}


@pytest.fixture(params=[SOON_S])
def school(request: pytest.FixtureRequest, settings: Settings, portal: Portal) -> Iterator[School]:
    """A step of the desk's calls may take less time than a window lasts."""
    portal.sandbox.kind()
    settings.DESK = DeskConfig(lease_s=request.param / 2, grace_s=0.0)
    window = {"requests_per_window": LIMIT, "window_s": request.param}
    with connected(settings, portal.sandbox, **window) as api:
        yield School(api, portal)


def known(school: School) -> tuple[Student, Exam, Booking]:
    """A student of whom all is cached, and who may book another exam."""
    student = school.portal.student("alice", credits=3)
    booking = school.portal.booking(student, school.portal.exam(in_days=3))
    assert school.api.get(LIST, **student.pair).status == 200
    return student, school.portal.exam(), booking


def use_up_everything(*, but: int = 0) -> None:
    budget = composition.services().client.rate_budget
    slots: list[Slot] = []
    while True:
        try:
            slots.append(budget.acquire(Deadline.after(0), priority=Priority.DESK, search=False))
        except RateLimited:
            break
    for number, slot in enumerate(slots):
        if number < but:
            slot.report_unused()
        else:
            slot.report_answer(0.0)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_it_is_done_once_hubspot_takes_calls_again(school: School, ask: Ask) -> None:
    alice, exam, booking = known(school)
    use_up_everything()

    asked = ask(school, alice, exam, booking)

    assert asked.status in {200, 201}, asked.body


@pytest.mark.parametrize("school", [LATE_S], indirect=True)
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_it_is_told_at_once_where_that_is_too_late(school: School, ask: Ask) -> None:
    alice, exam, booking = known(school)
    use_up_everything()
    school.portal.sandbox.clear_calls()

    asked = ask(school, alice, exam, booking)

    assert (asked.status, asked.code) == (503, "RATE_LIMITED")
    assert PATIENCE_S < int(asked.headers["Retry-After"]) <= LATE_S
    assert school.portal.sandbox.calls() == []
    assert credit_of(school.portal, alice) == 3


AGAIN_S = 2
STOPPED_AFTER_S = 5.0


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_hubspot_is_asked_again_only_once_it_says_that_it_may_be(
    settings: Settings, portal: Portal, ask: Ask
) -> None:
    """By a limit that is not the account's, so that others may go on asking."""
    settings.DESK = DeskConfig(lease_s=AGAIN_S, grace_s=0.0)
    with connected(settings, portal.sandbox, request_deadline_s=5.0) as api:
        school = School(api, portal)
        alice, exam, booking = known(school)
        refusing = {
            "status": 429,
            "body": WITHOUT_A_POLICY,
            "headers": {"Retry-After": str(AGAIN_S)},
        }
        portal.sandbox.fault("status", path=READS["contacts"], **refusing)

        asked = ask(school, alice, exam, booking)

        assert asked.status == 503
        assert 1 <= portal.sandbox.calls_count(status=429) <= 3


def test_a_stop_ends_the_wait_and_the_lease_is_given_back(
    settings: Settings, portal: Portal
) -> None:
    """The next process need not wait for the lease; and whoever waits here is answered."""
    portal.sandbox.kind()
    settings.DESK = DeskConfig(lease_s=60.0, grace_s=50.0)
    window = {"requests_per_window": LIMIT, "window_s": LATE_S}
    with connected(settings, portal.sandbox, request_deadline_s=STOPPED_AFTER_S, **window) as api:
        school = School(api, portal)
        alice, exam, _ = known(school)
        use_up_everything()
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(create, api, alice, exam)
            eventually(lambda: Lease.objects.exclude(holder="").exists())

            composition.services().booking.desk.close()

            assert Lease.objects.get().holder == ""
            assert asked.result().status == 503


def test_a_create_that_finds_no_room_after_its_reads_leaves_nothing_behind(
    settings: Settings, portal: Portal
) -> None:
    """It is refused with its seat and its credit untouched, and may come again by its key."""
    portal.sandbox.kind()
    window = {"requests_per_window": 2 * LIMIT, "window_s": LATE_S}
    config = DeskConfig(lease_s=LATE_S / 2, grace_s=0.0)
    alice, ben, exam = portal.student("alice", credits=3), portal.student("ben"), portal.exam()
    wanted = portal.exam(capacity=1, in_days=9)
    with running_desk(settings, portal.sandbox, config, **window) as desk:
        assert create(desk.api, ben, exam).status == 201, "all that is asked once was asked"
        desk.wait_until_idle()
        with desk.sender.watched(using_up_all_at("/batch/read", of=EXAMS)):
            refused = create(desk.api, alice, wanted, "key-1")
        row = JournalEntry.objects.get(idempotency_key="key-1")
        composition.close()  # who begins anew has a window of its own

        again = create(desk.api, alice, wanted, "key-1")

    assert (refused.status, refused.code) == (503, "RATE_LIMITED")
    assert int(refused.headers["Retry-After"]) > 1
    assert row.exam_id == wanted.id, "it had been planned"
    assert (row.state, row.record_id, row.in_doubt_since) == (EntryState.REFUSED, "", None)
    assert again.status == 201, again.body
    assert len(active_bookings(portal, wanted)) == stored_total(portal, wanted) == 1
    assert credit_of(portal, alice) == 2


def using_up_all_at(path: str, *, of: str) -> Watch:
    """Nobody may send anything more once such a call has begun."""

    @contextmanager
    def use_up(request: PreparedRequest) -> Iterator[None]:
        if request.path_url.endswith(f"/{of}{path}"):
            use_up_everything()
        yield

    return use_up


def state_of(row: JournalEntry) -> str:
    state: str = JournalEntry.objects.get(id=row.id).state
    return state


def test_who_cannot_wait_is_told_so_and_nothing_is_read_for_who_can(
    settings: Settings, portal: Portal
) -> None:
    portal.sandbox.kind()
    window = {"requests_per_window": LIMIT, "window_s": LATE_S}
    config, sent = DeskConfig(lease_s=LATE_S / 2, grace_s=0.0), list[str]()
    with running_desk(settings, portal.sandbox, config, **window) as desk:
        inner = composition.services().booking.desk
        inner.run(lambda _: None).result(PATIENCE_S)
        use_up_everything(but=2)
        desk.sender.watch(lambda request: nullcontext(sent.append(str(request.body))))
        now = timezone.now()
        hasty, patient = (
            make_row(contact_id=contact_id, wanted_until=now + timedelta(seconds=seconds))
            for contact_id, seconds in (("1456", LATE_S / 2), ("1789", 10 * LATE_S))
        )
        for row in (hasty, patient):
            row.request["contact_id"] = row.contact_id
            row.save()

        def is_refused() -> bool:
            inner.run(lambda _: None).result(PATIENCE_S)
            return state_of(hasty) == EntryState.REFUSED

        # A desk whose lease ran out on a slow machine looks again before it takes them up.
        eventually(is_refused)
        assert state_of(patient) == EntryState.QUEUED
    assert len(sent) == 2
    assert [body for body in sent if "1789" in body] == []


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
