"""Starts the HubSpot sandbox: a stand-in for HubSpot over real HTTP, with invented people."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from hubspot_sync.sandbox.config import DEFAULT_TOKEN, Config
from hubspot_sync.sandbox.process import CannotListen, Options, open_sandbox


class Command(BaseCommand):
    help = "Start a HubSpot stand-in; it prints one line with its address when it is ready."
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        start = Config()
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8900, help="0 picks a free one")
        parser.add_argument("--seed", default="demo", help="demo, empty or a JSON file")
        parser.add_argument("--portal", default="default", help="default or prepdoctors")
        parser.add_argument("--bookings", type=int, help="how many bookings the demo has")
        parser.add_argument("--latency-ms", type=float, default=start.latency_ms)
        parser.add_argument("--jitter-ms", type=float, default=start.jitter_ms)
        parser.add_argument("--rate-limit", type=int, default=start.rate_limit, help="in 10 s")
        parser.add_argument("--search-rate", type=int, default=start.search_rate, help="in 1 s")
        parser.add_argument("--search-lag-s", type=float, help="how late search is")
        parser.add_argument("--token", default=DEFAULT_TOKEN)
        parser.add_argument(
            "--files-port", type=int, default=0, help="of the journal's files; 0 picks a free one"
        )
        parser.add_argument("--journal-delay-s", type=float, help="how late an entry appears")
        parser.add_argument("--webhook-url", default="")
        parser.add_argument("--webhook-secret", default="")
        parser.add_argument(
            "--unkind", action="store_true", help="small pages, late search, some 429s and 5xx"
        )
        parser.add_argument("--random-seed", type=int, default=1)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sandbox = open_sandbox(_options(options))
        except (CannotListen, ValueError) as error:
            raise CommandError(str(error)) from error

        def stop(*_: object) -> None:
            # From a thread: the signal interrupts the very loop that has to see the request.
            threading.Thread(target=sandbox.stop).start()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        self.stdout.write(f"HubSpot sandbox on {sandbox.url}")
        self.stdout.flush()
        sandbox.serve()


def _options(raw: dict[str, Any]) -> Options:
    changes: dict[str, Any] = {
        name: raw[name]
        for name in (
            "latency_ms",
            "jitter_ms",
            "rate_limit",
            "search_rate",
            "search_lag_s",
            "token",
            "unkind",
        )
        if raw[name] is not None
    }
    webhook = {"url": raw["webhook_url"], "secret": raw["webhook_secret"]}
    delay_s = raw["journal_delay_s"]
    journal = {} if delay_s is None else {"delay_s": delay_s}
    return Options(
        host=raw["host"],
        port=raw["port"],
        files_port=raw["files_port"],
        seed=raw["seed"],
        portal=raw["portal"],
        bookings=raw["bookings"],
        random_seed=raw["random_seed"],
        config=Config().with_changes({**changes, "webhook": webhook, "journal": journal}),
    )
