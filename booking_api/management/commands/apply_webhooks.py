"""`manage.py apply_webhooks`: apply what waits in the inbox, and say what was done.

A serving process does so by itself. This is for a cron where no server runs, and for whoever wants
to see. With `--prune` it also removes what was applied longer than WEBHOOK_RETENTION_DAYS ago. Exit
code 1: some events could not be applied.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from typing_extensions import override

from booking_api import composition


class Command(BaseCommand):
    help = "Apply the webhook events that wait; exit code 1 where some could not be."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--prune", action="store_true", help="remove old events too")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        services = composition.services()
        inbox = services.webhooks.inbox
        # A cache in a server's own memory is out of reach: what it has not heard of is left to it.
        shared = services.cached.cache.backend.shared
        done = services.webhooks.applier.apply_waiting(only_invalidated=not shared)
        self.stdout.write(
            f"{done.applied} applied, {done.requeued} put back for later, {done.failed} given up; "
            f"{len(done.exam_ids)} exams to recount; {inbox.count_waiting()} waiting."
        )
        if options["prune"]:
            removed = inbox.prune(timedelta(days=settings.WEBHOOK_RETENTION_DAYS))
            services.webhooks.told.prune()
            self.stdout.write(f"{removed} old events removed.")
        composition.close()
        if done.requeued + done.failed > 0:
            sys.exit(1)
