"""Directed faults of the cache, Redis, PostgreSQL, the budget, notes and webhooks."""

from __future__ import annotations

import json
import threading
import time

from tests.chaos.people.editors import tell_of_change
from tests.chaos.trials.scene import AT_WORK, PLENTY, Directed, Scene
from tests.chaos.world.servers import ApiServer
from tests.waiting import eventually

CALM = {"DESK_LEASE_S": "3", "DESK_GRACE_S": "1.5", "RECOUNT_EVERY_S": "3600"}
FLOOD_S, FLOODERS = 12.0, 24
SLOW_MS = 4_000
NOTE_DUE_S = 3.0
BACK_AFTER_S = 1.2
"""A server leaves a Redis that did not answer alone for a second."""


def restore_old_redis(scene: Scene) -> None:
    """Redis comes back with what it held before an acknowledged change."""
    attempt = scene.book(scene.alice, scene.exams[0])
    for _ in range(3):
        scene.alice.look()
    redis = scene.world.redis
    if redis is None or attempt.outcome != "booked":
        raise ValueError(f"nothing to restore: {attempt}")
    redis.keep_dump()
    scene.editor.move(scene.exams[0])
    begun_s = time.monotonic()
    redis.kill()
    redis.put_old_dump_back()
    redis.start()
    scene.wait(BACK_AFTER_S)
    for _ in range(8):
        scene.alice.look()
    scene.happen("Redis restored from an old dump", begun_s, from_beginning=False)


def change_during_a_load(scene: Scene) -> None:
    """A reader's load is under way when what it loads is changed, and the change acknowledged."""
    begun_s = time.monotonic()
    sandbox = scene.world.sandbox
    scene.add_old_booking(scene.alice, scene.exams[0])
    scene.alice.look()
    scene.editor.move(scene.exams[0], at=scene.one)
    before = sandbox.calls_count()
    # Links first, then the exam. Half passes before HubSpot looks, half before its answer is here.
    sandbox.configure(latency_ms=SLOW_MS)
    reader = threading.Thread(target=scene.alice.look)
    reader.start()
    eventually(lambda: sandbox.calls_count() > before)
    scene.wait(SLOW_MS / 1000 * 0.75)
    sandbox.configure(latency_ms=0)
    scene.editor.move(scene.exams[0], at=scene.other)
    reader.join()
    for _ in range(6):
        scene.alice.look()
    scene.happen("a change during a load", begun_s, from_beginning=False)


def cut_from_redis(scene: Scene) -> None:
    """A server that Redis cannot be reached from takes webhooks and changes all the same."""
    attempt = scene.book(scene.alice, scene.exams[0])
    for _ in range(4):
        scene.alice.look()
    proxy = scene.one.redis_proxy
    if proxy is None:
        raise ValueError("this world has no Redis")
    begun_s = time.monotonic()
    proxy.cut()
    for _ in range(6):
        scene.editor.move(scene.exams[0], at=scene.one)
        scene.alice.look()
        scene.alice.change(attempt, at=scene.one)
        scene.alice.look()
    proxy.heal()
    scene.happen("Redis cut from one server", begun_s, from_beginning=False)


def come_back_to_redis(scene: Scene) -> None:
    """What a server could not tell Redis it tells when it is back, before anybody looks."""
    attempt = scene.book(scene.alice, scene.exams[0])
    for _ in range(4):
        scene.alice.look()
    proxy = scene.one.redis_proxy
    if proxy is None:
        raise ValueError("this world has no Redis")
    begun_s = time.monotonic()
    scene.other.freeze()  # so that the one's desk serves
    proxy.cut()
    scene.alice.change(attempt, at=scene.one)
    proxy.heal()
    scene.wait(BACK_AFTER_S)
    scene.other.thaw()
    scene.happen("a server back at Redis", begun_s, from_beginning=False)
    # The first at that server has it tell Redis; it may still read past the cache.
    for at in (scene.one, scene.one, scene.other, scene.other):
        scene.alice.look(at=at)


def kill_after_webhook(scene: Scene) -> None:
    """A webhook is answered, and its server is killed before it did anything about it."""
    begun_s = time.monotonic()
    exam = scene.exams[0]
    scene.wait_until_noted(scene.book(scene.alice, exam))
    scene.editor.miscount(exam)
    types, names = scene.world.portal.profile.object_types, scene.world.portal.profile
    event = tell_of_change(types.mock_exams, exam.id, names.exam_properties["total_bookings"], 9)
    slow = scene.world.sandbox.fault(
        "delay", path=scene.path_of("mock_exams", "read"), delay_ms=60_000
    )
    reply = scene.editor.post(json.dumps([event]).encode(), at=scene.one)
    scene.one.kill()
    scene.world.sandbox.clear_faults(slow)
    if reply.status != 200:
        raise ValueError(f"the webhook was answered {reply}")
    scene.happen("a server killed after a webhook", begun_s, from_beginning=True)
    scene.one.launch()
    scene.one.wait_until_ready()


def restart_postgres(scene: Scene) -> None:
    with scene.at_work():
        scene.wait(2.0)
        begun_s = time.monotonic()
        scene.world.postgres.stop_fast()
        scene.world.postgres.start()
        scene.happen("PostgreSQL restarted", begun_s, from_beginning=False)
        scene.wait_for_booking(time.monotonic(), 10.0)
        scene.wait(1.0)


