"""Somebody tries the API for the first time, and not everything they type is right."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

from tests.builders import Portal
from tests.server import Server

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"
VALIDATE = "/api/mock-exams/validate-credits"


def test_a_student_finds_an_exam_and_sees_a_booking(server: Server, portal: Portal) -> None:
    alice = portal.student("alice")
    exam = portal.exam(in_days=5, capacity=20, total_bookings=1)
    booking = portal.booking(alice, exam)

    (seen,) = server.get(AVAILABLE, mock_type="clinical").body["data"]
    may_book = server.post(VALIDATE, {"mock_type": "clinical", **alice.pair}).body["data"]
    (row,) = server.get(LIST, **alice.pair).body["data"]["bookings"]
    detail = server.get(f"/api/bookings/{row['id']}", **alice.pair).body["data"]

    assert seen["mock_exam_id"] == row["mock_exam_id"] == detail["mock_exam"]["id"] == exam.id
    assert may_book["eligible"] is True
    assert detail["booking"]["id"] == booking.id
    assert detail["contact"]["student_id"] == alice.student_id


def test_each_mistake_is_told_apart(server: Server, portal: Portal) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    theirs = portal.booking(charlie, portal.exam())
    pair, body = alice.pair, {"mock_type": "clinical", **alice.pair}
    mistakes = {
        "wrong student": server.get(LIST, **pair | {"student_id": "S9999"}),
        "wrong e-mail": server.get(LIST, **pair | {"email": charlie.email}),
        "page 0": server.get(LIST, page=0, **pair),
        "limit 1000": server.get(LIST, limit=1000, **pair),
        "unknown type": server.get(AVAILABLE, mock_type="ballet"),
        "no such student": server.post(VALIDATE, body | {"student_id": "S9999"}),
        "another's e-mail": server.post(VALIDATE, body | {"email": charlie.email}),
        "malformed JSON": server.post(VALIDATE, b'{"student_id": '),
        "unknown path": server.get("/api/nothing/here"),
        "wrong method": server.send("PUT", LIST),
        "another's booking": server.get(f"/api/bookings/{theirs.id}", **pair),
        "no such booking": server.get("/api/bookings/987654321", **pair),
        "too long": server.post(VALIDATE, b" " * 1_100_000),
    }

    told = {mistake: (answer.status, answer.code) for mistake, answer in mistakes.items()}

    assert told == {
        "wrong student": (401, "AUTH_FAILED"),
        "wrong e-mail": (401, "AUTH_FAILED"),
        "page 0": (400, "VALIDATION_ERROR"),
        "limit 1000": (400, "VALIDATION_ERROR"),
        "unknown type": (400, "VALIDATION_ERROR"),
        "no such student": (404, "STUDENT_NOT_FOUND"),
        "another's e-mail": (400, "EMAIL_MISMATCH"),
        "malformed JSON": (400, "MALFORMED_JSON"),
        "unknown path": (404, "NOT_FOUND"),
        "wrong method": (405, "METHOD_NOT_ALLOWED"),
        "another's booking": (403, "ACCESS_DENIED"),
        "no such booking": (404, "BOOKING_NOT_FOUND"),
        "too long": (413, "PAYLOAD_TOO_LARGE"),
    }
    strangers = {"wrong student", "wrong e-mail", "no such student", "another's e-mail"}
    for mistake, answer in mistakes.items():
        assert answer.body["success"] is False
        # What it cost would tell whoever guesses what the cache holds.
        told_cost = "Server-Timing" in {name.title() for name in answer.headers}
        assert told_cost is (mistake not in strangers)


def test_an_exam_with_620_bookings_and_one_with_none(server: Server, portal: Portal) -> None:
    crowded, _ = portal.exam_with_bookings(620, capacity=620, total_bookings=3)
    empty = portal.exam(in_days=20, total_bookings=3)

    data = server.get(AVAILABLE, mock_type="clinical", realtime="true").body["data"]

    seats = {row["mock_exam_id"]: (row["total_bookings"], row["status"]) for row in data}
    assert seats == {crowded.id: (620, "full"), empty.id: (0, "available")}


def test_a_connection_stays_usable_after_a_refused_body(server: Server, portal: Portal) -> None:
    address = urlsplit(server.base_url)
    too_long = b"x" * 1_200_000
    head = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as wire:
        wire.sendall(head.format(VALIDATE).encode() + b"Content-Length: 1200000\r\n\r\n" + too_long)
        reader = wire.makefile("rb")
        status = reader.readline().split()[1]
        length = 0
        while (line := reader.readline()) not in {b"\r\n", b""}:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        first = json.loads(reader.read(length))
        wire.sendall(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert (status, first["code"]) == (b"413", "PAYLOAD_TOO_LARGE")
        assert reader.readline().split()[1] == b"200"
