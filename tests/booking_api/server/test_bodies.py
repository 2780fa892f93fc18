"""A body is read whole or refused, however it is framed, and within bounds."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.raw import connect, connected_to, in_chunks, read_answer, request_head, send_raw
from tests.server import Server

LIMIT, WEBHOOK_LIMIT = 100_000, 200_000
# One address may hold this much; see `echo_server`.
OF_ADDRESS = 300_000
TRIES = 400


def test_cut_into_chunks_anywhere_a_body_is_the_same(echo: Server) -> None:
    @settings(max_examples=60)
    @given(pieces=st.lists(st.binary(max_size=50), max_size=20))
    def says_the_same(pieces: list[bytes]) -> None:
        whole = b"".join(pieces)
        length = request_head("POST", "/", f"Content-Length: {len(whole)}")
        chunked = request_head("POST", "/", "Transfer-Encoding: chunked")

        by_length = send_raw(echo.base_url, length + whole)
        by_chunks = send_raw(echo.base_url, chunked + in_chunks(pieces))

        assert by_length.body["body"] == whole.decode("latin-1")
        assert by_chunks.body["body"] == by_length.body["body"]

    says_the_same()


@pytest.mark.parametrize(
    "body",
    [
        b"",  # cut off before the first chunk
        b"5\r\nhello\r\n",  # no last chunk
        b"5\r\nhel",
        b"zz\r\n",
        b"5\r\nhello\r\nzz\r\n0\r\n\r\n",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello",
    ],
)
def test_chunks_that_break_off_are_no_body(body: bytes, echo: Server) -> None:
    head = request_head("POST", "/broken-off", "Transfer-Encoding: chunked")
    with connected_to(echo.base_url) as connection:
        connection.sendall(head + body)
        answer = read_answer(connection)

    assert answer.body in {"VALIDATION_ERROR", "REQUEST_TIMEOUT"}
    assert "/broken-off?" not in echo.get("/api/health").body["served"]


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: -1",),
        ("Content-Length: +3",),
        ("Content-Length: 3, 4",),
        ("Content-Length: 99999999999999999999999",),
        ("Content-Length: abc",),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: identity", "Content-Length: 3"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: gzip"),
    ],
)
def test_a_framing_that_is_absurd_is_refused(headers: tuple[str, ...], echo: Server) -> None:
    head = request_head("POST", "/absurd", *headers)
    with connected_to(echo.base_url) as connection:
        connection.sendall(head + b"3\r\nabc\r\n0\r\n\r\n")
        status = read_answer(connection).status

    assert 400 <= status < 500
    assert "/absurd?" not in echo.get("/api/health").body["served"]


def test_chunks_win_over_a_length(echo: Server) -> None:
    head = request_head("POST", "/", "Content-Length: 1", "Transfer-Encoding: chunked")

    assert send_raw(echo.base_url, head + in_chunks([b"hello"])).body["body"] == "hello"


@pytest.mark.parametrize(
    ("path", "limit"), [("/", LIMIT), ("/api/webhooks/booking-sync", WEBHOOK_LIMIT)]
)
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_body_has_a_limit(path: str, limit: int, is_chunked: bool, echo: Server) -> None:
    def send(size: int) -> object:
        framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
        body = b"x" * size
        sent = in_chunks([body[:1_000], body[1_000:]]) if is_chunked else body
        answer = send_raw(echo.base_url, request_head("POST", path, framing) + sent)
        return answer.body if answer.status == 400 else answer.status

    assert send(limit) == 200
    assert send(limit + 1) == "PAYLOAD_TOO_LARGE"
    # Sent to its end, so that the client sees the answer and not a reset connection.
    assert send(3_000_000) == "PAYLOAD_TOO_LARGE"


def test_what_waits_to_be_told_is_told_only_if_it_will_be_read(echo: Server) -> None:
    too_long = request_head("POST", "/", "Expect: 100-continue", f"Content-Length: {LIMIT + 1}")
    with connected_to(echo.base_url) as connection:
        connection.sendall(too_long)
        assert read_answer(connection).body == "PAYLOAD_TOO_LARGE"

    with connected_to(echo.base_url) as connection:
        connection.sendall(request_head("POST", "/", "Expect: 100-continue", "Content-Length: 2"))
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert read_answer(connection).body["body"] == "ok"


def test_a_body_that_does_not_come_is_waited_for_only_so_long(echo: Server) -> None:
    half = request_head("POST", "/half", "Content-Length: 10") + b"half"
    connections = [connect(echo.base_url) for _ in range(20)]  # of four threads
    for connection in connections:
        connection.sendall(half)

    assert echo.get("/echo").status == 200
    assert {read_answer(connection).body for connection in connections} == {"REQUEST_TIMEOUT"}
    assert "/half?" not in echo.get("/api/health").body["served"]
    for connection in connections:
        connection.close()


def hold_bodies(echo: Server, address: str, number: int, size: int) -> list[str]:
    """Send all but the last byte of so many bodies at once; return what was answered."""
    said = []

    def hold() -> None:
        head = request_head("POST", "/", f"Content-Length: {size}", f"X-Forwarded-For: {address}")
        said.append(send_raw(echo.base_url, head + b"x" * (size - 1)).body)

    threads = [threading.Thread(target=hold) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_the_bodies_of_one_address_have_a_bound_and_others_are_read(echo: Server) -> None:
    # Bodies of 60 kB: five are 300 kB, of which a little of each counts for nobody.
    said = hold_bodies(echo, "203.0.113.1", 8, 60_000)

    assert said.count("RATE_LIMITED") == 3
    assert said.count("REQUEST_TIMEOUT") == 5
    # Nothing of them is counted any more, whatever became of them.
    assert hold_bodies(echo, "203.0.113.1", 5, 60_000).count("RATE_LIMITED") == 0


def test_all_bodies_together_have_a_bound_and_small_ones_are_still_read(echo: Server) -> None:
    connections = []
    for number in range(9):  # addresses of 60 kB each: eight are 480 kB of 500
        connection = connect(echo.base_url)
        address = f"X-Forwarded-For: 203.0.113.{number}"
        connection.sendall(request_head("POST", "/", "Content-Length: 70000", address))
        connection.sendall(b"x" * 64_096)
        connections.append(connection)
    small = request_head("POST", "/", "Content-Length: 4000")

    assert send_raw(echo.base_url, small + b"x" * 4_000).status == 200
    answers = [read_answer(connection).body for connection in connections]
    assert (answers.count("RATE_LIMITED"), answers.count("REQUEST_TIMEOUT")) == (1, 8)
    for connection in connections:
        connection.close()


def test_who_vanishes_gives_back_what_its_body_took(echo: Server) -> None:
    head = request_head("POST", "/", "Content-Length: 90000", "X-Forwarded-For: 203.0.113.2")
    for _ in range(12):  # one after the other: more than an address may hold
        with connected_to(echo.base_url) as connection:
            connection.sendall(head + b"x" * 80_000)

    whole = head + b"x" * 90_000
    pause = threading.Event()
    assert any(
        send_raw(echo.base_url, whole).status == 200 or pause.wait(0.02) for _ in range(TRIES)
    )


def test_a_body_in_single_bytes_is_read_while_it_is_short(echo: Server) -> None:
    head = request_head("POST", "/", "Transfer-Encoding: chunked")

    short = head + in_chunks([b"x"] * 200)
    long = send_raw(echo.base_url, head + in_chunks([b"x"] * 1_000))

    # The two seconds that a body has may pass on a machine that is busy.
    bodies = (send_raw(echo.base_url, short).body for _ in range(TRIES))
    read = next(body for body in bodies if body != "REQUEST_TIMEOUT")
    assert len(read["body"]) == 200
    assert long.body in {"VALIDATION_ERROR", "REQUEST_TIMEOUT"}  # of a machine that is busy
