"""`manage.py serve`: the API under granian, the one place that says how.

One worker and many blocking threads by default: the locmem cache belongs to one process, and the
number of threads bounds how many requests can gather into one HubSpot batch.
docs/decisions/0001-granian.md has the reasons.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from booking_api.management.ports import port_number, why_not

# Longer than a request's deadline (25 s), so that a graceful stop cuts nobody off.
STOP_TIMEOUT_S = 30


def granian_arguments(*, host: str, port: int, workers: int, threads: int) -> list[str]:
    """Return the command line that serves the API."""
    return [
        sys.executable,
        *("-m", "granian", "booking_api.wsgi:application"),
        *("--interface", "wsgi"),
        "--no-ws",
        *("--host", host),
        *("--port", str(port)),
        *("--workers", str(workers)),
        *("--blocking-threads", str(threads)),
        *("--workers-kill-timeout", str(STOP_TIMEOUT_S)),
        "--respawn-failed-workers",
        # Its one warning is about the number of threads, which is meant.
        *("--log-level", "error"),
    ]


class Command(BaseCommand):
    help = "Serve the API under granian, after the system checks."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=port_number, default=8000)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        # granian would share the port with a server already there, and each of the two would keep a
        # cache of its own, out of reach of the other's invalidations.
        reason = why_not(options["host"], options["port"])
        if reason is not None:
            raise CommandError(f"Cannot serve on {options['host']}:{options['port']}: {reason}.")
        arguments = granian_arguments(
            host=options["host"],
            port=options["port"],
            workers=settings.SERVER_WORKERS,
            threads=settings.SERVER_THREADS,
        )
        self.stdout.write(f"Serving on http://{options['host']}:{options['port']}")
        self.stdout.flush()
        os.execv(sys.executable, arguments)  # noqa: S606 - granian takes this process's place
