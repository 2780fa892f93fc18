"""What our families keep comes back as it was, and their keys say of nobody who it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings
from redis import Redis

from booking_api import composition
from cache_layer import CacheConfig, Catalogue
from cache_layer.entries.values import ValueCodec
from hubspot_sync.reading.family_coverage import PARTS_OF_FAMILIES
from tests.api import Api, connected
from tests.builders import Portal
from tests.cache_layer.conftest import redis_prefix, redis_url

__all__ = ["redis_prefix", "redis_url"]

pytestmark = pytest.mark.django_db

# A mark of an invalidation has an @ between two numbers.
NAMES_HER = re.compile(rb"alice|moreau|@example|%40", re.IGNORECASE)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# So far from the ends of time that every zone has it.
INSTANTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS | st.just(UTC))  # noqa: DTZ001
for kind, strategy in (
    (datetime, INSTANTS),
    (Decimal, st.decimals(allow_nan=False)),
    (int, st.integers(-(2**63), 2**64 - 1)),
):
    st.register_type_strategy(kind, strategy)

FAMILIES = {
    "contacts",
    "exams-of-type",
    "bookings",
    "exams",
    "contact-enrollments",
    "contact-bookings",
    "exam-bookings",
    "booking-mockexam",
    "booking-contact",
    "kept-links",
    "seats",
    "credits",
    "type-credits",
    "booking-pages",
    "wrong-pairs",
}


def catalogue() -> Catalogue:
    return composition.services().cached.cache.catalogue


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", sorted(FAMILIES))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_familys_values_come_back_equal_in_every_field(
    name: str, api: Api, data: st.DataObject
) -> None:
    codec: ValueCodec[Any] = catalogue().family(name).values
    value = data.draw(st.from_type(codec.value_type))

    back = codec.decode(codec.encode(value))

    assert back == value
    # Of Seats, a field is not compared.
    assert repr(as_seen(back)) == repr(as_seen(value))


def as_seen(value: Any) -> Any:
    """A value with its instants in one zone, so that what is left to compare is all of it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(fold=0)
    if isinstance(value, tuple | list):
        return [as_seen(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_seen(item) for key, item in value.items()}
    slots = getattr(type(value), "__slots__", None)
    return {name: as_seen(getattr(value, name)) for name in slots} if slots else value


def test_every_family_is_among_them(api: Api) -> None:
    assert {family.name for family in catalogue()} == FAMILIES


def test_every_family_says_of_what_it_is_built(api: Api) -> None:
    """What nobody has thought about would never be proven, or by the wrong events."""
    assert {family.name for family in catalogue()} == set(PARTS_OF_FAMILIES)


@pytest.mark.redis
def test_nothing_in_redis_but_the_values_names_a_student(
    settings: Settings, portal: Portal, redis_url: str, redis_prefix: str
) -> None:
    alice, exam = portal.student("alice"), portal.exam(in_days=3)
    portal.booking(alice, exam)
    cache = CacheConfig(redis_url=redis_url, key_prefix=redis_prefix, key_secrets=("a secret",))
    with connected(settings, portal.sandbox, cache=cache) as api:
        for _ in range(2):
            assert api.get("/api/bookings/list", **alice.pair).status == 200
        assert api.post("/api/mock-exams/validate-credits", mock_type="clinical", **alice.pair)
        held = composition.services().cached.cache
        assert held.peek(f"contact:{alice.email}:details")
        with Redis.from_url(redis_url) as redis:
            kept = everything_but_payloads(redis, redis_prefix)
            assert len(kept) > 20
            assert [text for text in kept if NAMES_HER.search(text)] == []
            done = held.invalidator.invalidate_keys(
                [f"contact:{alice.email}:details"], cause="forced"
            )
            assert done.removed == {"contacts": 1}
            kept = everything_but_payloads(redis, redis_prefix)
            assert [text for text in kept if NAMES_HER.search(text)] == []


def everything_but_payloads(redis: Redis, prefix: str) -> list[bytes]:
    """All names, members, fields and values under a prefix."""
    found: list[bytes] = []
    for key in redis.scan_iter(f"{{{prefix}}}:*", count=1000):
        found.append(key)
        kind = redis.type(key)
        if kind == b"hash":
            found.extend(chain.from_iterable(redis.hgetall(key).items()))
        elif kind == b"zset":
            found.extend(redis.zrange(key, 0, -1))
    return found
