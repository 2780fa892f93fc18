"""`make run`, as a newcomer meets it: what it prints works, and nothing of it stays behind."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.databases import query
from tests.journeys.tour import follow_tour
from tests.manage import ROOT, manage
from tests.migrated import copy_migrated_file
from tests.server import Server, free_port
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

LAST_LINE = "Ctrl-C ends everything."
STOP_TIMEOUT_S = 40
TRIES = 300


@dataclass(slots=True)
class Demo:
    """A running demo and what it has printed so far."""

    process: subprocess.Popen[str]
    printed: list[str] = field(default_factory=list)

    def read_until(self, words: str) -> str:
        """Return all that was printed up to the line with these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            if words in line:
                return "".join(self.printed)
        raise AssertionError(f"{words!r} was never printed, only: {''.join(self.printed)}")

    def end(self, how: signal.Signals) -> str:
        """Send the signal; return what it still printed."""
        self.process.send_signal(how)
        return self.process.communicate(timeout=STOP_TIMEOUT_S)[0]


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    """The environment of this demo's own database."""
    return {
        "DEBUG": "true",
        "ENV_FILE": "",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "booking_api.settings",
        "WARM_EVERY_S": "5",
    }


@contextmanager
def demo_on(
    port: int, environment: Mapping[str, str], terminal: int | None = None
) -> Iterator[Demo]:
    """A demo that nobody can type to, or whose terminal is given."""
    ports = ("--port", str(port), "--sandbox-port", str(free_port()))
    process = subprocess.Popen(
        # In a session of its own with that terminal, as a shell's child.
        [
            *(() if terminal is None else ("setsid", "--ctty")),
            *(sys.executable, "manage.py", "run_demo", *ports),
        ],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Demo(process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=STOP_TIMEOUT_S)


def address_of(name: str, banner: str) -> str:
    found = re.search(rf"{name} +(http://[\d.]+:\d+)", banner)
    assert found is not None
    return found[1]


def curl_lines(banner: str) -> list[str]:
    return re.findall(r"^ +(curl .*)$", banner.replace("\\\n", ""), flags=re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_a_demo_works_as_it_says_and_leaves_nothing_behind(own: dict[str, str]) -> None:
    """Its sandbox begins anew, so what an earlier demo's journal remembers would be untrue."""
    port = free_port()
    left = ROOT / ".run" / f"demo-{port}.sqlite3"
    left.parent.mkdir(exist_ok=True)
    left.write_text("what an earlier demo left behind")
    keyboard, terminal = pty.openpty()
    with demo_on(port, own | {"DATABASE_URL": "", "LOG_LEVEL": "INFO"}, terminal) as demo:
        banner = demo.read_until(LAST_LINE)

        assert f":{port}/" in banner
        assert "GET /api" not in banner
        check_that_an_edit_is_seen_at_once(banner)
        check_that_the_lines_work_when_pasted(banner)
        check_that_requests_are_in_the_file(banner)
        check_that_enter_prints_it_again(demo, keyboard)
        check_that_the_tour_is_true(demo, banner)

        check_that_nothing_stays_behind(demo, banner, signal.SIGINT)

        assert demo.process.returncode == 0
        assert not left.exists()
        assert list(left.parent.glob(f"sandbox-{address_of('Sandbox', banner)[-5:]}.pid")) == []
    os.close(keyboard)
    os.close(terminal)


def check_that_the_lines_work_when_pasted(banner: str) -> None:
    answers = [
        json.loads(subprocess.check_output([*shlex.split(line), "--silent"], text=True))
        for line in curl_lines(banner)[:-1]
    ]

    assert len(answers) == 5
    assert all(answer["success"] for answer in answers)
    assert answers[0]["data"]["pagination"]["total"] > 0
    assert len(answers[1]["data"]) > 0
    assert answers[2]["data"]["eligible"] is True
    assert answers[3]["data"]["credit_details"]["remaining_credits"] == 3
    assert answers[4]["data"]["status"] == "cancelled"


def check_that_an_edit_is_seen_at_once(banner: str) -> None:
    api = Server(base_url=address_of("API", banner))
    list_ = shlex.split(curl_lines(banner)[0])[1].removeprefix(api.base_url)
    assert api.send("GET", list_).status == 200

    edited = subprocess.check_output([*shlex.split(curl_lines(banner)[-1]), "--silent"], text=True)

    assert json.loads(edited)["properties"]["name"] == "Ada King"

    def seen() -> bool:
        listed = api.send("GET", list_).body["data"]["bookings"]
        return any(one["name"] == "Ada King" for one in listed)

    # The list is kept for two minutes, and nobody waits for that here.
    eventually(seen)


def check_that_requests_are_in_the_file(banner: str) -> None:
    found = re.search(r"Log +(\S+) ", banner)
    assert found is not None
    log = ROOT / found[1]
    eventually(lambda: "bookings/create" in log.read_text(encoding="utf-8"))
    log.unlink()


def check_that_enter_prints_it_again(demo: Demo, keyboard: int) -> None:
    before = len(demo.printed)
    os.write(keyboard, b"\n")
    demo.read_until(LAST_LINE)

    assert "password" in "".join(demo.printed[before:])


def check_that_the_tour_is_true(demo: Demo, banner: str) -> None:
    password = re.search(r"user admin, password (\S+)", banner)
    assert password is not None

    follow_tour(address_of("API", banner), address_of("Sandbox", banner), password[1])

    demo.read_until("manage.py hubspot_sandbox")


def check_that_nothing_stays_behind(demo: Demo, banner: str, how: signal.Signals) -> None:
    said = demo.end(how)

    assert "Everything that was started has ended." in said
    for name in ("API", "Sandbox"):
        with pytest.raises(ConnectionRefusedError):
            Server(base_url=address_of(name, banner)).get("/api/health")


def accounts_in(database: str) -> list[tuple[Any, ...]]:
    """Return the accounts as they are kept, their passwords' hashes too."""
    return query(database, "SELECT * FROM auth_user")


@pytest.mark.skipif(shutil.which("pgrep") is None, reason="no pgrep here")
@pytest.mark.chaos
def test_a_demo_leaves_an_administrator_alone_and_outlives_its_sandbox(
    own: dict[str, str], tmp_path: Path
) -> None:
    copy_migrated_file(tmp_path / "db.sqlite3")
    named = {"DJANGO_SUPERUSER_USERNAME": "admin", "DJANGO_SUPERUSER_EMAIL": ""}
    named |= {"DJANGO_SUPERUSER_PASSWORD": "chosen-long-before"}
    manage("createsuperuser", "--noinput", **own, **named)
    before = accounts_in(own["DATABASE_URL"])
    assert len(before) == 1
    with demo_on(free_port(), own) as demo:
        banner = demo.read_until(LAST_LINE)

        assert "with an administrator of your database" in banner
        assert accounts_in(own["DATABASE_URL"]) == before
        check_that_an_outage_passes(demo, banner)

        check_that_nothing_stays_behind(demo, banner, signal.SIGHUP)


def check_that_an_outage_passes(demo: Demo, banner: str) -> None:
    sandbox, api = (Server(base_url=address_of(name, banner)) for name in ("Sandbox", "API"))
    list_ = shlex.split(curl_lines(banner)[0])[1].removeprefix(api.base_url)
    os.kill(process_of(sandbox), signal.SIGKILL)

    command = demo.read_until("manage.py hubspot_sandbox").splitlines()[-1]
    during = api.send("GET", list_)
    again = subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=subprocess.DEVNULL)
    back = answers_again(api, list_)
    again.terminate()
    again.wait(timeout=STOP_TIMEOUT_S)

    assert (during.status, during.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert back


def process_of(server: Server) -> int:
    """Return the id of the process that listens at the server's port."""
    port = server.base_url.rpartition(":")[2]
    found = subprocess.check_output(["pgrep", "-f", f"hubspot_sandbox --port {port} "], text=True)
    return int(found)


def answers_again(server: Server, target: str) -> bool:
    pause = threading.Event()
    for _ in range(TRIES):
        if server.send("GET", target).status == 200:
            return True
        pause.wait(0.1)
    return False
