"""`manage.py sync_capacity`: are the stored counts of exams what their bookings say? Corrects them.

Exit code 0: all were counted. 1: some exams are not known, or their correction could not be
written. 2: HubSpot could not be reached.

    manage.py sync_capacity                    every upcoming exam of every type
    manage.py sync_capacity --type clinical    of one type
    manage.py sync_capacity --exam 1234 5678   these exams
    manage.py sync_capacity --dry-run          look, change nothing
    manage.py sync_capacity --json             the same for a machine

Works beside a running server: corrections wait for the booking desk's lease like everything else.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typing_extensions import override

from booking_api import composition
from booking_api.api.serializers import is_record_id
from booking_api.api.views.capacity import render_counts
from booking_api.composition import Services
from booking_api.desk.counts.count_log import record_named_counts
from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.models import CountKind
from booking_api.desk.counts.recount import all_unanswered, search_upcoming_exam_ids
from booking_api.management import running_server
from booking_api.management.output import render_table
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline

EXIT_SOME_UNKNOWN, EXIT_COULD_NOT_ASK = 1, 2
DEADLINE_S = 3600.0
WHO = "the command sync_capacity"
EXAMS_PER_STEP = 500
"""Half of what one association read takes: a long run shows where it is, for one call more."""
MAX_EXAMS_LISTED = 50


def record_id(text: str) -> str:
    if not is_record_id(text):
        raise ArgumentTypeError(f"{text!r} is no HubSpot record id")
    return text


class Command(BaseCommand):
    help = "Count exams' bookings and correct the stored counts; exit 1 where some are not known."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--exam", nargs="+", type=record_id, metavar="ID", help="these exams")
        which.add_argument("--type", help="upcoming exams of this mock type")
        parser.add_argument("--dry-run", action="store_true", help="look, change nothing")
        parser.add_argument("--json", action="store_true", help="print JSON, not a table")
        running_server.add_arguments(parser)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with composition.command_services() as services:
                counts = recount_exams(services, options)
                if all_unanswered(counts):
                    raise CommandError(
                        f"HubSpot could not be asked: {counts[0].error}",
                        returncode=EXIT_COULD_NOT_ASK,
                    )
                told = ""
                if any(count.updated for count in counts):
                    told = running_server.tell_server(options, settings.CRON_SECRET, ["exams"])
        except HubSpotError as error:
            sentence = f"HubSpot could not be asked: {error.message}"
            raise CommandError(sentence, returncode=EXIT_COULD_NOT_ASK) from error
        self._print(counts, told, options)
        if any(count.error for count in counts):
            sys.exit(EXIT_SOME_UNKNOWN)

    def _print(self, counts: Sequence[ExamCount], told: str, options: dict[str, Any]) -> None:
        data = render_counts(counts, dry_run=options["dry_run"])
        if options["json"]:
            ok = data["summary"]["failed"] == 0
            report = orjson.dumps({"ok": ok, **data, "told": told}, option=orjson.OPT_INDENT_2)
            self.stdout.write(report.decode())
            return
        self.stdout.write(render_table(table_of(counts)))
        self.stdout.write(sentence_of(data["summary"], dry_run=options["dry_run"]))
        if told:
            self.stdout.write(told)


def recount_exams(services: Services, options: dict[str, Any]) -> tuple[ExamCount, ...]:
    """Count the exams asked for, and correct their counts unless it is a dry run. Raises
    HubSpotError where it could not be learnt which exams there are."""
    context = CallContext(deadline=Deadline.after(DEADLINE_S), priority=Priority.BACKGROUND)
    ids = options["exam"]
    if ids is None:
        types = types_of(services.profile, options["type"])
        ids = search_upcoming_exam_ids(services.booking.desk_context, types, context)
    counts: list[ExamCount] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=options["json"] or len(ids) <= EXAMS_PER_STEP,
    ) as progress:
        task = progress.add_task("exams", total=len(ids))
        for start in range(0, len(ids), EXAMS_PER_STEP):
            step = ids[start : start + EXAMS_PER_STEP]
            counts += services.booking.recount.recount(
                step, context, dry_run=options["dry_run"], who=WHO
            )
            progress.advance(task, len(step))
    if options["exam"] is not None:
        kind = CountKind.DRY_RUN if options["dry_run"] else CountKind.RECOUNT
        record_named_counts(counts, WHO, kind, services.booking.desk_context.now())
    return tuple(counts)


def types_of(profile: PortalProfile, wanted: str | None) -> list[str]:
    """Return the mock types asked for; raise CommandError for one the portal does not have."""
    values = [mock_type.value for mock_type in profile.mock_types]
    if wanted is None:
        return values
    if wanted not in values:
        raise CommandError(f"--type {wanted!r}: the portal has {', '.join(values)}.")
    return [wanted]


def table_of(counts: Sequence[ExamCount]) -> Table:
    """Return a table of the exams; where there are more than MAX_EXAMS_LISTED, only of those that
    differ or are not known."""
    few = len(counts) <= MAX_EXAMS_LISTED
    listed = [count for count in counts if few or count.differs or count.error]
    table = Table(title="Stored counts and the bookings themselves")
    for heading in ("exam", "date", "type"):
        table.add_column(heading)
    for heading in ("stored", "actual", "change"):
        table.add_column(heading, justify="right")
    for count in listed:
        style = "red" if count.error else "yellow" if count.differs else None
        table.add_row(*cells_of(count), style=style)
    if len(listed) < len(counts):
        table.caption = f"{len(counts) - len(listed)} exams whose count is right are not listed."
    return table


def cells_of(count: ExamCount) -> tuple[str, str, str, str, str, str]:
    if count.exam is None or count.actual is None:
        return count.exam_id, "", count.error, "", "unknown", "not changed"
    change = f"{count.actual - count.stored:+d}" if count.differs else "0"
    if count.error:
        change = f"not written: {count.error}"
    day = "" if count.exam.exam_date is None else count.exam.exam_date.isoformat()
    return count.exam_id, day, count.exam.mock_type, str(count.stored), str(count.actual), change


def sentence_of(summary: dict[str, int], *, dry_run: bool) -> str:
    corrected = f"{summary['updated']} corrected"
    if dry_run:
        corrected = f"{summary['wouldUpdate']} would be corrected"
    parts = [f"{summary['processed']} exams counted", corrected, f"{summary['unchanged']} right"]
    if summary["failed"] > 0:
        parts.append(f"{summary['failed']} not known or not written, and left alone")
    return ", ".join(parts) + "."
