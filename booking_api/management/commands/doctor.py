"""`manage.py doctor`: what is wrong with this deployment, and what to do about it. Changes nothing.

Looks at the settings, versions, the database, Redis, HubSpot and the token's scopes, clocks,
webhooks, workers, the running server and the proxies it has seen, all at once and each for some
seconds at most.

Exit code 0: all is well, but for warnings. 1: something is wrong. 2: nothing is known to be wrong,
and something could not be asked.

    manage.py doctor                      look at everything
    manage.py doctor --url http://…       where the server is, if not on port 8000 of this machine
    manage.py doctor --no-server          ask no server
    manage.py doctor --offline            ask HubSpot nothing
    manage.py doctor --fail-on warning    exit code 1 for a warning, too
    manage.py doctor --json               the same for a machine

Run it with the environment of the server: what it looks at are the settings that it has itself.
"""

from __future__ import annotations

import dataclasses
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from booking_api.env_types import csv
from booking_api.env_variables import env_file
from booking_api.management.output import render_table
from booking_api.management.running_server import LOCAL_URL
from booking_api.ops.doctor.checks import list_checks
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis, exit_code
from booking_api.ops.doctor.examination import examine
from booking_api.ops.redaction import Redaction
from cache_layer.operating.running_server import parse_server_url
from hubspot_sync.preflight import FindingKind

STYLES: Final = {
    FindingKind.OK: "green",
    FindingKind.WARNING: "yellow",
    FindingKind.UNKNOWN: "yellow",
    FindingKind.WRONG: "bold red",
    FindingKind.MISSING: "bold red",
}
WORST_FIRST: Final = (
    FindingKind.WRONG,
    FindingKind.MISSING,
    FindingKind.UNKNOWN,
    FindingKind.WARNING,
    FindingKind.OK,
)


class Command(BaseCommand):
    help = "Say what is wrong with this deployment; exit 1 where something is, 2 if not known."
    # They are one of its own checks, and would end it before the others.
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        server = parser.add_mutually_exclusive_group()
        server.add_argument(
            "--url",
            type=parse_server_url,
            default=LOCAL_URL,
            help=f"the server to ask ({LOCAL_URL})",
        )
        server.add_argument("--no-server", action="store_true", help="ask no server")
        parser.add_argument("--offline", action="store_true", help="ask HubSpot nothing")
        parser.add_argument(
            "--fail-on",
            choices=["wrong", "warning"],
            default="wrong",
            help="what makes the exit code 1 (wrong)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, not a table")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        redaction = Redaction(settings.LOGGING["secrets"])
        found = examine(list(list_checks(describe_deployment(options))))
        shown = [mask(diagnosis, redaction) for diagnosis in found]
        status = exit_code(shown, warnings_fail=options["fail_on"] == "warning")
        if options["json"]:
            self.stdout.write(as_json(shown, status))
        else:
            self.stdout.write(render_table(table_of(shown)))
            self.stdout.write(sentence_of(shown))
        if status != 0:
            sys.exit(status)


def describe_deployment(options: dict[str, Any]) -> Deployment:
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool", {})
    return Deployment(
        base_dir=Path(settings.BASE_DIR),
        debug=settings.DEBUG,
        env_file=env_file,
        hubspot=settings.HUBSPOT,
        portal=settings.HUBSPOT_PORTAL,
        asks_hubspot=not options["offline"],
        redis_url=settings.REDIS_URL,
        cache_prefix=settings.CACHE.key_prefix,
        processes=settings.PROCESSES,
        connections=pool.get("max_size", 1),
        journal=settings.HUBSPOT_JOURNAL,
        takes_webhooks=len(settings.HUBSPOT_WEBHOOK_SECRETS) > 0,
        has_scheduler=settings.SCHEDULER,
        server_url="" if options["no_server"] else options["url"],
        public_base_url=settings.PUBLIC_BASE_URL,
        metrics_token=next(iter(csv(settings.METRICS_TOKEN)), ""),
    )


def mask(diagnosis: Diagnosis, redaction: Redaction) -> Diagnosis:
    """Return it without secrets and personal data: what was found may quote the errors of others.
    What is advised are our own words."""
    return dataclasses.replace(diagnosis, found=redaction.text(diagnosis.found))


def as_json(found: Sequence[Diagnosis], status: int) -> str:
    report = {
        "ok": status == 0,
        "exitCode": status,
        "counts": {each.value: number for each, number in count(found).items()},
        "findings": [dataclasses.asdict(diagnosis) for diagnosis in found],
    }
    return orjson.dumps(report, option=orjson.OPT_INDENT_2).decode()


def table_of(found: Sequence[Diagnosis]) -> Table:
    """Return a row for each; what to do is in a line of its own below what was found."""
    table = Table(title="This deployment, looked at")
    table.add_column("what", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("found", overflow="fold", ratio=1)
    area = ""
    for each in sorted(found, key=lambda one: list_areas(found).index(one.area)):
        if area not in {"", each.area}:
            table.add_section()
        area = each.area
        advice = f"\n→ {each.advice}" if each.advice else ""
        verdict = Text(each.verdict, style=STYLES.get(each.verdict, ""))
        what = f"{each.area}: {each.subject}" if each.subject else each.area
        table.add_row(Text(what), verdict, Text(f"{each.found}{advice}"))
    return table


def list_areas(found: Sequence[Diagnosis]) -> list[str]:
    return list(dict.fromkeys(each.area for each in found))


def count(found: Sequence[Diagnosis]) -> dict[FindingKind, int]:
    counted = Counter(each.verdict for each in found)
    return {verdict: counted[verdict] for verdict in WORST_FIRST}


def sentence_of(found: Sequence[Diagnosis]) -> str:
    numbers = count(found)
    parts = [
        f"{number} {'well' if verdict is FindingKind.OK else verdict}"
        for verdict, number in numbers.items()
        if number > 0
    ]
    return ", ".join(parts) + "."
