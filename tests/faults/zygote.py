"""A process that has loaded the application and forks a child of itself for every trial.

`python -m tests.faults.zygote SOCKET`: each connection to the socket is one child, which takes
commands as lines of JSON and answers each with one. A child is a whole server process but for its
sockets: it builds its own services, and requests go through Django's whole stack. The zygote itself
has no threads and opens no database, so that a fork copies nothing half done. It ends when its
standard input does; a child ends with its connection, and at the latest after MAX_LIFETIME_S.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import django

MAX_LIFETIME_S = 90
MAX_WAIT_S = 40


def main(path: str) -> None:
    django.setup()
    from django.urls import get_resolver

    _ = get_resolver().url_patterns  # loads the views, once for all children
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                serve_child(connection)
            connection.close()


def serve_child(connection: socket.socket) -> None:
    """Live as a child; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.alarm(MAX_LIFETIME_S)
    code = 1
    try:
        with connection, connection.makefile("rb") as commands:
            child = Child(connection, json.loads(commands.readline()))
            for line in commands:
                child.obey(json.loads(line))
            child.end()
        code = 0
    finally:
        os._exit(code)


class Child:
    """One process of the application, told what to do by a test."""

    def __init__(self, connection: socket.socket, order: Mapping[str, Any]) -> None:
        from django.conf import settings
        from django.db import connections

        from booking_api import composition
        from booking_api.desk.config import DeskConfig
        from tests.faults.rest import ForwardClock
        from tests.faults.stations import Stations, Stop
        from tests.faults.watched_sender import WatchedSender

        self._connection = connection
        self._lock = threading.Lock()
        connections["default"].settings_dict["NAME"] = order["database"]
        settings.DATABASES["default"]["NAME"] = order["database"]
        settings.DESK = DeskConfig(**order["desk"])
        settings.HUBSPOT = replace(settings.HUBSPOT, **order["hubspot"])
        stop = None if order["stop"] is None else Stop(**order["stop"])
        self._stations = Stations(stop, self._tell)
        self._stations.watch_transactions()
        self._clock = ForwardClock()
        composition.use_clocks(self._clock.clocks)
        sender = WatchedSender()
        composition.use_sender(sender)
        self._services = composition.services()
        self._stations.watch_calls(sender, self._services.profile)
        self._close = composition.close
        self._tell({"pid": os.getpid()})

    def obey(self, command: Mapping[str, Any]) -> None:
        answers = {
            "start": self._start,
            "send": self._send,
            "rest": self._rest,
            "end_turn": self._end_turn,
            "stations": self._passed,
        }
        self._tell(answers[command["do"]](command))

    def end(self) -> None:
        self._close()
        self._tell({"ended_well": True})

    def _start(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """Begin as a server does."""
        self._services.booking.start()
        return {"started": True}

    def _send(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        from django.test import Client

        response = Client(raise_request_exception=False).generic(
            command["method"],
            command["path"],
            json.dumps(command["body"]),
            content_type="application/json",
            headers=command["headers"],
        )
        return {"status": response.status_code, "body": json.loads(response.content)}

    def _rest(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait until nothing is left to do."""
        from tests.faults.rest import wait_until_idle

        left = wait_until_idle(self._services, self._clock, hurry=False)
        return {"at_rest": len(left) == 0, "left": left}

    def _end_turn(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        self._services.booking.desk.run(lambda _held: None).result(MAX_WAIT_S)
        return {"ended": True}

    def _passed(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"stations": self._stations.passed}

    def _tell(self, said: Mapping[str, Any]) -> None:
        with self._lock:
            self._connection.sendall(json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
