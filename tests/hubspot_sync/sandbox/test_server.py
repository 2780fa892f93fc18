"""The process: its start and end, its sockets, its routes, what it says to the unknown."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from tests.hubspot_sync.sandbox.paths import BOOKINGS, CONTACTS, objects
from tests.manage import ROOT
from tests.sandbox import TOKEN, SandboxHandle, start_sandbox
from tests.server import free_port

FOR_EVER_MS = 100_000
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


@pytest.fixture
def own() -> Iterator[SandboxHandle]:
    """A process of the test's own, to be ended by it."""
    handle = start_sandbox(port=free_port())
    yield handle
    if handle.process.poll() is None:
        handle.kill()


def connection_to(hub: SandboxHandle) -> http.client.HTTPConnection:
    address = urlsplit(hub.base_url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)


def test_it_says_one_line_and_ends_cleanly_when_asked(own: SandboxHandle) -> None:
    kept_alive = connection_to(own)
    kept_alive.request("GET", "/_sandbox/health")
    kept_alive.getresponse().read()
    own.process.terminate()

    said = own.process.stdout.read() if own.process.stdout is not None else ""

    assert (said, own.stop()) == ("", 0)
    kept_alive.close()


@pytest.mark.parametrize("option", ["--port", "--files-port"])
def test_a_taken_port_is_an_error_in_words(own: SandboxHandle, option: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "hubspot_sandbox", "--seed", "empty"]
    port = str(urlsplit(own.base_url).port)

    ended = subprocess.run(
        [*command, "--port", "0", option, port], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert f"127.0.0.1, port {port}" in ended.stderr
    assert "in use" in ended.stderr


def test_a_port_that_there_cannot_be_is_an_error_in_words() -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "hubspot_sandbox", "--seed", "empty"]

    ended = subprocess.run(
        [*command, "--port", "99999"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert "port 99999" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", ["--latency-ms", "--jitter-ms", "--search-lag-s"])
@pytest.mark.parametrize("number", ["nan", "inf", "-1"])
def test_a_time_that_there_cannot_be_is_an_error_in_words(option: str, number: str) -> None:
    with pytest.raises(CommandError, match="cannot be"):
        call_command("hubspot_sandbox", "--port=0", f"{option}={number}")


@pytest.mark.chaos
def test_it_starts_again_on_the_port_it_had(own: SandboxHandle) -> None:
    port = urlsplit(own.base_url).port or 0
    own.call("GET", objects(CONTACTS))
    own.kill()

    again = start_sandbox(port=port)

    assert again.call("GET", objects(CONTACTS)).status == 200
    again.stop()


def test_ninety_six_connections_are_kept_alive_at_once(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.configure(rate_limit=100_000, latency_ms=20, jitter_ms=20)
    together = threading.Barrier(96, timeout=30)
    statuses: list[int] = []

    def talk() -> None:
        connection = connection_to(kind_sandbox)
        connection.connect()
        own_socket = connection.sock
        for _ in range(3):
            together.wait()
            connection.request("GET", objects(CONTACTS), headers=HEADERS)
            response = connection.getresponse()
            response.read()
            assert connection.sock is own_socket
            statuses.append(response.status)
        connection.close()

    threads = [threading.Thread(target=talk) for _ in range(96)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)

    assert statuses == [200] * 288


def test_latency_holds_up_nobody_else(kind_sandbox: SandboxHandle) -> None:
    """The slow call is under way while the quick one is asked and answered."""
    kind_sandbox.fault("delay", path="/1$", delay_ms=FOR_EVER_MS)
    slow = connection_to(kind_sandbox)
    slow.request("GET", objects(CONTACTS, "/1"), headers=HEADERS)

    quick = kind_sandbox.call("GET", objects(CONTACTS, "/2"))
    logged = [each["path"] for each in kind_sandbox.calls()]
    kind_sandbox.clear_faults()
    slow.getresponse().read()
    slow.close()

    assert quick.status == 404
    assert logged == [objects(CONTACTS, "/2")]


def test_an_unknown_request_is_told_what_is_known(kind_sandbox: SandboxHandle) -> None:
    answer = kind_sandbox.call("PUT", objects(CONTACTS, "/batch/read"))

    assert (answer.status, answer.body["category"]) == (501, "NOT_IMITATED")
    assert "POST /crm/objects/2026-09/{type}/batch/read" in answer.body["nearMisses"]
    assert "GET /crm/v3/properties/{type}" in answer.body["known"]


@pytest.mark.parametrize("name", ["bookings", "2-999", "companies"])
def test_a_type_the_portal_has_not_is_refused_by_name(
    kind_sandbox: SandboxHandle, name: str
) -> None:
    answer = kind_sandbox.call("GET", objects(name))

    assert (answer.status, answer.body["message"]) == (
        400,
        f"Unable to infer object type from: {name}",
    )


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"{}", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"inputs": {}}', 400),
        ("application/json", b'{"inputs": [{"id": null}]}', 400),
        ("application/json", b"", 400),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_and_the_connection_goes_on(
    kind_sandbox: SandboxHandle, content_type: str, body: bytes, status: int
) -> None:
    connection = connection_to(kind_sandbox)
    connection.request(
        "POST",
        objects(CONTACTS, "/batch/read"),
        body,
        {**HEADERS, "Content-Type": content_type},
    )
    refused = connection.getresponse()
    refusal = json.loads(refused.read())
    connection.request("GET", objects(CONTACTS), headers=HEADERS)

    assert (refused.status, refusal["status"]) == (status, "error")
    assert connection.getresponse().status == 200
    connection.close()


def test_latency_passes_on_the_way_there_and_back(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.configure(latency_ms=30, jitter_ms=5)

    kind_sandbox.call("GET", objects(CONTACTS))

    assert kind_sandbox.calls()[0]["duration_ms"] >= 30


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        ("/batch/create", {"inputs": [{"properties": {}, "associations": [1]}]}),
        ("/batch/create", {"inputs": [{"properties": []}]}),
        ("/search", {"filterGroups": [{"filters": ["name"]}]}),
        ("/search", {"filterGroups": 1}),
    ],
    ids=str,
)
def test_a_body_of_the_wrong_shape_inside_is_refused(
    kind_sandbox: SandboxHandle, rest: str, body: object
) -> None:
    assert kind_sandbox.call("POST", objects(BOOKINGS, rest), body).status == 400
