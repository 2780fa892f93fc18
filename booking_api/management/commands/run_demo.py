"""`make run`: the sandbox with demo data, the API and an administrator, until Ctrl-C.

Everything it starts, it ends. The sandbox may be killed to see an outage; the demo goes on. A port
that is taken is replaced by the next free one, and said so. What the API logs, a line for each
request, goes to a file, so that the login and the lines to paste stay in sight; Enter prints them
again.

Whatever the environment names as HubSpot, the demo talks to its own sandbox; and unless
DATABASE_URL names a database, it has one of its own, which begins and ends with it.
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

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from typing_extensions import override

from booking_api.management.demo_banner import Demo, render_banner
from booking_api.management.output_pump import OutputPump
from booking_api.management.ports import MAX_PORT, find_bind_error, parse_port
from booking_api.management.terminal import Terminal
from cache_layer.operating.direct_requests import open_directly
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight.sandbox_journal import SANDBOX_APP, subscribe_in_sandbox

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
START_POLL_S = 0.1
STOP_TIMEOUT_S = 35.0
LOOK_EVERY_S = 0.5
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
        parser.add_argument(
            "--log-requests", action="store_true", help="show the API's log here, not in a file"
        )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        run_folder = Path(settings.BASE_DIR) / ".run"
        run_folder.mkdir(exist_ok=True)
        stop = stop_on_signals()
        children: list[subprocess.Popen[Any]] = []
        leftovers: list[Path] = []
        try:
            # Two demos started together must not find the same port free.
            with (run_folder / "starting.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                demo = self._start(options, run_folder, children, leftovers, stop)
            if not stop.is_set():
                self._watch(demo, children, stop)
        finally:
            end_children(children)
            for file in leftovers:
                file.unlink(missing_ok=True)
            self.stdout.write("Everything that was started has ended.")

    def _start(
        self,
        options: dict[str, Any],
        run_folder: Path,
        children: list[subprocess.Popen[Any]],
        leftovers: list[Path],
        stop: threading.Event,
    ) -> Demo:
        """Start the sandbox, then the API; `leftovers` are to be removed at the end."""
        api_port = self._find_free_port(options["port"])
        api_url = f"http://{HOST}:{api_port}"
        if settings.DATABASE_URL == "":
            leftovers += use_fresh_database(run_folder / f"demo-{api_port}.sqlite3")
        self._say("Making the database…")
        call_command("migrate", verbosity=0)
        password = self._create_administrator(run_folder / "admin-password")
        connection.close()
        self._say("Starting the sandbox and the API…")
        sandbox_url = self._start_sandbox(options, children, run_folder, stop, api_url)
        pid_file = run_folder / f"sandbox-{sandbox_url.rpartition(':')[2]}.pid"
        leftovers.append(pid_file)
        pid_file.write_text(f"{children[0].pid}\n", encoding="utf-8")
        api_log = None if options["log_requests"] else run_folder / f"api-{api_port}.log"
        self._start_api(options, children, sandbox_url, stop, api_port, api_log)
        return Demo(
            api_url=api_url,
            sandbox_url=sandbox_url,
            login=None if password is None else f"user {DEMO_USER}, password {password}",
            portal=options["portal"],
            api_log=None if api_log is None else name_here(api_log),
            sandbox_pid_file=name_here(pid_file),
        )

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()

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
        run_folder: Path,
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
        with (run_folder / "sandbox.log").open("wb") as log:
            children.append(start_child(command, dict(os.environ), output=log))
        self._wait_until_ready(f"{url}/_sandbox/health", children, stop)
        return url

    def _start_api(
        self,
        options: dict[str, Any],
        children: list[subprocess.Popen[Any]],
        sandbox_url: str,
        stop: threading.Event,
        port: int,
        log: Path | None,
    ) -> None:
        """Start it; what it prints goes to `log`, or where our own output goes."""
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
        child = start_child(command, environment, output=None if log is None else subprocess.PIPE)
        children.append(child)
        pump = None
        if child.stdout is not None and log is not None:
            pump = OutputPump(child.stdout, log)
        try:
            self._wait_until_ready(f"http://{HOST}:{port}/api/health", children, stop)
        except CommandError:
            self._say("" if pump is None else pump.last_lines())
            raise

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

    def _watch(
        self, demo: Demo, children: list[subprocess.Popen[Any]], stop: threading.Event
    ) -> None:
        sandbox, api = children
        terminal = Terminal()
        banner = render_banner(demo, has_terminal=terminal.is_there)
        self._say(banner)
        missing = ""
        while not stop.wait(LOOK_EVERY_S):
            if api.poll() is not None:
                where = f"; see {demo.api_log}" if demo.api_log is not None else ""
                raise CommandError(f"The API ended by itself ({api.returncode}){where}.")
            if missing == "" and sandbox.poll() is not None:
                missing = describe_missing_sandbox(sandbox)
                self._say(missing)
            if terminal.was_enter_pressed():
                self._say(f"{banner}{missing}")


def name_here(file: Path) -> str:
    """Return a file's name as seen from where the commands are run."""
    return str(file.relative_to(settings.BASE_DIR))


def stop_on_signals() -> threading.Event:
    """Return an event that is set when a terminal or a service manager wants the end."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop


def use_fresh_database(database: Path) -> list[Path]:
    """Let this process and its children keep their data in a new file: the sandbox begins anew each
    time, and what a journal remembers of an earlier one would be untrue. Return its files."""
    files = [database.with_name(f"{database.name}{suffix}") for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.unlink(missing_ok=True)
    connection.close()
    connection.settings_dict["NAME"] = str(database)
    os.environ["DATABASE_URL"] = f"sqlite:///{database}"
    return files


def start_child(
    command: list[str], environment: dict[str, str], output: IO[bytes] | int | None = None
) -> subprocess.Popen[bytes]:
    """Start a child that a terminal's Ctrl-C does not reach: it is ended here, in order."""
    return subprocess.Popen(  # noqa: S603 - our own commands
        command,
        env=environment,
        cwd=settings.BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
    )


def is_up(url: str) -> bool:
    """Return whether `url` answers 200 now."""
    try:
        with open_directly(url, timeout_s=2) as response:
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
