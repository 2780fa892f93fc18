"""What attackers send, as bytes, and what may be answered to it.

Whatever it is, a client may be asked to come again (429, 503), be told that it was too slow (408),
or wait in vain on a busy machine. None of it may be believed, and none of it may break anything.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

LIST = "/api/bookings/list"
CREATE = "/api/bookings/create"
AVAILABLE = "/api/mock-exams/available"
WEBHOOK = "/api/webhooks/booking-sync"
JOB = "/api/cron/sync-capacity"
NOT_NOW = frozenset({"429", "503", "408", "no answer"})
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Siege:
    """What the attackers know and may do. `victims` are pairs of students at work and `bookings`
    record ids of theirs, none of which the attackers own; `own_pair` is one of theirs, right;
    `exam` is the body of a booking but for the pair; `recorded` are the header lines and body of
    deliveries that were recorded, v3 as it came, and v1 of long ago. `only` names attacks; none is
    all."""

    url: str
    seconds: float
    rate: float
    victims: Sequence[Mapping[str, str]]
    bookings: Sequence[str]
    own_pair: Mapping[str, str]
    exam: Mapping[str, Any]
    mock_types: Sequence[str]
    recorded_v3: tuple[Sequence[str], str] = ((), "")
    recorded_v1: tuple[Sequence[str], str] = ((), "")
    only: Sequence[str] = ()


Make = Callable[[Siege], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`expected` are the statuses that are right besides those of NOT_NOW; `closed` is a
    connection that was ended without one."""

    name: str
    weight: int
    make: Make
    expected: frozenset[str]
    sources: Sequence[str] = field(default=("127.0.0.66",))
    is_unread: bool = False

    def source(self) -> str:
        """Where this one comes from."""
        return random.choice(self.sources)

    def find_wrong(self, answers: Mapping[str, int]) -> dict[str, int]:
        right = self.expected | NOT_NOW
        return {answer: number for answer, number in answers.items() if answer not in right}


def head(method: str, target: str, *lines: str) -> bytes:
    given = (f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *lines)
    return ("\r\n".join(given) + "\r\n\r\n").encode("latin-1")


def with_body(method: str, target: str, body: bytes, *lines: str) -> bytes:
    json_type = "Content-Type: application/json"
    return head(method, target, json_type, f"Content-Length: {len(body)}", *lines) + body


def asking(path: str, query: Mapping[str, object], *lines: str) -> tuple[bytes]:
    return (head("GET", f"{path}?{urlencode(query)}", *lines),)


def any_id() -> str:
    return f"X{random.randrange(10**9)}"


def any_email() -> str:
    return f"guess{random.randrange(10**9)}@example.org"


def wrong_pair(siege: Siege) -> dict[str, str]:
    """Half right, by either half, or wrong."""
    victim = random.choice(siege.victims)
    return random.choice(
        (
            {"student_id": victim["student_id"], "email": any_email()},
            {"student_id": any_id(), "email": victim["email"]},
            {"student_id": any_id(), "email": any_email()},
        )
    )


def guess_email(siege: Siege) -> Iterable[bytes]:
    return asking(LIST, {**siege.victims[0], "email": any_email()})


def guess_id(siege: Siege) -> Iterable[bytes]:
    return asking(LIST, {**siege.victims[0], "student_id": any_id()})


def guess_anybody(siege: Siege) -> Iterable[bytes]:
    return asking(LIST, {"student_id": any_id(), "email": any_email()})


def forge_forwarding(siege: Siege) -> Iterable[bytes]:
    forged = f"203.0.113.{random.randrange(256)}"
    names = ("X-Forwarded-For", "X_Forwarded_For", "Forwarded", "X-Real-IP")
    lines = (f"{name}: {forged}" for name in names)
    return asking(LIST, wrong_pair(siege), *lines)


def guess_credits(siege: Siege) -> Iterable[bytes]:
    body = {**wrong_pair(siege), "mock_type": siege.mock_types[0]}
    yield with_body("POST", "/api/mock-exams/validate-credits", json.dumps(body).encode())


def cancel(siege: Siege) -> Iterable[bytes]:
    target = f"/api/bookings/{random.choice(siege.bookings)}"
    yield with_body("DELETE", target, json.dumps(wrong_pair(siege)).encode())


def change(siege: Siege) -> Iterable[bytes]:
    target = f"/api/bookings/{random.choice(siege.bookings)}"
    body = {**wrong_pair(siege), "attending_location": "x" * 200}
    yield with_body("PATCH", target, json.dumps(body).encode())


def cancel_anothers(siege: Siege) -> Iterable[bytes]:
    target = f"/api/bookings/{random.choice(siege.bookings)}"
    yield with_body("DELETE", target, json.dumps(dict(siege.own_pair)).encode())


def book(siege: Siege) -> Iterable[bytes]:
    body = {**siege.exam, **wrong_pair(siege)}
    yield with_body("POST", CREATE, json.dumps(body).encode())


