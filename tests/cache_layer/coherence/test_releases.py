"""Two releases on one store: each keeps its own values, and hears of every invalidation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, make_dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache_layer import (
    ArgumentType,
    Cache,
    CacheConfig,
    CacheStatus,
    Catalogue,
    Cause,
    Count,
    Family,
    FreshValue,
    HiddenNames,
    Key,
    KeyPattern,
    LoadedValue,
    LoadResult,
    ValueCodec,
    WriteResult,
    open_cache,
)
from cache_layer.backends.base import Backend
from cache_layer.backends.locmem import LocMemBackend
from cache_layer.backends.redis import RedisBackend
from cache_layer.operating.validation import Validator
from tests.cache_layer.conftest import MakeRedis
from tests.cache_layer.truth import Gate
from tests.waiting import WAIT_LIMIT_S

Before = make_dataclass("Room", [("edition", int)], frozen=True, slots=True)
After = make_dataclass("Room", [("name", str), ("edition", int)], frozen=True, slots=True)
ROOMS = ("1", "2")


class School:
    """Rooms as they are: how often each was changed. `during_load` runs within the next load, after
    it has read."""

    def __init__(self) -> None:
        self.editions = dict.fromkeys(ROOMS, 0)
        self.during_load: Callable[[], object] = lambda: None

    def read(self, ids: Sequence[str]) -> dict[str, int]:
        read = {room: self.editions[room] for room in ids}
        during, self.during_load = self.during_load, lambda: None
        during()
        return read


@dataclass(frozen=True)
class Host:
    """A process of one release."""

    cache: Cache
    family: Family[Any, None]
    room: Callable[[int], Any]

    def read(self, room_id: str) -> Any:
        key = self.family.key(id=room_id)
        return self.cache.reader.read(self.family, key, None, wait_s=WAIT_LIMIT_S)

    def write(self, school: School, room_id: str) -> None:
        """Change a room, as the desk does."""

        def change() -> WriteResult[None]:
            school.editions[room_id] += 1
            loaded = LoadedValue.built_from(self.room(school.editions[room_id]), {tag(room_id)})
            return WriteResult(None, [FreshValue(self.family, self.family.key(id=room_id), loaded)])

        self.cache.guarded_store.write_through({tag(room_id)}, change)

    def unreadable(self) -> dict[str, int]:
        return dict(self.cache.counters.snapshot().by_detail(Count.UNREADABLE))


def tag(room_id: str) -> str:
    return f"room:{room_id}"


def open_host(
    school: School, backend: Backend, room: Callable[[int], Any], origin: str = ""
) -> Host:
    def load(keys: Sequence[Key], _: None) -> LoadResult[Any]:
        editions = school.read([key.arguments["id"] for key in keys])
        return LoadResult(
            loaded={
                key: LoadedValue.built_from(
                    room(editions[key.arguments["id"]]), {tag(key.arguments["id"])}
                )
                for key in keys
            }
        )

    family = Family(
        name="rooms",
        patterns=(KeyPattern("room:{id}:details"),),
        values=ValueCodec(type(room(0))),
        ttl_s=60.0,
        load_many=load,
    )
    config = CacheConfig(origin=origin, retry_s=0.01)
    return Host(open_cache(Catalogue([family]), config, backend=backend), family, room)


def before(edition: int) -> Any:
    return Before(edition=edition)


def after(edition: int) -> Any:
    return After(name="Hall", edition=edition)


MakeView = Callable[[], Backend]


@pytest.fixture(params=["locmem", pytest.param("redis", marks=pytest.mark.redis)])
def view(request: pytest.FixtureRequest) -> MakeView:
    """Makes views of one store, as each process has its own."""
    if request.param == "locmem":
        one: LocMemBackend = request.getfixturevalue("make_locmem")()
        return lambda: one
    make: Callable[[], RedisBackend] = request.getfixturevalue("make_redis")
    return make


@contextmanager
def two_releases(view: MakeView) -> Iterator[tuple[School, Host, Host]]:
    school = School()
    with ExitStack() as stack:
        hosts = [open_host(school, view(), room) for room in (before, after)]
        for host in hosts:
            host.cache.guarded_store.flush(lambda _: True, cause=Cause.FORCED)
            stack.callback(host.cache.single_flight.close)
        yield school, hosts[0], hosts[1]


def test_a_deployment_forth_and_back_reads_each_value_as_what_it_is(view: MakeView) -> None:
    with two_releases(view) as (_, yesterday, today):
        for host in (yesterday, today, yesterday):
            assert host.read("1").cache_status is CacheStatus.MISS
            assert [host.read("1").value for _ in range(2)] == [host.room(0)] * 2
            assert host.read("1").cache_status is CacheStatus.HIT

        # Seen by the reader, and by the load before it asks the truth.
        assert set(today.unreadable()) == set(yesterday.unreadable()) == {"other version"}
        assert today.cache.backend.size().entries == {"rooms": 1}
        assert today.cache.counters.snapshot().total(Count.INVALIDATIONS) == 1  # the test's own


def test_what_another_release_keeps_is_left_to_it(view: MakeView) -> None:
    with two_releases(view) as (_, yesterday, today):
        yesterday.read("1")

        assert today.cache.invalidator.preview_tags([tag("1")]) == 1
        today.cache.guarded_store.look_up([today.family.key(id="1")])

        assert yesterday.read("1").cache_status is CacheStatus.HIT


@pytest.mark.parametrize("by_pattern", [False, True], ids=["by tag", "by pattern"])
def test_each_hears_of_the_others_invalidations(view: MakeView, by_pattern: bool) -> None:
    with two_releases(view) as (school, *hosts):
        for teller, keeper in (hosts, hosts[::-1]):
            keeper.read("1")
            school.editions["1"] += 1
            if by_pattern:
                done = teller.cache.invalidator.invalidate_pattern("room:*", cause=Cause.FORCED)
            else:
                done = teller.cache.invalidator.invalidate_tags([tag("1")], cause=Cause.WEBHOOK)

            assert done.total_removed == 1
            assert keeper.read("1").value == keeper.room(school.editions["1"])


def test_a_load_that_the_other_release_overtakes_is_not_kept(view: MakeView) -> None:
    with two_releases(view) as (school, yesterday, today):
        school.during_load = lambda: today.write(school, "1")

        assert yesterday.read("1").value == before(0)
        assert yesterday.read("1").value == before(1)


ACTIONS = st.sampled_from(["read", "write", "tell", "flush"])
# Within a load of one release acts the other: nobody reads what waits for the reader.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        ACTIONS,
        st.sampled_from(ROOMS),
        st.none() | st.tuples(ACTIONS, st.sampled_from(ROOMS)),
    ),
    min_size=2,
    max_size=12,
)


@pytest.mark.sampled
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_whatever_two_releases_do_nothing_read_is_old_or_another_kind(
    view: MakeView, steps: list[Any]
) -> None:
    """A reader may be told what was true when it came; whoever comes later may not."""
    with two_releases(view) as (school, *hosts):

        def act(number: int, action: str, room_id: str) -> None:
            host, since = hosts[number], school.editions[room_id]
            if action == "read":
                value = host.read(room_id).value
                assert since <= value.edition <= school.editions[room_id]
                assert value == host.room(value.edition)
            elif action == "write":
                host.write(school, room_id)
            elif action == "tell":
                school.editions[room_id] += 1
                host.cache.invalidator.invalidate_tags([tag(room_id)], cause=Cause.WEBHOOK)
            else:
                school.editions[room_id] += 1
                host.cache.invalidator.invalidate_family("rooms", cause=Cause.FORCED)

        for number, action, room_id, meanwhile in steps:
            if meanwhile is not None and action == "read":
                school.during_load = partial(act, 1 - number, *meanwhile)
            act(number, action, room_id)
            school.during_load = lambda: None
        for host in hosts:
            for room_id in ROOMS:
                assert host.read(room_id).value == host.room(school.editions[room_id])


def test_values_from_another_account_are_never_served(view: MakeView) -> None:
    ours, theirs = School(), School()
    theirs.editions["1"] = 99
    here = open_host(ours, view(), before, origin="one token")
    there = open_host(theirs, view(), before, origin="another")

    assert there.read("1").value == before(99)
    assert here.read("1").value == before(0)
    assert there.cache.invalidator.invalidate_tags([tag("1")], cause=Cause.FORCED).removed == {
        "rooms": 1
    }
    assert here.read("1").cache_status is CacheStatus.MISS
    here.cache.single_flight.close()
    there.cache.single_flight.close()


@pytest.mark.redis
def test_nobody_waits_for_what_only_another_release_can_use(make_redis: MakeRedis) -> None:
    with two_releases(make_redis) as (school, yesterday, today), ThreadPoolExecutor() as threads:
        school.during_load = gate = Gate()
        slow = threads.submit(yesterday.read, "1")
        gate.wait_until_reached()

        assert today.read("1").value == after(0)

        assert not slow.done()
        gate.open()
        assert slow.result(WAIT_LIMIT_S).value == before(0)


Hall = make_dataclass("Hall", [("edition", int)], frozen=True, slots=True)


def test_a_key_that_another_release_has_in_another_family_is_read_as_what_it_is(
    view: MakeView,
) -> None:
    """Both know the family that one of them has stored it in, and its version there."""

    def open_with(*families: tuple[str, str, type]) -> tuple[Cache, dict[str, Family[Any, None]]]:
        def load(room: type, keys: Sequence[Key], _: None) -> LoadResult[Any]:
            return LoadResult(
                loaded={key: LoadedValue.built_from(room(edition=7), {tag("1")}) for key in keys}
            )

        made: dict[str, Family[Any, None]] = {}
        for name, pattern, room in families:
            patterns = (*made[name].patterns, KeyPattern(pattern)) if name in made else None
            made[name] = Family(
                name=name,
                patterns=patterns or (KeyPattern(pattern),),
                values=ValueCodec(room),
                ttl_s=60.0,
                load_many=partial(load, room),
            )
        cache = open_cache(Catalogue(list(made.values())), CacheConfig(), backend=view())
        return cache, made

    whole, halls = "room:{id}:details", "room:{hall}:hall"
    yesterday, before_split = open_with(("rooms", whole, Before), ("rooms", halls, Before))
    today, after_split = open_with(("rooms", whole, Before), ("halls", halls, Hall))

    def read(cache: Cache, family: Family[Any, None]) -> tuple[CacheStatus, Any]:
        found = cache.reader.read(family, family.key(hall="1"), None, wait_s=WAIT_LIMIT_S)
        return found.cache_status, found.value

    for _ in range(2):
        for cache, family, value in (
            (yesterday, before_split["rooms"], Before(edition=7)),
            (today, after_split["halls"], Hall(edition=7)),
        ):
            assert read(cache, family) == (CacheStatus.MISS, value)
            assert read(cache, family) == (CacheStatus.HIT, value)
    for cache in (yesterday, today):
        cache.single_flight.close()


# One release, whose secret is replaced.

SECRETS = {"before": ("old",), "between": ("new", "old"), "after": ("new",)}
EMAIL = "anna@example.org"


def open_people(backend: Backend, secrets: Sequence[str]) -> tuple[Cache, Family[str, None]]:
    def load(keys: Sequence[Key], _: None) -> LoadResult[str]:
        by_email = {key.arguments["email"]: key for key in keys}  # as HubSpot is asked
        return LoadResult(
            loaded={key: LoadedValue.built_from(email, ()) for email, key in by_email.items()}
        )

    family = Family(
        name="people",
        patterns=(
            KeyPattern(
                "contact:{email}:details",
                HiddenNames.of_secrets(secrets),
                email=ArgumentType.EMAIL,
            ),
        ),
        values=ValueCodec(str),
        ttl_s=60.0,
        load_many=load,
        emails_of=lambda email: (email,),
    )
    return open_cache(Catalogue([family]), CacheConfig(retry_s=0.01), backend=backend), family


@pytest.mark.parametrize(
    ("teller", "keeper"),
    [
        (one, other)
        for one in SECRETS
        for other in SECRETS
        if {one, other} != {"before", "after"}  # between them all have the new one before the old
    ],
)
def test_who_names_an_email_finds_what_is_kept_under_the_other_secret(
    view: MakeView, teller: str, keeper: str
) -> None:
    telling, _ = open_people(view(), SECRETS[teller])
    keeping, family = open_people(view(), SECRETS[keeper])
    key, name = family.key(email=EMAIL), f"contact:{EMAIL}:details"

    def read() -> CacheStatus:
        return keeping.reader.read(family, key, None, wait_s=WAIT_LIMIT_S).cache_status

    assert [read(), read()] == [CacheStatus.MISS, CacheStatus.HIT]

    assert telling.invalidator.preview_keys([name]) == 1
    done = telling.invalidator.invalidate_keys([name], cause=Cause.FORCED)

    assert done.removed == {"people": 1}
    assert EMAIL not in repr(done)
    assert read() is CacheStatus.MISS
    for cache in (telling, keeping):
        cache.single_flight.close()


def test_each_process_checks_what_it_serves_under_its_own_secret(view: MakeView) -> None:
    """What is kept of one person under two names is one question to the truth."""
    people = [open_people(view(), SECRETS[each]) for each in ("before", "between")]
    for cache, family in people:
        cache.reader.read(family, family.key(email=EMAIL), None, wait_s=WAIT_LIMIT_S)
    assert people[0][0].backend.size().entries == {"people": 2}

    for cache, _ in people:
        assert Validator(cache).run(None, sample=None).by_family == {"people": {"same": 1}}
        cache.single_flight.close()


def test_what_is_built_from_an_entry_has_only_the_tags_of_its_value(view: MakeView) -> None:
    cache, family = open_people(view(), SECRETS["between"])
    for _ in range(2):
        read = cache.reader.read(family, family.key(email=EMAIL), None, wait_s=WAIT_LIMIT_S)
        assert (read.value, read.tags) == (EMAIL, frozenset())
    cache.single_flight.close()
