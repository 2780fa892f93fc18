"""`manage.py finish_bookings`: recovery by hand, saying what it did.

Finishes the bookings, cancels and changes that the journal shows unfinished, sends the notes that
are waiting, counts the exams that are to be counted. A running server does all of it by itself,
later; this does it now, beside the server or without one. With `--prune` it also deletes what ended
longer than JOURNAL_RETENTION_DAYS ago.

Of a credit whose history does not reach back nobody can tell whether it was written. A person who
has looked says so: `--credit-written ID …`, or `--credit-unwritten ID …`, by the journal's ids.

Exit code 0: nothing is left unfinished. 1: something is; the last error of each is shown. 2:
HubSpot could not be reached, and nothing was tried.
"""

from __future__ import annotations

import math
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import BigIntegerField
from django.utils import timezone
from rich.table import Table
from typing_extensions import override

from booking_api import composition
from booking_api.composition import Services
from booking_api.desk.journal.models import JournalEntry
from booking_api.desk.manual_recovery import (
    RecoveryReport,
    finish_by_hand,
    settle_credits,
)
from booking_api.management import running_server
from booking_api.management.output import render_table
from hubspot_sync.errors import HubSpotError
from hubspot_sync.reading.availability import probe_hubspot
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline

EXIT_SOMETHING_LEFT, EXIT_COULD_NOT_ASK = 1, 2
DEFAULT_WAIT_S = 60.0
MAX_WAIT_S = 86_400
MAX_PROBE_S = 3.0
CREDIT_WORDS = {"credit_written": True, "credit_unwritten": False}


class Command(BaseCommand):
    help = "Finish what was begun and send what is waiting; exit 1 where something is left."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait",
            type=parse_wait,
            default=DEFAULT_WAIT_S,
            metavar="SECONDS",
            help=f"for the desk's lease and for HubSpot, in all ({DEFAULT_WAIT_S:.0f})",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, not tables")
        parser.add_argument("--prune", action="store_true", help="delete old entries too")
        for name in CREDIT_WORDS:
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                type=parse_entry_id,
                nargs="+",
                default=(),
                metavar="ID",
                help="entries whose credit somebody has looked up in HubSpot",
            )
        running_server.add_arguments(parser)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        with composition.command_services() as services:
            deadline = Deadline.after(options["wait"])
            refuse_while_hubspot_is_away(services)
            settle_by_word(services, options, deadline)
            report = finish_by_hand(services.booking, deadline, threading.Event().wait)
            pruned = services.booking.prune() if options["prune"] else None
            families = changed_families(report, services)
            told = (
                ""
                if not families
                else running_server.tell_server(options, settings.CRON_SECRET, families)
            )
        self._print(report, told, pruned, machine=options["json"])
        if not report.finished:
            sys.exit(EXIT_SOMETHING_LEFT)

    def _print(
        self, report: RecoveryReport, told: str, pruned: int | None, *, machine: bool
    ) -> None:
        if machine:
            data = as_json(report) | {"told": told, "pruned": pruned}
            self.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
            return
        if report.ended or report.unfinished:
            self.stdout.write(render_table(table_of(report)))
        for sentence in summary_of(report):
            self.stdout.write(sentence)
        if told:
            self.stdout.write(told)
        if pruned is not None:
            self.stdout.write(f"{pruned} old entries deleted.")


def parse_wait(text: str) -> float:
    """Return seconds; raise ArgumentTypeError where nobody can wait so long."""
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = math.nan
    if not 0 <= wait_s <= MAX_WAIT_S:
        raise ArgumentTypeError(f"seconds from 0 to {MAX_WAIT_S}, not {text!r}")
    return wait_s


def parse_entry_id(text: str) -> int:
    """Return a journal entry's id; raise ArgumentTypeError where there can be none such."""
    if not (text.isascii() and text.isdecimal() and int(text) <= BigIntegerField.MAX_BIGINT):
        raise ArgumentTypeError(f"{text!r} is no journal entry's id")
    return int(text)


