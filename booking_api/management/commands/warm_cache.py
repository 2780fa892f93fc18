"""`manage.py warm_cache`: load what will be asked for first, before it is: ahead of a rush.

    manage.py warm_cache                         all exams, and students who were here lately
    manage.py warm_cache --exams                 exams and their seats alone
    manage.py warm_cache --type clinical         the exams of one type, and what it may cost
    manage.py warm_cache --students 500          the 500 students who were here last
    manage.py warm_cache --days 3                those of the last three days
    manage.py warm_cache --contacts list.txt     these contacts, by HubSpot's ids, one a line; - for
                                                 standard input: those who may register
    manage.py warm_cache --keep-minutes 30       and keep all of it warm for so long
    manage.py warm_cache --json                  the same for a machine

Works beside running servers that share their cache in Redis, and uses the background's share of the
budget: nobody waits for it. What is warm already costs nothing, so it may be run again at any time.
A cache in a server's own memory is out of reach: such a server warms its own (`WARM_CACHE`).

Exit code 0: all of it is warm. 1: it ended early, something was left, or there was no room for it.
2: nothing can be warmed.
"""

from __future__ import annotations

import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typing_extensions import override

from booking_api import composition
from booking_api.api.serializers import is_record_id
from booking_api.composition import Services
from booking_api.ops.warming.rounds import ALL_STUDENTS, Plan, Report, Rounds
from hubspot_sync.portal.mock_types import MockType

EXIT_SOMETHING_LEFT, EXIT_NOTHING_TO_WARM = 1, 2
ALL_ACTIVE = "all-active"
STANDARD_INPUT = "-"
MAX_NUMBER = 1_000_000
"""Of days or minutes; more is taken for so many."""


def number_of_students(text: str) -> int:
    if text == ALL_ACTIVE:
        return ALL_STUDENTS
    if not text.isdecimal():
        raise ArgumentTypeError(f"a number or {ALL_ACTIVE}, not {text!r}")
    return min(int(text), ALL_STUDENTS)


def whole_number(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"a whole number, not {text!r}")
    return min(int(text), MAX_NUMBER)


class Command(BaseCommand):
    help = (
        "Load what will be asked for first into the shared cache; exit 1 where something is left."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--type", help="only of this mock type")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--exams", action="store_true", help="exams alone, no students")
        which.add_argument(
            "--students",
            type=number_of_students,
            default=ALL_STUDENTS,
            metavar="N",
            help=f"how many students, those who were here last; by default {ALL_ACTIVE}",
        )
        which.add_argument(
            "--contacts", metavar="FILE", help="these contacts, by HubSpot's ids, one a line"
        )
        parser.add_argument(
            "--days",
            type=whole_number,
            default=settings.WARM_STUDENT_DAYS,
            help="students who were here within so many days (WARM_STUDENT_DAYS)",
        )
        parser.add_argument(
            "--keep-minutes", type=whole_number, default=0, help="go on renewing it for so long"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, not sentences")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.CACHE.enabled:
            raise CommandError("CACHE_ENABLED=false.", returncode=EXIT_NOTHING_TO_WARM)
        if settings.CACHE.redis_url == "":
            raise CommandError(
                "Each server keeps its cache in its own memory, out of reach: set REDIS_URL, "
                "or let the server warm it (WARM_CACHE=always).",
                returncode=EXIT_NOTHING_TO_WARM,
            )
        with composition.command_services() as services:
            plan = Plan(
                mock_types=types_of(services, options["type"]),
                with_seats=True,
                students=0 if options["exams"] else options["students"],
                days=options["days"],
                named=read_ids(options["contacts"]),
            )
            report, no_room = self._warm(services, plan, options)
        if report.stopped or report.left > 0 or no_room > 0:
            sys.exit(EXIT_SOMETHING_LEFT)

    def _warm(self, services: Services, plan: Plan, options: dict[str, Any]) -> tuple[Report, int]:
        """Warm until the time is over; return the last round's report, and for how many students
        there was no room."""
        rounds = Rounds(services, every_s=settings.WARM_EVERY_S, patient=True)
        until_s = time.monotonic() + 60 * options["keep_minutes"]
        pause = threading.Event()
        while True:
            contact_ids, no_room = rounds.find_students(plan)
            report = warm_and_show(rounds, plan, contact_ids, hidden=options["json"])
            self._print(report, no_room, as_json=options["json"])
            if time.monotonic() + settings.WARM_EVERY_S > until_s:
                return report, no_room
            pause.wait(settings.WARM_EVERY_S)

    def _print(self, report: Report, no_room: int, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(orjson.dumps(report_json(report, no_room)).decode())
            return
        self.stdout.write(describe(report, no_room))


def read_ids(place: str | None) -> Sequence[str] | None:
    """Return the ids in a file, each once, None where none is named; raise CommandError."""
    if place is None:
        return None
    try:
        text = sys.stdin.read() if place == STANDARD_INPUT else Path(place).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--contacts {place}: {error}") from error
    ids = list(dict.fromkeys(text.split()))
    strange = next((each for each in ids if not is_record_id(each)), None)
    if strange is not None:
        raise CommandError(f"--contacts {place}: {strange!r} is no HubSpot record id.")
    return ids


def warm_and_show(
    rounds: Rounds, plan: Plan, contact_ids: Sequence[str], *, hidden: bool
) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=hidden) as progress:
        task = progress.add_task("students", total=len(contact_ids))
        return rounds.warm(plan, contact_ids, lambda number: progress.advance(task, number))


def types_of(services: Services, wanted: str | None) -> Sequence[MockType]:
    """Return the mock types asked for; raise CommandError for one the portal does not have."""
    known = services.profile.mock_types
    chosen = [each for each in known if wanted in (None, each.value)]
    if len(chosen) == 0:
        names = ", ".join(each.value for each in known)
        raise CommandError(f"--type {wanted!r}: the portal has {names}.")
    return chosen


def describe(report: Report, no_room: int) -> str:
    """Return what a round came to, for a person."""
    lines = [
        f"{report.exams} exams and {report.students} students are warm: {report.entries} entries "
        f"loaded with {report.calls} calls to HubSpot."
    ]
    if no_room > 0:
        lines.append(f"{no_room} more students: no room for them, see CACHE_MAX_ENTRIES.")
    if report.left > 0:
        lines.append(f"{report.left} left: HubSpot would not give them, or they changed meanwhile.")
    if report.stopped:
        lines.append(f"Ended early: {report.stopped} Run it again later.")
    return "\n".join(lines)


def report_json(report: Report, no_room: int) -> dict[str, Any]:
    return {
        "exams": report.exams,
        "students": report.students,
        "entries": report.entries,
        "calls": report.calls,
        "left": report.left,
        "noRoom": no_room,
        "stopped": report.stopped,
    }
