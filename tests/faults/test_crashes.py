"""`kill -9` at every step of a create and of a cancel, and what a new process makes of it.

For each call to HubSpot and each transaction a real process is killed before it, and after it took
effect but before its answer was seen. A new process starts as a server does; with nobody's help the
promises hold, and whoever asks again is told the truth. `-s` shows the table of every point.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from tests.builders import Booking, Exam, Portal, Student
from tests.desk import credit_of, stored_total
from tests.faults.children import SHORT, Child, Died, Zygote, let_the_lease_expire
from tests.faults.stations import SIDES, Stop
from tests.faults.tables import CONTACTS, NOT_NOW
from tests.faults.world import Holdings, broken_promises, notes_of, seats

AT_ONCE = 20
SHARES = pytest.mark.parametrize(
    "every",
    [pytest.param(6, id="some points"), pytest.param(1, id="all points", marks=pytest.mark.chaos)],
)
"""`make test` kills at each sixth point, `make chaos` at all."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A student with another booking elsewhere, an exam in which somebody sits, and `booking`, the
    student's own in it, where the deed is a cancel."""

    student: Student
    exam: Exam
    booking: Booking | None
    owned: Holdings


def scenes(portal: Portal, number: int, *, booked: bool) -> list[Scene]:
    made = []
    with portal.at_once():
        elsewhere = portal.exam(in_days=30, capacity=1_000, mock_type="written")
        for turn in range(number):
            student = portal.student(f"student{turn}", credits=3)
            exam = portal.exam(capacity=2, total_bookings=2 if booked else 1)
            portal.booking(portal.student(f"other{turn}"), exam, seat_key=f"{exam.id}:1")
            portal.booking(student, elsewhere)
            own = portal.booking(student, exam, seat_key=f"{exam.id}:2") if booked else None
            made.append((student, exam, own))
    owned = Holdings.of(portal, [student for student, _, _ in made])
    return [Scene(student, exam, own, owned) for student, exam, own in made]


Deed = Callable[[Child, Scene], Mapping[str, Any]]


def book(child: Child, scene: Scene) -> Mapping[str, Any]:
    return child.create(scene.student, scene.exam, f"key-{scene.student.id}")


def cancel(child: Child, scene: Scene) -> Mapping[str, Any]:
    assert scene.booking is not None
    return child.cancel(scene.student, scene.booking.id)


def book_in_vain(child: Child, scene: Scene) -> Mapping[str, Any]:
    """Book where HubSpot refuses the charge; see `set_rules`."""
    return book(child, scene)


def set_rules(portal: Portal, deed: Deed) -> None:
    """Let an administrator forbid the balance that a booking would leave."""
    rule = {"object_type": CONTACTS, "property": "credits_clinical", "pattern": "[^2]"}
    portal.sandbox.configure(validation_rules=[rule] if deed is book_in_vain else [])


FIRST_KILLED = {
    book: "create bookings #1",
    cancel: "update bookings #1",
    book_in_vain: "update contacts #1",
}
WRITES_AFTER_A_KILL = {
    book: ("update contacts #1", "update exams #1", "create notes #1"),
    cancel: ("update contacts #1", "update exams #1", "create notes #1"),
    book_in_vain: ("update contacts #1", "update bookings #1"),
}
"""What is still to be done once a deed is killed there: a trial without these tried nothing. Of a
booking in vain the count is a job of its own, with nothing to write once the booking is undone."""


def do_until_idle(child: Child, deed: Deed, scene: Scene) -> None:
    deed(child, scene)
    child.wait_until_idle()


def describe_state(portal: Portal, database: str, scene: Scene) -> str:
    """What HubSpot and the journal say of a scene, in a few words for the table."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT state FROM booking_api_journalentry").fetchall()
    journal = ",".join(row[0] for row in rows) or "-"
    booked = sum(seat.exam_id == scene.exam.id for seat in seats(portal))
    credit, stored = credit_of(portal, scene.student), stored_total(portal, scene.exam)
    return f"{journal:8} {booked} booked, says {stored}, credit {credit}"


def crash(forks: Zygote, portal: Portal, deed: Deed, point: Stop, scene: Scene) -> list[str]:
    """Kill a process at the point, let another follow; return the table's row."""
    database = forks.database()
    try:
        with forks.child(database, point) as victim:
            do_until_idle(victim, deed, scene)
    except Died:
        assert not victim.ended_well
    assert not victim.ended_well, f"{point} was never reached"
    found = describe_state(portal, database, scene)
    let_the_lease_expire(database)
    with forks.child(database) as heir:
        heir.start()
        heir.wait_until_idle()
        recovered = describe_state(portal, database, scene)
        wrong = broken_promises(portal, [scene.exam], [scene.student], scene.owned)
        assert wrong == [], (point, found, recovered, wrong)
        reply = deed(heir, scene)
        heir.wait_until_idle()
    wrong = broken_promises(portal, [scene.exam], [scene.student], scene.owned)
    assert wrong == [], (point, found, recovered, reply, wrong)
    check_answer(portal, deed, scene, reply, is_repeat=recovered.startswith("done"))
    answer = f"{reply['status']} {reply['body'].get('code', '')}"
    return [point.side, point.station, found, recovered, answer]


