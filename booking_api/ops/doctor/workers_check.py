"""Who is at work, and what waits for them: read in the database, whichever host they are on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db import Error as DatabaseFailure
from django.utils import timezone

from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.models import Lease
from booking_api.ops.doctor.database_check import describe_failure
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis
from booking_api.ops.history.models import HistoryRow
from booking_api.ops.history.reading import ALIVE_WITHIN, list_job_runs
from booking_api.ops.metrics.backlog import count_rows, list_backlogs, list_rows_for_persons
from booking_api.ops.now.bounds import (
    MAX_BACKLOG,
    MAX_SINCE_JOB,
    MAX_UNFINISHED,
    MAX_WAIT_FOR_DESK,
)
from hubspot_sync.background.database_clock import DatabaseClock
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.preflight import FindingKind

AREA: Final = "workers"
LEASES: Final = {LEASE_NAME: "booking desk", "scheduler": "scheduler"}
BACKLOG_BOUNDS: Final = {"requests": MAX_WAIT_FOR_DESK, "unfinished": MAX_UNFINISHED}
UNBOUNDED: Final = frozenset({"owed_credits", "credit_reviews", "erasures"})
"""What is looked after for a day, or waits for a person, and says so below."""
ADVICES: Final = {
    "requests": "See that a server runs; docs/how-to/operate-the-desk.md says what to watch.",
    "unfinished": "manage.py finish_bookings finishes what can be finished now.",
}


def check_workers(deployment: Deployment) -> Iterator[Diagnosis]:
    try:
        now = DatabaseClock(timezone.now).now()
        yield _look_at_processes(now)
        yield from _look_at_leases(now)
        yield from _look_at_backlogs(now)
        yield from _look_at_jobs(deployment, now)
    except DatabaseFailure as error:
        yield _diagnose("", FindingKind.UNKNOWN, f"not known: {describe_failure(error)}")


def _look_at_processes(now: datetime) -> Diagnosis:
    alive = HistoryRow.objects.filter(began_at__gt=now - ALIVE_WITHIN).exclude(process="")
    number = alive.order_by().values("process").distinct().count()
    if number > 0:
        return _diagnose("processes", FindingKind.OK, f"{number} at work in the last two minutes")
    return _diagnose(
        "processes",
        FindingKind.WARNING,
        "none has served in the last two minutes",
        "Start one: make serve.",
    )


def _look_at_leases(now: datetime) -> Iterator[Diagnosis]:
    leases = {lease.name: lease for lease in Lease.objects.filter(name__in=LEASES)}
    for name, what in LEASES.items():
        lease = leases.get(name)
        if lease is None or lease.holder == "":
            yield _diagnose(what, FindingKind.OK, "nobody holds its lease: nothing is being done")
            continue
        # What follows the process number is its holder's own secret.
        holder = lease.holder.rpartition(":")[0] or lease.holder
        if lease.expires_at > now:
            yield _diagnose(what, FindingKind.OK, f"at work: {holder}")
            continue
        yield _diagnose(
            what,
            FindingKind.WARNING,
            f"left by {holder}, which vanished; nobody has taken over",
            "A serving process takes over by itself: see that one runs.",
        )


def _look_at_backlogs(now: datetime) -> Iterator[Diagnosis]:
    received = WebhookEvent.objects.order_by().filter(state=WebhookEvent.State.RECEIVED)
    waiting = 0
    for what, rows, field in (*list_backlogs(), ("webhook_events", received, "received_at")):
        if what in UNBOUNDED:
            continue
        number, since = count_rows(rows, field)
        waiting += number
        bound = BACKLOG_BOUNDS.get(what, MAX_BACKLOG)
        if since is not None and now - since > bound:
            yield _diagnose(
                what.replace("_", " "),
                FindingKind.WRONG if what in BACKLOG_BOUNDS else FindingKind.WARNING,
                f"{number} waiting, the oldest for {(now - since).total_seconds():.0f} s",
                ADVICES.get(what, "See that a server runs, and its log."),
            )
    yield _diagnose("backlog", FindingKind.OK, f"{waiting} rows are waiting in all")
    for why, rows in list_rows_for_persons():
        number = rows.count()
        if number > 0:
            yield _diagnose(
                why.replace("_", " "),
                FindingKind.WRONG,
                f"{number} that nobody but a person can end",
                "docs/how-to/operate-the-desk.md says how.",
            )


def _look_at_jobs(deployment: Deployment, now: datetime) -> Iterator[Diagnosis]:
    runs = list_job_runs()
    for run in runs:
        if run.failure != "":
            advice = "The server's log has its traceback (job_failed)."
            found = f"the last run failed: {run.failure}"
            yield _diagnose(f"job: {run.job}", FindingKind.WARNING, found, advice)
        elif now - run.ended_at > MAX_SINCE_JOB:
            hours = (now - run.ended_at).total_seconds() / 3600
            yield _diagnose(
                f"job: {run.job}",
                FindingKind.WARNING,
                f"last done {hours:.0f} hours ago",
                "See that a server runs with SCHEDULER=true, or your cron.",
            )
        else:
            done = f"done {(now - run.ended_at).total_seconds() / 60:.0f} min ago"
            yield _diagnose(f"job: {run.job}", FindingKind.OK, done)
    if not runs:
        why = (
            "they begin a minute after the start" if deployment.has_scheduler else "SCHEDULER=false"
        )
        yield _diagnose("jobs", FindingKind.OK, f"none has run yet: {why}")


def _diagnose(subject: str, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, subject=subject, verdict=verdict, found=found, advice=advice)
