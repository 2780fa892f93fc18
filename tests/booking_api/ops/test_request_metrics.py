"""What Prometheus is told of requests: bookings, credit checks, deadlines, jobs, signatures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django import Settings

from booking_api.api.context import ARRIVED_KEY
from tests.api import Api
from tests.builders import Portal
from tests.desk import CREATE, create
from tests.metrics import Sample, grown, shown, total_growth, value_of
from tests.webhooks import Events, post, tell

pytestmark = pytest.mark.django_db(transaction=True)

BOOKINGS = "mocks_bookings_total"
SECRET = "a-scheduler's-own-secret"
BEARER = {"Authorization": f"Bearer {SECRET}"}


@dataclass(frozen=True, slots=True)
class Growth:
    """What has grown since it was made."""

    api: Api
    before: dict[Sample, float]

    def of(self, name: str, **labels: str) -> float:
        return grown(self.before, shown(self.api), name, **labels)

    def total_of(self, name: str, **some: str) -> float:
        return total_growth(self.before, shown(self.api), name, **some)


@pytest.fixture
def growth(api: Api) -> Growth:
    return Growth(api, shown(api))


def test_bookings_are_counted_by_type_and_outcome(api: Api, portal: Portal, growth: Growth) -> None:
    alice, bob, exam = portal.student("alice"), portal.student("bob"), portal.exam()
    mock_type = exam.mock_type

    create(api, alice, exam)
    create(api, alice, exam, key="another")
    create(api, bob, exam)
    api.post(CREATE, mock_type="<script>", **alice.pair)

    assert growth.of(BOOKINGS, mock_type=mock_type, outcome="made") == 1
    assert growth.of(BOOKINGS, mock_type=mock_type, outcome="DUPLICATE_BOOKING") == 1
    assert growth.of(BOOKINGS, mock_type=mock_type, outcome="INSUFFICIENT_CREDITS") == 1
    assert growth.of(BOOKINGS, mock_type="other", outcome="VALIDATION_ERROR") == 1
    assert growth.total_of(BOOKINGS) == 4


def test_the_same_request_again_is_no_further_booking(
    api: Api, portal: Portal, growth: Growth
) -> None:
    alice, exam = portal.student("alice"), portal.exam()

    for _ in range(2):
        create(api, alice, exam, key="once")

    assert growth.of(BOOKINGS, mock_type=exam.mock_type, outcome="made") == 1
    assert growth.of(BOOKINGS, mock_type=exam.mock_type, outcome="repeated") == 1


def test_credit_checks_are_counted_by_type_and_outcome(
    api: Api, portal: Portal, growth: Growth
) -> None:
    mock_type = portal.first_type.value

    for name in ("alice", "bob"):
        student = portal.student(name)
        api.post("/api/mock-exams/validate-credits", mock_type=mock_type, **student.pair)

    for outcome in ("eligible", "not eligible"):
        checks = growth.of("mocks_credit_checks_total", mock_type=mock_type, outcome=outcome)
        assert checks == 1


def test_a_request_that_took_nearly_all_its_time_is_counted(api: Api, growth: Growth) -> None:
    late: Any = {ARRIVED_KEY: time.monotonic() - 21.0}

    api.get("/api/health")
    api.send("GET", "/api/health", **late)

    assert growth.of("mocks_requests_near_deadline_total", route="api/health") == 1


def test_addresses_that_are_none_are_one_route(api: Api, growth: Growth) -> None:
    for path in ("/nothing", "/api/v7/nothing", "/wp-login.php"):
        api.get(path)

    routes = {
        dict(labels)["route"]
        for name, labels in shown(api)
        if name == "mocks_request_seconds_count"
    }
    assert not any("nothing" in route or "wp-login" in route for route in routes)
    assert growth.total_of("mocks_request_seconds_count", status="404") == 3


@pytest.mark.usefixtures("webhook_secret")
def test_deliveries_that_are_not_believed_are_counted_by_the_reason(
    api: Api, events: Events, growth: Growth, settings: Settings
) -> None:
    post(api, b"[]", headers={})
    tell(api, events.changed("1"), secret="not-the-right-one-at-all")
    settings.WEBHOOK_SOURCES = ["192.0.2.0/24"]
    post(api, b"[]", headers={})

    for reason in ("unsigned", "wrong", "source"):
        assert growth.of("mocks_webhook_signatures_refused_total", reason=reason) == 1


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("path", "job"),
    [
        ("/api/cron/validate-cache-consistency", "validate cache"),
        ("/api/cron/sync-capacity", "recount"),
    ],
)
def test_a_job_started_by_cron_is_counted_and_remembered(
    path: str, job: str, api: Api, portal: Portal, growth: Growth, settings: Settings
) -> None:
    settings.CRON_SECRET = SECRET
    began_s = time.time()

    assert api.get(path, headers=BEARER).status == 200
    portal.sandbox.fault("status", status=503)
    api.get(path, headers=BEARER)

    assert growth.of("mocks_job_runs_total", job=job, outcome="done") >= 1
    last = value_of(shown(api), "mocks_job_last_success_timestamp_seconds", job=job)
    assert last >= began_s


def test_the_memory_of_the_worker_that_answers_is_shown(api: Api) -> None:
    memory = [value for (name, _), value in shown(api).items() if "process_memory" in name]

    assert len(memory) == 1
    assert memory[0] > 1_000_000
