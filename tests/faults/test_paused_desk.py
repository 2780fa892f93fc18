"""A desk that stands still between its check and its write, while another takes over.

The process is stopped with SIGSTOP inside the very sending, after all checks and deadlines; its
lease runs out, another process does its work and sells what is left; then it wakes and sends.
Nothing is oversold, and no credit is lost or taken twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.builders import Booking, Exam, Portal, Student
from tests.desk import create_body, credit_of, stored_total
from tests.faults.children import (
    ANSWER_TIMEOUT_S,
    CRON_SECRET,
    PATIENT,
    Child,
    Zygote,
    let_the_lease_expire,
)
from tests.faults.stations import Stop
from tests.faults.test_proved_charges import MARKER, marks_of
from tests.faults.world import Holdings, broken_promises, seats

AT_ONCE = 6
IN_DOUBT = {**PATIENT, "late_write_s": 0.5}
"""What the paused desk had begun is in doubt for a while, and comes when that is over."""
CRON = {"Authorization": f"Bearer {CRON_SECRET}"}
# A process that stands still inside a transaction holds up all who use SQLite: none overtakes it.
CREATE_STOPS = [
    ("create bookings #1", "before"),
    ("create bookings #1", "after"),
    ("update contacts #1", "before"),
    ("update contacts #1", "after"),
    ("update exams #1", "before"),
    ("update exams #1", "after"),
    ("commit update journalentry #1", "after"),
    ("commit update journalentry #2", "after"),
]
CANCEL_STOPS = [
    ("update bookings #1" if "create" in station else station, side)
    for station, side in CREATE_STOPS
]


@dataclass(frozen=True, slots=True)
class Scene:
    """Alice has a seat in an exam or wants one, Bob and Carol want the one that is left, and Alice
    one in another exam, for the same kind of credit."""

    alice: Student
    bob: Student
    carol: Student
    exam: Exam
    other: Exam
    booking: Booking | None
    owned: Holdings


def scenes(portal: Portal, number: int, *, booked: bool) -> list[Scene]:
    made = []
    with portal.at_once():
        for turn in range(number):
            people = [portal.student(f"{name}{turn}", credits=4) for name in ("al", "bo", "ca")]
            exam = portal.exam(capacity=2, total_bookings=2 if booked else 0)
            other = portal.exam(capacity=9, in_days=20)
            own = portal.booking(people[0], exam, seat_key=f"{exam.id}:1") if booked else None
            if booked:
                portal.booking(portal.student(f"x{turn}"), exam, seat_key=f"{exam.id}:2")
            made.append((*people, exam, other, own))
    owned = Holdings.of(portal, [person for scene in made for person in scene[:3]])
    return [Scene(*scene, owned) for scene in made]


def begin_create(child: Child, scene: Scene) -> None:
    body = create_body(scene.alice, scene.exam)
    child.begin("POST", "/api/bookings/create", body, f"key-{scene.alice.id}")


def begin_cancel(child: Child, scene: Scene) -> None:
    assert scene.booking is not None
    child.begin("DELETE", f"/api/bookings/{scene.booking.id}", scene.alice.pair)


Begin = Callable[[Child, Scene], None]


def trial(forks: Zygote, portal: Portal, begin: Begin, stop: Stop, scene: Scene) -> str:
    database = forks.database()
    with (
        forks.child(database, stop, IN_DOUBT) as paused,
        forks.child(database, desk=IN_DOUBT) as other,
    ):
        begin(paused, scene)
        paused.wait_until_it_pauses()
        let_the_lease_expire(database)
        other.start()
        work_meanwhile(other, scene)
        paused.resume()
        answer = paused.answer()
        paused.end_turn()
        paused.wait_until_idle()
        other.wait_until_idle()
    wrong = broken_promises(
        portal, [scene.exam, scene.other], [scene.alice, scene.bob, scene.carol], scene.owned
    )
    assert wrong == [], (stop, answer, wrong)
    assert answer["status"] == (200 if begin is begin_cancel else 201), (stop, answer)
    return f"{stop.side:6} {stop.station:32} {answer['status']}"


def work_meanwhile(other: Child, scene: Scene) -> None:
    """Sell the last seat, and change the credit that the paused desk may be about to write."""
    # Hers waits for what the paused desk had begun, and a seat that is given up is free after that.
    alice = other.create(scene.alice, scene.other, f"other-{scene.alice.id}")
    bob = other.create(scene.bob, scene.exam, f"key-{scene.bob.id}")
    carol = other.create(scene.carol, scene.exam, f"key-{scene.carol.id}")
    assert (bob["status"], carol["body"]["code"], alice["status"]) == (201, "EXAM_FULL", 201), (
        bob,
        carol,
        alice,
    )
    other.wait_until_idle()


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("begin", "stops"),
    [
        pytest.param(begin_create, CREATE_STOPS, id="create"),
        pytest.param(begin_cancel, CANCEL_STOPS, id="cancel"),
    ],
)
def test_a_paused_desk_spoils_nothing(
    forks: Zygote, portal: Portal, begin: Begin, stops: list[tuple[str, str]]
) -> None:
    stage = scenes(portal, len(stops), booked=begin is begin_cancel)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = [
            pool.submit(
                trial, forks, portal, begin, Stop(station=station, side=side, how="pause"), scene
            )
            for (station, side), scene in zip(stops, stage, strict=True)
        ]
    print("", *[each.result() for each in trials], sep="\n")


@pytest.mark.chaos
def test_a_paused_recount_leaves_no_old_count(forks: Zygote, portal: Portal) -> None:
    """The count is wrong; a recount is about to write the right one when it stands still."""
    bob, exam = portal.student("bo", credits=2), portal.exam(capacity=9, total_bookings=5)
    portal.booking(portal.student("somebody"), exam)
    owned, database = Holdings.of(portal, [bob]), forks.database()
    stop = Stop(station="update exams #1", side="before", how="pause")

    with (
        forks.child(database, stop, IN_DOUBT) as paused,
        forks.child(database, desk=IN_DOUBT) as other,
    ):
        paused.begin("POST", "/api/mock-exams/sync-capacity", {"mock_exam_ids": [exam.id]}, **CRON)
        paused.wait_until_it_pauses()
        let_the_lease_expire(database)
        other.start()
        assert other.create(bob, exam, "key-1")["status"] == 201
        assert stored_total(portal, exam) == 2
        paused.resume()
        paused.answer()
        paused.end_turn()
        paused.wait_until_idle()

    assert broken_promises(portal, [exam], [bob], owned) == []


def test_a_paused_review_leaves_no_old_credit(forks: Zygote, portal: Portal) -> None:
    """A credit was spoilt; its review is about to mend it when it stands still."""
    alice, exams = portal.student("al", credits=5), [portal.exam(in_days=day) for day in (5, 6)]
    owned, database = Holdings.of(portal, [alice]), forks.database()
    stop = Stop(station="update contacts #1", side="before", how="pause")
    with forks.child(database) as child:
        booked = [child.create(alice, exam, f"key-{exam.id}") for exam in exams]
        child.wait_until_idle()
    write_as_an_app(portal, alice, 4)
    ask_for_a_review(database, alice)

    with (
        forks.child(database, stop, IN_DOUBT) as paused,
        forks.child(database, desk=IN_DOUBT) as other,
    ):
        paused.start_and_pause()
        let_the_lease_expire(database)
        other.start()
        record_id = booked[0]["body"]["data"]["booking_record_id"]
        assert other.cancel(alice, record_id)["status"] == 200
        other.wait_until_idle()
        assert credit_of(portal, alice) == 4
        paused.resume()
        paused.end_turn()
        paused.wait_until_idle()

    assert len(seats(portal)) == 1
    assert broken_promises(portal, exams, [alice], owned) == []


def write_as_an_app(portal: Portal, student: Student, balance: int) -> None:
    """As a desk does that was overtaken and killed before it could say so."""
    path = f"/crm/objects/2026-09/{portal.profile.object_types.contacts}/batch/update"
    first_mark = marks_of(portal, student)[-1]
    credit = {portal.first_type.credit_property: str(balance), MARKER: first_mark}
    body = {"inputs": [{"id": student.id, "properties": credit}]}
    assert portal.sandbox.call("POST", path, body).status == 200


def ask_for_a_review(database: str, student: Student) -> None:
    """As the desk does that has taken over."""
    long_ago = "2000-01-01 00:00:00"
    with closing(sqlite3.connect(database, timeout=ANSWER_TIMEOUT_S)) as connection, connection:
        connection.execute(
            "INSERT INTO booking_api_creditreview"
            " (subject_id, asked_at, version, next_attempt_at, attempts, last_error, overtaken)"
            " VALUES (?, ?, 1, ?, 0, '', 1)",
            (student.id, long_ago, long_ago),
        )
