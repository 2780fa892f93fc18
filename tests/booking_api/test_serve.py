"""`manage.py serve`: how it refuses to start, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from booking_api.management.ports import find_bind_error
from tests.builders import Portal
from tests.manage import PRODUCTION, ROOT, manage
from tests.server import Server, free_port, serving, wait_until_it_answers
from tests.waiting import eventually


@pytest.mark.chaos
def test_a_port_that_another_server_shares_willingly_is_still_taken() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        result = manage("serve", "--port", str(port), **PRODUCTION)

    assert result.returncode == 1
    assert result.stdout == ""
    assert (
        result.stderr
        == f"CommandError: Cannot serve on 127.0.0.1:{port}: Address already in use.\n"
    )


def test_what_is_no_port_is_refused_in_a_sentence() -> None:
    for port in ("0", "http"):
        with pytest.raises(CommandError, match=f"a port is a number from 1 to 65535, not '{port}'"):
            call_command("serve", "--port", port)

    result = manage("serve", "--port", "65536", **PRODUCTION)

    assert result.returncode != 0
    assert "a port is a number from 1 to 65535, not '65536'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.sampled
@pytest.mark.timeout(120)
@pytest.mark.parametrize("times", [1, pytest.param(6, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_its_processes_at_once_ends_them(
    how: signal.Signals, times: int, tmp_path: Path
) -> None:
    port = free_port()
    own = {"ENV_FILE": "", "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    # It hung one time in three, of either signal.
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "booking_api.settings"} | PRODUCTION | own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until_it_answers(Server(base_url=f"http://127.0.0.1:{port}"), process)
        os.killpg(process.pid, how)

        assert ended(process) == 0


@pytest.mark.timeout(120)
def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    """Else they would serve on with nobody to stop them, and hold the port."""
    port = free_port()
    own = {"ENV_FILE": "", "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "booking_api.settings"} | PRODUCTION | own,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until_it_answers(Server(base_url=f"http://127.0.0.1:{port}"), process)

    process.kill()
    process.wait()

    try:
        eventually(lambda: find_bind_error("127.0.0.1", port) is None)
    finally:
        kill_group(process.pid)


@pytest.mark.chaos
@pytest.mark.timeout(120)
def test_a_server_that_ends_writes_what_its_threads_have_yet_to_write(
    portal: Portal, tmp_path: Path
) -> None:
    """Which they do in a moment: the end must not be sooner, but have them do it at once."""
    alice = portal.student("alice")
    with serving(portal.sandbox, tmp_path) as server:
        answer = server.get("/api/bookings/list", student_id=alice.student_id, email=alice.email)
        assert answer.status == 200, answer.body

    with sqlite3.connect(tmp_path / "db.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM booking_api_rightpair").fetchone() == (1,)


def kill_group(number: int) -> None:
    try:
        os.killpg(number, signal.SIGKILL)
    except ProcessLookupError:
        return  # as it should be: nobody is left


def ended(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit code, None where it hangs: then all of it is killed."""
    try:
        return process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None
