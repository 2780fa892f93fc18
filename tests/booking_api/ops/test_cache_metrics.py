"""What Prometheus is told of the cache."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from booking_api import composition
from cache_layer import CacheConfig, Cause
from cache_layer.operating.audit import validate_and_record
from hubspot_sync.reading.tags import contact_tag
from tests.api import Api, connected
from tests.builders import Portal
from tests.metrics import grown, shown, total_growth, value_of

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
READS = "mocks_cache_reads_total"


def invalidate(contact_id: str) -> None:
    invalidator = composition.services().cached.cache.invalidator
    invalidator.invalidate_tags({contact_tag(contact_id)}, cause=Cause.FORCED)


def test_hits_and_misses_and_how_old_entries_came_to_be(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    cold = shown(api)
    api.get(LIST, **alice.pair)
    warm = shown(api)
    api.get(LIST, **alice.pair)
    invalidate(alice.id)
    dropped = shown(api)
    api.get(LIST, **alice.pair)
    after = shown(api)

    assert total_growth(cold, warm, READS, result="miss", reason="cold") > 0
    assert total_growth(warm, dropped, READS, result="miss") == 0
    assert total_growth(warm, dropped, READS, result="hit") > 0
    assert total_growth(dropped, after, READS, result="miss", reason="invalidated") > 0
    ages, removals = "mocks_cache_entry_age_seconds_count", "mocks_cache_removals_total"
    ended = total_growth(warm, dropped, ages, cause="invalidated")
    assert ended == total_growth(warm, dropped, removals, cause="forced") > 0
    assert grown(warm, dropped, "mocks_cache_invalidations_total", cause="forced") == 1
    assert total_growth(cold, after, "mocks_cache_loads_total", outcome="loaded") > 0


def test_families_are_those_of_the_catalogue(api: Api, portal: Portal) -> None:
    api.get(LIST, **portal.student("alice").pair)

    declared = {family.name for family in composition.services().cached.cache.catalogue}
    seen = {
        dict(labels)["family"]
        for name, labels in shown(api)
        if name.startswith("mocks_cache_") and "family" in dict(labels)
    }
    assert seen <= declared


def test_what_is_held_is_shown_with_what_it_takes(api: Api, portal: Portal) -> None:
    composition.services()
    before = value_of(shown(api), "mocks_cache_entries")
    api.get(LIST, **portal.student("alice").pair)
    seen = shown(api)

    assert value_of(seen, "mocks_cache_entries") > before
    assert value_of(seen, "mocks_cache_bytes") > 0
    assert value_of(seen, "mocks_cache_bypassed") == 0


def test_a_cache_that_is_away_is_bypassed(settings: Settings, portal: Portal) -> None:
    nobody = CacheConfig(
        redis_url="redis://127.0.0.1:1/0", key_prefix="nobody", key_secrets=("a secret",)
    )
    with connected(settings, portal.sandbox, cache=nobody) as api:
        before = shown(api)
        api.get(LIST, **portal.student("alice").pair)
        after = shown(api)

    assert value_of(after, "mocks_cache_bypassed") == 1
    assert total_growth(before, after, READS, result="miss", reason="bypass") > 0
    assert total_growth(before, after, "mocks_cache_errors_total") > 0


def test_a_cache_that_is_switched_off_is_not_bypassed(settings: Settings, portal: Portal) -> None:
    with connected(settings, portal.sandbox, cache=CacheConfig(enabled=False)) as api:
        api.get(LIST, **portal.student("alice").pair)

        assert value_of(shown(api), "mocks_cache_bypassed") == 0


def test_drift_and_validations_are_counted(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    api.get(LIST, **alice.pair)
    before = shown(api)
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, credits_osce="1")

    found = composition.cache_host()
    validate_and_record(found, who="test")
    validate_and_record(found, who="test")

    after = shown(api)
    assert total_growth(before, after, "mocks_cache_drift_total") > 0
    runs = "mocks_cache_validations_total"
    assert grown(before, after, runs, outcome="drifted") == 1
    assert grown(before, after, runs, outcome="clean") == 1
