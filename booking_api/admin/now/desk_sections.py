"""What the front page shows of the bookings, and of what waits: for the desk, or for a person."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final

from booking_api.admin.now.facts import Row, Section, Table, number_fact, waiting_fact
from booking_api.admin.now.links import Links
from booking_api.admin.words.refusals import REASONS, explain_code
from booking_api.ops.history import tally as keys
from booking_api.ops.history.measured import OTHER
from booking_api.ops.now.bounds import MAX_UNFINISHED, MAX_WAIT_FOR_DESK
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
        number_fact("asked", "All requests", None if today is None else today.number, links.today())
    ]
    facts += [
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
    today = _count_by_reason(picture)
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
                        links.today(answer_code=code) if is_listed(code) else "",
                    ),
                    number_fact(f"lately-{code}", explain_code(code), lately.get(code, 0)),
                ),
            )
            for code in codes[:MAX_REASONS]
        ],
        empty="Nothing was refused.",
    )


def _count_by_reason(picture: Picture) -> Counter[str]:
    """Return today's refusals by their codes; those that the journal has no filter for are one."""
    counted: Counter[str] = Counter()
    today = picture.desk.today
    for code, number in ({} if today is None else today.reasons).items():
        counted[code if is_listed(code) else OTHER] += number
    return counted


def is_listed(code: str) -> bool:
    """Whether the journal can be filtered by this code."""
    return code in REASONS or code == OTHER


def show_waiting(picture: Picture, links: Links) -> Section:
    waiting, at = picture.desk.waiting, picture.at
    shown: tuple[tuple[str, str, str, timedelta | None], ...] = (
        ("requests", "Waiting for the desk", links.journal(outcome="queued"), MAX_WAIT_FOR_DESK),
        ("unfinished", "Begun, not finished", links.journal(outcome="unfinished"), MAX_UNFINISHED),
        ("owed_credits", "Credits owed", links.journal(outcome="owed"), None),
        ("notes", "Notes to be sent", links.unsent_notes, None),
        ("recounts", "Exams to recount", links.recounts, None),
        ("credit_reviews", "Credits to review", links.credit_reviews, None),
        ("erasures", "Erasures with an error", links.failing_erasures, None),
    )
    return Section(
        key="waiting",
        title="Waiting",
        facts=[
            waiting_fact(key, label, waiting.get(key), at, link, late_after)
            for key, label, link, late_after in shown
        ],
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
