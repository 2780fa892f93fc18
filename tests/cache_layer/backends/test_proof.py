"""What each backend does with the feed's proof: what it holds for it, serves by it, and counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs
from redis import Redis

from cache_layer.backends.base import Backend, Refusal
from cache_layer.endings import Ended, Ending
from cache_layer.entries.entries import Entry
from tests.cache_layer.conftest import MakeLocMem, MakeRedis
from tests.cache_layer.shifted_redis import RedisClock, shift_time
from tests.cache_layer.support import Clock, entry, payload_at

TTL_S, SETTLE_S, SILENCE_MS, CONFIRMED_S = 60.0, 40.0, 30_000, 600.0
EPOCH = "an epoch"


class Held:
    """A backend in an epoch that covers exams, and its time."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self.backend, self.clock = backend, clock
        self.told: list[Ending] = []
        backend.observe_endings(self.told.extend)
        assert backend.begin_epoch(EPOCH, ["exam"], 1)
        clock.advance(SETTLE_S + 1)
        self.confirm()

    def confirm(self) -> None:
        now_ms = self.backend.read_proof().now_ms
        assert self.backend.confirm(EPOCH, now_ms, now_ms + SILENCE_MS, 1)

    def store(self, key: str, stored: Entry) -> None:
        assert self.backend.store(self.backend.look_up(()).ticket, {key: stored}).refused == {}

    def outlive(self, key: str = "k") -> None:
        """Store an entry, and let its time to live pass."""
        self.store(key, provable())
        self.clock.advance(TTL_S + 1)
        self.confirm()
        assert payload_at(self.backend, key) == b"v"


def provable(**changes: object) -> Entry:
    made = entry(tags=["exam:9", "exams/all"], ttl_s=TTL_S)
    return structs.replace(made, epoch=EPOCH, keep_s=CONFIRMED_S, **changes)  # type: ignore[arg-type]  # by name


@pytest.fixture(params=["locmem", pytest.param("redis", marks=pytest.mark.redis)])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    if request.param == "locmem":
        make_locmem: MakeLocMem = request.getfixturevalue("make_locmem")
        backend = make_locmem(max_entries=4, settle_s=SETTLE_S)
        yield Held(backend, request.getfixturevalue("clock"))
        return
    shift_time(monkeypatch)
    make_redis: MakeRedis = request.getfixturevalue("make_redis")
    with Redis.from_url(request.getfixturevalue("redis_url")) as client:
        clock = RedisClock(client, request.getfixturevalue("redis_prefix"))
        backend = make_redis(max_entries=4, settle_s=SETTLE_S, ttl_confirmed_s=CONFIRMED_S)
        yield Held(backend, clock)


def test_an_entry_comes_back_as_it_was_stored_and_says_that_it_is_proven(held: Held) -> None:
    held.store("k", provable())
    fresh = held.backend.look_up(["k"]).entries["k"]
    held.clock.advance(TTL_S + 1)
    held.confirm()

    old = held.backend.look_up(["k"]).entries["k"]

    assert fresh.entry == old.entry == provable()
    assert fresh.proven
    assert old.proven
    assert fresh.ttl_left_s > 0 > old.ttl_left_s
    assert TTL_S < old.age_s < old.age_s + old.keep_left_s <= CONFIRMED_S + 0.01


def test_one_that_outlives_is_held_counted_and_no_expiry(held: Held) -> None:
    held.outlive()

    size = held.backend.size()

    assert (size.entries, size.payload_bytes, size.expired) == ({"exam": 1}, {"exam": 1}, {})
    assert {key for page in held.backend.scan_keys() for key in page} == {"k"}
    assert held.told == []


@pytest.mark.parametrize("seen_by", ["a look", "a count"])
def test_without_proof_it_expires_where_the_proof_lapsed(held: Held, seen_by: str) -> None:
    held.outlive()
    assert held.backend.size().entries == {"exam": 1}
    held.clock.advance(31)

    expired = (
        held.backend.look_up(["k"]).expired if seen_by == "a look" else held.backend.size().expired
    )

    assert expired == {"exam": 1}
    assert held.backend.size().entries == {}
    [ending] = held.told
    assert ending.cause is Ended.EXPIRED
    assert ending.age_s == pytest.approx(TTL_S + 1 + 30, abs=1)


def test_it_expires_as_the_proof_is_ended(held: Held) -> None:
    held.outlive()
    held.store("young", provable())
    assert held.backend.size().entries == {"exam": 2}

    assert held.backend.end_proof(1) == {"exam": 1}

    assert held.backend.size().entries == {"exam": 1}
    assert payload_at(held.backend, "young") == b"v"
    assert [(ending.key, ending.cause) for ending in held.told] == [("k", Ended.EXPIRED)]


def test_one_that_outlives_goes_with_its_tag_and_is_counted_as_invalidated(held: Held) -> None:
    held.outlive()

    assert held.backend.invalidate(["exam:9"], []) == {"exam": 1}

    [ending] = held.told
    assert ending.cause is Ended.INVALIDATED
    assert ending.age_s > TTL_S


def test_what_expired_goes_before_what_outlives(held: Held) -> None:
    held.outlive("old")
    held.backend.look_up(["old"])
    for number in range(3):
        held.store(f"short{number}", entry(ttl_s=1))
    held.clock.advance(2)

    stored = held.backend.store(
        held.backend.look_up(()).ticket, {f"new{number}": entry() for number in range(3)}
    )

    assert (stored.evicted, stored.expired) == ({}, {"exam": 3})
    assert payload_at(held.backend, "old") == b"v"


