"""What was booked here is shown from the next read on, however late HubSpot shows its links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.composition import REAL_TIME
from cache_layer import CacheConfig
from hubspot_sync.background.database_questions import UNSURE_S
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Exam, Portal, Student
from tests.desk import create
from tests.sandbox import SandboxHandle
from tests.webhooks import Events, tell

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
LAG_S = 599

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


@dataclass(frozen=True, slots=True)
class Late:
    """An API whose HubSpot shows links late, a student, an exam and a clock for both."""

    api: Api
    portal: Portal
    clock: SteeredClock
    alice: Student
    exam: Exam

    def go_to(self, passed_s: float) -> None:
        """Move HubSpot's clock and ours to so many seconds after the start."""
        self.portal.sandbox.advance(passed_s - self.clock.monotonic())
        self.clock.go_to(passed_s)

    def book(self) -> str:
        """Book and return the record's id."""
        reply = create(self.api, self.alice, self.exam)
        assert reply.status == 201, reply.body
        return str(reply.data["booking_record_id"])

    def shown(self, **query: str) -> dict[str, str | None]:
        """The ids of the bookings in the student's list, and of the exam shown with each."""
        rows = self.api.get(LIST, **self.alice.pair, **query).data["bookings"]
        return {
            row["id"]: None if (exam := row["mock_exam"]) is None else exam["id"] for row in rows
        }

    def taken(self, exam: Exam | None = None, *, realtime: bool = True) -> int:
        """The seats of an exam that are taken."""
        asked = {"mock_type": self.exam.mock_type, "realtime": str(realtime).lower()}
        rows = {row["mock_exam_id"]: row for row in self.api.get(AVAILABLE, **asked).data}
        return int(rows[(exam or self.exam).id]["total_bookings"])

    def detail(self, name: str) -> tuple[str, str | None]:
        """The ids of a booking and of its exam in the booking's own answer."""
        data = self.api.get(f"/api/bookings/{name}", **self.alice.pair).data
        return data["booking"]["id"], (data["mock_exam"] or {}).get("id")


@pytest.fixture(params=["default", "prepdoctors"])
def late(
    request: pytest.FixtureRequest, settings: Settings, kind_sandbox: SandboxHandle
) -> Iterator[Late]:
    portal = Portal(kind_sandbox, load_profile(request.param))
    clock = SteeredClock(datetime.now(UTC))
    composition.use_clocks(clock.clocks())
    with connected(settings, kind_sandbox, portal=request.param, cache=CacheConfig()) as api:
        kind_sandbox.configure(association_lag_s=LAG_S)
        yield Late(api, portal, clock, portal.student("alice"), portal.exam())
    composition.use_clocks(REAL_TIME)


def test_a_booking_is_in_every_answer_from_then_on(late: Late) -> None:
    """Whether it was asked before or not, by this process or one that comes later."""
    assert (late.shown(), late.taken()) == ({}, 0)
    booked = late.book()
    name = late.portal.sandbox.record(late.portal.profile.object_types.bookings, booked)
    readable = name["properties"][late.portal.profile.booking_properties["booking_id"]]

    for passed_s in (0, 125, LAG_S - 1, LAG_S + 100):
        late.go_to(passed_s)
        assert late.shown() == {booked: late.exam.id}, passed_s
        assert late.shown(filter="upcoming") == {booked: late.exam.id}, passed_s
        assert (late.taken(), late.taken(realtime=False)) == (1, 1), passed_s
        assert late.detail(booked) == late.detail(readable) == (booked, late.exam.id), passed_s
        composition.close()


def test_it_stays_in_every_answer_while_the_database_is_away(late: Late) -> None:
    booked = late.book()

    with database_away():
        assert late.shown() == {booked: late.exam.id}
        assert late.taken() == 1
        assert late.detail(booked) == (booked, late.exam.id)


def test_what_is_read_without_any_knowledge_of_it_is_kept_for_a_moment(late: Late) -> None:
    """The process that knew it has ended, and the database is away."""
    booked = late.book()
    composition.close()

    with database_away():
        assert late.shown() == {}
    late.go_to(UNSURE_S + 1)

    assert late.shown() == {booked: late.exam.id}


