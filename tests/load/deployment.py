"""What a load run has of its own: a sandbox with HubSpot's limits, and a server at a time, of this
system or of the old one, with a fresh database and an empty cache each.

PostgreSQL and Redis are used where TEST_DATABASE_URL and TEST_REDIS_URL name them; else a file and
the process's own memory. What is made is removed, and all processes end with the run.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import uuid4

import psycopg
from redis import Redis

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.journeys.databases import DATABASE_URL, made_database, manage, url_of
from tests.memory import resident_bytes_of_each
from tests.migrated import copy_migrated_file
from tests.sandbox import SandboxHandle, start_sandbox
from tests.server import Server, serving

System = Literal["ours", "naive"]
WEBHOOK_PATH = "/api/webhooks/booking-sync"
LATENCY_MS, JITTER_MS = 50, 10
LOOK_EVERY_S = 0.5
FOREIGN = ("HUBSPOT_", "HS_", "CACHE_", "THROTTLE_", "DESK_", "REDIS_", "DATABASE_", "WEBHOOK_")
"""What a developer's own environment may not say."""
SETTINGS: Mapping[System, Mapping[str, str]] = {
    "ours": {},
    # Whoever it still keeps waiting at its end waits for nothing.
    "naive": {"DJANGO_SETTINGS_MODULE": "tests.load.naive.settings", "STOP_TIMEOUT_S": "5"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Stores:
    """Where servers keep what they keep: `template` is a migrated database to be copied, "" where
    it is a file; `redis_url` is "" where the cache is in the process."""

    connection: psycopg.Connection | None
    template: str
    redis_url: str

    @property
    def words(self) -> str:
        database = "SQLite" if self.connection is None else "PostgreSQL"
        return f"{database}, {'Redis' if self.redis_url else 'a cache in the process'}"

    @contextmanager
    def database(self, folder: Path) -> Iterator[str]:
        """The address of a database that is migrated and empty."""
        if self.connection is None:
            yield copy_migrated_file(folder / f"{uuid4().hex}.sqlite3")
            return
        with made_database(self.connection, "load", template=self.template) as name:
            yield url_of(name)

    def remove_keys(self, *words: str) -> None:
        """Leave nothing that is named so in a Redis that others use too."""
        if self.redis_url == "":
            return
        with Redis.from_url(self.redis_url) as client:
            for word in words:
                for key in client.scan_iter(match=f"*{word}*", count=1000):
                    client.unlink(key)


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What a scenario is played in; `portal` is empty at its beginning."""

    sandbox: SandboxHandle
    stores: Stores
    folder: Path
    webhook_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(50))

    def empty_portal(self) -> Portal:
        return Portal(self.sandbox, load_profile("default"))

    def deliver_webhooks_to(self, server: Server) -> None:
        """Have HubSpot tell the server of every change, signed."""
        url = f"{server.base_url}{WEBHOOK_PATH}"
        self.sandbox.configure(webhook={"url": url, "secret": self.webhook_secret})

    def fresh_database(self) -> AbstractContextManager[str]:
        """The address of a database that is migrated and empty."""
        return self.stores.database(self.folder)

    @contextmanager
    def serving(self, system: System, **settings: str) -> Iterator[Deployment]:
        """Run one system, as it is deployed: limits on each address and student are on, and who
        asks is said by a proxy. Its cache is empty; its database too, unless one is named."""
        with (
            self.environment(**{**SETTINGS[system], **settings}) as environment,
            (self.folder / f"{environment['DEPLOYMENT_NAME']}.log").open("wb") as log,
            serving(self.sandbox, self.folder, log, **environment) as server,
        ):
            yield Deployment(system, server, environment)

    @contextmanager
    def environment(self, **settings: str) -> Iterator[dict[str, str]]:
        """Return a deployment's variables; what it has kept goes at the end."""
        name = f"load-{uuid4().hex}"
        with ExitStack() as closing_all:
            if "DATABASE_URL" not in settings:
                database_url = closing_all.enter_context(self.fresh_database())
                settings = {**settings, "DATABASE_URL": database_url}
            closing_all.callback(self.stores.remove_keys, *self._kept_under(name))
            yield {
                "DJANGO_SETTINGS_MODULE": "booking_api.settings",
                "HUBSPOT_BASE_URL": self.sandbox.base_url,
                "HS_PRIVATE_APP_TOKEN": self.sandbox.token,
                "ENV_FILE": "",
                "DEBUG": "false",
                "LOG_LEVEL": "WARNING",
                "SECRET_KEY": self.secret_key,
                "CRON_SECRET": secrets.token_urlsafe(30),
                "HUBSPOT_WEBHOOK_SECRET": self.webhook_secret,
                "HUBSPOT_PORTAL": "default",
                "TRUSTED_PROXIES": "127.0.0.1",
                "REDIS_URL": self.stores.redis_url,
                "DEPLOYMENT_NAME": name,
                **settings,
            }

    def _kept_under(self, name: str) -> tuple[str, str]:
        """Return what is in the names of a server's keys in Redis: those of its cache, and those of
        the calls that it has counted, of which a sandbox that was emptied knows no more."""
        hubspot = HubSpotConfig(base_url=self.sandbox.base_url, token=self.sandbox.token)
        identity = f"{hubspot.base_url} default {name}"
        return hashlib.sha256(identity.encode()).hexdigest()[:12], hubspot.budget_name


@dataclass(frozen=True, slots=True)
class Deployment:
    """A running server, and the environment of whoever runs a command beside it."""

    system: System
    server: Server
    environment: Mapping[str, str]

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]

    def manage(self, *command: str) -> str:
        """Run a management command beside the server; return what it printed."""
        return manage(self.database_url, *command, **self.environment)


@contextmanager
def opening_world(folder: Path) -> Iterator[World]:
    """Start what all scenarios share, and end it whatever happens."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    with ExitStack() as closing_all:
        stores = closing_all.enter_context(_opening_stores())
        sandbox = start_sandbox(latency_ms=LATENCY_MS, jitter_ms=JITTER_MS)
        closing_all.callback(sandbox.stop)
        yield World(sandbox=sandbox, stores=stores, folder=folder)


@contextmanager
def _opening_stores() -> Iterator[Stores]:
    redis_url = os.environ.get("TEST_REDIS_URL", "")
    if "TEST_DATABASE_URL" not in os.environ:
        yield Stores(connection=None, template="", redis_url=redis_url)
        return
    with (
        closing(psycopg.connect(DATABASE_URL, autocommit=True)) as connection,
        made_database(connection, "template") as template,
    ):
        manage(url_of(template), "migrate", "--verbosity", "0")
        yield Stores(connection=connection, template=template, redis_url=redis_url)


@dataclass(slots=True)
class MemoryWatch:
    """What a server's processes hold in memory whenever it is looked at: seconds since this began,
    and bytes by process id. Nothing elsewhere than on Linux."""

    pid: int
    began_s: float = field(default_factory=time.monotonic)
    samples: list[tuple[float, dict[int, int]]] = field(default_factory=list)

    def look(self) -> None:
        held = resident_bytes_of_each(self.pid)
        self.samples.append((time.monotonic() - self.began_s, held))

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look again and again, and once more at the end."""
        stop = threading.Event()
        thread = threading.Thread(target=self._look_until, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.look()

    def _look_until(self, stop: threading.Event) -> None:
        self.look()
        while not stop.wait(LOOK_EVERY_S):
            self.look()
