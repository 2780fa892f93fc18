"""`manage.py apply_webhooks`: apply what waits in the inbox, and say what was done.

A serving process does so by itself. This is for a cron where no server runs, and for whoever wants
to see. With `--prune` it also removes what was applied longer than WEBHOOK_RETENTION_DAYS ago;
with `--json` it says the same for a machine. Exit code 1: some events could not be applied.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand
from typing_extensions import override

from booking_api import composition
from hubspot_sync.inbox.applier import ApplyResult


class Command(BaseCommand):
    help = "Apply the webhook events that wait; exit code 1 where some could not be."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--prune", action="store_true", help="remove old events too")
        parser.add_argument("--json", action="store_true", help="print JSON, not sentences")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        services = composition.services()
        inbox = services.webhooks.inbox
        # A cache in a server's own memory is out of reach: what it has not heard of is left to it.
        shared = services.cached.cache.backend.shared
        done = services.webhooks.applier.apply_waiting(only_invalidated=not shared)
        waiting = inbox.count_waiting()
        pruned = None
        if options["prune"]:
            pruned = inbox.prune(timedelta(days=settings.WEBHOOK_RETENTION_DAYS))
            services.webhooks.told.prune()
        composition.close()
        self._print(done, waiting, pruned, machine=options["json"])
        if not all_applied(done):
            sys.exit(1)

    def _print(self, done: ApplyResult, waiting: int, pruned: int | None, *, machine: bool) -> None:
        if machine:
            data = as_json(done, waiting) | {"pruned": pruned}
            self.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
            return
        self.stdout.write(
            f"{done.applied} applied, {done.requeued} put back for later, {done.failed} given up; "
            f"{len(done.exam_ids)} exams to recount; {waiting} waiting."
        )
        if pruned is not None:
            self.stdout.write(f"{pruned} old events removed.")


def all_applied(done: ApplyResult) -> bool:
    return done.requeued + done.failed == 0


def as_json(done: ApplyResult, waiting: int) -> dict[str, Any]:
    return {
        "ok": all_applied(done),
        "applied": done.applied,
        "requeued": done.requeued,
        "failed": done.failed,
        "examsToRecount": sorted(done.exam_ids),
        "waiting": waiting,
    }