def test_without_proof_what_outlived_goes_before_the_least_recently_used(held: Held) -> None:
    held.store("used least", entry(ttl_s=1_000))
    held.outlive("old")
    for number in range(2):
        held.store(f"k{number}", entry(ttl_s=1_000))
    held.backend.look_up(["old"])
    held.clock.advance(31)

    stored = held.backend.store(held.backend.look_up(()).ticket, {"new": entry()})

    assert (stored.evicted, stored.expired) == ({}, {"exam": 1})
    assert payload_at(held.backend, "used least") == b"v"


def test_it_is_proven_again_once_the_feed_is_back(held: Held) -> None:
    held.store("k", provable())
    held.clock.advance(TTL_S + 1)
    assert not held.backend.read_proof().proof.holds_at(held.backend.read_proof().now_ms)
    held.confirm()

    assert payload_at(held.backend, "k") == b"v"


def test_no_proof_lifts_its_own_end(held: Held) -> None:
    held.store("k", structs.replace(provable(), keep_s=TTL_S + 10))
    held.clock.advance(TTL_S + 5)
    held.confirm()
    before = payload_at(held.backend, "k")
    held.clock.advance(6)
    held.confirm()

    assert (before, payload_at(held.backend, "k")) == (b"v", None)


def test_it_is_not_kept_for_ever(held: Held) -> None:
    held.store("k", provable())
    held.clock.advance(CONFIRMED_S - 1)
    held.confirm()
    before = payload_at(held.backend, "k")
    held.clock.advance(2)
    held.confirm()

    assert (before, payload_at(held.backend, "k")) == (b"v", None)


def test_one_may_live_by_proof_alone(held: Held) -> None:
    born_old = structs.replace(provable(), ttl_s=0.0)
    held.store("k", born_old)
    unproven = held.backend.store(
        held.backend.look_up(()).ticket, {"other": structs.replace(born_old, epoch="")}
    )
    uncovered = held.backend.store(
        held.backend.look_up(()).ticket, {"page": structs.replace(born_old, family="page")}
    )

    assert payload_at(held.backend, "k") == b"v"
    assert unproven.refused == {"other": Refusal.TOO_OLD}
    assert uncovered.refused == {"page": Refusal.TOO_OLD}


@pytest.mark.parametrize(
    ("what", "is_provable"),
    [
        ("its collection", False),
        ("its key", False),
        ("everything", False),
        ("another collection", True),
        # It is read by its id: what was read after an edit has it.
        ("its object", True),
    ],
)
def test_what_is_loaded_shortly_after_an_invalidation_expires(
    held: Held, what: str, is_provable: bool
) -> None:
    match what:
        case "its collection":
            held.backend.invalidate(["exams/all"], [])
        case "its object":
            held.backend.invalidate(["exam:9"], [])
        case "its key":
            held.backend.invalidate([], ["k"])
        case "everything":
            held.backend.raise_floor()
        case "another collection":
            held.backend.invalidate(["exams/some"], [])
    held.clock.advance(SETTLE_S - 1)
    ticket = held.backend.look_up(()).ticket
    # A load may take long; what counts is when it began.
    held.clock.advance(20)

    stored = held.backend.store(ticket, {"k": provable()})

    assert stored.provable == ({"k"} if is_provable else set())
    held.clock.advance(TTL_S + 1)
    held.confirm()
    assert payload_at(held.backend, "k") == (b"v" if is_provable else None)


def test_of_marks_that_were_folded_into_the_floor_the_time_is_kept(held: Held) -> None:
    held.backend.invalidate(["exams/all"], [])
    for start in range(0, 60_000, 1_000):
        held.backend.invalidate([f"{start + number}:{'t' * 50}" for number in range(1_000)], [])
    held.clock.advance(SETTLE_S - 10)

    stored = held.backend.store(held.backend.look_up(()).ticket, {"k": provable()})

    assert stored.refused == {}
    assert stored.provable == frozenset()


def test_a_write_leaves_what_is_provable(held: Held) -> None:
    ticket = held.backend.look_up(()).ticket

    written = held.backend.write_through(ticket, ["exams/all"], {"k": provable()})

    assert written.stored.provable == {"k"}
    # What is loaded next may not know of it yet.
    again = held.backend.store(held.backend.look_up(()).ticket, {"page": provable()})
    assert again.provable == frozenset()


def test_a_ticket_says_which_epoch_it_is(held: Held) -> None:
    before = held.backend.look_up(()).ticket
    held.backend.end_proof(None)

    assert (before.epoch, held.backend.look_up(()).ticket.epoch) == (EPOCH, "")
    stored = held.backend.store(before, {"k": provable()})
    assert (stored.refused, stored.provable) == ({}, frozenset())


@pytest.mark.redis
def test_a_process_with_a_lower_bound_serves_nothing_older(
    make_redis: MakeRedis, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift_time(monkeypatch)
    with Redis.from_url(redis_url) as client:
        clock = RedisClock(client, redis_prefix)
        held = Held(make_redis(settle_s=SETTLE_S, ttl_confirmed_s=CONFIRMED_S), clock)
        held.store("k", provable())
        clock.advance(TTL_S + 1)
        held.confirm()
        generous = payload_at(held.backend, "k")

        assert payload_at(make_redis(settle_s=SETTLE_S, ttl_confirmed_s=0), "k") is None
        assert generous == b"v"
