"""One server for each file, around the application that echoes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.manage import start_python
from tests.server import STOP_TIMEOUT_S, Server, free_port, wait_until_it_answers


@pytest.fixture(scope="module")
def echo() -> Iterator[Server]:
    port = free_port()
    process = start_python(
        ["-m", "tests.booking_api.server.echo_server", str(port)],
        os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    server = Server(base_url=f"http://127.0.0.1:{port}")
    try:
        wait_until_it_answers(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=STOP_TIMEOUT_S)
