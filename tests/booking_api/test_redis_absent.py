"""The API with a Redis that does not answer: nothing that a student asks for fails."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from pytest_django import Settings

from booking_api.backing_services import caches as caches_setting
from booking_api.ops.health import probe_cache
from tests.api import Api
from tests.builders import Portal
from tests.server import free_port


@pytest.fixture
def silent_redis(settings: Settings) -> None:
    settings.CACHES = caches_setting(f"redis://127.0.0.1:{free_port()}/0")


def test_students_are_served_and_nobody_is_throttled(
    api: Api, portal: Portal, silent_redis: None, settings: Settings
) -> None:
    settings.THROTTLE_RATES = {"reads": (1, 60), "failed_pairs": (1, 60)}
    alice = portal.student("alice")

    statuses = {api.get("/api/bookings/list", **alice.pair).status for _ in range(3)}

    assert statuses == {200}


def test_readiness_notices(silent_redis: None) -> None:
    assert probe_cache() is False


def test_a_wrong_pair_is_still_refused(api: Api, portal: Portal, silent_redis: None) -> None:
    alice = portal.student("alice")

    assert api.get("/api/bookings/list", **alice.pair | {"student_id": "S9"}).status == 401
    assert caches["throttles"].get("anything") is None
