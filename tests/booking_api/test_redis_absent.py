"""The API with a Redis that does not answer: nothing that a student asks for fails, and throttles
count on in this process."""

from __future__ import annotations

import logging

import pytest
from pytest_django import Settings

from booking_api.backing_services import caches as caches_setting
from booking_api.ops.health import probe_cache
from tests.api import Api
from tests.builders import Portal
from tests.server import free_port

# Who is above a limit is looked for among the pairs that were right, in the database.
pytestmark = pytest.mark.django_db


@pytest.fixture
def silent_redis(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = caches_setting(settings.REDIS_URL)


def test_students_are_served_and_throttled(
    api: Api,
    portal: Portal,
    silent_redis: None,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.THROTTLE_RATES = {"reads": (2, 60), "failed_pairs": (9, 60)}
    alice = portal.student("alice")

    with caplog.at_level(logging.WARNING):
        statuses = [api.get("/api/bookings/list", **alice.pair).status for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert [record.message for record in caplog.records].count("throttles.redis_lost") == 1


def test_readiness_notices(silent_redis: None) -> None:
    assert probe_cache() is False


def test_a_wrong_pair_is_still_refused_and_counted(
    api: Api, portal: Portal, silent_redis: None, settings: Settings
) -> None:
    settings.THROTTLE_RATES = {"reads": (9, 60), "failed_pairs": (2, 60)}
    wrong = portal.student("alice").pair | {"student_id": "S9"}

    statuses = [api.get("/api/bookings/list", **wrong).status for _ in range(3)]

    assert statuses == [401, 401, 429]
