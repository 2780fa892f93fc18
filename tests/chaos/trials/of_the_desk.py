"""Directed faults of the booking desk: killed, frozen, unsure of what HubSpot did."""

from __future__ import annotations

import itertools
import threading
import time

from tests.chaos.faults.of_servers import catch_desk
from tests.chaos.trials.scene import AT_WORK, CALM_AFTER_KILL_S, PLENTY, Directed, Scene
from tests.waiting import eventually

QUICK_LEASE = {"DESK_LEASE_S": "3", "DESK_GRACE_S": "1.5", "RECOUNT_EVERY_S": "3600"}
USUAL_LEASE_S, RENEWAL_S = 5.0, 1.0
FROZEN_S = 17.0
HELD_MS = 11_000


def kill_the_desk(scene: Scene) -> None:
    """Kill whoever serves, while everybody books."""
    with scene.at_work():
        scene.wait(1.5)
        server = catch_desk(scene.world) or scene.one
        begun_s = time.monotonic()
        server.kill()
        scene.wait_for_booking(begun_s, 16.0)
        scene.happen("the desk's server killed", begun_s, from_beginning=True)
        server.launch()
    server.wait_until_ready()


def freeze_the_desk(scene: Scene) -> None:
    """Whoever asked the frozen server waits for it. So it is the witness, who asks the other, that
    shows how soon the desk is somebody else's."""
    with scene.at_work(but_witness=True):
        scene.wait(1.5)
        server = catch_desk(scene.world) or scene.one
        begun_s = time.monotonic()
        server.freeze()
        there = scene.other if server is scene.one else scene.one
        scene.witness.learn_outcome(scene.witness.prepare(scene.exams[0]), at=there)
        scene.wait(max(0.0, begun_s + FROZEN_S - time.monotonic()))
        scene.happen("the desk's server frozen", begun_s, from_beginning=True)
        server.thaw()
        scene.wait(1.0)


def wake_too_late(scene: Scene) -> None:
    """A desk stands still between creating and charging, and wakes long after another took over,
    finished its work, charged the same student again and compared what was charged."""
    fault = scene.world.sandbox.fault(
        "delay", path=scene.path_of("bookings", "create"), delay_ms=800, times=1
    )
    sent: list[object] = []

    def begin() -> None:
        sent.append(scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one))

    def stand_still() -> None:
        scene.wait_until_met(fault)
        begun_s = time.monotonic()
        scene.one.freeze()
        scene.other.thaw()
        scene.wait(2.5)
        scene.alice.learn_open_outcomes(at=scene.other)
        scene.book(scene.alice, scene.exams[1])
        scene.wait(max(0.0, begun_s + 12.0 - time.monotonic()))
        scene.one.thaw()
        scene.happen("a desk frozen between create and charge", begun_s, from_beginning=True)

    scene.other.freeze()  # so that the one's desk serves
    scene.at_once([begin, stand_still])
    scene.wait(1.0)


def freeze_in_a_transaction(scene: Scene) -> None:
    """A desk stands still inside a transaction, in which it has locked the lease's row."""
    path = scene.path_of("bookings", "create")
    fault = scene.world.sandbox.fault("delay", path=path, delay_ms=1_000, times=1)
    scene.other.freeze()  # so that the one's desk serves
    sending = threading.Thread(
        target=lambda: scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one)
    )
    sending.start()
    scene.wait_until_met(fault)
    with scene.world.postgres.locking("booking_api_journalentry"):
        eventually(scene.world.postgres.has_waiter)
        begun_s = time.monotonic()
        scene.one.freeze()
    scene.other.thaw()
    with scene.at_work(but_witness=True):
        scene.witness.learn_outcome(scene.witness.prepare(scene.exams[0]), at=scene.other)
        scene.wait(max(0.0, begun_s + FROZEN_S - time.monotonic()))
        scene.happen("a desk frozen in a transaction", begun_s, from_beginning=True)
        scene.one.thaw()
    sending.join()


def lose_the_charge_answer(scene: Scene) -> None:
    """HubSpot charges, and its answers are lost, however often it is asked."""
    begun_s = time.monotonic()
    path = scene.path_of("contacts", "update")
    fault = scene.world.sandbox.fault("cut_after", path=path, times=4)
    scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one)
    scene.alice.learn_open_outcomes()
    scene.world.sandbox.clear_faults(fault)
    scene.happen("answers of charges lost", begun_s, from_beginning=False)


