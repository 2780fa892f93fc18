"""What is measured: each operation, as the old system is asked for it and as the API is.

A `Maker` puts what an operation needs into a portal, for so many repetitions: what can be done only
once, a booking or a cancel, has a student and an exam of its own each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final

from booking_api.benchmarks.operations.application import SECRET, Asked
from booking_api.benchmarks.operations.measurement import SYSTEMS, System
from booking_api.benchmarks.operations.old_endpoints import OldEndpoints
from booking_api.benchmarks.portal_data import BOOKINGS, PortalData, Student

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
CREATE, CREDITS = "/api/bookings/create", "/api/mock-exams/validate-credits"
SYNC, WEBHOOK = "/api/mock-exams/sync-capacity", "/api/webhooks/booking-sync"
BOOKED_BEFORE = 5
"""Bookings of a student who books or cancels, and others' bookings of that exam."""
BOOKINGS_OF_AN_EXAM = 10
EVENTS_OF_EXAMS = 40
STUDENTS, EXAMS_OFFERED, ALL_EXAMS = "students", "exams offered", "all exams"
LISTED = (0, 1, 10, 50, 101, 500, 2_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An operation whose records are there, as repetition number so and so asks for it. `before` is
    what whoever asks has read before. Where work `follows` the answer, its calls count, too."""

    naive: Callable[[OldEndpoints, int], object]
    ask: Callable[[int], Asked]
    before: Callable[[int], Sequence[Asked]]
    follows: bool = False


Maker = Callable[[PortalData, int], Case]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """`world` are the operations that live in one portal together. `times` is how often it can be
    repeated, `systems` those it is asked of. `keeps_ids`: asked with an empty cache, but for which
    exams there are."""

    name: str
    make: Maker
    world: str = STUDENTS
    times: int = 20
    systems: tuple[System, ...] = SYSTEMS
    keeps_ids: bool = False

    def lives_in(self, system: System) -> bool:
        """Say whether it is asked while the application is this system: without a cache nothing is
        known beforehand."""
        return system == "cached" if self.keeps_ids else system in self.systems


def make_list(bookings: int, data: PortalData, _times: int) -> Case:
    exams = max(1, min(100, bookings // 5))
    student = data.add_student_with(bookings=bookings, exams=exams)
    asked = list_of(student)
    return Case(
        naive=lambda old, _: old.booking_list(student),
        ask=lambda _: asked,
        before=lambda _: [asked],
    )


def list_of(student: Student) -> Asked:
    return Asked("GET", LIST, student.pair)


def make_booking(data: PortalData, _times: int) -> Case:
    student = data.add_student()
    booking_id = data.add_booking(student, data.add_exam(in_days=30, taken=1))
    data.write()
    asked = Asked("GET", f"/api/bookings/{booking_id}", student.pair)
    return Case(
        naive=lambda old, _: old.booking(student, booking_id),
        ask=lambda _: asked,
        before=lambda _: [asked],
    )


def make_available(
    exams: int,
    mock_type: str,
    realtime: bool,
    data: PortalData,
    _times: int,
    *,
    bookings: int = BOOKINGS_OF_AN_EXAM,
) -> Case:
    data.add_offered(exams, mock_type, bookings=bookings)
    fields = {"mock_type": mock_type} | ({"realtime": "true"} if realtime else {})
    asked = Asked("GET", AVAILABLE, fields)
    return Case(
        naive=lambda old, _: (old.realtime_pages if realtime else old.available)(mock_type),
        ask=lambda _: asked,
        before=lambda _: [asked],
    )


def make_credits(data: PortalData, _times: int) -> Case:
    student = data.add_student()
    data.write()
    asked = Asked("POST", CREDITS, {**student.pair, "mock_type": "clinical"})
    return Case(
        naive=lambda old, _: old.credits(student), ask=lambda _: asked, before=lambda _: [asked]
    )


def make_create(data: PortalData, times: int) -> Case:
    """Each time a student with earlier bookings books an exam that others have booked."""
    students = [data.add_student() for _ in range(times)]
    earlier = [data.add_exam(in_days=40 + day, taken=times) for day in range(BOOKED_BEFORE)]
    exams = [data.add_exam(in_days=1, taken=BOOKED_BEFORE) for _ in students]
    for student, exam_id in zip(students, exams, strict=True):
        for one in earlier:
            data.add_booking(student, one)
        for _ in range(BOOKED_BEFORE):
            data.add_booking(data.add_student(), exam_id)
    data.write()
    keys = count()

    def ask(number: int) -> Asked:
        student = students[number]
        fields = {
            "contact_id": student.id,
            "mock_exam_id": exams[number],
            **student.pair,
            "name": "Student",
            "exam_date": data.day(1),
            "mock_type": "clinical",
        }
        headers = {"Idempotency-Key": f"{student.student_id}-{next(keys)}"}
        return Asked("POST", CREATE, fields, headers=headers)

    return Case(
        naive=lambda old, number: old.naive_create(students[number], exams[number]),
        ask=ask,
        before=lambda number: [list_of(students[number])],
        follows=True,
    )


def make_cancel(data: PortalData, times: int) -> Case:
    """Each time a student cancels one of some bookings, made elsewhere, of an exam with others."""
    students = [data.add_student() for _ in range(times)]
    earlier = [data.add_exam(in_days=40 + day, taken=times) for day in range(BOOKED_BEFORE)]
    booking_ids = []
    for student in students:
        for one in earlier:
            data.add_booking(student, one)
        exam_id = data.add_exam(in_days=2, taken=BOOKED_BEFORE + 1)
        booking_ids.append(data.add_booking(student, exam_id))
        for _ in range(BOOKED_BEFORE):
            data.add_booking(data.add_student(), exam_id)
    data.write()
    return Case(
        naive=lambda old, number: old.naive_cancel(students[number], booking_ids[number]),
        ask=lambda number: Asked(
            "DELETE", f"/api/bookings/{booking_ids[number]}", students[number].pair
        ),
        before=lambda number: [list_of(students[number])],
        follows=True,
    )


def make_webhook(events: int, data: PortalData, _times: int) -> Case:
    """Each time so many bookings were changed, of forty exams."""
    exams = [data.add_exam(in_days=60, taken=BOOKINGS_OF_AN_EXAM) for _ in range(EVENTS_OF_EXAMS)]
    bookings = [
        data.add_booking(data.add_student(), exam_id)
        for _ in range(BOOKINGS_OF_AN_EXAM)
        for exam_id in exams
    ]
    data.write()
    numbers, ids = count(1), bookings[:events]
    return Case(
        naive=lambda old, _: old.webhook(ids),
        ask=lambda _: Asked(
            "POST", WEBHOOK, [change_event(next(numbers), each) for each in ids], signed=True
        ),
        before=lambda _: [],
        follows=True,
    )


def change_event(number: int, booking_id: str) -> dict[str, Any]:
    return {
        "eventId": number,
        "subscriptionId": 1,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": 1_790_000_000_000 + number,
        "subscriptionType": "object.propertyChange",
        "objectTypeId": BOOKINGS,
        "objectId": int(booking_id),
        "propertyName": "is_active",
        "propertyValue": "true",
        "changeSource": "CRM_UI",
    }


def make_sync(exams: int, bookings: int, data: PortalData, _times: int, *, named: bool) -> Case:
    """Half of the stored counts are wrong, once: a repetition would have nothing to correct."""
    ids = data.add_offered(exams, "written", bookings=bookings, wrong=exams // 2)
    fields = {"mock_exam_ids": ids} if named else {}
    headers = {"Authorization": f"Bearer {SECRET}"}
    return Case(
        naive=lambda old, _: old.sync(ids),
        ask=lambda _: Asked("POST", SYNC, fields, headers=headers),
        before=lambda _: [],
        follows=True,
    )


def _available(exams: int, world: str, mock_type: str) -> tuple[Operation, ...]:
    plain = partial(make_available, exams, mock_type, False)
    return (
        Operation(name=f"available, {exams} exams", make=plain, world=world),
        Operation(
            name=f"available, {exams} exams, ids known",
            make=plain,
            world=world,
            systems=("naive", "batched"),
            keeps_ids=True,
        ),
        Operation(
            name=f"available, {exams} exams, realtime",
            make=partial(make_available, exams, mock_type, True),
            world=world,
        ),
    )


OPERATIONS: tuple[Operation, ...] = (
    *(
        Operation(name=f"list, {bookings:,} bookings", make=partial(make_list, bookings))
        for bookings in LISTED
    ),
    Operation(name="one booking", make=make_booking),
    *_available(20, STUDENTS, "osce"),
    *_available(50, STUDENTS, "written"),
    *_available(200, EXAMS_OFFERED, "osce"),
    Operation(name="validate-credits", make=make_credits),
    Operation(name="create", make=make_create, times=8),
    Operation(name="cancel", make=make_cancel, times=8),
    *(
        Operation(
            name=f"webhook, {events} events",
            make=partial(make_webhook, events),
            times=4,
            systems=("naive", "batched", "cached"),
        )
        for events in (50, 100)
    ),
    Operation(
        name="sync_capacity, 40 exams",
        make=partial(make_sync, 40, BOOKINGS_OF_AN_EXAM, named=True),
        world=EXAMS_OFFERED,
        times=1,
        systems=("naive", "batched"),
    ),
    Operation(
        name="sync_capacity, 1,000 exams",
        make=partial(make_sync, 1_000, 20, named=False),
        world=ALL_EXAMS,
        times=1,
        systems=("naive", "batched"),
    ),
)

QUICK: Final = frozenset(
    {
        *(f"list, {bookings} bookings" for bookings in (1, 10, 50)),
        *(f"available, 20 exams{words}" for words in ("", ", ids known", ", realtime")),
        *("one booking", "validate-credits", "create", "cancel"),
    }
)
"""Which of them the old system, too, answers soon."""
