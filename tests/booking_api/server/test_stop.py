"""A stop that ends: whoever cannot be waited for is answered, and the process is gone in time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from booking_api.server.requests import Request
from booking_api.server.responses import Answerer, begin
from tests.booking_api.server.test_turns import Caller, busy, queued, wait_until
from tests.manage import ROOT
from tests.server import STOP_TIMEOUT_S, Server, free_port, wait_until_it_answers

Started = tuple[Server, "subprocess.Popen[bytes]"]


@pytest.fixture
def started() -> Iterator[Started]:
    """The echoing server, to be stopped by the test."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.booking_api.server.echo_server", str(port)],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        start_new_session=True,
    )
    server = Server(base_url=f"http://127.0.0.1:{port}")
    try:
        wait_until_it_answers(server, process)
        yield server, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_whoever_a_stop_cannot_wait_for_is_told_to_come_again(started: Started) -> None:
    server, process = started
    at_work = [Caller(server, f"203.0.113.{turn}", "/stay") for turn in range(4)]
    wait_until(lambda: busy(server) == 4)
    waiting = Caller(server, "203.0.113.9", "/stay")
    wait_until(lambda: queued(server) == 1)

    process.send_signal(signal.SIGTERM)
    callers = (*at_work, waiting)

    assert [caller.status() for caller in callers] == [400] * 5
    assert {caller.answer.body for caller in callers if caller.answer} == {"STOPPING"}
    assert process.wait(timeout=STOP_TIMEOUT_S) == 0


def test_whoever_is_answered_before_that_gets_the_answer_itself(started: Started) -> None:
    server, process = started
    caller = Caller(server, "203.0.113.1", "/linger")
    wait_until(lambda: busy(server) == 1)

    process.send_signal(signal.SIGTERM)

    assert caller.status() == 200
    assert process.wait(timeout=STOP_TIMEOUT_S) == 0


def test_what_a_thread_answers_in_vain_is_not_sent() -> None:
    sent: list[dict[str, Any]] = []
    loop = asyncio.new_event_loop()
    scope = {
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "http_version": "1.1",
        "server": ("127.0.0.1", "80"),
        "client": ("203.0.113.1", 1),
        "scheme": "http",
        "headers": [],
    }
    request = Request(
        scope=scope, send=sent.append, path="/", address="203.0.113.1", done=loop.create_future()
    )

    def answer_too_late(_: object, start: Any) -> list[bytes]:
        begin(request.stand_in("STOPPING"), 503, [])
        start("200 OK", [])
        return [b"too late"]

    Answerer(answer_too_late, {}, loop).answer(request)
    loop.close()

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert sent[0]["status"] == 503
