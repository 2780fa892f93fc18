"""Periodic jobs: when they are due, in one process of many, whatever becomes of the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest
from django.db import OperationalError
from django.utils import timezone

from booking_api import composition
from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import Lease
from booking_api.ops import lifecycle
from booking_api.ops import scheduler as module
from booking_api.ops.scheduler import Job, JobTimes, Scheduler, Work, periodic_jobs
from booking_api.ops.warming.job import WarmingPolicy
from cache_layer.models import ValidationRun
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Portal
from tests.desk import stored_total

LEASE = timedelta(minutes=5)
TIMES = JobTimes(
    recount_every_s=600,
    validate_every_s=3_600,
    warming=WarmingPolicy(extent="proven", every_s=60, student_days=14, everywhere=True),
    keep_webhooks=timedelta(days=7),
)

# A job closes the connection of its thread, and in these tests that is the tests' own.
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(slots=True)
class Hours:
    """Time that passes when told to, the schedulers that live in it, and what they did."""

    now_s: float = 1_000.0
    done: list[str] = field(default_factory=list)

    def job(self, name: str, every_s: float) -> Job:
        return Job(name=name, every_s=every_s, work=partial(self.done.append, name))

    def scheduler(self, *jobs: Job, run: Callable[[Work], None] = lambda work: work()) -> Scheduler:
        return Scheduler(
            jobs,
            LeaseKeeper("scheduler", LEASE),
            first_after_s=60.0,
            clock=lambda: self.now_s,
            run=run,
        )

    def pass_by(self, seconds: int, *schedulers: Scheduler) -> list[str]:
        """Let time pass, everybody looking every five seconds; return what was done meanwhile."""
        self.done.clear()
        for _ in range(seconds // 5):
            self.now_s += 5
            for scheduler in schedulers:
                scheduler.run_due_jobs()
        return list(self.done)


@pytest.fixture
def hours() -> Hours:
    return Hours()


def test_jobs_are_done_when_they_are_due_each_in_its_own_time(hours: Hours) -> None:
    scheduler = hours.scheduler(hours.job("recount", 600), hours.job("validate", 3_600))

    assert hours.pass_by(55, scheduler) == []
    assert hours.pass_by(5, scheduler) == ["recount", "validate"]
    assert hours.pass_by(595, scheduler) == []
    assert hours.pass_by(3_005, scheduler) == ["recount"] * 6 + ["validate"]


def test_of_many_processes_one_does_them(hours: Hours) -> None:
    processes = [hours.scheduler(hours.job("recount", 600)) for _ in range(3)]

    assert hours.pass_by(3_600, *processes) == ["recount"] * 6


def test_what_is_every_processes_own_each_of_them_does(hours: Hours) -> None:
    jobs = (
        Job(name="warm", every_s=60, work=partial(hours.done.append, "warm"), everywhere=True),
        hours.job("recount", 600),
    )
    processes = [hours.scheduler(*jobs) for _ in range(3)]

    assert sorted(hours.pass_by(60, *processes)) == ["recount", *["warm"] * 3]
    assert sorted(hours.pass_by(60, *processes)) == ["warm"] * 3


def test_when_the_one_ends_another_goes_on_at_once(hours: Hours) -> None:
    first, second = (hours.scheduler(hours.job("recount", 600)) for _ in range(2))
    hours.pass_by(60, first, second)

    first.release_lease()

    assert hours.pass_by(5, second) == ["recount"]
    assert hours.pass_by(600, second) == ["recount"]


def test_when_the_one_dies_another_takes_over_and_the_dead_does_nothing_more(hours: Hours) -> None:
    first, second = (hours.scheduler(hours.job("recount", 600)) for _ in range(2))
    hours.pass_by(60, first, second)
    assert hours.pass_by(1_200, second) == []

    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert hours.pass_by(5, second) == ["recount"]
    assert hours.pass_by(1_200, first) == []


def test_a_job_that_fails_stops_neither_the_others_nor_its_next_time(
    hours: Hours, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        hours.done.append("failing")
        raise RuntimeError("HubSpot is away")

    scheduler = hours.scheduler(
        Job(name="failing", every_s=600, work=fail), hours.job("other", 600)
    )

    with caplog.at_level(logging.ERROR):
        done = hours.pass_by(660, scheduler)

    assert done == ["failing", "other"] * 2
    assert "job_failed" in caplog.text


def test_a_job_that_takes_longer_than_its_time_is_not_done_twice_at_once(hours: Hours) -> None:
    waiting: list[Work] = []
    scheduler = hours.scheduler(hours.job("recount", 600), run=waiting.append)

    hours.pass_by(3_600, scheduler)
    assert len(waiting) == 1
    waiting.pop()()
    hours.pass_by(5, scheduler)

    assert len(waiting) == 1


def test_a_database_that_is_away_is_for_whoever_looks_to_bear(
    hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = hours.scheduler(hours.job("recount", 600))

    def away(_: LeaseKeeper) -> None:
        raise OperationalError("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(LeaseKeeper, "acquire", away)
        with pytest.raises(OperationalError):
            scheduler.run_due_jobs()

    assert hours.pass_by(60, scheduler) == ["recount"]


def test_a_scheduler_that_ends_gives_its_lease_back(
    hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.01)
    begun = threading.Event()
    first = hours.scheduler(hours.job("recount", 600), run=lambda _: begun.set())
    hours.now_s += 60
    first.start()
    assert begun.wait(20)

    first.close()

    second = hours.scheduler(hours.job("recount", 600))
    assert hours.pass_by(60, second) == ["recount"]


# The application's own jobs


def done(name: str) -> None:
    (job,) = (job for job in periodic_jobs(TIMES) if job.name == name)
    job.work()


def test_counts_are_corrected(api: Api, portal: Portal) -> None:
    exam, _ = portal.exam_with_bookings(3, total_bookings=7)

    done("recount")

    assert stored_total(portal, exam) == 3


def test_the_cache_is_compared_with_hubspot(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    api.get("/api/bookings/list", **alice.pair)
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, credits_osce="1")

    done("validate cache")

    run = ValidationRun.objects.get()
    assert (run.who, run.drifted > 0) == ("scheduler", True)


def test_old_events_are_removed(api: Api) -> None:
    old = timezone.now() - timedelta(days=8)
    for number, applied_at in enumerate((old, timezone.now())):
        WebhookEvent.objects.create(
            digest=str(number),
            receipt=f"{number:032}",
            subscription="x",
            kind="unknown",
            raw="{}",
            state="applied",
            applied_at=applied_at,
        )

    done("prune")

    assert WebhookEvent.objects.count() == 1


def test_the_settings_say_when() -> None:
    assert lifecycle.job_times() == TIMES


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a job woke ends with its test."""
    yield
    composition.close()
