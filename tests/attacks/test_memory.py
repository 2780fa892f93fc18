"""What one student can have the API remember: questions that nobody asks twice leave nothing, and
those that are answered share a cache that is bounded in bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Portal, Student
from tests.journeys.databases import manage
from tests.memory import resident_bytes
from tests.migrated import copy_migrated_file
from tests.server import Answer, Server, serving

LIST = "/api/bookings/list"
CREATE = "/api/bookings/create"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PREPARE = (
    "from django.contrib.auth.models import User;"
    "from rest_framework.authtoken.models import Token;"
    "olga = User.objects.create_superuser('olga');"
    f"Token.objects.create(user=olga, key={TOKEN!r})"
)
MIB = 1024 * 1024
MAX_BYTES = 4 * MIB
BOOKINGS, AT_ONCE, MANY = 150, 4, 200
BODIES, BODIES_AT_ONCE = 100, 16
GROWTH = 1.5


@pytest.fixture(scope="module")
def environment() -> Mapping[str, str]:
    return {"CACHE_MAX_BYTES": str(MAX_BYTES), "THROTTLE_READS": ""}


@pytest.fixture(scope="module")
def server(
    portal: Portal, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("attacked")
    manage(copy_migrated_file(folder / "db.sqlite3"), "shell", "-c", PREPARE, DEBUG="true")
    with serving(portal.sandbox, folder, **environment) as attacked:
        yield attacked


@pytest.fixture(scope="module")
def mallory(portal: Portal) -> Student:
    student = portal.student("mallory")
    with portal.at_once():
        exams = [portal.exam(in_days=2 + day) for day in range(15)]
    portal.bookings(student, exams, BOOKINGS)
    return student


@pytest.fixture(autouse=True)
def _emptied(server: Server) -> None:
    """Each test begins with nothing cached."""
    body = {"all": True, "reason": "the next test"}
    emptied = server.post("/api/admin/cache/invalidate", body, Authorization=f"Token {TOKEN}")
    assert emptied.status == 200, emptied.body


@pytest.fixture(scope="module")
def ask(server: Server, mallory: Student) -> Callable[..., Answer]:
    def ask_for(**query: Any) -> Answer:
        return server.get(LIST, **mallory.pair, **query)

    return ask_for


def ask_all(ask: Callable[..., Answer], queries: list[dict[str, Any]]) -> list[Answer]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda query: ask(**query), queries))


def stats_of(server: Server) -> dict[str, Any]:
    answer = server.send(
        "GET", "/api/admin/cache/stats", Authorization=f"Token {TOKEN}", Accept="application/json"
    )
    data: dict[str, Any] = answer.body["data"]
    assert 0 < data["memoryBytes"] < data["usedBytes"] <= data["maxBytes"] == MAX_BYTES
    return data


def held_by(server: Server) -> dict[str, int]:
    """How many entries each family holds."""
    return {name: one["entries"] for name, one in stats_of(server)["byFamily"].items()}


def made_by_hand(number: int) -> str:
    place = json.dumps(["all", f"2026-12-01T09:00:00.{number:06}+00:00", str(number)])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


@pytest.mark.chaos
def test_questions_that_nobody_asks_twice_leave_nothing(
    server: Server, ask: Callable[..., Answer]
) -> None:
    cursor = ask(limit=100).body["data"]["pagination"]["next"]
    ask_all(ask, [{"limit": 100, "page": page} for page in (1, 2)] * 50)
    held, before = held_by(server), resident_bytes(server)

    by_hand = ask_all(ask, [{"after": made_by_hand(number)} for number in range(MANY)])
    seal = cursor.rpartition(".")[2]
    resealed = ask_all(
        ask, [{"limit": 100, "after": f"{made_by_hand(n)}.{seal}"} for n in range(MANY // 3)]
    )
    past_the_end = ask_all(ask, [{"limit": 100, "page": 3 + number} for number in range(MANY)])
    long = ask_all(ask, [{"limit": 100, "junk": f"{n}{'x' * 3_000}"} for n in range(MANY)])

    assert {answer.status for answer in by_hand + resealed} == {400}
    assert {answer.status for answer in past_the_end + long} == {200}
    numbers = [answer.body["data"]["pagination"]["page"] for answer in past_the_end]
    assert sorted(numbers) == [3 + number for number in range(MANY)]
    assert all(answer.body["data"]["bookings"] == [] for answer in past_the_end)
    assert held_by(server) == held | {"booking-pages": 3}
    assert resident_bytes(server) < GROWTH * before


@pytest.mark.chaos
def test_all_the_pages_of_one_student_share_what_the_cache_may_take(
    server: Server, ask: Callable[..., Answer]
) -> None:
    ask_all(ask, [{"limit": 100, "page": page} for page in (1, 2)] * 50)
    before = resident_bytes(server)

    pages = [{"limit": limit, "page": page} for limit in range(1, 80) for page in (1, 2, 3)]
    answers = ask_all(ask, pages)

    stats = stats_of(server)
    assert {answer.status for answer in answers} == {200}
    assert stats["evictions"]["bytes"] > 0
    assert resident_bytes(server) < GROWTH * before


@pytest.mark.chaos
def test_large_bodies_leave_nothing(server: Server) -> None:
    def send_at_once(body: bytes) -> set[int]:
        with ThreadPoolExecutor(BODIES_AT_ONCE) as threads:
            sent = threads.map(server.post, [CREATE] * BODIES, [body] * BODIES)
            return {answer.status for answer in sent}

    send_at_once(b"{}")
    before = resident_bytes(server)

    statuses = send_at_once(b'{"name": "' + b"x" * (MIB - 100) + b'"}')
    send_at_once(b"{}")

    assert statuses <= {400, 503}
    assert resident_bytes(server) < GROWTH * before
