"""What the front page shows of the bookings, of what waits, and of who does the work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format

from booking_api.admin.now.facts import Fact, Row, Section, Table, number_fact, waiting_fact
from booking_api.admin.now.links import Links
from booking_api.admin.now.words import (
    JOBS,
    UNKNOWN,
    write_age,
    write_duration,
)
from booking_api.admin.words.refusals import explain_code
from booking_api.ops.history import tally as keys
from booking_api.ops.history.models import JobRun
from booking_api.ops.now.picture import Picture

MAX_REASONS: Final = 30
TAKEN: Final = frozenset({"made", "repeated"})
PERSONS: Final = {
    "owed_credit": "Cancelled, and HubSpot refuses the credit",
    "cut_history": "The contact's history does not reach back",
    "unreadable_plan": "What was decided cannot be read",
    "credit_review": "A credit that nobody can tell",
}


def show_bookings(picture: Picture, links: Links) -> Section:
    today = picture.desk.today
    done = None if today is None else today.done
    facts = [
        number_fact(
            kind,
            label,
            None if done is None else done.get(kind, 0),
            links.today(outcome="done", kind__exact=kind),
        )
        for kind, label in (("create", "Made"), ("cancel", "Cancelled"), ("update", "Changed"))
    ]
    facts += [
        number_fact(
            "refused",
            "Refused",
            None if today is None else today.refused,
            links.today(outcome="refused"),
        ),
        number_fact(
            "undone",
            "Taken back",
            None if today is None else today.taken_back,
            links.today(outcome="undone"),
            bad="warn",
        ),
    ]
    return Section(
        key="bookings",
        title="Bookings today",
        note="Requests that came to the desk since midnight.",
        facts=facts,
        tables=(_show_reasons(picture, links),),
        chart="bookings",
    )


def _show_reasons(picture: Picture, links: Links) -> Table:
    """All reasons of today and of the last 24 hours; the latter also of what never came to the
    desk."""
    today = {} if picture.desk.today is None else dict(picture.desk.today.reasons)
    asked = {} if picture.history is None else picture.history.day.by_rest(keys.ASKED)
    lately = {code: number for code, number in asked.items() if code not in TAKEN}
    codes = sorted(today | lately, key=lambda code: (-today.get(code, 0), -lately.get(code, 0)))
    return Table(
        key="reasons",
        caption="Why requests were refused",
        columns=("Reason", "Today, by the desk", "Asked to book, last 24 hours"),
        rows=[
            Row(
                name=explain_code(code),
                small=code,
                cells=(
                    number_fact(
                        f"reason-{code}",
                        explain_code(code),
                        today.get(code, 0),
                        links.today(answer_code=code),
                    ),
                    number_fact(f"lately-{code}", explain_code(code), lately.get(code, 0)),
                ),
            )
            for code in codes[:MAX_REASONS]
        ],
        empty="Nothing was refused.",
    )


def show_waiting(picture: Picture, links: Links) -> Section:
    waiting, at = picture.desk.waiting, picture.at
    shown = (
        ("requests", "Waiting for the desk", links.journal(outcome="queued")),
        ("unfinished", "Begun, not finished", links.journal(outcome="unfinished")),
        ("owed_credits", "Credits owed", links.journal(outcome="owed")),
        ("notes", "Notes to be sent", links.unsent_notes),
        ("recounts", "Exams to recount", links.recounts),
        ("credit_reviews", "Credits to review", links.credit_reviews),
        ("erasures", "Erasures with an error", links.failing_erasures),
    )
    return Section(
        key="waiting",
        title="Waiting",
        facts=[waiting_fact(key, label, waiting.get(key), at, link) for key, label, link in shown],
    )


def show_persons(picture: Picture, links: Links) -> Section:
    found = picture.desk.for_persons
    leads = {
        "owed_credit": links.journal(outcome="owed"),
        "credit_review": links.reviews_for_persons,
    }
    facts = [
        number_fact(key, label, found.get(key), leads.get(key, ""), bad="bad")
        for key, label in PERSONS.items()
    ]
    of_journal = [found.get(key) for key in ("owed_credit", "cut_history", "unreadable_plan")]
    known = [number for number in of_journal if number is not None]
    total = sum(known) if len(known) == len(of_journal) else None
    first = number_fact(
        "journal", "Bookings in all", total, links.journal(outcome="person"), bad="bad"
    )
    return Section(
        key="persons",
        title="For a person to end",
        note="These do not go by themselves: docs/runbooks/rows-need-a-person.md says what to do.",
        facts=[first, *facts],
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
    for key, label in (("desk", "The booking desk"), ("scheduler", "Periodic jobs")):
        held = None if leases is None else leases.get(key)
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
