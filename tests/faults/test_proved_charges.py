"""One booking costs one credit, whatever goes wrong at its charge and whoever writes beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.journal.models import EntryState, JournalEntry
from hubspot_sync.config import API_VERSIONS, ApiVersion
from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal, Student
from tests.desk import cancel, create, credit_of
from tests.faults.groups import Deed, DeskUnderTest, running_desk
from tests.faults.tables import CONTACTS, FAULTS, WRITES
from tests.faults.world import seats
from tests.sandbox import SandboxHandle
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WAITS_S = 5.0
"""For how long a student waits whose charge HubSpot has not answered."""

CREDIT = "credits_clinical"
CREDITS_PATH = WRITES["credits"]
MARKER = "credit_write_marker"
SHOP = ("INTEGRATION", "99999")


@pytest.mark.parametrize("started", [True, False], ids=["a server", "a command"])
def test_another_apps_value_is_not_taken_for_ours_though_links_could_not_be_learnt(
    desk: DeskUnderTest, portal: Portal, started: bool
) -> None:
    portal.sandbox.drop_property(CONTACTS, MARKER)
    student, exam = portal.student("ann", credits=5), portal.exam()
    if started:
        labels = portal.sandbox.fault("status", path="/labels", status=500)
        composition.services().booking.start()
        portal.sandbox.clear_faults(labels)
    with desk.held_up():
        portal.sandbox.fault("cut_before", path=CREDITS_PATH, times=1)
        group = desk.begin([partial(create, desk.api, student, exam)])
        unread = portal.sandbox.fault("status", path="/0-1/batch/read", nth=2, status=500)
    eventually(lambda: JournalEntry.objects.filter(state=EntryState.WRITTEN).exists())
    portal.sandbox.write_as(SHOP, CONTACTS, student.id, **{CREDIT: "4"})
    portal.sandbox.clear_faults(unread)
    desk.wait_until_idle()

    group.wait_for_replies()
    assert len(seats(portal)) == 1
    assert credit_of(portal, student) == 3


PRIVATE_APP = {"source_type": "INTEGRATION", "source_id": "54321"}
SERVICE_KEY = {"app_info": "empty", "source_type": "API", "source_id": "userId:7"}
PLATFORM_KEY = {
    "app_info": "without_app",
    "source_type": "INTEGRATIONS_PLATFORM",
    "source_id": "key-1",
}
NAMELESS = {"app_info": "empty", "source_type": "", "source_id": ""}
CUTS = ["cut before", "cut after"]
EVERY_FAULT: dict[str, Mapping[str, Any]] = {
    **{name: fault for name, fault in FAULTS.items() if name != "207 for one"},
    "502": {"action": "status", "status": 502},
    "edge": {"action": "status", "status": 524},
    "no answer after the effect": {"action": "spoil", "how": "html"},
}


def write_meanwhile(portal: Portal, students: list[Student], balance: str) -> None:
    """The second student's credit is changed by another app, the third's by a person, both to the
    very value that a charge would leave."""
    portal.sandbox.write_as(SHOP, CONTACTS, students[1].id, **{CREDIT: balance})
    portal.sandbox.edit(CONTACTS, students[2].id, **{CREDIT: balance})


def come_to_rest(desk: DeskUnderTest) -> None:
    """Return once nothing is left to do, and the credits were compared with the journal."""
    desk.wait_until_idle()
    composition.services().booking.review_credits(timedelta(hours=1))
    desk.wait_until_idle()


def do_while_others_write(
    desk: DeskUnderTest,
    portal: Portal,
    students: list[Student],
    deeds: list[Deed],
    fault: Mapping[str, Any],
) -> list[int]:
    """Do the deeds as one group; others write after its plan, then the credits' write goes wrong.
    Return the credits in the end."""
    with desk.held_up(), desk.stuck(CREDITS_PATH) as charge:
        group = desk.begin(deeds)
        portal.sandbox.fault(path=CREDITS_PATH, times=1, **fault)
        desk.let_go()
        charge.wait_for_it()
        write_meanwhile(portal, students, "4")
        portal.sandbox.advance(1)
    come_to_rest(desk)
    group.wait_for_replies()
    portal.sandbox.clear_faults()
    return [credit_of(portal, student) for student in students]


def in_every_way(*marks: pytest.MarkDecorator, faults: list[str]) -> Iterator[ParameterSet]:
    sources = {
        "private app": PRIVATE_APP,
        "service key": SERVICE_KEY,
        "platform key": PLATFORM_KEY,
        "nameless": NAMELESS,
    }
    for name, source in sources.items():
        for marked in (True, False):
            title = f"{name}, {'marked' if marked else 'unmarked'}, {len(faults)} faults"
            yield pytest.param(source, marked, faults, id=title, marks=marks)


@pytest.mark.parametrize(
    ("source", "marked", "faults"),
    [
        pytest.param(SERVICE_KEY, True, CUTS, id="service key, marked"),
        pytest.param(SERVICE_KEY, False, CUTS, id="service key, unmarked", marks=pytest.mark.chaos),
        *in_every_way(pytest.mark.chaos, faults=[*EVERY_FAULT]),
    ],
)
def test_a_booking_costs_one_credit_and_a_cancel_gives_it_back(
    desk: DeskUnderTest,
    portal: Portal,
    source: Mapping[str, str],
    marked: bool,
    faults: list[str],
) -> None:
    portal.sandbox.configure(**source)
    if not marked:
        portal.sandbox.drop_property(CONTACTS, MARKER)
    found = {}
    for name in faults:
        exam = portal.exam(capacity=3)
        students = [portal.student(person, credits=5) for person in ("ann", "ben", "cleo")]
        deeds: list[Deed] = [partial(create, desk.api, student, exam) for student in students]
        charged = do_while_others_write(desk, portal, students, deeds, EVERY_FAULT[name])
        booked = {seat.contact_id: seat.record_id for seat in seats(portal)}
        deeds = [partial(cancel, desk.api, student, booked[student.id]) for student in students]
        given_back = do_while_others_write(desk, portal, students, deeds, EVERY_FAULT[name])
        found[name] = (charged, given_back)

    # Of three, two were given another balance meanwhile: 4, and one less, or one more.
    assert found == dict.fromkeys(faults, ([4, 3, 3], [5, 5, 5]))


def every_portal_and_family() -> Iterator[ParameterSet]:
    """Each portal and each family of paths, and by `make slow-tests` each with each."""
    for number, api_version in enumerate(API_VERSIONS):
        schools = ("default", "prepdoctors") if number % 2 == 0 else ("prepdoctors", "default")
        yield pytest.param(schools[0], api_version)
        yield pytest.param(schools[1], api_version, marks=pytest.mark.chaos)


@pytest.mark.sampled
@pytest.mark.parametrize(("school", "api_version"), [*every_portal_and_family()])
def test_every_portal_and_every_family_of_paths_proves_its_charges(
    settings: Settings, sandbox: SandboxHandle, school: str, api_version: ApiVersion
) -> None:
    portal = Portal(sandbox, load_profile(school))
    sandbox.kind()
    sandbox.configure(**SERVICE_KEY)
    student, exam = portal.student("ann", credits=5), portal.exam()
    with running_desk(settings, sandbox, portal=school, api_version=api_version) as desk:
        for cut in ("cut_before", "cut_after"):
            sandbox.fault(cut, path=CREDITS_PATH, times=1)
            group = desk.begin_one(partial(create, desk.api, student, exam, f"key-{cut}"))
            eventually(lambda: begun_rows() % 2 == 1)
            come_to_rest(desk)
            group.wait_for_replies()
            booked = create(desk.api, student, exam, f"key-{cut}").data["booking_record_id"]
            assert credit_of(portal, student) == 4
            sandbox.fault(cut, path=CREDITS_PATH, times=1)
            group = desk.begin_one(partial(cancel, desk.api, student, booked))
            eventually(lambda: begun_rows() % 2 == 0)
            come_to_rest(desk)
            group.wait_for_replies()
            assert credit_of(portal, student) == 5
    # Two were lost, and sent again.
    assert [mark.rpartition(".")[2] for mark in marks_of(portal, student)] == ["1", "1", "2", "2"]


def begun_rows() -> int:
    return JournalEntry.objects.exclude(state=EntryState.QUEUED).count()


def test_a_portal_that_loses_the_marker_goes_on_without_it_at_the_cost_of_one_call(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students = [portal.student(f"student{number}", credits=5) for number in range(6)]
    exams = [portal.exam(capacity=9, in_days=days) for days in (7, 8)]
    assert create(desk.api, students[0], exams[0]).status == 201
    assert marks_of(portal, students[0]) != []
    portal.sandbox.drop_property(CONTACTS, MARKER)
    portal.sandbox.clear_calls()

    with desk.held_up():
        group = desk.begin([partial(create, desk.api, one, exams[1]) for one in students])
    assert [reply.status for reply in group.wait_for_replies()] == [201] * 6

    desk.wait_until_idle()
    assert [credit_of(portal, one) for one in students] == [3, 4, 4, 4, 4, 4]
    updates = portal.sandbox.calls("objects.batch_update")
    assert [one["status"] for one in updates if one["object_type"] == CONTACTS] == [400, 200]


@pytest.mark.sampled
@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
@pytest.mark.desk(request_deadline_s=WAITS_S)
def test_a_charge_refused_for_its_mark_and_not_answered_without_it_is_known_again(
    desk: DeskUnderTest, portal: Portal, cut: str
) -> None:
    portal.sandbox.configure(**SERVICE_KEY)
    student, exams = portal.student("ann", credits=5), [portal.exam(in_days=day) for day in (7, 8)]
    assert create(desk.api, student, exams[0]).status == 201
    portal.sandbox.drop_property(CONTACTS, MARKER)
    portal.sandbox.fault(cut, path=CREDITS_PATH, nth=2)

    create(desk.api, student, exams[1])
    come_to_rest(desk)

    assert len(seats(portal)) == 2
    assert credit_of(portal, student) == 3


def test_a_mark_that_could_not_be_asked_for_is_asked_for_later(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exams = portal.student("ann", credits=5), [portal.exam(in_days=day) for day in (7, 8)]
    portal.sandbox.fault("status", path=f"properties/.*{MARKER}", status=500)
    composition.services().booking.start()
    assert create(desk.api, student, exams[0]).status == 201
    assert marks_of(portal, student) == []

    portal.sandbox.clear_faults()
    composition.services().booking.start()
    assert create(desk.api, student, exams[1]).status == 201
    assert len(marks_of(portal, student)) == 1


def test_a_history_that_does_not_reach_back_has_nothing_written(
    desk: DeskUnderTest, portal: Portal
) -> None:
    student, exam = portal.student("ann", credits=5), portal.exam()
    portal.sandbox.configure(history_limit=2)
    with desk.held_up(), desk.stuck(CREDITS_PATH) as charge:
        group = desk.begin([partial(create, desk.api, student, exam)])
        portal.sandbox.fault("cut_before", path=CREDITS_PATH, times=1)
        desk.let_go()
        charge.wait_for_it()
        for balance in ("7", "8", "9"):
            portal.sandbox.edit(CONTACTS, student.id, **{CREDIT: balance})
    eventually(lambda: JournalEntry.objects.get().attempts == 1)
    desk.clock.ahead += timedelta(seconds=121)
    composition.services().booking.desk.finish()
    eventually(lambda: "reach back" in JournalEntry.objects.get().last_error)
    assert credit_of(portal, student) == 9

    portal.sandbox.configure(history_limit=0)
    come_to_rest(desk)
    group.wait_for_replies()
    assert credit_of(portal, student) == 8


def marks_of(portal: Portal, student: Student) -> list[str]:
    """The marks in a contact's history, newest first."""
    asked = {"inputs": [{"id": student.id}], "propertiesWithHistory": [MARKER]}
    path = f"/crm/objects/2026-09/{CONTACTS}/batch/read"
    record = portal.sandbox.call("POST", path, asked).body["results"][0]
    return [version["value"] for version in record["propertiesWithHistory"].get(MARKER, ())]
