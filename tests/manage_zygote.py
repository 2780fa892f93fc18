"""A process that has loaded what reads no settings, and is forked for each program of a test.

`python -m tests.manage_zygote FD`: over the socket FD come orders, one a packet: arguments and
environment, and the descriptors that the child writes to. The last of them is a pipe, where the
child's id is told and, once it has ended, its exit code. The zygote ends with the socket, and so
does what still runs then: whoever started it was killed, or forgot it.

A child has its own environment and settings, and ends as any interpreter does. Two things are not
those of a program by itself: the libraries are there already, and all children have one hash seed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from typing import Final

PRELOADED: Final = (
    *("django.core.management.commands.migrate", "django.contrib.auth.hashers"),
    *("django.contrib.admin.templatetags.log", "django.contrib.postgres.forms"),
    *("django.db.backends.sqlite3.base", "django.template.backends.django", "django.test"),
    *("django.urls", "django.views.debug", "corsheaders", "django_redis", "drf_spectacular.utils"),
    *("redis", "sqlparse", "whitenoise.middleware", "asyncio", "inflection", "jinja2"),
    *("jsonschema", "limits", "psycopg", "requests", "stamina", "structlog", "uritemplate", "yaml"),
    *("granian.server.mp", "booking_api.api.guess_limits", "booking_api.api.validation"),
    *("booking_api.desk.config", "booking_api.desk.journal.answers", "booking_api.ops.redaction"),
    *("booking_api.rules.cursors", "booking_api.rules.expected_balances"),
    *("hubspot_sync.client", "hubspot_sync.feed.journal_events", "hubspot_sync.sandbox.process"),
    *("hubspot_sync.reading.family_coverage", "hubspot_sync.wire.journal.change_journal"),
    *("hubspot_sync.writing.portal_writes", "cache_layer.cache", "cache_layer.operating.forms"),
    "cache_layer.operating.report",
)
# Not `prometheus_client`, which looks for its folder when it is imported; nor what reads `.env`.
MAX_ORDER_BYTES: Final = 1_000_000


def serve_orders(orders: socket.socket) -> tuple[list[str], dict[str, str]] | None:
    """Fork a child for each order, until there will be no more: None then. Returns in the child,
    too, with what it was ordered."""
    # Ctrl-C in a terminal is for whoever gives the orders.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, tuple[int, int]] = {}
    while True:
        ready, _, _ = select.select([orders.fileno(), *running], [], [])
        for ended in running.keys() & ready:
            pid, told = running.pop(ended)
            tell(told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            os.close(told)
            os.close(ended)
        if orders.fileno() not in ready:
            continue
        packet, descriptors, _, _ = socket.recv_fds(orders, MAX_ORDER_BYTES, 3)
        if not packet:
            for pid, _ in running.values():
                os.kill(pid, signal.SIGTERM)
            return None
        out, err, told = descriptors
        pid = os.fork()
        if pid == 0:
            orders.close()
            os.dup2(out, 1)
            os.dup2(err, 2)
            for each in (*running, *(pipe for _, pipe in running.values()), out, err, told):
                os.close(each)
            signal.signal(signal.SIGINT, interrupted)
            order = json.loads(packet)
            return order["arguments"], order["environment"]
        os.close(out)
        os.close(err)
        running[os.pidfd_open(pid)] = pid, told
        tell(told, pid)


def tell(pipe: int, number: int) -> None:
    """Write a number to whoever may have stopped listening."""
    try:
        os.write(pipe, b"%d\n" % number)
    except BrokenPipeError:
        return


def main(descriptor: int) -> None:
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    ordered = serve_orders(socket.socket(fileno=descriptor))
    if ordered is None:
        return
    arguments, environment = ordered
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    gc.enable()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]))
