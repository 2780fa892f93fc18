"""Redis and PostgreSQL: killed, emptied, full, slow, cut off, silent, out of places."""

from __future__ import annotations

import random

from tests.chaos.faults.fault import AFTER_RESTART_S, Fault, Lift
from tests.chaos.world.redis_server import OwnRedisServer
from tests.chaos.world.world import World

SLOW_S = 0.3
FULL = "1mb"


def redis_of(world: World) -> OwnRedisServer:
    if world.redis is None:
        raise ValueError("this world has no Redis")
    return world.redis


def done() -> None:
    """Lifts what is over once it has happened."""


def kill_redis(world: World, _: random.Random) -> Lift:
    redis_of(world).kill()
    return redis_of(world).start


def empty_redis(world: World, _: random.Random) -> Lift:
    redis_of(world).empty()
    return done


def keep_old_dump(world: World, _: random.Random) -> Lift:
    """Keep a dump now; at the end Redis is killed, and starts again from what is old by then."""
    redis_of(world).keep_dump()

    def go_back() -> None:
        redis_of(world).kill()
        redis_of(world).put_old_dump_back()
        redis_of(world).start()

    return go_back


def fill_redis(world: World, _: random.Random) -> Lift:
    redis_of(world).bound_memory(FULL)
    return lambda: redis_of(world).bound_memory("0")


def slow_redis(world: World, _: random.Random) -> Lift:
    proxies = [server.redis_proxy for server in world.servers if server.redis_proxy is not None]
    for proxy in proxies:
        proxy.delay_s = SLOW_S

    def heal() -> None:
        for proxy in proxies:
            proxy.heal()

    return heal


def cut_one_from_redis(world: World, chance: random.Random) -> Lift:
    proxy = chance.choice(world.servers).redis_proxy
    if proxy is None:
        raise ValueError("this world has no Redis")
    proxy.cut()
    return proxy.heal


def restart_postgres(world: World, _: random.Random) -> Lift:
    world.postgres.stop_fast()
    return world.postgres.start


def crash_postgres(world: World, _: random.Random) -> Lift:
    world.postgres.crash()
    return world.postgres.start


def silence_postgres(world: World, _: random.Random) -> Lift:
    world.postgres.fall_silent()
    return world.postgres.speak


def use_up_connections(world: World, _: random.Random) -> Lift:
    world.postgres.take_all_connections()
    return world.postgres.give_connections_back


FAULTS = (
    Fault(name="Redis killed", group="redis", inject=kill_redis, needs_redis=True),
    Fault(
        name="Redis emptied",
        group="redis",
        inject=empty_redis,
        lasts_s=(0.0, 0.0),
        needs_redis=True,
    ),
    Fault(
        name="Redis restored from an old dump",
        group="redis",
        inject=keep_old_dump,
        needs_redis=True,
    ),
    Fault(name="Redis full", group="redis", inject=fill_redis, needs_redis=True),
    Fault(name="Redis slow", group="redis", inject=slow_redis, needs_redis=True),
    Fault(
        name="Redis cut from one server",
        group="redis",
        inject=cut_one_from_redis,
        needs_redis=True,
    ),
    Fault(
        name="PostgreSQL restarted",
        group="postgres",
        inject=restart_postgres,
        lasts_s=(0.0, 2.0),
        max_recovery_s=AFTER_RESTART_S,
        hinders=True,
    ),
    Fault(
        name="PostgreSQL crashed",
        group="postgres",
        inject=crash_postgres,
        lasts_s=(0.0, 2.0),
        max_recovery_s=AFTER_RESTART_S,
        hinders=True,
    ),
    Fault(name="PostgreSQL silent", group="postgres", inject=silence_postgres, hinders=True),
    Fault(
        name="PostgreSQL out of connections",
        group="postgres",
        inject=use_up_connections,
        hinders=True,
    ),
)