def test_a_booking_that_a_person_moved_is_not_put_back(late: Late) -> None:
    booked, other = late.book(), late.portal.exam(in_days=9)
    types, sandbox = late.portal.profile.object_types, late.portal.sandbox
    sandbox.configure(association_lag_s=0)
    sandbox.dissociate(types.mock_exams, late.exam.id, types.bookings, booked)
    sandbox.associate(types.mock_exams, other.id, types.bookings, booked)
    late.go_to(125)

    assert late.shown() == {booked: other.id}
    assert (late.taken(late.exam), late.taken(other)) == (0, 1)


@pytest.mark.usefixtures("webhook_secret")
def test_a_booking_that_a_person_took_away_is_not_put_back(late: Late) -> None:
    """From its exam, then from its student: HubSpot tells of each, and shows no link any more."""
    booked = late.book()
    types, sandbox = late.portal.profile.object_types, late.portal.sandbox
    sandbox.configure(association_lag_s=0)
    events = Events(late.portal.profile)

    sandbox.dissociate(types.mock_exams, late.exam.id, types.bookings, booked)
    links = ("bookings", booked), ("mock_exams", late.exam.id)
    tell(late.api, events.link(*links, associationRemoved=True))
    assert (late.shown().keys(), late.taken()) == ({booked}, 0)
    late.go_to(250)  # what was kept is over, what we would know ourselves is not
    assert (late.shown().keys(), late.taken()) == ({booked}, 0)

    sandbox.dissociate(types.contacts, late.alice.id, types.bookings, booked)
    tell(late.api, events.link(("contacts", late.alice.id), links[0], associationRemoved=True))
    assert late.shown() == {}


@pytest.mark.usefixtures("webhook_secret")
@pytest.mark.parametrize("knows_merged", [True, False])
@pytest.mark.parametrize("end", ["contacts", "mock_exams"])
def test_a_booking_that_was_merged_and_then_taken_away_is_not_put_back(
    late: Late, end: str, knows_merged: bool
) -> None:
    """We have made it under an id that HubSpot names no more: what is taken away is the other."""
    sandbox, types = late.portal.sandbox, late.portal.profile.object_types
    events, other = Events(late.portal.profile), late.portal.exam(in_days=9)
    sandbox.configure(association_lag_s=0, batches_know_merged=knows_merged)
    booked, kept = late.book(), late.portal.booking(late.alice, other).id
    sandbox.merge(types.bookings, kept, booked)
    told = {"primaryObjectId": int(kept), "mergedObjectIds": [int(booked)]}
    tell(late.api, events.booking("merge", kept, **told))
    assert late.shown().keys() == {kept}

    for end_id in [late.alice.id] if end == "contacts" else [late.exam.id, other.id]:
        sandbox.dissociate(getattr(types, end), end_id, types.bookings, kept)
        removed = events.link(("bookings", kept), (end, end_id), associationRemoved=True)
        tell(late.api, removed)

    assert late.shown() == ({} if end == "contacts" else {kept: None})
    if knows_merged:  # else a stranger's question spends no call on what became of an old id
        # From which exam the survivor was taken is not known, so the seat is kept for now.
        assert (late.taken(), late.taken(other)) == ((1, 1) if end == "contacts" else (1, 0))


def test_a_booking_of_an_exam_that_was_merged_takes_a_seat_of_the_survivor(late: Late) -> None:
    booked, survivor = late.book(), late.portal.exam()
    late.portal.sandbox.merge(
        late.portal.profile.object_types.mock_exams, survivor.id, late.exam.id
    )
    late.go_to(125)

    assert late.shown() == {booked: survivor.id}
    assert late.taken(survivor) == 1


@contextmanager
def database_away() -> Iterator[None]:
    """Inside the block no thread gets an answer from the database."""

    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("the server closed the connection")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", refuse)
        yield