def half_a_body(siege: Siege) -> Iterable[bytes]:
    yield head("POST", CREATE, "Content-Length: 1000") + b"{"


def half_a_chunk(siege: Siege) -> Iterable[bytes]:
    yield head("POST", WEBHOOK, "Transfer-Encoding: chunked") + b"5\r\n"


def half_a_head(siege: Siege) -> Iterable[bytes]:
    yield b"POST /api/bookings/create HT"


def silence(siege: Siege) -> Iterable[bytes]:
    return ()


def http_2(siege: Siege) -> Iterable[bytes]:
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def absurd_body(siege: Siege) -> Iterable[bytes]:
    chunked = "Transfer-Encoding: chunked"
    yield random.choice(
        (
            head("POST", CREATE, chunked) + b"zz\r\n{}\r\n0\r\n\r\n",
            head("POST", CREATE, chunked) + b"fffffffffffffffff\r\n{}",
            head("POST", CREATE, chunked) + b"1\r\n{\r\n" * 5_000 + b"0\r\n\r\n",
            head("POST", CREATE, chunked, "Content-Length: 2") + b"2\r\n{}\r\n0\r\n\r\n",
            head("POST", CREATE, "Content-Length: 2", "Content-Length: 3") + b"{} ",
            head("POST", CREATE, "Content-Length: -1"),
            head("POST", CREATE, "Transfer-Encoding: gzip") + b"{}",
            with_body("POST", CREATE, b"[" * 100_000),
            with_body("POST", CREATE, b"9" * 100_000),
        )
    )


def big_body(siege: Siege) -> Iterable[bytes]:
    yield head("POST", CREATE, f"Content-Length: {100 * MIB}") + b"x" * 65_536


def body_up_to_the_limit(siege: Siege) -> Iterable[bytes]:
    yield with_body("POST", CREATE, b'{"name": "' + b"x" * (MIB - 100) + b'"}')


def unread_answers(siege: Siege) -> Iterable[bytes]:
    request = b"GET /api/schema HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    yield request * 4


def available(siege: Siege) -> Iterable[bytes]:
    query = {
        "mock_type": random.choice([*siege.mock_types, any_id()]),
        "realtime": "true",
        "include_capacity": random.choice(("true", "false")),
        any_id(): any_id(),
    }
    return asking(AVAILABLE, query)


def ready(siege: Siege) -> Iterable[bytes]:
    yield head("GET", "/api/ready")


def metrics(siege: Siege) -> Iterable[bytes]:
    yield head("GET", "/metrics")


def metrics_by_token(siege: Siege) -> Iterable[bytes]:
    lines = ("X-Forwarded-For: 127.0.0.1", f"Authorization: Bearer {any_id()}")
    yield head("GET", "/metrics", *lines)


def cursor_by_hand(siege: Siege) -> Iterable[bytes]:
    place = json.dumps(["all", f"2026-12-01T09:00:00.{random.randrange(10**6):06}+00:00", any_id()])
    made = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
    after = random.choice((made, f"{made}.{'A' * 22}"))
    return asking(LIST, {**siege.own_pair, "after": after})


def page_past_the_end(siege: Siege) -> Iterable[bytes]:
    query = {"page": random.randrange(10, 10**9), "limit": random.randrange(1, 101)}
    return asking(LIST, {**siege.own_pair, **query})


def forged_delivery(siege: Siege) -> Iterable[bytes]:
    event = {"eventId": random.randrange(10**9), "subscriptionType": "contact.privacyDeletion"}
    signature = "X-HubSpot-Signature-v3: " + "A" * 43 + "="
    lines = (signature, "X-HubSpot-Request-Timestamp: 1790000000000")
    yield with_body("POST", WEBHOOK, json.dumps([event]).encode(), *lines)


def large_forged_delivery(siege: Siege) -> Iterable[bytes]:
    lines = ("X-HubSpot-Signature: " + "a" * 64, "X-HubSpot-Signature-Version: v1")
    yield with_body("POST", WEBHOOK, b"[" + b" " * (2 * MIB) + b"]", *lines)


def replay_v3(siege: Siege) -> Iterable[bytes]:
    lines, body = siege.recorded_v3
    yield with_body("POST", WEBHOOK, body.encode(), *lines)


def replay_v1(siege: Siege) -> Iterable[bytes]:
    lines, body = siege.recorded_v1
    yield with_body("POST", WEBHOOK, body.encode(), *lines)


def guess_secret(siege: Siege) -> Iterable[bytes]:
    yield head("GET", JOB, f"Authorization: Bearer {any_id()}")


def guess_token(siege: Siege) -> Iterable[bytes]:
    yield head("GET", "/api/admin/cache/stats", f"Authorization: Token {any_id()}")


def guess_password(siege: Siege) -> Iterable[bytes]:
    token = "a" * 32
    fields = {"username": "admin", "password": any_id(), "csrfmiddlewaretoken": token}
    body = urlencode(fields).encode()
    form = "Content-Type: application/x-www-form-urlencoded"
    lines = (form, f"Content-Length: {len(body)}", f"Cookie: csrftoken={token}")
    yield head("POST", "/admin/login/", *lines) + body