def lose_the_create_answer(scene: Scene) -> None:
    """HubSpot books, and its answer is lost."""
    begun_s = time.monotonic()
    path = scene.path_of("bookings", "create")
    scene.world.sandbox.fault("cut_after", path=path, times=1)
    scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one)
    scene.alice.learn_open_outcomes()
    scene.happen("the answer of a create lost", begun_s, from_beginning=False)


def kill_while_creating(scene: Scene) -> None:
    """The student's server is killed while HubSpot books; the student asks another with the key."""
    path = scene.path_of("bookings", "create")
    fault = scene.world.sandbox.fault("delay", path=path, delay_ms=1_000, times=1)

    def kill() -> None:
        scene.wait_until_met(fault)
        begun_s = time.monotonic()
        scene.one.kill()
        scene.other.thaw()
        scene.happen("a server killed while creating", begun_s, from_beginning=True)

    scene.other.freeze()  # so that the one's desk serves
    scene.at_once([lambda: scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one), kill])
    scene.alice.learn_open_outcomes(at=scene.other)
    scene.one.launch()
    scene.one.wait_until_ready()


def ask_from_two_places(scene: Scene) -> None:
    """Everybody sends the same request to both servers at the same time."""
    begun_s = time.monotonic()
    attempts = [pupil.prepare(scene.exams[0]) for pupil in scene.crowd.pupils]
    scene.at_once(
        [
            lambda pupil=pupil, attempt=attempt, at=at: pupil.ask_once(attempt, at=at)
            for pupil, attempt in zip(scene.crowd.pupils, attempts, strict=True)
            for at in (scene.one, scene.other)
        ]
    )
    scene.happen("every request twice at once", begun_s, from_beginning=False)


def sell_while_links_lag(scene: Scene) -> None:
    """HubSpot does not show yet who has the seat that is asked for next."""
    begun_s = time.monotonic()
    scene.world.sandbox.configure(association_lag_s=6.0, search_lag_s=6.0)
    for pupil, server in zip(scene.crowd.pupils, itertools.cycle(scene.world.servers)):
        scene.begin_attempt(pupil, scene.exams[0], at=server)
        pupil.look()
    scene.world.sandbox.configure(association_lag_s=0.0, search_lag_s=0.0)
    scene.happen("links shown late", begun_s, from_beginning=False)


def _hold_a_charge(scene: Scene, held_ms: int) -> None:
    begun_s = time.monotonic()
    path = scene.path_of("contacts", "update")
    fault = scene.world.sandbox.fault("delay", path=path, delay_ms=held_ms, times=1)
    scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one)
    scene.alice.learn_open_outcomes()
    scene.book(scene.alice, scene.exams[1])
    scene.wait(max(0.0, begun_s + held_ms / 1000 + 0.5 - time.monotonic()))
    scene.world.sandbox.clear_faults(fault)
    scene.happen(f"a charge held for {held_ms / 1000:.0f} s", begun_s, from_beginning=False)


def hold_a_charge_shortly(scene: Scene) -> None:
    _hold_a_charge(scene, 4_500)


def hold_a_charge_long(scene: Scene) -> None:
    _hold_a_charge(scene, HELD_MS)


def hold_a_create(scene: Scene) -> None:
    """A create takes effect long after whoever sent it gave up, and was killed."""
    path = scene.path_of("bookings", "create")
    fault = scene.world.sandbox.fault("delay", path=path, delay_ms=9_000, times=1)

    def kill() -> None:
        scene.wait_until_met(fault)
        begun_s = time.monotonic()
        scene.one.kill()
        scene.other.thaw()
        scene.wait(0.5)
        scene.alice.learn_open_outcomes(at=scene.other)
        scene.begin_attempt(scene.bob, scene.exams[0], at=scene.other)
        scene.wait(max(0.0, begun_s + 9.5 - time.monotonic()))
        scene.happen("a create held beyond its desk's end", begun_s, from_beginning=True)

    scene.other.freeze()  # so that the one's desk serves
    scene.at_once([lambda: scene.begin_attempt(scene.alice, scene.exams[0], at=scene.one), kill])
    scene.one.launch()
    scene.one.wait_until_ready()


