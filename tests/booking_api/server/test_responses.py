"""What the client gets of the application's answer, whatever the answer is."""

from __future__ import annotations

import http.client

import pytest

from tests.booking_api.server.echo_server import FILE, STREAMED
from tests.raw import connect, request_head, send_raw
from tests.server import Server


def test_a_body_made_while_it_is_sent_comes_whole_and_is_closed(echo: Server) -> None:
    closed_before = echo.get("/api/health").body["closed"]

    answer = echo.get("/stream")

    assert answer.body == b"".join(STREAMED)
    assert echo.get("/api/health").body["closed"] > closed_before


def test_headers_of_one_name_stay_apart(echo: Server) -> None:
    with connect(echo.base_url) as connection:
        connection.sendall(request_head("GET", "/stream"))
        received = b""
        while piece := connection.recv(65_536):
            received += piece

    assert b"set-cookie: a=1\r\nset-cookie: b=2\r\n" in received


@pytest.mark.parametrize(("path", "start"), [("/file", 0), ("/rest_of_file", 100)])
def test_a_file_is_sent_from_where_it_is_open(path: str, start: int, echo: Server) -> None:
    assert echo.get(path).body == FILE.read_bytes()[start:]


@pytest.mark.parametrize("path", ["/echo", "/file", "/stream"])
def test_an_answer_to_head_has_no_body(path: str, echo: Server) -> None:
    answer = send_raw(echo.base_url, request_head("HEAD", path))

    assert (answer.status, answer.content) == (200, b"")


def test_an_answer_without_content_has_none(echo: Server) -> None:
    answer = send_raw(echo.base_url, request_head("GET", "/nothing"))

    assert (answer.status, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["/raise", "/exit"])
def test_an_application_that_fails_costs_no_thread_and_tells_nothing(
    path: str, echo: Server
) -> None:
    answers = [echo.get(path) for _ in range(8)]  # twice the threads

    assert {answer.status for answer in answers} == {500}
    assert b"secret" not in b"".join(answer.body for answer in answers)
    assert echo.get("/echo").status == 200


def test_an_answer_that_breaks_off_does_not_look_whole(echo: Server) -> None:
    with pytest.raises(http.client.IncompleteRead):
        echo.get("/broken")

    assert echo.get("/echo").status == 200


def test_a_client_who_has_gone_costs_no_thread(echo: Server) -> None:
    for _ in range(8):
        connect_and_leave(echo)

    assert echo.get("/echo").status == 200


def connect_and_leave(echo: Server) -> None:
    with connect(echo.base_url) as connection:
        connection.sendall(request_head("GET", "/stream"))
