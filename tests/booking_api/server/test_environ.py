"""What the application is given of a request (PEP 3333), over a socket."""

from __future__ import annotations

from typing import Any

import pytest

from booking_api.server.environ import MAX_NAME_KEPT, add_headers, recall_environ_key
from tests.raw import request_head, send_raw
from tests.server import Server


def environ_of(echo: Server, raw: bytes) -> dict[str, Any]:
    answer = send_raw(echo.base_url, raw)
    assert answer.status == 200, answer
    environ: dict[str, Any] = answer.body["environ"]
    return environ


@pytest.mark.parametrize(
    "target",
    [
        "/a?b=c|d",
        "/a?b={c}&d=^e`f'",
        "/a?b=c%2Fd%2f",
        "/a%2Fb/%FF",
        "/a|b{c}'d\"",
        "//a//b",
        "/a?b=c?d",
    ],
)
def test_the_target_is_kept_as_it_was_sent(target: str, echo: Server) -> None:
    environ = environ_of(echo, request_head("GET", target))

    assert environ["RAW_URI"] == target
    assert environ["QUERY_STRING"] == target.partition("?")[2]


def test_the_path_is_decoded_and_the_query_is_not(echo: Server) -> None:
    environ = environ_of(echo, request_head("GET", "/caf%C3%A9/%FF%2F?q=%C3%A9"))

    assert environ["PATH_INFO"].encode("latin-1") == "/café/".encode() + b"\xff/"
    assert environ["QUERY_STRING"] == "q=%C3%A9"
    assert environ["SCRIPT_NAME"] == ""


def test_an_address_with_a_host_in_it_is_its_path(echo: Server) -> None:
    environ = environ_of(echo, request_head("GET", "http://evil.example/a?b", host="127.0.0.1"))

    assert (environ["PATH_INFO"], environ["RAW_URI"]) == ("/a", "/a?b")
    assert environ["HTTP_HOST"] == "127.0.0.1"


def test_headers_of_one_name_are_joined(echo: Server) -> None:
    head = request_head("GET", "/", "X-A: 1", "x-a: 2", "Cookie: a=1", "Cookie: b=2", "X-Empty:")
    environ = environ_of(echo, head)

    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_EMPTY"] == ""


@pytest.mark.parametrize("name", ["X_Forwarded_For", "x_forwarded-for", "X-Forwarded_Proto"])
def test_a_header_with_an_underscore_passes_for_no_other(name: str, echo: Server) -> None:
    environ = environ_of(echo, request_head("GET", "/", f"{name}: 203.0.113.9"))

    assert not any("FORWARDED" in key for key in environ)


def test_a_header_beyond_ascii_is_not_lost(echo: Server) -> None:
    head = request_head("GET", "/", "X-Forwarded-For: caf\u00e9, 203.0.113.9")

    assert environ_of(echo, head)["HTTP_X_FORWARDED_FOR"] == "caf\u00e9, 203.0.113.9"


def test_the_body_has_its_true_length_whatever_was_said(echo: Server) -> None:
    head = request_head("POST", "/", "Content-Type: text/plain", "Transfer-Encoding: chunked")
    answer = send_raw(echo.base_url, head + b"3\r\nabc\r\n0\r\n\r\n")

    environ = answer.body["environ"]
    assert (environ["CONTENT_LENGTH"], answer.body["body"]) == ("3", "abc")
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_who_calls_and_how_is_said(echo: Server) -> None:
    environ = environ_of(echo, request_head("BREW", "/"))

    assert environ["REQUEST_METHOD"] == "BREW"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert echo.base_url.endswith(f":{environ['SERVER_PORT']}")
    assert (environ["SERVER_PROTOCOL"], environ["wsgi.url_scheme"]) == ("HTTP/1.1", "http")
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is False
    assert environ["CONTENT_LENGTH"] == "0"


def test_http_1_0_may_do_without_a_host(echo: Server) -> None:
    environ = environ_of(echo, b"GET / HTTP/1.0\r\n\r\n")

    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "HTTP_HOST" not in environ
    assert environ["SERVER_NAME"] == "127.0.0.1"


def test_long_names_of_headers_are_not_remembered() -> None:
    recall_environ_key.cache_clear()
    environ: dict[str, Any] = {}

    add_headers(environ, [(b"x" * MAX_NAME_KEPT, b"kept"), (b"y" * (MAX_NAME_KEPT + 1), b"not")])

    assert environ == {
        f"HTTP_{'X' * MAX_NAME_KEPT}": "kept",
        f"HTTP_{'Y' * (MAX_NAME_KEPT + 1)}": "not",
    }
    assert recall_environ_key.cache_info().currsize == 1
