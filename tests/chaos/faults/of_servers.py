"""Servers that are killed, frozen, ended, or go by another time."""

from __future__ import annotations

import random
import threading
import time

import psycopg

from tests.chaos.faults.fault import AFTER_END_S, AFTER_FREEZE_S, AFTER_KILL_S, Fault, Lift
from tests.chaos.world.servers import ApiServer
from tests.chaos.world.world import World

LOOK_FOR_DESK_S, PAUSE_S = 3.0, 0.005
CLOCKS_APART_S = 90.0


def catch_desk(world: World) -> ApiServer | None:
    """Wait for a server to be at work as the desk, and return it; None where none was for long."""
    pause, until_s = threading.Event(), time.monotonic() + LOOK_FOR_DESK_S
    while time.monotonic() < until_s:
        try:
            if (found := world.find_desk()) is not None:
                return found
        except psycopg.OperationalError:
            return None  # who it is cannot be asked just now
        pause.wait(PAUSE_S)
    return None


def start_again(server: ApiServer) -> None:
    server.launch()
    server.wait_until_ready()


def kill_desk(world: World, chance: random.Random) -> Lift:
    server = catch_desk(world) or chance.choice(world.servers)
    server.kill()
    return lambda: start_again(server)


def kill_one(world: World, chance: random.Random) -> Lift:
    server = chance.choice(world.servers)
    server.kill()
    return lambda: start_again(server)


def end_one(world: World, chance: random.Random) -> Lift:
    server = chance.choice(world.servers)
    server.end()
    return lambda: start_again(server)


def freeze_desk(world: World, chance: random.Random) -> Lift:
    server = catch_desk(world) or chance.choice(world.servers)
    server.freeze()
    return server.thaw


def freeze_one(world: World, chance: random.Random) -> Lift:
    server = chance.choice(world.servers)
    server.freeze()
    return server.thaw


def set_clock_apart(world: World, chance: random.Random) -> Lift:
    """Start one server anew with another time than all others'."""
    server = chance.choice(world.servers)
    server.end()
    server.clock_ahead_s = chance.choice((-CLOCKS_APART_S, CLOCKS_APART_S))
    start_again(server)

    def set_right() -> None:
        server.end()
        server.clock_ahead_s = 0.0
        start_again(server)

    return set_right


FAULTS = (
    Fault(
        name="the desk's server killed",
        group="servers",
        inject=kill_desk,
        counts_from_beginning=True,
        max_recovery_s=AFTER_KILL_S,
        hinders=True,
    ),
    Fault(
        name="a server killed",
        group="servers",
        inject=kill_one,
        counts_from_beginning=True,
        max_recovery_s=AFTER_KILL_S,
        hinders=True,
    ),
    Fault(
        name="a server ended",
        group="servers",
        inject=end_one,
        counts_from_beginning=True,
        max_recovery_s=AFTER_END_S,
        hinders=True,
    ),
    Fault(
        name="the desk's server frozen",
        group="servers",
        inject=freeze_desk,
        lasts_s=(12.0, 30.0),
        counts_from_beginning=True,
        max_recovery_s=AFTER_FREEZE_S,
        hinders=True,
    ),
    Fault(
        name="a server frozen",
        group="servers",
        inject=freeze_one,
        lasts_s=(12.0, 30.0),
        counts_from_beginning=True,
        max_recovery_s=AFTER_FREEZE_S,
        hinders=True,
    ),
    Fault(
        name="a server's clock apart",
        group="servers",
        inject=set_clock_apart,
        lasts_s=(6.0, 12.0),
        hinders=True,
    ),
)
