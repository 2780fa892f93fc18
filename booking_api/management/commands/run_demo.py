"""`make run`: the sandbox with demo data, the API and an administrator, until Ctrl-C.

Everything it starts, it ends. The sandbox may be killed to see an outage; the demo goes on. A port
that is taken is replaced by the next free one, and said so. Whatever the environment names as
HubSpot, the demo talks to its own sandbox; and unless DATABASE_URL names a database, it has one of
its own, which begins and ends with it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any, cast
from urllib.error import URLError
from urllib.request import urlopen

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from typing_extensions import override

from booking_api.management.demo_banner import render_banner
from booking_api.management.ports import MAX_PORT, find_bind_error, parse_port
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight.sandbox_journal import SANDBOX_APP, subscribe_in_sandbox

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
START_POLL_S = 0.1
STOP_TIMEOUT_S = 35.0
MAX_PORTS_TRIED = 50
DEMO_USER = "admin"
SANDBOX_TOKEN = "sandbox-token"  # noqa: S105 - what the sandbox accepts; it guards invented data
WEBHOOKS = "/api/webhooks/booking-sync"
DEMO_WEBHOOK_SECRET = "demo-webhook-secret-for-this-machine-only"  # noqa: S105 - likewise
DEMO_CRON_SECRET = "demo-cron-secret-for-this-machine-only"  # noqa: S105 - guards invented data


class Command(BaseCommand):
    help = "Start the HubSpot sandbox with demo data and the API; Ctrl-C ends both."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=parse_port, default=8000)
        parser.add_argument("--sandbox-port", type=parse_port, default=8900)
        parser.add_argument("--portal", default="default", choices=["default", "prepdoctors"])

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        run_folder = Path(settings.BASE_DIR) / ".run"
        run_folder.mkdir(exist_ok=True)
        stop = stop_on_signals()
        children: list[subprocess.Popen[Any]] = []
        database: Path | None = None
        try:
            with (run_folder / "sandbox.log").open("wb") as log:
                # Two demos started together must not find the same port free.
                with (run_folder / "starting.lock").open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    api_port = self._find_free_port(options["port"])
                    api_url = f"http://{HOST}:{api_port}"
                    if settings.DATABASE_URL == "":
                        database = run_folder / f"demo-{api_port}.sqlite3"
                        use_fresh_database(database)
                    call_command("migrate", verbosity=0)
                    password = self._create_administrator(run_folder / "admin-password")
                    connection.close()
                    sandbox_url = self._start_sandbox(options, children, log, stop, api_url)
                    self._start_api(options, children, sandbox_url, stop, api_port)
                if not stop.is_set():
                    login = None if password is None else f"user {DEMO_USER}, password {password}"
                    self.stdout.write(render_banner(api_url, sandbox_url, login, options["portal"]))
                    self.stdout.flush()
                self._watch(children, stop)
        finally:
            end_children(children)
            if database is not None:
                remove_database(database)
            self.stdout.write("Everything that was started has ended.")

    def _create_administrator(self, password_file: Path) -> str | None:
        """Make the demo administrator where there is none; return the password. None in a database
        that has administrators of its own, as one of DATABASE_URL may: those are left alone."""
        if not password_file.exists():
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_urlsafe(9), encoding="utf-8")
        password = password_file.read_text(encoding="utf-8")
        users = get_user_model().objects
        known = users.filter(username=DEMO_USER).first()
        if known is not None and known.check_password(password):
            return password
        if known is not None or users.filter(is_superuser=True).exists():
            return None
        users.create_superuser(DEMO_USER, password=password)
        return password

    def _start_sandbox(
        self,
        options: dict[str, Any],
        children: list[subprocess.Popen[Any]],
        log: IO[bytes],
        stop: threading.Event,
        api_url: str,
    ) -> str:
        port = self._find_free_port(options["sandbox_port"], taken=api_url)
        url = f"http://{HOST}:{port}"
        command = [
            *(sys.executable, "manage.py", "hubspot_sandbox"),
            *("--port", str(port), "--seed", "demo", "--portal", options["portal"]),
            *("--webhook-url", f"{api_url}{WEBHOOKS}", "--webhook-secret", DEMO_WEBHOOK_SECRET),
        ]
        children.append(start_child(command, dict(os.environ), stdout=log))
        self._wait_until_ready(f"{url}/_sandbox/health", children, stop)
        return url

    def _start_api(
        self,
        options: dict[str, Any],
        children: list[subprocess.Popen[Any]],
        sandbox_url: str,
        stop: threading.Event,
        port: int,
    ) -> None:
        if not stop.is_set():
            subscribe_in_sandbox(sandbox_url, load_profile(options["portal"]))
        environment = dict(os.environ) | {
            "DEBUG": "true",
            "HUBSPOT_BASE_URL": sandbox_url,
            "HUBSPOT_PORTAL": options["portal"],
            "HS_PRIVATE_APP_TOKEN": SANDBOX_TOKEN,
            "CRON_SECRET": DEMO_CRON_SECRET,
            "HUBSPOT_WEBHOOK_SECRET": DEMO_WEBHOOK_SECRET,
            "PUBLIC_BASE_URL": "",
            **SANDBOX_APP,
        }
        command = [sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(port)]
        children.append(start_child(command, environment))
        self._wait_until_ready(f"http://{HOST}:{port}/api/health", children, stop)

    def _find_free_port(self, wanted: int, taken: str = "") -> int:
        """Return a port that is free; `taken` is an address that will be somebody's in a moment."""
        last_port = min(wanted + MAX_PORTS_TRIED - 1, MAX_PORT)
        for port in range(wanted, last_port + 1):
            if find_bind_error(HOST, port) is not None or taken.endswith(f":{port}"):
                continue
            if port != wanted:
                self.stdout.write(f"Port {wanted} is taken; using {port}.")
            return port
        raise CommandError(f"No free port from {wanted} to {last_port}.")

    def _wait_until_ready(
        self, url: str, children: list[subprocess.Popen[Any]], stop: threading.Event
    ) -> None:
        tries = int(START_TIMEOUT_S / START_POLL_S)
        for _ in range(tries):
            if stop.wait(START_POLL_S):
                return
            if children[-1].poll() is not None:
                raise CommandError(f"{url} did not start; its output is above or in .run/.")
            if is_up(url):
                return
        raise CommandError(f"{url} did not answer within {START_TIMEOUT_S:.0f} s.")

    def _watch(self, children: list[subprocess.Popen[Any]], stop: threading.Event) -> None:
        sandbox_there = True
        while not stop.wait(0.5):
            sandbox, api = children
            if api.poll() is not None:
                raise CommandError(f"The API ended by itself ({api.returncode}).")
            if sandbox_there and sandbox.poll() is not None:
                sandbox_there = False
                self.stdout.write(describe_missing_sandbox(sandbox))
                self.stdout.flush()


