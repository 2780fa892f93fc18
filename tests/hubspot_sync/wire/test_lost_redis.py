"""Several processes whose Redis goes away and comes back: HubSpot gets no more than it takes.

Their time stands still between steps; the Redis is a real one, killed and started anew, empty.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hubspot_sync.wire.limits.shared_redis import SharedRedis
from hubspot_sync.wire.limits.shared_windows import COUNTED_FOR_S, SharedArrivals
from tests.cache_layer.own_redis import OwnRedis
from tests.hubspot_sync.budgets import most_in_a_window

AMOUNT, WINDOW_S = 190, 10.0
STEP_S = 0.2
PROCESSES = 4

pytestmark = pytest.mark.redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis of this test's own; skips without one unless the environment promised it."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("REDIS_PROMISED"):
            pytest.fail("REDIS_PROMISED is set, but there is no redis-server to start")
        pytest.skip("no redis-server to start")
    server = OwnRedis(binary, tmp_path)
    server.start()
    yield server
    server.kill()


@dataclass(eq=False)
class Process:
    """One that has calls to make; `eagerness` is how many at once."""

    window: SharedArrivals
    redis: Redis
    eagerness: int = 0
    under_way: list[float] = field(default_factory=list)

    def connect(self, port: int) -> None:
        """Have this process alone find its Redis at another port; at 1 there is none."""
        pool = self.redis.connection_pool
        pool.connection_kwargs["port"] = port
        pool.disconnect()
        pool.reset()


@dataclass(eq=False)
class World:
    """Processes before HubSpot, which counts arrivals and says how many are left; Redis's clock is
    ahead of theirs."""

    url: str
    now_s: float = 1_000.0
    redis_ahead_s: float = 10_000.0
    arrived: list[float] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    processes: list[Process] = field(default_factory=list)

    def add(self, eagerness: int = 0) -> Process:
        redis = Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=5)
        shared = SharedRedis(redis, lambda: self.now_s, name="school", window_s=WINDOW_S)
        window = SharedArrivals(
            *("all", AMOUNT, WINDOW_S, shared),
            under_way_s=13.0,
            now_s=lambda: self.now_s + self.redis_ahead_s,
        )
        process = Process(window, redis, eagerness)
        self.processes.append(process)
        return process

    def let_all_look(self) -> None:
        """As each does that makes a call now and then."""
        for process in self.processes:
            process.window.has_room()

    def run(self, seconds: float) -> int:
        """Let time pass; return how many calls were sent."""
        before = len(self.arrived)
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for process in self.chance.sample(self.processes, len(self.processes)):
                self._answer(process)
                for _ in range(process.eagerness):
                    if not (process.window.has_room() and process.window.take()):
                        break
                    self.arrived.append(self.now_s + self.chance.uniform(0.0, 0.05))
                    process.under_way.append(self.now_s + self.chance.uniform(0.1, 0.4))
        return len(self.arrived) - before

    def _answer(self, process: Process) -> None:
        for ends_s in [ends_s for ends_s in process.under_way if ends_s <= self.now_s]:
            process.under_way.remove(ends_s)
            recent = sum(arrived > self.now_s - WINDOW_S for arrived in self.arrived)
            process.window.note_left(max(0, AMOUNT - recent))
            process.window.count_answer(0.1)

    @property
    def most(self) -> int:
        return most_in_a_window(self.arrived, WINDOW_S)


Lose = Callable[[World, OwnRedis], None]


def kill(world: World, redis: OwnRedis) -> None:
    redis.kill()
    world.run(25)
    redis.start()


def restart(world: World, redis: OwnRedis) -> None:
    redis.kill()
    redis.start()


def empty(world: World, redis: OwnRedis) -> None:
    redis.empty()


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("lose", "eager"),
    [(kill, 1), (restart, PROCESSES), (empty, 1)],
    ids=["killed", "restarted", "emptied"],
)
def test_hubspot_gets_no_more_than_it_takes(redis: OwnRedis, lose: Lose, eager: int) -> None:
    world = World(redis.url)
    for place in range(PROCESSES):
        world.add(eagerness=2 if place < eager else 0)
    world.let_all_look()
    world.let_all_look()
    world.run(4)

    for process in world.processes:
        process.eagerness = 3
    lose(world, redis)
    world.run(40)

    assert world.most <= AMOUNT
    assert world.run(3 * WINDOW_S) > 3 * AMOUNT * 0.75
    assert world.most <= AMOUNT


def test_one_that_stood_still_trusts_no_redis_that_began_with_an_old_dump(redis: OwnRedis) -> None:
    """It heard nothing of it, and is called by the name it knows; the others have gone on alone."""
    world = World(redis.url)
    for _ in range(PROCESSES):
        world.add(eagerness=3)
    still = world.processes[-1]
    world.run(4)
    redis.save()
    still.eagerness = 0
    world.run(1)
    redis.kill()
    world.run(25)
    redis.start()
    still.eagerness = 100
    world.run(0.5)

    world.run(40)

    assert world.most <= AMOUNT


@pytest.mark.chaos
@pytest.mark.sampled
@pytest.mark.parametrize("lose", [kill, empty])
def test_one_that_has_just_begun_trusts_no_redis_either(redis: OwnRedis, lose: Lose) -> None:
    """It cannot know that the others have sent what Redis has forgotten."""
    world = World(redis.url)
    for _ in range(PROCESSES - 1):
        world.add(eagerness=3)
    world.let_all_look()
    world.run(10)
    lose(world, redis)
    for process in world.processes[1:]:
        process.eagerness = 0

    world.add(eagerness=100)
    world.run(40)

    assert world.most <= AMOUNT


def test_one_that_awakes_once_redis_forgot_hears_first_what_is_left(redis: OwnRedis) -> None:
    """The share that it is sure of otherwise another has used, which tells Redis when it sends."""
    world = World(redis.url)
    busy, other = world.add(eagerness=4), world.add()
    world.let_all_look()
    world.run(2 * WINDOW_S)
    world.let_all_look()
    busy.eagerness = 0
    world.run(1)

    redis.empty()
    other.eagerness = 100
    world.run(3 * WINDOW_S)

    assert world.most <= AMOUNT


def test_one_that_takes_the_place_of_another_has_what_that_one_left(redis: OwnRedis) -> None:
    """HubSpot's first answer says that nobody else is there."""
    world = World(redis.url)
    former = world.add(eagerness=4)
    world.run(2 * WINDOW_S)
    former.eagerness = 0
    world.run(WINDOW_S + 2)

    world.add(eagerness=100)

    assert world.run(1) >= AMOUNT * 0.85
    world.run(2 * WINDOW_S)
    assert world.most <= AMOUNT