def check_answer(
    portal: Portal, deed: Deed, scene: Scene, reply: Mapping[str, Any], *, is_repeat: bool
) -> None:
    """Whoever asked again was told the truth, also of whether it had been done before; and the
    timeline tells it once."""
    own = [seat for seat in seats(portal) if seat.exam_id == scene.exam.id]
    mine = [seat for seat in own if seat.contact_id == scene.student.id]
    if deed is book:
        assert reply["status"] == (200 if is_repeat else 201), reply
        assert [seat.record_id for seat in mine] == [reply["body"]["data"]["booking_record_id"]]
        assert credit_of(portal, scene.student) == 2
        title = "Mock exam booked"
    elif deed is book_in_vain:
        assert (reply["status"], reply["body"]["code"]) == (400, "VALIDATION_ERROR"), reply
        assert mine == []
        assert credit_of(portal, scene.student) == 3
        assert notes_of(portal, "Mock exam booked", scene.student.student_id) == []
        return
    else:
        assert reply["body"].get("code") == ("ALREADY_CANCELED" if is_repeat else None), reply
        assert mine == []
        assert credit_of(portal, scene.student) == 4
        title = "Mock exam cancelled"
    assert len(notes_of(portal, title, scene.student.student_id)) == 1


def print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print(" | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))


DEEDS = pytest.mark.parametrize(
    "deed", [book, cancel, book_in_vain], ids=["create", "cancel", "refused charge"]
)


@pytest.mark.sampled(2)
@SHARES
@pytest.mark.parametrize("side", SIDES)
@DEEDS
def test_a_killed_process_leaves_nothing_wrong(
    forks: Zygote, portal: Portal, deed: Deed, side: str, every: int
) -> None:
    set_rules(portal, deed)
    (rehearsal,) = scenes(portal, 1, booked=deed is cancel)
    with forks.child(forks.database()) as child:
        do_until_idle(child, deed, rehearsal)
        stations = child.stations()
    assert {FIRST_KILLED[deed], *WRITES_AFTER_A_KILL[deed]} <= {*stations}
    if deed is book_in_vain:  # its count is a job of its own, and takes the lease when it can
        stations = [station for station in stations if is_always_passed(station, deed)]
    stations = stations[SIDES.index(side) :: every]
    stage = scenes(portal, len(stations), booked=deed is cancel)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = [
            pool.submit(crash, forks, portal, deed, Stop(station=station, side=side), scene)
            for station, scene in zip(stations, stage, strict=True)
        ]
    rows = [trial.result() for trial in trials]

    print_table([["killed", "", "found", "recovered", "asked again"], *rows])


def run_until_killed(
    forks: Zygote, database: str, deed: Deed | None, stop: Stop, scene: Scene
) -> None:
    """Run a process until it is killed; without a deed it is one that recovers."""
    try:
        with forks.child(database, stop) as child:
            if deed is None:
                child.start()
                child.wait_until_idle()
            else:
                do_until_idle(child, deed, scene)
    except Died:
        assert not child.ended_well
    assert not child.ended_well, f"{stop} was never reached"
    let_the_lease_expire(database)


def crash_twice(forks: Zygote, portal: Portal, deed: Deed, station: str, scene: Scene) -> list[str]:
    database = forks.database()
    run_until_killed(forks, database, deed, Stop(station=FIRST_KILLED[deed], side="after"), scene)
    run_until_killed(forks, database, None, Stop(station=station, side="after"), scene)
    found = describe_state(portal, database, scene)
    with forks.child(database) as last:
        last.start()
        last.wait_until_idle()
        reply = deed(last, scene)
        last.wait_until_idle()
    wrong = broken_promises(portal, [scene.exam], [scene.student], scene.owned)
    assert wrong == [], (station, found, reply, wrong)
    check_answer(portal, deed, scene, reply, is_repeat=True)
    return [station, found, describe_state(portal, database, scene), str(reply["status"])]


@pytest.mark.sampled
@SHARES
@DEEDS
def test_a_process_killed_while_it_recovers_leaves_nothing_wrong(
    forks: Zygote, portal: Portal, deed: Deed, every: int
) -> None:
    set_rules(portal, deed)
    (rehearsal,) = scenes(portal, 1, booked=deed is cancel)
    database = forks.database()
    run_until_killed(
        forks, database, deed, Stop(station=FIRST_KILLED[deed], side="after"), rehearsal
    )
    with forks.child(database) as heir:
        heir.start()
        heir.wait_until_idle()
        passed = dict.fromkeys(heir.stations())
    assert {*WRITES_AFTER_A_KILL[deed]} <= passed.keys()
    stations = [station for station in passed if is_always_passed(station, deed)][::every]
    stage = scenes(portal, len(stations), booked=deed is cancel)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = [
            pool.submit(crash_twice, forks, portal, deed, station, scene)
            for station, scene in zip(stations, stage, strict=True)
        ]
    rows = [trial.result() for trial in trials]

    print_table([["killed again after", "found", "recovered", "asked again"], *rows])


def is_always_passed(station: str, deed: Deed) -> bool:
    """Whether every recovery passes it: how many rounds the background's threads make, and how
    often the lease changes hands, differ from one to the next."""
    if deed is book_in_vain and station.startswith("update exams"):
        return False
    journal = station.startswith("commit") and "journalentry" in station
    first_call = station.endswith("#1") and not station.startswith(("commit", "update outbox"))
    return journal or (first_call and "lease" not in station and "recount" not in station)


def test_what_was_made_is_looked_up_and_not_made_again(forks: Zygote, portal: Portal) -> None:
    (scene,) = scenes(portal, 1, booked=False)
    database = forks.database()
    run_until_killed(forks, database, book, Stop(station=FIRST_KILLED[book], side="after"), scene)

    with forks.child(database) as heir:
        heir.start()
        heir.wait_until_idle()

    bookings = portal.profile.object_types.bookings
    creates = portal.sandbox.calls("objects.batch_create")
    assert [call["status"] for call in creates if call["object_type"] == bookings] == [201]
    assert broken_promises(portal, [scene.exam], [scene.student], scene.owned) == []


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("deed", "station", "side", "path"),
    [
        pytest.param(book, "create bookings #1", "before", "/batch/create", id="create"),
        pytest.param(cancel, "update bookings #1", "after", "943/batch/update", id="cancel"),
    ],
)
def test_what_may_have_been_done_is_not_refused_because_hubspot_is_busy(
    forks: Zygote, portal: Portal, deed: Deed, station: str, side: str, path: str
) -> None:
    """The next process is told to come later: that says nothing of what the killed one sent."""
    (scene,) = scenes(portal, 1, booked=deed is cancel)
    database = forks.database()
    run_until_killed(forks, database, deed, Stop(station=station, side=side), scene)
    portal.sandbox.fault(path=path, times=1, **NOT_NOW)

    with forks.child(database, max_attempts=1) as heir:
        heir.start()
        heir.wait_until_idle()

        assert broken_promises(portal, [scene.exam], [scene.student], scene.owned) == []
        assert describe_state(portal, database, scene).startswith("done")


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("station", "side", "ends_as"),
    [
        pytest.param("update contacts #1", "after", "done", id="not decided yet"),
        pytest.param("update bookings #1", "before", "undone", id="decided"),
        pytest.param("update bookings #1", "after", "undone", id="cancelled"),
    ],
)
def test_what_is_being_taken_back_is_never_charged_when_the_rule_goes(
    forks: Zygote, portal: Portal, station: str, side: str, ends_as: str
) -> None:
    (scene,) = scenes(portal, 1, booked=False)
    database = forks.database()
    set_rules(portal, book_in_vain)
    run_until_killed(forks, database, book, Stop(station=station, side=side), scene)
    portal.sandbox.configure(validation_rules=[])

    with forks.child(database) as heir:
        heir.start()
        heir.wait_until_idle()

    assert describe_state(portal, database, scene).startswith(f"{ends_as} ")
    assert credit_of(portal, scene.student) == (2 if ends_as == "done" else 3)
    assert broken_promises(portal, [scene.exam], [scene.student], scene.owned) == []


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
def test_a_killed_charge_is_known_again_where_a_service_key_wrote_it(
    forks: Zygote, portal: Portal, marked: bool
) -> None:
    portal.sandbox.configure(app_info="empty", source_type="API", source_id="userId:7")
    if not marked:
        portal.sandbox.drop_property(CONTACTS, "credit_write_marker")
    points = [(deed, side) for deed in (book, cancel) for side in SIDES]
    stage = [*scenes(portal, 2, booked=False), *scenes(portal, 2, booked=True)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        trials = [
            pool.submit(
                crash, forks, portal, deed, Stop(station="update contacts #1", side=side), scene
            )
            for (deed, side), scene in zip(points, stage, strict=True)
        ]
    print_table([trial.result() for trial in trials])


def test_a_lease_that_nobody_gave_back_runs_out_by_itself(forks: Zygote, portal: Portal) -> None:
    (scene,) = scenes(portal, 1, booked=False)
    database = forks.database()
    stop = Stop(station="update lease #1", side="after")
    with pytest.raises(Died), forks.child(database, stop, SHORT) as victim:
        do_until_idle(victim, book, scene)

    with forks.child(database) as heir:
        heir.start()
        heir.wait_until_idle()

    assert describe_state(portal, database, scene).startswith("done")
    assert broken_promises(portal, [scene.exam], [scene.student], scene.owned) == []
