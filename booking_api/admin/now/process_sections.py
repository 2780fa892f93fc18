"""What the front page shows of requests, of periodic jobs, and of who does the work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format

from booking_api.admin.now.facts import Fact, Row, Section, Table, number_fact
from booking_api.admin.now.links import Links
from booking_api.admin.now.words import JOBS, UNKNOWN, write_age, write_duration
from booking_api.desk.desk import LEASE_NAME
from booking_api.ops.history import tally as keys
from booking_api.ops.history.models import JobRun
from booking_api.ops.now.picture import Picture


def show_requests(picture: Picture) -> Section:
    hour = None if picture.history is None else picture.history.hour
    facts = [
        number_fact(
            f"requests-{outcome}",
            label,
            None if hour is None else hour.total(keys.REQUESTS, outcome),
            "#chart-requests",
            bad="warn" if outcome == "failed" else "",
        )
        for outcome, label in (
            ("answered", "Answered"),
            ("refused", "Refused"),
            ("limited", "Told to wait"),
            ("failed", "Failed"),
        )
    ]
    return Section(
        key="requests", title="Requests to the API, last hour", facts=facts, chart="requests"
    )


def show_jobs(picture: Picture) -> Section:
    rows = [] if picture.jobs is None else [_show_run(run, picture) for run in picture.jobs]
    table = Table(
        key="runs",
        caption="The last run of each job",
        columns=("Job", "Ended", "How it ended", "It took"),
        rows=rows,
        empty=UNKNOWN if picture.jobs is None else "No job has run yet.",
    )
    return Section(key="jobs", title="Periodic jobs", facts=(), tables=(table,))


def _show_run(run: JobRun, picture: Picture) -> Row:
    ended = Fact(
        key="ended",
        label="Ended",
        value=f"{write_age(run.ended_at, picture.at)} ago",
        note=write_moment(run.ended_at),
    )
    how = Fact(key="how", label="How it ended", value="done", tone="good")
    if run.failure != "":
        done = "never" if run.last_done_at is None else write_moment(run.last_done_at)
        how = Fact(
            key="how",
            label="How it ended",
            value="failed",
            tone="bad",
            note=f"{run.failure}; last done: {done}",
        )
    took = Fact(key="took", label="It took", value=write_duration(run.ended_at - run.began_at))
    return Row(name=JOBS.get(run.job, run.job), cells=(ended, how, took))


def show_workers(picture: Picture, links: Links) -> Section:
    history = picture.history
    return Section(
        key="workers",
        title="Who does the work",
        facts=[
            *_show_leases(picture, links),
            number_fact(
                "processes",
                "Processes that serve",
                None if history is None else len(history.processes),
            ),
        ],
        words=() if history is None else [process.name for process in history.processes],
    )


def _show_leases(picture: Picture, links: Links) -> Iterator[Fact]:
    leases = picture.desk.leases
    for key, name, label in (
        ("desk", LEASE_NAME, "The booking desk"),
        ("scheduler", "scheduler", "Periodic jobs"),
    ):
        held = None if leases is None else leases.get(name)
        value, note, tone = "free", "taken when there is something to do", ""
        if leases is None:
            value, note, tone = UNKNOWN, "", "warn"
        elif held is not None and held.is_current:
            value, note = "held", held.holder
        elif held is not None and held.holder != "":
            value, note, tone = "left by its holder", held.holder, "warn"
        yield Fact(
            key=f"lease-{key}", label=label, value=value, link=links.leases, note=note, tone=tone
        )


def write_moment(moment: datetime) -> str:
    """Return a time of the portal's, to the second."""
    return date_format(timezone.localtime(moment), "j M Y, H:i:s")