def refuse_while_hubspot_is_away(services: Services) -> None:
    """Raise CommandError where HubSpot does not answer."""
    brief = Deadline.after(MAX_PROBE_S)
    try:
        probe_hubspot(services.hubspot, CallContext(deadline=brief, priority=Priority.BACKGROUND))
    except HubSpotError as error:
        raise CommandError(
            "HubSpot cannot be reached; nothing was tried.", returncode=EXIT_COULD_NOT_ASK
        ) from error


def settle_by_word(services: Services, options: dict[str, Any], deadline: Deadline) -> None:
    """Settle the credits that a person has looked up; raise CommandError for an entry that has
    none, or two words."""
    said = [(entry, word) for name, word in CREDIT_WORDS.items() for entry in options[name]]
    words = dict(said)
    if len(words) == 0:
        return
    if len(words) < len(said):
        raise CommandError("An entry's credit was written or not.")
    try:
        wrong = settle_credits(services.booking, words, deadline)
    except TimeoutError as error:
        raise CommandError("Another desk is at work; nothing was settled.") from error
    if wrong:
        listed = ", ".join(map(str, sorted(wrong)))
        raise CommandError(f"No credit is to be settled of entry {listed}.")


def changed_families(report: RecoveryReport, services: Services) -> list[str]:
    """Return the names of the cache families that may still show what was before."""
    if report.ended or report.found.reviews:
        return [family.name for family in services.cached.cache.catalogue]
    return ["exams"] if report.found.recounts else []


def table_of(report: RecoveryReport) -> Table:
    """Return the rows that were or are unfinished. E-mails stay out: what is printed is kept."""
    table = Table(title="Begun and not finished")
    for heading in (
        "entry",
        "what",
        "contact",
        "exam",
        "booking",
        "now",
        "age",
        "tries",
        "last error",
    ):
        table.add_column(heading, overflow="fold")
    for rows, style in ((report.ended, "green"), (report.unfinished, "red")):
        for row in rows:
            table.add_row(
                *(str(row.id), row.kind, row.contact_id, row.exam_id, row.record_id, row.state),
                *(age_of(row), str(row.attempts), row.last_error),
                style=style,
            )
    return table


def age_of(row: JournalEntry) -> str:
    return f"{(timezone.now() - row.arrived_at).total_seconds():.0f} s"


def summary_of(report: RecoveryReport) -> list[str]:
    found, left = report.found, report.left
    if found.is_empty and left.is_empty:
        return ["Nothing was unfinished."]
    sentences = [
        f"Journal: {len(report.ended)} finished, {len(left.entries)} still unfinished.",
        f"Notes: {report.notes_sent} sent, {report.notes_refused} refused by HubSpot, "
        f"{len(left.notes)} still waiting.",
        f"Recounts: {len(found.recounts - left.recounts)} done, "
        f"{len(left.recounts)} still waiting.",
        f"Credit reviews: {len(found.reviews - left.reviews)} done, "
        f"{len(left.reviews)} still waiting.",
    ]
    if report.desk_was_busy:
        sentences.append("Another desk held the lease all the time; it may be at work on these.")
    return sentences


def as_json(report: RecoveryReport) -> dict[str, Any]:
    found, left = report.found, report.left
    return {
        "ok": report.finished,
        "journal": {
            "finished": [entry_json(row) for row in report.ended],
            "unfinished": [entry_json(row) for row in report.unfinished],
        },
        "notes": {
            "sent": report.notes_sent,
            "refused": report.notes_refused,
            "waiting": len(left.notes),
        },
        "recounts": {
            "done": len(found.recounts - left.recounts),
            "waiting": len(left.recounts),
        },
        "creditReviews": {
            "done": len(found.reviews - left.reviews),
            "waiting": len(left.reviews),
        },
        "deskWasBusy": report.desk_was_busy,
    }


def entry_json(row: JournalEntry) -> dict[str, Any]:
    return {
        "entry": row.id,
        "kind": row.kind,
        "state": row.state,
        "contactId": row.contact_id,
        "examId": row.exam_id,
        "bookingId": row.record_id,
        "attempts": row.attempts,
        "lastError": row.last_error,
    }