def odd_characters(siege: Siege) -> Iterable[bytes]:
    pair = urlencode(dict(siege.own_pair))
    yield random.choice(
        (
            head("GET", f"{LIST}?student_id=%00&email=%00"),
            head("GET", f"{LIST}?{pair}&filter=%FF%FE"),
            head("GET", f"/api/bookings/%00?{pair}"),
            head("GET", f"/api/{quote('Ж')}%C0%AF..%2f"),
            head("GET", "/admin/", "Cookie: sessionid=\x00"),
            head("GET", "/admin/", "Cookie: sessionid=" + quote("\x00")),
            head("GET", "/api/health\x00"),
            with_body("POST", CREATE, b'{"name": "\\u0000", "email": "\\ud800"}'),
            with_body("POST", CREATE, b"\xff\xfe{"),
        )
    )


def unknown_address(siege: Siege) -> Iterable[bytes]:
    yield head(random.choice(("GET", "POST", "PUT", "TRACE")), f"/api/{any_id()}/{any_id()}")


def statuses(*names: str) -> frozenset[str]:
    return frozenset(names)


def addresses(number: int) -> Sequence[str]:
    """One address, the more the higher the number: 127.0.1.1 and so on."""
    return (f"127.0.1.{number}",)


ANYWHERE = [f"127.{second}.{third}.5" for second in range(2, 42) for third in range(25)]
WRONG = statuses("401")
UNFINISHED = statuses("408", "closed", "400")
GUESS = Attack("300 guesses at once", 0, guess_email, WRONG, addresses(1))
ATTACKS: Sequence[Attack] = (
    Attack("one student's e-mail guessed", 6, guess_email, WRONG, addresses(2)),
    Attack("one e-mail's student guessed", 6, guess_id, WRONG, addresses(3)),
    Attack("any pair guessed", 6, guess_anybody, WRONG, addresses(4)),
    Attack("guessed from 1 000 addresses", 5, guess_email, WRONG, ANYWHERE),
    Attack("pair with forged forwarding", 5, forge_forwarding, WRONG, addresses(5)),
    Attack("credits of a wrong pair", 4, guess_credits, statuses("404", "400"), addresses(6)),
    Attack("wrong cancellation", 8, cancel, WRONG, addresses(7)),
    Attack("wrong change", 8, change, WRONG | {"400"}, addresses(8)),
    Attack("wrong booking", 8, book, WRONG, addresses(9)),
    Attack("another's booking canceled", 2, cancel_anothers, statuses("403", "404"), addresses(10)),
    Attack("half a body", 15, half_a_body, UNFINISHED, addresses(11)),
    Attack("half a chunk", 4, half_a_chunk, UNFINISHED, addresses(12)),
    Attack("half a head", 5, half_a_head, UNFINISHED, addresses(13)),
    Attack("silence", 40, silence, UNFINISHED, addresses(14)),
    Attack("HTTP/2 in cleartext", 5, http_2, statuses("400", "closed"), addresses(15)),
    Attack("absurd body", 6, absurd_body, statuses("400", "411", "413", "415"), addresses(16)),
    Attack("100 MiB announced", 3, big_body, statuses("413", "closed"), addresses(17)),
    Attack("a body of 1 MiB", 2, body_up_to_the_limit, statuses("400"), addresses(18)),
    Attack("answers not read", 4, unread_answers, statuses("not read"), addresses(19), True),
    Attack("available, recounted", 10, available, statuses("200", "400"), addresses(20)),
    Attack("/api/ready", 8, ready, statuses("200"), addresses(21)),
    Attack("/metrics", 3, metrics, statuses("200"), addresses(22)),
    Attack("/metrics by a guessed token", 2, metrics_by_token, statuses("403"), addresses(23)),
    Attack("cursor made by hand", 6, cursor_by_hand, statuses("400"), addresses(24)),
    Attack("page past the end", 6, page_past_the_end, statuses("200"), addresses(24)),
    Attack("forged webhook", 4, forged_delivery, WRONG, addresses(25)),
    Attack("forged webhook of 2 MiB", 1, large_forged_delivery, WRONG, addresses(25)),
    Attack("webhook replayed, v3", 3, replay_v3, statuses("200"), addresses(26)),
    Attack("webhook replayed, v1", 2, replay_v1, WRONG, addresses(26)),
    Attack("cron secret guessed", 3, guess_secret, WRONG, addresses(27)),
    Attack("token guessed", 3, guess_token, WRONG, addresses(28)),
    Attack("admin's password guessed", 2, guess_password, statuses("200"), addresses(29)),
    Attack("odd characters", 4, odd_characters, statuses("400", "404", "302"), addresses(30)),
    Attack("unknown address", 3, unknown_address, statuses("404", "405"), addresses(31)),
)
