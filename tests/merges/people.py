"""What people do in HubSpot to records that students book by: they merge, move, link and unlink,
delete and bring back, rename. The rules of the machine that are not ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import count
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.builders import Portal
from tests.merges.deployment import Deployment, Hearing
from tests.merges.judgements import Ledger
from tests.merges.portal_view import PortalView, Stored, live
from tests.sandbox import ControlError

ANY = st.integers(0, 99)
"""Which of those there are then: how many is not chance's alone to say."""
KINDS = st.sampled_from(["contacts", "mock_exams", "bookings"])
FEW = 3
"""Of contacts and exams so many are left, or new ones come."""


class PeopleAtWork(RuleBasedStateMachine):
    """`is_current` says that nothing people did is unknown to our cache."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        self.deployment = deployment
        self.portal: Portal
        self.ledger = Ledger()
        self.is_current = True
        self.numbers = count(1)

    # Merges

    @rule(one=ANY, other=ANY)
    def merge_contacts(self, one: int, other: int) -> None:
        view = self.view()
        self._merge("contacts", live(view.contacts), one, other)

    @rule(one=ANY, other=ANY)
    def merge_exams(self, one: int, other: int) -> None:
        self._merge("mock_exams", live(self.view().exams), one, other)

    @rule(one=ANY, other=ANY)
    def merge_bookings(self, one: int, other: int) -> None:
        self._merge("bookings", live(self.view().bookings), one, other)

    def _merge(self, kind: str, records: Sequence[Stored], one: int, other: int) -> None:
        if len(records) < 2:
            return
        survivor = records[one % len(records)]
        rest = [each for each in records if each is not survivor]
        merged = rest[other % len(rest)]
        with self._changing(f"merge of {kind}: {merged.id} into {survivor.id}"):
            self.portal.sandbox.merge(self._type(kind), survivor.id, merged.id)

    # Links

    @rule(which=ANY, end=ANY, kind=st.sampled_from(["contacts", "mock_exams"]))
    def add_link(self, which: int, end: int, kind: str) -> None:
        """Link a parent or a duplicate to a booking, or a second exam."""
        view = self.view()
        ends = live(view.contacts if kind == "contacts" else view.exams)
        booking = pick(live(view.bookings), which)
        if booking is not None:
            self._link(booking, kind, pick_one(ends, end))

    @rule(which=ANY, end=ANY, kind=st.sampled_from(["contacts", "mock_exams"]))
    def remove_link(self, which: int, end: int, kind: str) -> None:
        view = self.view()
        booking = pick(live(view.bookings), which)
        if booking is None:
            return
        all_links = view.contact_links if kind == "contacts" else view.exam_links
        linked = sorted(all_links.get(booking.id, ()))
        if linked:
            self._unlink(booking, kind, linked[end % len(linked)])

    @rule(which=ANY, end=ANY)
    def move_booking(self, which: int, end: int) -> None:
        """Link a booking to another exam instead."""
        view = self.view()
        booking = pick(live(view.bookings), which)
        if booking is None:
            return
        exam = pick_one(live(view.exams), end)
        for linked in view.exam_links.get(booking.id, frozenset()) - {exam.id}:
            self._unlink(booking, "mock_exams", linked)
        self._link(booking, "mock_exams", exam)

    def _link(self, booking: Stored, kind: str, end: Stored) -> None:
        with self._changing(f"link {booking.id} to {end.id}"):
            ends = self._type("bookings"), booking.id, self._type(kind), end.id
            self.portal.sandbox.associate(*ends)

    def _unlink(self, booking: Stored, kind: str, end_id: str) -> None:
        with self._changing(f"unlink {booking.id} from {end_id}"):
            ends = self._type("bookings"), booking.id, self._type(kind), end_id
            self.portal.sandbox.dissociate(*ends)

    # Comings and goings

    @rule(kind=KINDS, which=ANY)
    def archive(self, kind: str, which: int) -> None:
        records = live(self._records(kind))
        if len(records) > 1:
            record = pick_one(records, which)
            with self._changing(f"archive {record.id}"):
                self.portal.sandbox.archive(self._type(kind), record.id)

    @rule(kind=KINDS, which=ANY)
    def restore(self, kind: str, which: int) -> None:
        gone = [each for each in self._records(kind).values() if each.archived]
        record = pick(gone, which)
        if record is None:
            return
        with self._changing(f"restore {record.id}"):
            try:
                self.portal.sandbox.restore(self._type(kind), record.id)
            except ControlError as refusal:  # somebody has its e-mail, its seat or its key by now
                note(str(refusal))

    @rule(which=ANY, is_duplicate=st.booleans())
    def add_contact(self, which: int, is_duplicate: bool) -> None:
        """Another student, or somebody's duplicate under another e-mail."""
        view = self.view()
        if len(view.students()) > FEW:
            return
        number, model = next(self.numbers), pick_one(live(view.contacts), which)
        student_id = model.text("student_id") if is_duplicate else f"S7{number}"
        changes = {"email": f"c{number}@example.org", "student_id": student_id}
        with self._changing(f"another contact, {changes}"):
            contact_id = self._clone("contacts", model, changes)
        self.ledger.open_account(self.view(), contact_id)

    @rule(which=ANY)
    def clone_exam(self, which: int) -> None:
        exams = live(self.view().exams)
        if len(exams) <= FEW:
            with self._changing("another exam"):
                self._clone("mock_exams", pick_one(exams, which), {})

    def _clone(self, kind: str, model: Stored, changes: Mapping[str, str]) -> str:
        names = model.names
        kept = [
            *names.values(),
            *(self.portal.profile.credit_properties if "email" in names else ()),
        ]
        properties = {name: model.properties.get(name) for name in kept}
        properties |= {names[field]: value for field, value in changes.items()}
        return self.portal.sandbox.create(self._type(kind), properties)

    # Changes of records

    @rule(which=ANY, days=st.sampled_from([7, 9]), to_type=ANY, moves_day=st.booleans())
    def move_exam(self, which: int, days: int, to_type: int, moves_day: bool) -> None:
        """Another day, or another type; and, now and then, back."""
        exam = pick_one(live(self.view().exams), which)
        if moves_day:
            self._edit(exam, self._times_on(exam, self.portal.today + timedelta(days=days)))
        else:
            types = self.portal.profile.mock_types[:2]
            self._edit(exam, {"mock_type": types[to_type % len(types)].value})

    def _times_on(self, exam: Stored, day: date) -> dict[str, str]:
        """The exam's fields on another day; where times are instants, those with it."""
        moved = {"exam_date": day.isoformat()}
        for field in ("start_time", "end_time"):
            if "T" in exam.text(field):
                moved[field] = f"{day.isoformat()}T{exam.text(field).partition('T')[2]}"
        return moved

    @rule(which=ANY, field=st.sampled_from(["email", "student_id"]))
    def rename_student(self, which: int, field: str) -> None:
        student = pick(self.view().students(), which)
        if student is not None:
            number = next(self.numbers)
            new = f"n{number}@example.org" if field == "email" else f"S5{number}"
            self._edit(student, {field: new})

    def _edit(self, record: Stored, changes: Mapping[str, str]) -> None:
        kind = "mock_exams" if "capacity" in record.names else "contacts"
        properties = {record.names[field]: value for field, value in changes.items()}
        with self._changing(f"edit {record.id}: {changes}"):
            self.portal.sandbox.edit(self._type(kind), record.id, **properties)

    # The ways

    def view(self) -> PortalView:
        return PortalView.read(self.portal)

    def _records(self, kind: str) -> Mapping[str, Stored]:
        view = self.view()
        found = {
            "contacts": view.contacts,
            "mock_exams": view.exams,
            "bookings": view.bookings,
        }
        return found[kind]

    def _type(self, kind: str) -> str:
        return str(getattr(self.portal.profile.object_types, kind))

    @contextmanager
    def _changing(self, what: str) -> Any:
        note(what)
        yield
        self.is_current = self.deployment.hearing is Hearing.UNCACHED


def pick(records: Sequence[Stored], which: int) -> Stored | None:
    return records[which % len(records)] if records else None


def pick_one(records: Sequence[Stored], which: int) -> Stored:
    return records[which % len(records)]
