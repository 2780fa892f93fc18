"""`manage.py serve`: the API under the production server, after the system checks.

The checks and the server import the application, and `prometheus_client` with it: so the folder of
the metrics comes before both, and Django does not run the checks for us.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from booking_api.management.ports import find_bind_error, parse_port
from booking_api.server.metrics_folder import NoMetricsFolder, own_metrics_folder


class Command(BaseCommand):
    help = "Serve the API under granian, after the system checks."
    requires_system_checks: tuple[str, ...] = ()

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=parse_port, default=8000)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        # granian would share the port with a server already there, and each of the two would keep a
        # cache of its own, out of reach of the other's invalidations.
        reason = find_bind_error(host, port)
        if reason is not None:
            raise CommandError(f"Cannot serve on {host}:{port}: {reason}.")
        try:
            with own_metrics_folder(settings.PROMETHEUS_MULTIPROC_DIR):
                from booking_api.server.server import serve

                self.check()
                self.stdout.write(f"Serving on http://{host}:{port}")
                self.stdout.flush()
                serve(
                    host=host,
                    port=port,
                    workers=settings.SERVER_WORKERS,
                    stop_timeout_s=settings.STOP_TIMEOUT_S,
                )
        except NoMetricsFolder as error:
            raise CommandError(str(error)) from error
