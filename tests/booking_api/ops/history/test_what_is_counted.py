"""What a process does is counted for the console: bookings, calls, the cache, webhooks, jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.ops.history.models import HistoryRow
from booking_api.ops.history.process import History, history, read_shared_clock, start_history
from booking_api.ops.history.reading import list_job_runs, read_history
from booking_api.ops.now.picture import midnight_before
from tests.api import Api
from tests.builders import Portal
from tests.desk import cancel, create
from tests.webhooks import Events, apply_waiting, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def counting() -> Iterator[History]:
    """A process that has counted nothing yet."""
    history.cache_clear()
    start_history()
    yield history()
    history.cache_clear()


def measured(counting: History) -> Any:
    """The last hour, once this process has written."""
    counting.write()
    now = read_shared_clock()
    return read_history(now, midnight_before(now, composition.services())).hour


def test_bookings_are_counted_by_what_became_of_them(
    api: Api, portal: Portal, counting: History
) -> None:
    alice, exam = portal.student("alice"), portal.exam(capacity=1)
    made = create(api, alice, exam)
    create(api, portal.student("bob"), exam)
    cancel(api, alice, made.data["booking_record_id"])
    api.post("/api/bookings/create", student_id="nobody")

    hour = measured(counting)

    assert hour.by_rest("asked") == {"made": 1, "EXAM_FULL": 1, "VALIDATION_ERROR": 1}
    assert hour.total("desk", "create", "done") == 1
    assert hour.total("desk", "create", "EXAM_FULL") == 1
    assert hour.total("desk", "cancel", "done") == 1
    assert hour.by_rest("requests") == {"answered": 2, "refused": 2}
    assert hour.total("calls") > 5
    assert hour.total("calls", "objects.batch_create") > 0


def test_monitors_and_pages_are_nobodys_request(api: Api, counting: History) -> None:
    for path in ("/api/health", "/api/ready", "/metrics", "/admin/login/"):
        api.get(path)

    assert measured(counting).total("requests") == 0


def test_the_cache_is_counted_by_family(api: Api, portal: Portal, counting: History) -> None:
    alice = portal.student("alice")
    for _ in range(2):
        assert api.get("/api/bookings/list", **alice.pair).status == 200

    hour = measured(counting)

    assert hour.total("hits") > 0
    assert hour.total("misses") > 0
    assert set(hour.by_rest("hits")) <= {
        family.name for family in composition.services().cached.cache.catalogue
    }


def test_a_silent_hubspot_and_429s_are_counted(api: Api, portal: Portal, counting: History) -> None:
    alice = portal.student("alice")
    portal.sandbox.fault("status", status=429, times=1)
    api.get("/api/bookings/list", **alice.pair)
    portal.sandbox.fault("status", status=503)
    for _ in range(8):
        api.get("/api/bookings/list", student_id=alice.student_id, email="other@example.org")

    hour = measured(counting)

    assert hour.total("limited") == 1
    assert hour.total("failed calls") > 0
    assert hour.total("breaker opened") == 1
    assert hour.peak("breaker") > 0


@pytest.mark.usefixtures("webhook_secret")
def test_webhooks_are_counted_with_their_delay(
    api: Api, portal: Portal, events: Events, counting: History
) -> None:
    alice = portal.student("alice")

    assert tell(api, events.contact("propertyChange", alice.id, propertyName="email")).status == 200
    apply_waiting()

    hour = measured(counting)
    assert hour.total("events", "received") == 1
    assert hour.total("events", "applied") == 1
    assert hour.total("delays") == 1


def test_a_job_by_a_cron_address_leaves_its_run(
    api: Api, settings: Settings, counting: History
) -> None:
    settings.CRON_SECRET = "a secret of the cron's"

    api.get("/api/cron/sync-capacity", headers={"Authorization": f"Bearer {settings.CRON_SECRET}"})
    counting.write()

    assert [(run.job, run.failure) for run in list_job_runs()] == [("recount", "")]


def test_a_quiet_process_writes_a_row_a_minute_and_no_more(api: Api, counting: History) -> None:
    for _ in range(5):
        counting.write()

    assert HistoryRow.objects.count() <= 2
