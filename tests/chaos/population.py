"""A portal of exams and students, most of them well, and how the ill ones are poisoned.

The well students have each a booking in a well exam and, in turn, in every ill one, so that what is
read for them holds poison. The ill students' own deeds touch no well exam: its count is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tests.builders import Booking, Exam, Portal, Student
from tests.chaos.ways import CREDIT, READS, Way

# Whose poison may rightly change whose booking it is, or whether it counts.
DECIDING = ("is_active", "status", "contact_id", "mock_exam_id", "student_id")
UNIQUE = ("idempotency_key", "seat_key")
FREE_SEATS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Ill:
    """A poisoned record, the student who meets it first, and what they would do with it: cancel
    `booking` or book `exam`."""

    way: Way
    record_id: str
    student: Student
    exam: Exam
    booking: Booking | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """Who and what there is; `spare` is the exam that the ill ones book."""

    portal: Portal
    exams: Sequence[Exam]
    students: Sequence[Student]
    spare: Exam
    ill: Sequence[Ill]

    @property
    def ill_exams(self) -> frozenset[str]:
        """Ids of the exams whose rows nobody compares."""
        return frozenset({self.spare.id, *(ill.exam.id for ill in self.ill)})

    def exam_for(self, place: int) -> Exam:
        """The well exam that a well student is going to book."""
        return self.exams[(place + 1) % len(self.exams)]


def settle_population(
    portal: Portal, ways: Sequence[Way], *, exams: int, students: int
) -> Population:
    """Make everything, nothing of it poisoned yet; so many exams and students are well."""
    residents = [way for way in ways if way.place == "booking" and not _is_deciding(way)]
    taken = Counter(place % exams for place in [*range(students), *range(len(residents))])
    with portal.at_once():
        in_spare = sum(1 for way in ways if way.place == "booking")
        spare = portal.exam(in_days=3, capacity=FREE_SEATS + 2 * len(ways), total_bookings=in_spare)
        well_exams = [
            portal.exam(
                in_days=10 + place,
                capacity=FREE_SEATS + 2 * taken[place],
                total_bookings=taken[place],
            )
            for place in range(exams)
        ]
        well = [portal.student(f"well{place}", credits=9) for place in range(students)]
        for place, student in enumerate(well):
            portal.booking(student, well_exams[place % exams])
        ill = [_make_ill(portal, way, place, spare, well) for place, way in enumerate(ways)]
        for place, way in enumerate(residents):
            resident = portal.student(f"resident{place}", credits=9)
            booking = portal.booking(resident, well_exams[place % exams])
            ill.append(Ill(way=way, record_id=booking.id, student=resident, exam=spare))
    return Population(portal=portal, exams=well_exams, students=well, spare=spare, ill=ill)


def _is_deciding(way: Way) -> bool:
    """An exam with such a booking rightly has another count, or none where it cannot be read."""
    return way.field in DECIDING or way.refused == READS


def _make_ill(portal: Portal, way: Way, place: int, spare: Exam, well: Sequence[Student]) -> Ill:
    student = portal.student(f"ill{place}", credits=9)
    if way.place == "student":
        return Ill(way=way, record_id=student.id, student=student, exam=spare)
    if way.place == "exam":
        exam = portal.exam(in_days=100 + place, capacity=FREE_SEATS, total_bookings=1)
        portal.booking(well[place % len(well)], exam)
        return Ill(way=way, record_id=exam.id, student=student, exam=exam)
    booking = portal.booking(student, spare)
    return Ill(way=way, record_id=booking.id, student=student, exam=spare, booking=booking)


def poison_all(population: Population) -> None:
    """Poison every ill record as its way says."""
    portal, refused, seen = population.portal, [], set[tuple[str, str | None]]()
    for ill in population.ill:
        type_id = _type_id(portal, ill.way)
        if ill.way.refused:
            operations = {"operations": ill.way.refused, "status": ill.way.status}
            refused.append({"object_type": type_id, "id": ill.record_id, **operations})
        elif (ill.way.field, ill.way.value) not in seen or ill.way.field not in UNIQUE:
            seen.add((ill.way.field, ill.way.value))
            named = {_property(portal, ill.way): ill.way.value}
            portal.sandbox.poison(type_id, ill.record_id, **named)
    portal.sandbox.configure(refused_records=refused)


def find_overwritten(population: Population) -> list[str]:
    """A sentence for every poisoned value that is another now. A stored count is to be put right,
    and whoever booked or cancelled has another balance or state; those are not looked at."""
    portal = population.portal
    return [
        f"{ill.way} is now {stored!r}"
        for ill in population.ill
        if not ill.way.refused and ill.way.field not in ("total_bookings", *DECIDING, *UNIQUE)
        for record in [portal.sandbox.record(_type_id(portal, ill.way), ill.record_id)]
        for stored in [record["properties"].get(_property(portal, ill.way))]
        if not _is_kept(ill.way, stored)
    ]


def _is_kept(way: Way, stored: str | None) -> bool:
    if stored == way.value or way.field != CREDIT:
        return stored == way.value
    # One booking's worth less, of what could be read; an empty balance is none.
    before, after = _number(way.value), _number(stored)
    return before is not None and after in (before, before - 1)


def _number(text: str | None) -> Decimal | None:
    try:
        return Decimal((text or "0").strip())
    except InvalidOperation:
        return None


def _type_id(portal: Portal, way: Way) -> str:
    types = portal.profile.object_types
    places = {"exam": types.mock_exams, "student": types.contacts, "booking": types.bookings}
    return places[way.place]


def _property(portal: Portal, way: Way) -> str:
    profile = portal.profile
    if way.field == CREDIT:
        return portal.first_type.credit_property
    names = {
        "exam": profile.exam_properties,
        "student": profile.contact_properties,
        "booking": profile.booking_properties,
    }
    return names[way.place][way.field]
