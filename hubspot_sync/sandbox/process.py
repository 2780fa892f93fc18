"""Putting one sandbox together: store, seeds, exchange, control, webhooks, journal, sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hubspot_sync.sandbox.clock import Clock
from hubspot_sync.sandbox.config import Config, LiveConfig
from hubspot_sync.sandbox.data.seeds import seed
from hubspot_sync.sandbox.data.store import Store
from hubspot_sync.sandbox.endpoints.context import Sandbox
from hubspot_sync.sandbox.http.control import Control
from hubspot_sync.sandbox.http.exchange import Exchange
from hubspot_sync.sandbox.http.server import SandboxServer
from hubspot_sync.sandbox.journal.endpoints import JournalEndpoints
from hubspot_sync.sandbox.journal.entries import Journal
from hubspot_sync.sandbox.journal.file_server import FileServer
from hubspot_sync.sandbox.journal.tokens import Tokens
from hubspot_sync.sandbox.webhooks.delivery import Deliverer

LOOK_FOR_STOP_S = 0.05
DRAIN_S = 2.0


class CannotListen(Exception):
    """A port is taken, or there cannot be such a one; the text says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a sandbox starts with, and what a reset goes back to."""

    host: str = "127.0.0.1"
    port: int = 0
    files_port: int = 0
    seed: str = "empty"
    portal: str = "default"
    bookings: int | None = None
    random_seed: int = 1
    config: Config = field(default_factory=Config)


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A sandbox that listens already; `serve` answers until `stop` from another thread."""

    server: SandboxServer
    deliverer: Deliverer
    file_server: FileServer

    @property
    def url(self) -> str:
        return self.server.url

    def serve(self) -> None:
        self.deliverer.start()
        serving = threading.Thread(
            target=self.file_server.serve_forever, kwargs={"poll_interval": LOOK_FOR_STOP_S}
        )
        serving.start()
        try:
            self.server.serve_forever(poll_interval=LOOK_FOR_STOP_S)
        finally:
            self.server.server_close()
            self.file_server.shutdown()
            serving.join()
            self.file_server.server_close()
            self.deliverer.stop(drain_s=DRAIN_S)

    def stop(self) -> None:
        self.server.shutdown()


def open_sandbox(options: Options) -> SandboxProcess:
    """A seeded sandbox on its socket; raises CannotListen for a port that is taken or that there
    cannot be, ValueError for a seed that cannot be sown."""
    clock = Clock()
    store = Store(clock)
    live = LiveConfig(options.config)

    def sow(
        name: str | None = None, portal: str | None = None, bookings: int | None = None
    ) -> Mapping[str, Any]:
        return seed(
            store,
            portal=portal or options.portal,
            name=name or options.seed,
            bookings=options.bookings if bookings is None else bookings,
            now=clock.now(),
            random_seed=options.random_seed,
        )

    sow()
    journal = Journal(store, clock, live, random_seed=options.random_seed)
    endpoints = JournalEndpoints(journal, Tokens(clock, live), clock, live)
    exchange = Exchange(Sandbox(store, clock, live), endpoints, options.random_seed)
    deliverer = Deliverer(store, clock, live, random_seed=options.random_seed)
    with naming(options.host, options.files_port):
        files = FileServer((options.host, options.files_port), journal, live, exchange.answer_file)
    with naming(options.host, options.port):
        server = SandboxServer(
            (options.host, options.port), exchange, Control(exchange, sow, deliverer, files)
        )
    return SandboxProcess(server, deliverer, files)


@contextmanager
def naming(host: str, port: int) -> Iterator[None]:
    """Raise CannotListen for what the block finds when it listens there."""
    try:
        yield
    except (OSError, OverflowError) as error:
        at = f"{host}, port {port}"
        raise CannotListen(f"The sandbox cannot listen on {at}: {error}.") from error
