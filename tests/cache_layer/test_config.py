"""Cache settings that cannot work are refused with a sentence naming the key."""

from __future__ import annotations

from typing import Any

import pytest

from cache_layer.config import CacheConfig
from cache_layer.errors import ConfigurationError


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"ttls_s": {"CACHE_TTL_CONTACTS": 0}}, "CACHE_TTL_CONTACTS"),
        ({"ttls_s": {"CACHE_TTL_CONTACTS": -5}}, "CACHE_TTL_CONTACTS"),
        ({"ttls_s": {"CACHE_TTL_CONTACTS": float("nan")}}, "CACHE_TTL_CONTACTS"),
        ({"ttls_s": {"CACHE_TTL_CONTACTS": 10**9}}, "CACHE_TTL_CONTACTS"),
        ({"ttls_s": {"CACHE_TTL_CONTACT": 60}}, "CACHE_TTL_CONTACT"),
        ({"max_entries": 0}, "CACHE_MAX_ENTRIES"),
        ({"max_bytes": 0}, "CACHE_MAX_BYTES"),
        ({"max_bytes": 1024 * 1024 - 1}, "CACHE_MAX_BYTES"),
        ({"rollout_percentage": 101}, "CACHE_ROLLOUT_PERCENTAGE"),
        ({"rollout_percentage": -1}, "CACHE_ROLLOUT_PERCENTAGE"),
        ({"redis_url": "localhost:6379"}, "REDIS_URL"),
        ({"key_prefix": "a{b}"}, "CACHE_KEY_PREFIX"),
        ({"redis_url": "redis://host/0"}, "SECRET_KEY"),
        ({"redis_url": "redis://host/0", "key_secrets": ("a", "")}, "SECRET_KEY"),
        ({"load_horizon_s": 0}, "CACHE_LOAD_HORIZON_S"),
        ({"load_lease_s": 0}, "CACHE_LOAD_LEASE_S"),
        ({"loader_threads": 0}, "CACHE_LOADER_THREADS"),
        ({"redis_timeout_s": 0}, "CACHE_REDIS_TIMEOUT_S"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        CacheConfig(**values)


def test_a_time_to_live_left_out_keeps_its_default() -> None:
    config = CacheConfig(ttls_s={"CACHE_TTL_CONTACTS": 5})

    assert config.ttl_s("CACHE_TTL_CONTACTS") == 5
    assert config.ttl_s("CACHE_TTL_USER_CREDITS") == 1800


def test_the_address_of_redis_is_not_printed() -> None:
    assert "secret" not in repr(
        CacheConfig(redis_url="redis://:secret@host/0", key_secrets=("secret",))
    )
