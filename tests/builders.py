"""Portals, exams and students for tests: a named cast, written straight into the sandbox.

A `Portal` puts records where HubSpot would have them, in the words of its profile, and returns what
it made. Each call is one request to the sandbox; inside `with portal.at_once():` thousands are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count
from typing import Any

from hubspot_sync.portal.profile import BookingState, MockType, PortalProfile, load_profile
from tests.sandbox import SandboxHandle

CAST = {
    "alice": ("Alice", "Moreau", "S1001"),  # the student who asks
    "bob": ("Bob", "Okafor", "S1002"),  # has no credits
    "charlie": ("Charlie", "Novak", "S1003"),  # another student: may see nothing of Alice's
    "dana": ("Dana", "Costa", "S1004"),  # fills seats, so that an exam is nearly or quite full
}
CREDITS_OF_THE_CAST = {"alice": 5, "bob": 0, "charlie": 5, "dana": 5}

EXTRA_FIELDS: dict[str, dict[str, Any]] = {
    "Situational Judgment": {"attending_location": "mississauga"},
    "Clinical Skills": {"dominant_hand": True},
    "Mini-mock": {"attending_location": "richmond_hill"},
}
"""What a student fills in besides, by mock type."""

shipped_profile = cache(load_profile)


@dataclass(frozen=True, kw_only=True, slots=True)
class Student:
    """Who asks: `pair` is what every request carries."""

    id: str
    student_id: str
    email: str
    firstname: str
    lastname: str
    credits: Mapping[str, int]

    @property
    def name(self) -> str:
        return f"{self.firstname} {self.lastname}"

    @property
    def pair(self) -> dict[str, str]:
        return {"student_id": self.student_id, "email": self.email}


@dataclass(frozen=True, kw_only=True, slots=True)
class Exam:
    id: str
    mock_type: str
    day: date
    start_time: str
    end_time: str
    location: str
    capacity: int
    total_bookings: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Booking:
    id: str
    booking_id: str
    student: Student
    exam: Exam
    state: BookingState


@dataclass(slots=True)
class _Waiting:
    records: list[dict[str, object]] = field(default_factory=list)
    associations: list[tuple[str, str, str, str]] = field(default_factory=list)


class Portal:
    """An empty portal of one profile in the sandbox, to be filled by a test."""

    def __init__(
        self, sandbox: SandboxHandle, profile: PortalProfile, today: date | None = None
    ) -> None:
        self.sandbox = sandbox
        self.profile = profile
        self.today = today or datetime.now(UTC).astimezone(profile.time_zone).date()
        self._types = profile.object_types
        self._numbers = count(1)
        self._waiting: _Waiting | None = None
        was_unkind = sandbox.is_unkind
        sandbox.reset(seed="empty", portal=profile.name)
        if not was_unkind:
            sandbox.kind()

    @property
    def first_type(self) -> MockType:
        return self.profile.mock_types[0]

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Gather everything made inside, and write it in one request at the end."""
        self._waiting = _Waiting()
        yield
        waiting, self._waiting = self._waiting, None
        self._put(waiting.records, waiting.associations)

    def student(
        self,
        name: str = "alice",
        *,
        credits: Mapping[str, int] | int | None = None,  # noqa: A002 - the field's own word
        **changes: str,
    ) -> Student:
        """Make one of the cast, or somebody unknown; `credits` for all or by property."""
        number = self._next()
        first, last, student_id = CAST.get(name, (name.title(), "Doe", f"S9{number}"))
        own = CREDITS_OF_THE_CAST.get(name, 1) if credits is None else credits
        all_credits = self.profile.credit_properties
        student = Student(
            id=f"1{number}",
            student_id=changes.pop("student_id", student_id),
            email=changes.pop("email", f"{first}.{last}.{student_id}@example.org".lower()),
            firstname=changes.pop("firstname", first),
            lastname=changes.pop("lastname", last),
            credits=dict.fromkeys(all_credits, own) if isinstance(own, int) else own,
        )
        texts = {name: getattr(student, name) for name in ("firstname", "lastname", "student_id")}
        stored = self._named(
            self.profile.contact_properties, {**texts, "email": student.email.lower(), **changes}
        )
        stored |= {name: str(amount) for name, amount in student.credits.items()}
        self._put([self._record(self._types.contacts, student.id, stored)])
        return student

    def exam(
        self,
        *,
        mock_type: str | None = None,
        in_days: int = 7,
        start: time = time(9),
        end: time = time(13),
        capacity: int = 20,
        total_bookings: int = 0,
        location: str = "Mississauga",
        active: bool = True,
        **stored: str | None,
    ) -> Exam:
        """Make an exam `in_days` from today; `stored` overrides any field as HubSpot has it."""
        day = self.today + timedelta(days=in_days)
        exam = Exam(
            id=f"5{self._next()}",
            mock_type=mock_type or self.first_type.value,
            day=day,
            start_time=self._shown(day, start),
            end_time=self._shown(day, end),
            location=location,
            capacity=capacity,
            total_bookings=total_bookings,
        )
        fields: dict[str, str | None] = {
            "exam_date": day.isoformat(),
            "start_time": exam.start_time,
            "end_time": exam.end_time,
            "capacity": str(capacity),
            "total_bookings": str(total_bookings),
            "mock_type": exam.mock_type,
            "location": location,
            "is_active": self.profile.exam_active_values[0] if active else "false",
        }
        stored_fields = self._named(self.profile.exam_properties, {**fields, **stored})
        self._put([self._record(self._types.mock_exams, exam.id, stored_fields)])
        return exam

    def booking(
        self,
        student: Student,
        exam: Exam,
        *,
        state: BookingState = "active",
        **stored: str | None,
    ) -> Booking:
        """Book a seat, linked to both; `stored` overrides any field as HubSpot has it."""
        booking = Booking(
            id=f"9{self._next()}",
            booking_id=f"{exam.mock_type}-{student.student_id}-{exam.day.isoformat()}",
            student=student,
            exam=exam,
            state=state,
        )
        fields = {**self._booking_fields(booking), **stored}
        properties = self._named(self.profile.booking_properties, fields)
        links = [
            (self._types.bookings, booking.id, self._types.contacts, student.id),
            (self._types.bookings, booking.id, self._types.mock_exams, exam.id),
        ]
        self._put([self._record(self._types.bookings, booking.id, properties)], links)
        return booking

    def bookings(
        self, student: Student, exams: Sequence[Exam], number: int | None = None
    ) -> list[Booking]:
        """Book the student into the exams, one each or `number` in all, round and round."""
        wanted = len(exams) if number is None else number
        with self.at_once():
            return [self.booking(student, exams[turn % len(exams)]) for turn in range(wanted)]

    def exam_with_bookings(self, number: int, **exam: Any) -> tuple[Exam, list[Booking]]:
        """Make an exam and as many different students with an active booking in it; one request."""
        with self.at_once():
            made = self.exam(**{"capacity": max(20, number), "total_bookings": number, **exam})
            seats = [self.booking(self.student(f"seat{turn}"), made) for turn in range(number)]
        return made, seats

    def enrollment(self, student: Student, **fields: str) -> str:
        """Enroll the student, where the portal has enrollments; return the record's id. Nothing
        links the two: the student is named in a property."""
        enrollments = self._types.enrollments
        assert enrollments is not None, f"{self.profile.name} has no enrollments"
        record_id = f"7{self._next()}"
        wanted = {
            "enrollment_id": f"ENR-{record_id}",
            "course_id": "NDECC-1",
            "enrollment_status": self.profile.registered_values[0],
            "contact_record_id": student.id,
            **fields,
        }
        stored = self._named(self.profile.enrollment_properties, wanted)
        self._put([self._record(enrollments, record_id, stored)], [])
        return record_id

    def archive(self, thing: Exam | Booking | Student) -> None:
        """Delete it as a person in HubSpot would."""
        types: dict[type[Exam | Booking | Student], str] = {
            Exam: self._types.mock_exams,
            Booking: self._types.bookings,
            Student: self._types.contacts,
        }
        self.sandbox.archive(types[type(thing)], thing.id)

    def _booking_fields(self, booking: Booking) -> dict[str, str | None]:
        student, exam = booking.student, booking.exam
        mock_type = self.profile.mock_type(exam.mock_type)
        states, statuses = self.profile.booking_states, self.profile.booking_statuses
        # A portal without a word for completed leaves such a booking active.
        written = booking.state if states[booking.state] else "active"
        fields: dict[str, str | None] = {
            "booking_id": booking.booking_id,
            "name": student.name,
            "email": student.email,
            "student_id": student.student_id,
            "mock_type": exam.mock_type,
            "exam_date": exam.day.isoformat(),
            "is_active": states[written][0],
            "contact_id": student.id,
            "mock_exam_id": exam.id,
            "token_used": mock_type.token_label if mock_type is not None else None,
            "created_at": "2026-10-01T08:00:00Z",
        }
        if statuses:
            fields["status"] = statuses[written][0]
        return fields

    def _shown(self, day: date, clock: time) -> str:
        """`prepdoctors` keeps instants, `default` clock times (api-contract, The portal)."""
        if self.profile.name == "default":
            return clock.strftime("%H:%M")
        local = datetime.combine(day, clock, tzinfo=self.profile.time_zone)
        return local.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _named(
        self, names: Mapping[str, str], fields: Mapping[str, str | None]
    ) -> dict[str, str | None]:
        return {names[field]: value for field, value in fields.items() if field in names}

    def _record(
        self, object_type: str, record_id: str, properties: Mapping[str, str | None]
    ) -> dict[str, object]:
        return {"type": object_type, "id": record_id, "properties": dict(properties)}

    def _put(
        self,
        records: Sequence[dict[str, object]],
        associations: Sequence[tuple[str, str, str, str]] = (),
    ) -> None:
        if self._waiting is not None:
            self._waiting.records.extend(records)
            self._waiting.associations.extend(associations)
        elif records:
            self.sandbox.bulk(records, associations)

    def _next(self) -> str:
        return f"{next(self._numbers):06d}"
