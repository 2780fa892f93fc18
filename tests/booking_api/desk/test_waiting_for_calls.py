"""HubSpot takes no more calls for a while: what waits at the desk goes on waiting, for as long as
its caller does; and is told so at once where that cannot be long enough."""

from __future__ import annotations

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
from booking_api.desk.journal.models import EntryState, JournalEntry, Lease
from tests.api import Reply, connected
from tests.builders import Booking, Exam, Portal, Student
from tests.desk import (
    School,
    active_bookings,
    cancel,
    create,
    credit_of,
    stored_total,
    update,
)
from tests.faults.groups import running_desk, use_up_everything
from tests.faults.tables import EXAMS, READS, WITHOUT_A_POLICY
from tests.faults.watched_sender import Watch
from tests.journal_rows import make_row, state_of
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