def kill_whose_clock_is_ahead(scene: Scene) -> None:
    """Everybody books at two servers three minutes apart; then the one ahead is killed as the desk,
    and its lease has to end by a clock that both have."""
    with scene.at_work():
        scene.wait(3.0)
    path = scene.path_of("bookings", "create")
    fault = scene.world.sandbox.fault("delay", path=path, delay_ms=1_000, times=1)
    scene.one.freeze()  # so that the other's desk serves
    exam = scene.exams[-1]

    def kill() -> None:
        scene.wait_until_met(fault)
        begun_s = time.monotonic()
        scene.other.kill()
        scene.one.thaw()
        scene.begin_attempt(scene.bob, exam, at=scene.one)
        scene.happen("a desk killed whose clock is ahead", begun_s, from_beginning=True)

    scene.at_once([lambda: scene.begin_attempt(scene.alice, exam, at=scene.other), kill])
    scene.other.launch()
    scene.other.wait_until_ready()


def end_in_good_order(scene: Scene) -> None:
    """A server is ended as by its supervisor, while everybody books."""
    with scene.at_work():
        scene.wait(1.5)
        begun_s = time.monotonic()
        scene.one.end()
        scene.wait_for_booking(begun_s, 10.0)
        scene.happen("a server ended", begun_s, from_beginning=True)
        scene.one.launch()
    scene.one.wait_until_ready()


TRIALS = (
    Directed(
        name="desk killed",
        play=kill_the_desk,
        guards=("lease expiry",),
        students=6,
        capacities=(20, 20, 20, 20),
        max_recovery_s=8.0,
        calm_limit_s=CALM_AFTER_KILL_S,
        settings=AT_WORK,
        hubspot={"rate_limit": PLENTY},
    ),
    Directed(
        name="desk frozen",
        play=freeze_the_desk,
        students=6,
        capacities=(20, 20, 20, 20),
        max_recovery_s=USUAL_LEASE_S + RENEWAL_S,
        settings=AT_WORK,
        hubspot={"rate_limit": PLENTY},
    ),
    Directed(
        name="frozen in a transaction",
        play=freeze_in_a_transaction,
        students=6,
        capacities=(20, 20, 20, 20),
        max_recovery_s=USUAL_LEASE_S + RENEWAL_S,
        settings=AT_WORK,
        hubspot={"rate_limit": PLENTY},
    ),
    Directed(
        name="desk wakes late",
        play=wake_too_late,
        guards=("lost lease and deadline",),
        settings=QUICK_LEASE,
    ),
    Directed(
        name="charge answer lost",
        play=lose_the_charge_answer,
        guards=("credit looked up",),
        settings=QUICK_LEASE,
    ),
    Directed(
        name="create answer lost",
        play=lose_the_create_answer,
        guards=("booking looked up",),
        settings=QUICK_LEASE,
    ),
    Directed(
        name="killed while creating",
        play=kill_while_creating,
        guards=("idempotency key",),
        settings=QUICK_LEASE,
        calm_limit_s=CALM_AFTER_KILL_S,
    ),
    Directed(
        name="asked from two places",
        play=ask_from_two_places,
        guards=("idempotency key",),
        students=6,
        capacities=(20,),
        settings=QUICK_LEASE,
    ),
    Directed(
        name="links shown late",
        play=sell_while_links_lag,
        guards=("seats known and named",),
        students=4,
        capacities=(2,),
        settings=QUICK_LEASE,
    ),
    Directed(
        name="charge held shortly",
        play=hold_a_charge_shortly,
        settings=QUICK_LEASE,
    ),
    Directed(
        name="charge held long",
        play=hold_a_charge_long,
        guards=("doubt and credit reviews",),
        settings=QUICK_LEASE,
    ),
    Directed(
        name="create held long",
        play=hold_a_create,
        capacities=(1,),
        settings=QUICK_LEASE,
        calm_limit_s=CALM_AFTER_KILL_S,
    ),
    Directed(
        name="clocks apart",
        play=kill_whose_clock_is_ahead,
        guards=("lease by the database's clock",),
        students=6,
        capacities=(20, 20, 20, 20),
        settings={**QUICK_LEASE, **AT_WORK},
        clocks_ahead_s=(-90.0, 90.0),
        max_recovery_s=10.0,
        calm_limit_s=CALM_AFTER_KILL_S,
        hubspot={"rate_limit": PLENTY},
    ),
    Directed(
        name="server ended",
        play=end_in_good_order,
        students=6,
        capacities=(20, 20, 20, 20),
        max_recovery_s=3.0,
        settings=AT_WORK,
        hubspot={"rate_limit": PLENTY},
    ),
)