def forget_and_tell_of_nothing(world: World, redis: OwnRedis) -> None:
    """As a failover to a Redis that has an old copy of everything."""
    redis.save()
    redis.kill()
    world.run(25)
    redis.start()


def cut_off_all(world: World, _: OwnRedis) -> None:
    """For so long that Redis does not count them any more: they do not reach it, and it is well."""
    for process in world.processes:
        process.connect(1)
    world.run(COUNTED_FOR_S + WINDOW_S)


@pytest.mark.sampled
@pytest.mark.parametrize("lose", [kill, empty, forget_and_tell_of_nothing, cut_off_all])
def test_one_that_takes_a_place_amid_a_loss_trusts_nothing(redis: OwnRedis, lose: Lose) -> None:
    world = World(redis.url)
    for _ in range(PROCESSES - 1):
        world.add(eagerness=3)
    world.let_all_look()
    world.run(2 * WINDOW_S)
    lose(world, redis)

    world.add(eagerness=100)
    world.run(3 * WINDOW_S)

    assert world.most <= AMOUNT


def test_nobody_is_stopped_without_redis(redis: OwnRedis) -> None:
    """After the window in which others may have used what was left, all share the whole."""
    world = World(redis.url)
    for _ in range(PROCESSES):
        world.add(eagerness=3)
    world.run(20)
    redis.kill()
    world.run(WINDOW_S + 2)

    assert world.run(5 * WINDOW_S) > 5 * AMOUNT * 0.65
    assert world.most <= AMOUNT


