"""Everything that a run has of its own: PostgreSQL, Redis, the sandbox, proxies, the servers."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.chaos.world.postgres import OwnPostgres, find_binaries
from tests.chaos.world.proxies import Proxy
from tests.chaos.world.redis_server import OwnRedisServer
from tests.chaos.world.servers import ApiServer
from tests.manage import ROOT
from tests.sandbox import SandboxHandle, start_sandbox

WEBHOOK_PATH = "/api/webhooks/booking-sync"
LATENCY_MS, JITTER_MS = 15, 5
LATE_WRITE_S = 45
"""Longer than any fault here holds a write, and short enough for a run to see the end of it. Until
then whoever has a write in doubt is told to come back later."""
# What a developer's own environment may not say.
FOREIGN = ("HUBSPOT_", "HS_", "CACHE_", "THROTTLE_", "DESK_", "REDIS_", "DATABASE_", "WEBHOOK_")


class NotInstalled(Exception):
    """A program that a run needs is not on this machine; `promise` is the variable that says it
    is."""

    def __init__(self, program: str, promise: str) -> None:
        super().__init__(f"{program} is not installed")
        self.promise = promise


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a world is, and of which portal; `settings` go to every server beside the usual
    ones. The servers' logs are written into the folder `logs`, and stay there, where one is named.
    """

    servers: int = 4
    profile: str = "default"
    api_version: str = "2026-09"
    with_redis: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    logs: Path | None = None


@dataclass(slots=True)
class World:
    """What runs; `front` is where HubSpot delivers its webhooks: any server that is there."""

    postgres: OwnPostgres
    redis: OwnRedisServer | None
    sandbox: SandboxHandle
    portal: Portal
    servers: Sequence[ApiServer]
    front: Proxy
    webhook_secret: str
    folder: Path

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.front.port}{WEBHOOK_PATH}"

    def start_servers(
        self,
        *,
        without: str = "",
        settings: Mapping[str, str] = MappingProxyType({}),
        clocks_ahead_s: Sequence[float] = (),
    ) -> None:
        """Start all of them anew, perhaps without a guard, with settings of this time, and with
        clocks that are apart; none keeps what it had in memory."""
        for server in self.servers:
            server.end()
        apart = dict(enumerate(clocks_ahead_s))
        for server in self.servers:
            server.without, server.settings = without, settings
            server.clock_ahead_s = apart.get(server.number, 0.0)
            server.launch()
        for server in self.servers:
            server.wait_until_ready()

    def deliver_webhooks(self) -> None:
        """Have HubSpot tell the servers of every change."""
        target = {"url": self.webhook_url, "secret": self.webhook_secret}
        self.sandbox.configure(webhook=target)

    def keep_webhooks_back(self) -> None:
        """Have HubSpot tell nobody, where all that is told is to be a trial's own."""
        self.sandbox.configure(webhook={"url": ""})

    def find_desk(self) -> ApiServer | None:
        """Return the server whose desk holds the lease now."""
        rows = self.postgres.ask(
            "SELECT holder FROM booking_api_lease WHERE name = 'booking-desk' AND holder <> ''"
        )
        pids = {int(str(holder).split(":")[-2]) for (holder,) in rows}
        for server in self.servers:
            if server.process is not None and pids & set(_group(server.process.pid)):
                return server
        return None


def _group(pid: int) -> Iterator[int]:
    """All processes of a group, by its head."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if os.getpgid(int(folder.name)) == pid:
                yield int(folder.name)
        except ProcessLookupError:
            continue


@contextmanager
def opening_world(size: Size) -> Iterator[World]:
    """Start everything, and end all of it whatever happens; raises NotInstalled."""
    binaries, redis_binary = find_binaries(), shutil.which("redis-server")
    if binaries is None:
        raise NotInstalled("PostgreSQL (initdb)", "POSTGRES_PROMISED")
    if size.with_redis and redis_binary is None:
        raise NotInstalled("Redis (redis-server)", "REDIS_PROMISED")
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    if size.logs is not None:
        size.logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        postgres = OwnPostgres(binaries)
        closing.callback(postgres.remove)
        postgres.start()
        redis = None
        if size.with_redis and redis_binary is not None:
            redis = OwnRedisServer(redis_binary, folder / "redis")
            closing.callback(redis.remove)
            redis.start()
        sandbox = start_sandbox(portal=size.profile, latency_ms=LATENCY_MS, jitter_ms=JITTER_MS)
        closing.callback(sandbox.stop)
        world = _put_together(size, postgres, redis, sandbox, folder)
        closing.callback(world.front.close)
        for server in world.servers:
            closing.callback(server.end)
        migrate(world.servers[0])
        world.deliver_webhooks()
        world.start_servers()
        yield world


def _put_together(
    size: Size,
    postgres: OwnPostgres,
    redis: OwnRedisServer | None,
    sandbox: SandboxHandle,
    folder: Path,
) -> World:
    servers: list[ApiServer] = []
    turns = itertools.count()

    def choose() -> int | None:
        here = [server for server in servers if not server.is_noticed_away]
        return here[next(turns) % len(here)].port if here else None

    front = Proxy(choose)
    secret = secrets.token_urlsafe(30)
    environment = {
        "DJANGO_SETTINGS_MODULE": "booking_api.settings",
        "ENV_FILE": "",
        "DEBUG": "false",
        "LOG_LEVEL": "INFO",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "CRON_SECRET": secrets.token_urlsafe(30),
        "HUBSPOT_WEBHOOK_SECRET": secret,
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{front.port}",
        "HUBSPOT_BASE_URL": sandbox.base_url,
        "HS_PRIVATE_APP_TOKEN": sandbox.token,
        "HUBSPOT_PORTAL": size.profile,
        "HUBSPOT_API_VERSION": size.api_version,
        "DATABASE_URL": postgres.url,
        "DATABASE_POOL_SIZE": "8",
        "RECOUNT_EVERY_S": "10",
        "HUBSPOT_LATE_WRITE_S": str(LATE_WRITE_S),
        **{
            f"THROTTLE_{name}": ""
            for name in ("READS", "WRITES", "FAILED_PAIRS", "FAILED_SECRETS", "ANONYMOUS_CALLS")
        },
        **size.settings,
    }
    for number in range(size.servers):
        proxy = None
        if redis is not None:
            port = redis.port
            proxy = Proxy(lambda port=port: port)  # type: ignore[misc]
        servers.append(ApiServer(number, environment, proxy, size.logs or folder))
    portal = Portal(sandbox, load_profile(size.profile))
    sandbox.configure(latency_ms=LATENCY_MS, jitter_ms=JITTER_MS)
    return World(postgres, redis, sandbox, portal, servers, front, secret, folder)


def migrate(server: ApiServer) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, **server.environment},
        check=True,
    )
