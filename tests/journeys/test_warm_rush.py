"""The first minute of a rush, after `manage.py warm_cache`: nearly nothing is asked of HubSpot."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from booking_api.benchmarks.warming import warm_before_rush
from tests.booking_api.ops.warming.support import AVAILABLE, CREDITS, LIST
from tests.builders import Portal, Student
from tests.journeys.test_rush import all_at_once
from tests.metrics import parse_metrics
from tests.server import Answer, Server, serving

STUDENTS, AT_ONCE = 240, 48
LEAST_HIT_RATE = 0.95


def ask_first(server: Server, student: Student) -> Answer:
    """Ask what a frontend asks first; return the first answer that is none, or the last."""
    answers = [
        server.get(AVAILABLE, mock_type="clinical"),
        server.get(LIST, **student.pair),
        server.post(CREDITS, {**student.pair, "mock_type": "clinical"}),
    ]
    return next((each for each in answers if each.status != 200), answers[-1])


def count_reads(server: Server) -> tuple[float, float, float]:
    """Return hits, misses, and of the hits those of warmed entries."""
    seen = parse_metrics(str(server.get("/metrics").body.decode()))
    reads = [
        sum(
            value
            for (name, labels), value in seen.items()
            if name == "mocks_cache_reads_total" and ("result", result) in labels
        )
        for result in ("hit", "miss")
    ]
    warmed = sum(v for (name, _), v in seen.items() if name == "mocks_cache_warmed_hits_total")
    return reads[0], reads[1], warmed


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_a_rush_finds_the_cache_warm(portal: Portal, tmp_path: Path, redis_url: str) -> None:
    with portal.at_once():
        exams = [portal.exam(in_days=2 + day, total_bookings=STUDENTS // 4) for day in range(4)]
        students = [portal.student(f"warm{number}") for number in range(STUDENTS)]
    with portal.at_once():
        for number, student in enumerate(students):
            portal.booking(student, exams[number % 4])
    environment = {
        "REDIS_URL": redis_url,
        "SERVER_WORKERS": "2",
        "CACHE_MAX_ENTRIES": "50000",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "HUBSPOT_BASE_URL": portal.sandbox.base_url,
        "HS_PRIVATE_APP_TOKEN": portal.sandbox.token,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    with serving(portal.sandbox, tmp_path, **environment) as server:
        portal.sandbox.clear_calls()
        report = warm_before_rush(environment, [each.id for each in students])
        assert (report["students"], report["exams"], report["stopped"]) == (STUDENTS, 4, "")
        assert portal.sandbox.calls_count() <= 60

        portal.sandbox.clear_calls()
        for start in range(0, STUDENTS, AT_ONCE):
            some = students[start : start + AT_ONCE]
            answers = all_at_once([partial(ask_first, server, each) for each in some])
            assert {answer.status for answer in answers} == {200}
        hits, misses, warmed = count_reads(server)

    assert portal.sandbox.calls_count() <= (1 - LEAST_HIT_RATE) * STUDENTS
    assert hits / (hits + misses) >= LEAST_HIT_RATE
    assert warmed >= LEAST_HIT_RATE * hits
    print(report, portal.sandbox.calls_count(), hits, misses, warmed)