def stop_on_signals() -> threading.Event:
    """Return an event that is set when a terminal or a service manager wants the end."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop


def use_fresh_database(database: Path) -> None:
    """Let this process and its children keep their data in a new file: the sandbox begins anew each
    time, and what a journal remembers of an earlier one would be untrue."""
    remove_database(database)
    connection.close()
    connection.settings_dict["NAME"] = str(database)
    os.environ["DATABASE_URL"] = f"sqlite:///{database}"


def remove_database(database: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def start_child(
    command: list[str], environment: dict[str, str], stdout: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start a child that a terminal's Ctrl-C does not reach: it is ended here, in order."""
    return subprocess.Popen(  # noqa: S603 - our own commands
        command,
        env=environment,
        cwd=settings.BASE_DIR,
        stdout=stdout,
        stderr=stdout,
        start_new_session=True,
    )


def is_up(url: str) -> bool:
    """Return whether `url` answers 200 now."""
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def end_children(children: list[subprocess.Popen[Any]]) -> None:
    """End the children, the last started first, and wait until they have."""
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
    for child in reversed(children):
        try:
            child.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def describe_missing_sandbox(sandbox: subprocess.Popen[Any]) -> str:
    """Return what to say when the sandbox has ended: an outage is there to be tried, too."""
    command = shlex.join(cast(list[str], sandbox.args))
    return (
        f"The sandbox has ended ({sandbox.returncode}); without it the API answers 503. "
        f"To bring it back:\n  {command}"
    )