@pytest.mark.chaos
def test_whoever_has_gone_is_shared_with_no_longer(redis: OwnRedis) -> None:
    world = World(redis.url)
    world.add(eagerness=4)
    going = world.add(eagerness=4)
    world.run(2)
    going.eagerness = 0
    world.run(COUNTED_FOR_S + 2 * WINDOW_S)
    redis.kill()
    world.run(WINDOW_S + 2)

    assert world.run(5 * WINDOW_S) > 5 * AMOUNT * 0.65


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("cut", "eager"),
    [(1, PROCESSES), (2, 1), (PROCESSES - 1, 0)],
    ids=["one, all busy", "two, one busy", "three, none busy"],
)
def test_hubspot_gets_no_more_where_some_cannot_reach_redis(
    redis: OwnRedis, cut: int, eager: int
) -> None:
    """Redis knows nothing of what those send, and HubSpot says how much is left."""
    world = World(redis.url)
    for place in range(PROCESSES):
        world.add(eagerness=3 if place < eager else 0)
    world.let_all_look()
    world.let_all_look()
    world.run(4)
    port = world.processes[0].redis.connection_pool.connection_kwargs["port"]

    for process in world.processes[:cut]:
        process.connect(1)
    world.run(3)
    for process in world.processes:
        process.eagerness = 1
    assert world.run(5 * WINDOW_S) > 5 * AMOUNT * 0.6
    assert world.most <= AMOUNT
    for process in world.processes[:cut]:
        process.connect(port)
    world.run(5 * WINDOW_S)

    assert world.most <= AMOUNT


@pytest.mark.parametrize("quiet_s", [1.0, 15.0])
def test_a_rush_upon_one_that_cannot_reach_redis_and_one_that_can(
    redis: OwnRedis, quiet_s: float
) -> None:
    """HubSpot's answers come too late for what is sent in the same moment."""
    world = World(redis.url)
    for _ in range(2):
        world.add(eagerness=1)
    world.run(2 * WINDOW_S)
    world.processes[0].connect(1)
    world.processes[1].eagerness = 0
    world.run(quiet_s)

    for process in world.processes:
        process.eagerness = 100
    world.run(3 * WINDOW_S)

    assert world.most <= AMOUNT


@pytest.mark.parametrize("cut", [1, 2])
def test_one_that_had_not_asked_lately_goes_on_once_it_hears_what_is_left(
    redis: OwnRedis, cut: int
) -> None:
    """HubSpot's first answer tells it, long before the window is over."""
    world = World(redis.url)
    for _ in range(2):
        world.add()
    world.let_all_look()
    world.let_all_look()
    world.run(5)
    for process in world.processes[:cut]:
        process.connect(1)
    world.processes[0].eagerness = 1

    assert world.run(3) > 3
    for process in world.processes:
        process.eagerness = 100
    world.run(3 * WINDOW_S)
    assert world.most <= AMOUNT


@pytest.mark.sampled
@pytest.mark.parametrize("step_s", [-15.0, 3_600.0])
def test_a_redis_whose_clock_is_set_stops_nobody(redis: OwnRedis, step_s: float) -> None:
    """Or another takes over whose clock is another: what was sent just now lies in its future."""
    world = World(redis.url)
    for _ in range(PROCESSES):
        world.add(eagerness=3)
    world.let_all_look()
    world.run(WINDOW_S + 2)

    world.redis_ahead_s += step_s
    world.run(3 * WINDOW_S)

    assert world.run(5 * WINDOW_S) > 5 * AMOUNT * 0.6
    assert world.most <= AMOUNT
