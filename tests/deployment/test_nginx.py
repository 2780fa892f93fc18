"""`deploy/nginx/`, as nginx runs it: what a server behind it is told, and what becomes of a request
whose server is gone."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.own_nginx import (
    CONFIGURATION,
    NAME,
    OwnNginx,
    connects,
    find_nginx,
    make_certificate,
    replace_once,
    running_nginx,
)
from tests.deployment.upstreams import Upstream, running_upstreams
from tests.waiting import eventually

CREATE = "/api/bookings/create"
LIST = "/api/bookings/list"
ONE = "/api/bookings/901"
WEBHOOKS = "/api/webhooks/booking-sync"
MIB = 1_048_576


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[OwnNginx, Upstream, Upstream]]:
    with running_upstreams() as pair:
        folder = tmp_path_factory.mktemp("nginx") / "etc"
        with running_nginx(folder, [upstream.port for upstream in pair]) as nginx:
            yield nginx, *pair


@pytest.fixture
def nginx(whole: tuple[OwnNginx, Upstream, Upstream]) -> Iterator[OwnNginx]:
    nginx, *pair = whole
    for upstream in pair:
        upstream.received.clear()
    yield nginx
    nginx.source = "127.0.0.1"
    healed = [upstream for upstream in pair if upstream.hangs_up or not connects(upstream.port)]
    for upstream in pair:
        upstream.hangs_up, upstream.answers_with = False, 200
        if not connects(upstream.port):
            upstream.start()
    if healed:  # nginx would leave them alone for seconds
        nginx.reload()


@pytest.fixture
def first(whole: tuple[OwnNginx, Upstream, Upstream], nginx: OwnNginx) -> Upstream:
    return whole[1]


@pytest.fixture
def second(whole: tuple[OwnNginx, Upstream, Upstream], nginx: OwnNginx) -> Upstream:
    return whole[2]


def test_the_files_as_they_are_pass_its_own_check(tmp_path: Path) -> None:
    binary = find_nginx()
    folder = tmp_path / "etc"
    subprocess.run(["cp", "-r", CONFIGURATION, folder], check=True)
    make_certificate(folder / "tls")
    # Where logs are is the deployment's; nothing else is touched.
    for name in ("nginx.conf", "booking/log.conf"):
        replace_once(folder / name, "/var/log/nginx", str(tmp_path))
    (folder / "booking" / "places.conf").write_text(
        "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        )
    )

    own = ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", f"pid {tmp_path}/pid;"]
    checked = subprocess.run([binary, "-t", *own], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr
    # From 1.25 on HTTP/2 is asked for in another way too, which 1.22 does not know.
    warnings = [line for line in checked.stderr.splitlines() if "[warn]" in line]
    assert [line for line in warnings if 'http2" directive is deprecated' not in line] == []


def test_a_server_is_told_who_asks_by_which_name_and_nothing_that_a_client_made_up(
    nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    nginx.source = "127.0.0.7"
    made_up = {
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-For": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "X_Forwarded_For": "203.0.113.9",
    }

    assert nginx.send("GET", f"{LIST}?page=1", headers=made_up).status == 200

    (received,) = first.received + second.received
    told = {name: values for name, values in received.headers.items() if "for" in name}
    assert told == {
        # What a client wrote stands to the left: the API reads from the right.
        "x-forwarded-for": ["203.0.113.9, 127.0.0.7"],
        "x-forwarded-proto": ["https"],
        "x-forwarded-host": [NAME],
    }
    assert received.headers["host"] == [NAME]
    assert "x-real-ip" not in received.headers


@pytest.mark.parametrize(
    "target",
    [
        "/api/webhooks/booking-sync?a=%2F%3a&b=é".encode().decode("latin-1"),
        "/api/webhooks//booking-sync/%2eE/x%2Fy?%41",
        "/api/bookings/Clinical%20Skills-S1-2026-12-01;x=1?a=b+c",
    ],
)
def test_a_target_and_a_body_come_as_they_were_sent(
    target: str, nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    """HubSpot signs them to the letter."""
    body = b'[ {"eventId" : 1,\t"x": "\xc3\xa9"} ]\n'
    head = f"POST {target} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(body)}\r\n\r\n"

    with nginx.connect() as connection:
        connection.sendall(head.encode("latin-1") + body)
        assert connection.recv(12) == b"HTTP/1.1 200"

    (received,) = first.received + second.received
    assert (received.target, received.body) == (target, body)


def test_a_server_hears_of_a_body_once_it_is_whole(
    nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    body = b"x" * 200_000
    head = f"POST {CREATE} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(body)}\r\n\r\n"
    with nginx.connect() as slow:
        slow.sendall(head.encode() + body[:100_000])
        # One that came later has been served by then.
        assert nginx.send("POST", CREATE, b"{}").status == 200
        assert [each.body for each in first.received + second.received] == [b"{}"]

        slow.sendall(body[100_000:])
        assert slow.recv(12) == b"HTTP/1.1 200"

    assert {each.body for each in first.received + second.received} == {b"{}", body}


def test_chunks_come_with_their_length(nginx: OwnNginx, first: Upstream, second: Upstream) -> None:
    head = f"POST {CREATE} HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with nginx.connect() as connection:
        connection.sendall(head.encode() + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"

    (received,) = first.received + second.received
    assert (received.body, received.headers["content-length"]) == (b"abcde", ["5"])


def test_what_is_too_long_is_refused_in_the_envelope_before_a_server_hears_of_it(
    nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    refused = nginx.send("POST", CREATE, b"x" * (MIB + 1))

    assert (refused.status, refused.code) == (413, "PAYLOAD_TOO_LARGE")
    assert refused.body["success"] is False
    assert refused.headers["x-request-id"] == refused.body["request_id"]
    assert first.received + second.received == []

    assert nginx.send("POST", CREATE, b"x" * MIB).status == 200
    assert nginx.send("POST", WEBHOOKS, b"x" * (8 * MIB)).status == 200
    assert nginx.send("POST", WEBHOOKS, b"x" * (8 * MIB + 1)).status == 413


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_where_one_server_is_gone_the_other_serves(
    method: str, nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    first.stop()

    answers = [nginx.send(method, ONE, b"{}") for _ in range(6)]

    assert [answer.status for answer in answers] == [200] * 6
    assert len(second.received) == 6, "each once"


def test_a_cancellation_is_sent_once_also_where_its_server_is_gone(
    nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    """It is told to come again, at most until nginx has learnt of it."""
    first.stop()

    answers = [nginx.send("DELETE", f"{ONE}?turn={turn}") for turn in range(6)]

    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) <= 1
    assert {(answer.status, answer.code) for answer in refused} <= {(503, "RATE_LIMITED")}
    assert all(answer.headers["retry-after"] == "2" for answer in refused)
    assert len(second.received) == 6 - len(refused)
    assert len({each.target for each in second.received}) == len(second.received)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_write_whose_server_dies_of_it_is_not_sent_again(
    method: str, nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    first.hangs_up = second.hangs_up = True

    answer = nginx.send(method, ONE, b"{}")

    assert (answer.status, answer.code) == (503, "RATE_LIMITED")
    assert answer.body["retryAfter"] == int(answer.headers["retry-after"])
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(first.received + second.received) == 1


def test_a_read_whose_server_dies_of_it_is_asked_of_the_other(
    nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    first.hangs_up = True

    answers = [nginx.send("GET", LIST) for _ in range(4)]

    assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize("status", [400, 403, 404, 413, 502, 503])
def test_what_a_server_answers_is_passed_on_as_it_is(
    status: int, nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    first.answers_with = second.answers_with = status

    answer = nginx.send("POST", CREATE, b"{}")

    assert (answer.status, answer.headers["x-request-id"]) == (status, "of-the-upstream")
    assert "port" in answer.body
    assert len(first.received + second.received) == 1


def test_metrics_are_not_to_be_had(nginx: OwnNginx, first: Upstream, second: Upstream) -> None:
    for path in ("/metrics", "/metrics/", "//metrics", "/%6detrics", "/api/../metrics"):
        answer = nginx.send("GET", path)
        assert (answer.status, answer.code) == (404, "NOT_FOUND"), path
    assert first.received + second.received == []


def test_staff_are_let_in_from_their_networks_alone(
    nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    networks = nginx.folder / "deployment" / "staff_networks.inc"
    before = networks.read_text()
    networks.write_text("allow 127.0.0.1;\ndeny all;\n")
    nginx.reload()
    paths = ("/admin/", "/admin/login/", "//admin/", "/%61dmin/now/", "/api/admin/cache/stats")
    try:
        assert {nginx.send("GET", path).status for path in paths} == {200}
        nginx.source = "127.0.0.7"
        refused = [nginx.send("GET", path) for path in paths]
        assert {(answer.status, answer.code) for answer in refused} == {(403, "ACCESS_DENIED")}
        assert nginx.send("GET", LIST).status == 200
    finally:
        networks.write_text(before)
        nginx.reload()
    assert len(first.received + second.received) == len(paths) + 1


@pytest.mark.parametrize(
    "head",
    [
        *("GET /../x HTTP/1.1", "GET /%zz HTTP/1.1", "GET /%00 HTTP/1.1", "G\x01T / HTTP/1.1"),
        *(f"GET /{'x' * 20_000} HTTP/1.1", f"GET / HTTP/1.1\r\nX-Long: {'x' * 20_000}"),
        *("CONNECT x:1 HTTP/1.1", "GET / HTTP/9.1", "POST / HTTP/1.1\r\nContent-Length: x"),
        "GET / HTTP/1.1\r\nTransfer-Encoding: gzip",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
    ],
    ids=range(11),
)
def test_what_cannot_be_read_is_told_so_in_the_envelope(
    nginx: OwnNginx, first: Upstream, second: Upstream, head: str
) -> None:
    with nginx.connect() as connection:
        connection.sendall(f"{head}\r\nHost: {NAME}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())

    assert (answer.status, body["code"]) == (400, "VALIDATION_ERROR")
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert first.received + second.received == []


def test_no_client_reaches_the_page_of_errors(nginx: OwnNginx) -> None:
    assert nginx.send("GET", "/-/bad-request").status == 404


@pytest.mark.parametrize("up", ["..", "%2e%2e", ".%2E", "."])
def test_a_path_that_goes_up_is_refused(
    nginx: OwnNginx, first: Upstream, second: Upstream, up: str
) -> None:
    """nginx would look where it ends, among everybody's; the API, where it begins, in /admin/."""
    for path in (f"/admin/{up}/../x/", f"/api%2F{up}%2Fx", f"/x/{up}?a=/", f"{WEBHOOKS}/{up}/x"):
        assert (nginx.send("GET", path).status, path) == (400, path)
    assert first.received + second.received == []

    assert nginx.send("GET", f"{LIST}?name=a/{up}/b").status == 200
    assert nginx.send("GET", f"/api/bookings/a{up}b").status == 200


