"""`manage.py validate_cache`: does the cache say what HubSpot says? Prints a table.

Exit code 0: all that was compared is equal. 1: something had drifted, or a check failed. 2: the
cache, HubSpot or the server could not be asked.

    manage.py validate_cache                 a sample of every family
    manage.py validate_cache --all           every entry, with progress
    manage.py validate_cache --no-repair     look, change nothing
    manage.py validate_cache --self-test     try the cache itself, on records made for it
    manage.py validate_cache --json          the same for a machine

A cache in a server's own memory cannot be seen from here, so that server is asked (`--url`), with
CRON_SECRET or a staff member's `--token`. One in Redis is compared by this process.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from typing_extensions import override

from cache_layer.errors import BackendUnavailable
from cache_layer.operating.audit import validate_and_record
from cache_layer.operating.host import CacheHost, SelfTestCheck, TruthUnavailable, cache_host
from cache_layer.operating.report import join_validations, validation_as_json
from cache_layer.operating.running_server import (
    ServerUnavailable,
    parse_server_url,
    validate_on_server,
)
from cache_layer.operating.validation import DEFAULT_SAMPLE

LOCAL_URL = "http://127.0.0.1:8000"
DRIFTED, COULD_NOT_ASK = 1, 2
WIDTH_IN_A_FILE = 120
COLUMNS = ("sampled", "same", "drifted", "repaired", "skipped", "unknown")
HEADINGS = ("family", "sampled", "equal", "drifted", "repaired", "skipped", "not answered")


def parse_positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


class Command(BaseCommand):
    help = "Compare the cache with HubSpot; exit 1 where something drifted, 2 if nobody answered."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        how_many = parser.add_mutually_exclusive_group()
        how_many.add_argument(
            "--sample",
            type=parse_positive,
            default=DEFAULT_SAMPLE,
            metavar="N",
            help="of each family",
        )
        how_many.add_argument("--all", action="store_true", help="every entry")
        how_many.add_argument("--self-test", action="store_true", help="four checks, end to end")
        parser.add_argument("--repair", action=BooleanOptionalAction, default=True)
        parser.add_argument(
            "--url", type=parse_server_url, default=LOCAL_URL, help="the server whose memory it is"
        )
        parser.add_argument("--token", default="", help="a staff member's, instead of CRON_SECRET")
        parser.add_argument("--json", action="store_true", help="print JSON, not a table")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        host = cache_host()
        try:
            if options["self_test"]:
                self._self_test(host, as_text=options["json"])
            else:
                self._compare(host, options)
        except (TruthUnavailable, ServerUnavailable) as error:
            raise CommandError(str(error), returncode=COULD_NOT_ASK) from error
        except BackendUnavailable as error:
            sentence = f"The cache could not be asked: {error}"
            raise CommandError(sentence, returncode=COULD_NOT_ASK) from error

    def _self_test(self, host: CacheHost, *, as_text: bool) -> None:
        checks = host.self_test()
        passed = all(check.passed for check in checks)
        if as_text:
            rows = [dataclasses.asdict(check) for check in checks]
            self.stdout.write(json.dumps({"ok": passed, "checks": rows}, indent=2))
        else:
            self._print(_table_of_checks(checks, host.cache.backend.name))
        if not passed:
            sys.exit(DRIFTED)

    def _compare(self, host: CacheHost, options: dict[str, Any]) -> None:
        shared = host.cache.backend.shared
        with _show_progress(shown=options["all"] and not options["json"]) as progress:
            compare = _compare_here if shared else _compare_on_server
            report = compare(host, options, progress)
        ok = report["drifted"] == 0 and report["complete"]
        if options["json"]:
            self.stdout.write(json.dumps({"ok": ok, **report}, indent=2, ensure_ascii=False))
        else:
            self._print(_table_of_families(report))
            if report["drifts"]:
                self._print(_table_of_drifts(report["drifts"]))
            self.stdout.write(_summarize(report))
        if report["drifted"] > 0:
            sys.exit(DRIFTED)
        if not report["complete"]:
            sys.exit(COULD_NOT_ASK)

    def _print(self, table: Table) -> None:
        console = Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE)
        with console.capture() as capture:
            console.print(table)
        self.stdout.write(capture.get())


@contextmanager
def _show_progress(*, shown: bool) -> Iterator[Progress]:
    """A bar for each family, on the error stream; the output stays the report alone."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not shown
    ) as progress:
        yield progress


def _compare_here(host: CacheHost, options: dict[str, Any], progress: Progress) -> dict[str, Any]:
    tasks: dict[str, TaskID] = {}

    def show_done(family: str, done: int, total: int) -> None:
        if family not in tasks:
            tasks[family] = progress.add_task(family)
        progress.update(tasks[family], completed=done, total=total)

    report = validate_and_record(
        host,
        who="validate_cache",
        sample=None if options["all"] else options["sample"],
        repair=options["repair"],
        progress=show_done,
    )
    return validation_as_json(report)


def _compare_on_server(
    host: CacheHost, options: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Ask the server for one family after the other, so that its progress can be shown."""
    # Several may be taken while one replaces another.
    secret = settings.CRON_SECRET.partition(",")[0].strip()
    authorization = f"Token {options['token']}" if options["token"] else f"Bearer {secret}"
    asked = {"all": options["all"], "repair": options["repair"], "sample": options["sample"]}
    if not options["all"]:
        return validate_on_server(options["url"], authorization, asked)
    names = [family.name for family in host.cache.catalogue]
    parts = [
        validate_on_server(options["url"], authorization, asked | {"family": name})
        for name in progress.track(names, description="families")
    ]
    return join_validations(parts)


def _table_of_families(report: dict[str, Any]) -> Table:
    table = Table(title="The cache compared with HubSpot")
    table.add_column(HEADINGS[0])
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right")
    for name, numbers in report["byFamily"].items():
        style = "red" if numbers["drifted"] else "yellow" if numbers["unknown"] else None
        table.add_row(name, *(str(numbers[column]) for column in COLUMNS), style=style)
    table.add_section()
    table.add_row("all", *(str(report[column]) for column in COLUMNS), style="bold")
    return table


def _table_of_drifts(drifts: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="What had drifted")
    for heading in ("key", "age", "difference", "repaired"):
        table.add_column(heading, overflow="fold")
    for drift in drifts:
        repaired = "yes" if drift["repaired"] else "no"
        table.add_row(drift["key"], f"{drift['ageSeconds']:.0f} s", drift["difference"], repaired)
    return table


def _table_of_checks(checks: Sequence[SelfTestCheck], backend: str) -> Table:
    table = Table(title=f"The cache tried end to end ({backend})")
    for heading in ("check", "result", "what was read"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        result = "[green]passed[/green]" if check.passed else "[red]failed[/red]"
        table.add_row(check.name, result, check.seen)
    return table


def _summarize(report: dict[str, Any]) -> str:
    if report["sampled"] == 0:
        return "The cache is empty."
    parts = [f"{report['sampled']} entries compared"]
    if report["drifted"] == 0 and report["complete"]:
        parts.append("none had drifted")
    if report["drifted"] > 0:
        parts.append(f"{report['drifted']} had drifted, {report['repaired']} repaired")
    if not report["complete"]:
        parts.append(f"HubSpot did not answer for {report['unknown']}")
    return ", ".join(parts) + "."