def restart_postgres_in_calm(scene: Scene) -> None:
    """Restart it while nobody is at work: what is left are connections in the servers' pools."""
    scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one)
    scene.begin_attempt(scene.bob, scene.exams[0], at=scene.other)
    scene.at_once([pupil.look for pupil in scene.crowd.pupils] * 8)
    scene.wait(1.0)
    begun_s = time.monotonic()
    scene.world.postgres.stop_fast()
    scene.world.postgres.start()
    scene.happen("PostgreSQL restarted in calm", begun_s, from_beginning=False)
    scene.begin_attempt(scene.alice, scene.exams[1], at=scene.one)
    scene.begin_attempt(scene.bob, scene.exams[1], at=scene.other)
    scene.at_once([pupil.look for pupil in scene.crowd.pupils] * 8)


def flood(scene: Scene) -> None:
    """Everybody reads at once, and nothing is cached, for longer than HubSpot's window."""
    scene.book(scene.alice, scene.exams[0])
    read_at_once(scene)


def read_at_once(scene: Scene) -> None:
    """Have as many read at one server as at the other: whoever waits at one asks nobody else."""
    begun_s = time.monotonic()
    until_s = begun_s + FLOOD_S

    def read(at: ApiServer) -> None:
        while time.monotonic() < until_s:
            scene.alice.look(at=at)

    here = [lambda at=at: read(at) for at in (scene.one, scene.other)]
    scene.at_once(here * (FLOODERS // 2))
    scene.happen("a flood of reads", begun_s, from_beginning=False)


def flood_without_redis(scene: Scene) -> None:
    """The same while Redis is gone, in which the servers count together."""
    redis = scene.world.redis
    if redis is None:
        raise ValueError("this world has no Redis")
    scene.book(scene.alice, scene.exams[0])
    redis.kill()
    try:
        read_at_once(scene)
    finally:
        redis.start()


def flood_while_one_is_cut(scene: Scene) -> None:
    """The same while one server cannot reach Redis, and counts for itself what it sends; HubSpot
    says how much is left. It was at work before, as was the other."""
    scene.book(scene.alice, scene.exams[0])
    for at in (scene.one, scene.other):
        scene.alice.look(at=at)
    proxy = scene.one.redis_proxy
    if proxy is None:
        raise ValueError("this world has no Redis")
    proxy.cut()
    try:
        read_at_once(scene)
    finally:
        proxy.heal()


def lose_the_note_answer(scene: Scene) -> None:
    """HubSpot takes a note, and its answer is lost; it is due again when the next is sent."""
    begun_s = time.monotonic()
    path = scene.path_of("notes", "create")
    scene.world.sandbox.fault("cut_after", path=path, times=1)
    scene.book(scene.alice, scene.exams[0])
    send_more_notes(scene)
    scene.happen("the answer of a note lost", begun_s, from_beginning=False)


def send_more_notes(scene: Scene) -> None:
    """Have the outbox wake when what failed is due again."""
    for exam in scene.exams:
        scene.wait(NOTE_DUE_S)
        scene.book(scene.bob, exam)


def refuse_notes(scene: Scene) -> None:
    begun_s = time.monotonic()
    path = scene.path_of("notes", "create")
    scene.world.sandbox.fault("status", path=path, status=503, times=1)
    scene.book(scene.alice, scene.exams[0])
    send_more_notes(scene)
    scene.happen("notes answered 503", begun_s, from_beginning=False)


def fall_silent(scene: Scene) -> None:
    """HubSpot takes every call and answers none."""
    begun_s = time.monotonic()
    fault = scene.world.sandbox.fault("delay", delay_ms=120_000)
    scene.at_once([pupil.look for pupil in scene.crowd.pupils])
    scene.world.sandbox.clear_faults(fault)
    scene.happen("HubSpot silent", begun_s, from_beginning=False)


TRIALS = (
    Directed(
        name="Redis from an old dump",
        play=restore_old_redis,
        guards=("Redis adopted",),
        settings=CALM,
    ),
    Directed(
        name="change during a load",
        play=change_during_a_load,
        guards=("late loads refused",),
        settings=CALM,
    ),
    Directed(
        name="cut from Redis",
        play=cut_from_redis,
        guards=("undelivered invalidations",),
        settings=CALM,
    ),
    Directed(
        name="back at Redis",
        play=come_back_to_redis,
        guards=("undelivered invalidations",),
        settings=CALM,
    ),
    Directed(
        name="killed after a webhook",
        play=kill_after_webhook,
        guards=("inbox",),
        settings=CALM,
    ),
    Directed(
        name="PostgreSQL restarted",
        play=restart_postgres,
        students=6,
        capacities=(20, 20, 20, 20),
        max_recovery_s=3.0,
        settings=AT_WORK,
        hubspot={"rate_limit": PLENTY},
    ),
    Directed(
        name="PostgreSQL restarted in calm",
        play=restart_postgres_in_calm,
        guards=("pooled connections tried",),
        settings=CALM,
        serves_everybody=True,
        max_recovery_s=3.0,
    ),
    Directed(
        name="flood",
        play=flood,
        guards=("shared budget",),
        settings={**CALM, "CACHE_ENABLED": "false"},
        hubspot={"rate_limit": 100_000},
    ),
    Directed(
        name="flood without Redis",
        play=flood_without_redis,
        settings={**CALM, "CACHE_ENABLED": "false"},
        hubspot={"rate_limit": 100_000},
    ),
    Directed(
        name="flood while one is cut",
        play=flood_while_one_is_cut,
        settings={**CALM, "CACHE_ENABLED": "false"},
    ),
    Directed(
        name="note answer lost",
        play=lose_the_note_answer,
        guards=("note looked up",),
        settings=CALM,
    ),
    Directed(name="notes refused", play=refuse_notes, guards=("note tried again",), settings=CALM),
    Directed(
        name="HubSpot silent",
        play=fall_silent,
        guards=("deadline",),
        settings={**CALM, "REQUEST_DEADLINE_S": "8"},
        max_request_s=8.0,
    ),
)