def test_no_log_has_what_was_asked_for(nginx: OwnNginx, first: Upstream, second: Upstream) -> None:
    first.hangs_up = second.hangs_up = True
    for method in ("GET", "POST"):
        nginx.send(method, f"{LIST}?student_id=S1001&email=alice@example.org", b"{}")

    eventually(lambda: nginx.access_log.count(f'"path":"{LIST}"') >= 2)
    assert "alice" not in nginx.access_log + nginx.error_log


def test_without_tls_a_request_is_sent_elsewhere_with_its_method(nginx: OwnNginx) -> None:
    with socket.create_connection(("127.0.0.1", nginx.plain_port)) as connection:
        connection.sendall(f"POST {CREATE}?a=%2F HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        answer = connection.recv(4096).decode()

    assert answer.startswith("HTTP/1.1 308 ")
    assert f"Location: https://{NAME}{CREATE}?a=%2F\r\n" in answer


def test_who_asks_by_another_name_gets_no_answer(
    nginx: OwnNginx, first: Upstream, second: Upstream
) -> None:
    with socket.create_connection(("127.0.0.1", nginx.plain_port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: evil.example.org\r\n\r\n")
        assert connection.recv(4096) == b""
    with pytest.raises(ssl.SSLError):
        nginx.connect("evil.example.org")

    assert first.received + second.received == []


def test_browsers_may_speak_http_2(nginx: OwnNginx) -> None:
    context = ssl.create_default_context(cafile=str(nginx.folder / "tls" / "fullchain.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", nginx.tls_port)) as raw,
        context.wrap_socket(raw, server_hostname=NAME) as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
