"""What Prometheus is told of HubSpot: who asked, what was refused, when it was away."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pytest_django import Settings

from booking_api import composition
from booking_api.ops.metrics.hubspot import HubSpotMetrics
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.endpoints import Operation
from tests.api import Api, connected
from tests.builders import Portal
from tests.metrics import grown, shown, total_growth, value_of
from tests.waiting import eventually

pytestmark = pytest.mark.django_db

LISTS = "api/mock-exams/available"
LIST = f"/{LISTS}"
WINDOW = 190


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.msg for record in caplog.records if isinstance(record.msg, dict)]


def events_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [event["event"] for event in logged(caplog)]


def test_calls_are_counted_for_the_route_that_asked_and_add_up(api: Api, portal: Portal) -> None:
    portal.exam()
    before, mark = shown(api), portal.sandbox.calls_count()

    api.get(LIST, mock_type=portal.first_type.value)

    after = shown(api)
    made = portal.sandbox.calls_count() - mark
    assert made > 0
    assert grown(before, after, "mocks_hubspot_route_calls_total", route=LISTS) == made
    assert total_growth(before, after, "mocks_hubspot_call_seconds_count") == made


def test_what_nobody_is_waiting_for_is_counted_for_what_does_it(api: Api, portal: Portal) -> None:
    portal.exam()
    before = shown(api)

    composition.services().booking.recount_upcoming()

    calls = "mocks_hubspot_route_calls_total"
    assert total_growth(before, shown(api), calls, route="job: recount") > 0


def test_records_of_a_batch_are_counted_by_what_became_of_them(api: Api, portal: Portal) -> None:
    exams = [portal.exam(in_days=days).id for days in (3, 4, 5)]
    batch = composition.services().client.batch
    mock_exams = portal.profile.object_types.mock_exams
    context = CallContext(deadline=Deadline.after(20))
    before = shown(api)

    whole = batch.read(mock_exams, exams, properties=["capacity"], context=context)
    portal.sandbox.fault("status", path=f"{mock_exams}/batch/read", status=503)
    failed = batch.read(mock_exams, exams[:1], properties=["capacity"], context=context)

    after = shown(api)
    assert (len(whole.found), len(failed.unknown)) == (3, 1)
    by = {"operation": Operation.BATCH_READ}
    assert grown(before, after, "mocks_hubspot_batches_total", **by, outcome="whole") == 1
    assert grown(before, after, "mocks_hubspot_batches_total", **by, outcome="failed") == 1
    assert grown(before, after, "mocks_hubspot_batch_parts_total", **by, outcome="ok") == 3
    assert grown(before, after, "mocks_hubspot_batch_parts_total", **by, outcome="unknown") == 1


def test_a_batch_done_in_part_is_partial(api: Api, portal: Portal) -> None:
    exams = [portal.exam(in_days=days).id for days in (3, 4, 5)]
    batch = composition.services().client.batch
    mock_exams = portal.profile.object_types.mock_exams
    portal.sandbox.fault("partial", path=f"{mock_exams}/batch/update", last=1)
    before = shown(api)

    changes = {exam_id: {"capacity": "9"} for exam_id in exams}
    batch.update(mock_exams, changes, context=CallContext(deadline=Deadline.after(20)))

    after = shown(api)
    by = {"operation": Operation.BATCH_UPDATE}
    parts = "mocks_hubspot_batch_parts_total"
    assert grown(before, after, "mocks_hubspot_batches_total", **by, outcome="partial") == 1
    assert grown(before, after, parts, **by, outcome="ok") == 2
    assert total_growth(before, after, parts, **by) == 3


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("policy", "shown_as"),
    [
        ("TEN_SECONDLY_ROLLING", "ten_secondly"),
        ("SECONDLY", "secondly"),
        ("DAILY", "daily"),
    ],
)
def test_a_429_is_counted_by_its_limit_and_pauses_are_logged(
    policy: str, shown_as: str, api: Api, portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    portal.sandbox.fault("status", status=429, policy=policy, times=1)
    before = shown(api)

    api.get(LIST, mock_type=portal.first_type.value)

    after = shown(api)
    pauses = 0 if policy == "DAILY" else 1
    assert grown(before, after, "mocks_hubspot_limited_total", policy=shown_as) == 1
    assert grown(before, after, "mocks_hubspot_pauses_total") == pauses
    said = events_in(caplog)
    assert said.count("hubspot_paused") == pauses


def test_limits_are_shown_as_we_count_them_and_as_hubspot_says(api: Api, portal: Portal) -> None:
    portal.exam()
    api.get(LIST, mock_type=portal.first_type.value)

    seen = shown(api)

    assert value_of(seen, "mocks_hubspot_window_limit") == WINDOW
    assert 0 < value_of(seen, "mocks_hubspot_window_used") < WINDOW
    assert value_of(seen, "mocks_hubspot_window_left") > 0
    assert value_of(seen, "mocks_hubspot_day_used") > 0
    assert value_of(seen, "mocks_hubspot_day_limit") == 650_000
    assert value_of(seen, "mocks_hubspot_day_left") > 0
    assert value_of(seen, "mocks_hubspot_search_limit") > 0


def test_the_breaker_is_shown_and_its_opening_and_closing_are_logged_once(
    settings: Settings, portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    times = {"breaker_failures": 2, "breaker_cooldown_s": 0.2, "max_attempts": 1}
    with connected(settings, portal.sandbox, **times) as api:
        settings.CACHE = replace(settings.CACHE, enabled=False)
        composition.close()
        before = shown(api)
        fault = portal.sandbox.fault("status", status=503)

        for _ in range(4):
            api.get(LIST, mock_type=portal.first_type.value)

        away = shown(api)
        assert value_of(away, "mocks_hubspot_breaker_state") == 2
        assert grown(before, away, "mocks_hubspot_breaker_openings_total") == 1
        portal.sandbox.clear_faults(fault)
        eventually(lambda: api.get(LIST, mock_type=portal.first_type.value).status == 200)
        assert value_of(shown(api), "mocks_hubspot_breaker_state") == 0

    said = events_in(caplog)
    assert said.count("hubspot_breaker_opened") == said.count("hubspot_breaker_closed") == 1


def test_a_long_wait_is_counted_and_logged(
    settings: Settings, portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with connected(settings, portal.sandbox, requests_per_window=1, window_s=4.0) as api:
        contacts = portal.profile.object_types.contacts
        alice = portal.student("alice")
        batch = composition.services().client.batch
        context = CallContext(deadline=Deadline.after(20), meters=(CallMeter("desk"),))
        before = shown(api)

        for _ in range(2):
            batch.read(contacts, [alice.id], properties=["email"], context=context)

        waits = "mocks_hubspot_long_waits_total"
        assert grown(before, shown(api), waits, operation=Operation.BATCH_READ) == 1
    [waited] = [event for event in logged(caplog) if event["event"] == "hubspot_waited_long"]
    assert (waited["asked_by"], waited["operation"]) == ("desk", Operation.BATCH_READ)
    assert waited["waited_s"] > 1


def test_before_hubspot_has_said_how_many_are_left_nothing_is_shown_as_none_left() -> None:
    registry = CollectorRegistry()

    HubSpotMetrics(registry)

    for name in ("mocks_hubspot_window_left", "mocks_hubspot_day_left"):
        assert math.isnan(registry.get_sample_value(name) or 0.0)
