"""What a student must be answered, given what HubSpot has at that moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from tests.api import Reply
from tests.builders import Exam, Student
from tests.merges.portal_view import PortalView, Stored

STALE = frozenset({"AUTH_FAILED", "CONTACT_NOT_FOUND", "ACCESS_DENIED"})
"""What may be answered to somebody who has changed since the cache last heard of them."""


@dataclass(frozen=True, slots=True)
class Made:
    """A booking as it was made here: who paid, and for which exam."""

    contact_id: str
    exam_id: str


@dataclass(slots=True)
class Ledger:
    """What is known of what was done here: who paid for which booking, what each contact's credits
    have to be; `lately` has the bookings made since all was last at rest."""

    payers: dict[str, str] = field(default_factory=dict)
    credits: dict[str, dict[str, int]] = field(default_factory=dict)
    lately: dict[str, Made] = field(default_factory=dict)

    def open_account(self, view: PortalView, contact_id: str) -> None:
        names = view.profile.credit_properties
        self.credits[contact_id] = {name: view.balance(contact_id, name) for name in names}

    def add_booking(self, view: PortalView, booking: Stored, contact_id: str, exam_id: str) -> None:
        credit = view.credit_named(booking)
        assert credit is not None, booking
        self.payers[booking.id] = contact_id
        self.lately[booking.id] = Made(contact_id, exam_id)
        self.credits[contact_id][credit] -= 1

    def end_booking(self, view: PortalView, booking: Stored, canceller_id: str) -> None:
        """Give the credit back to who paid, or to the student where that one is gone."""
        credit = view.credit_named(booking)
        assert credit is not None, booking
        paid_by = next((self.payers[each] for each in booking.ids if each in self.payers), "")
        payer = view.survivor(paid_by)
        self.credits[canceller_id if payer is None else payer.id][credit] += 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A student who asks, by an id and an e-mail of theirs, with what they know of an exam."""

    contact: Stored
    contact_id: str
    email: str

    @property
    def student(self) -> Student:
        return Student(
            id=self.contact_id,
            student_id=self.contact.text("student_id"),
            email=self.email,
            firstname=self.contact.text("firstname"),
            lastname=self.contact.text("lastname"),
            credits={},
        )


def as_exam(exam: Stored, exam_id: str) -> Exam:
    """Return the exam as a browser knows it that has it by this id."""
    return Exam(
        id=exam_id,
        mock_type=exam.text("mock_type"),
        day=date.fromisoformat(exam.text("exam_date")),
        start_time=exam.text("start_time"),
        end_time=exam.text("end_time"),
        location=exam.text("location"),
        capacity=int(exam.text("capacity")),
        total_bookings=0,
    )


def judge_create(
    view: PortalView,
    contact: Stored,
    exam: Stored,
    lately: Mapping[str, Made],
    *,
    is_told: bool,
) -> tuple[str, frozenset[str]]:
    """Return what a create must be answered with, "" for a booking, and what else it may be refused
    with, because the desk counts in what it made lately and HubSpot may not show yet. `is_told` of
    all links that were taken away, it does not count those. What was merged keeps its seat in any
    case (decision 31): the links that are shown may be the other's."""
    if exam.archived:
        return "EXAM_NOT_FOUND", frozenset()
    day = exam.text("mock_type"), exam.text("exam_date")
    capacity = int(exam.text("capacity"))
    active = [each for each in view.bookings.values() if view.is_active(each)]
    linked = {each.id for each in active if exam.id in view.exam_links.get(each.id, ())}
    made_for = _made_lately(active, lately, exam.ids, lambda made: made.exam_id)
    shown = {each for each in made_for if is_told or len(view.exam_links.get(each, ())) > 0}
    merged = {each.id for each in active if len(each.ids) > 1}
    unshown = made_for - ((shown & lately.keys()) - merged)
    own = view.bookings_of(contact.id)
    standing = {
        each.id
        for each in active
        if contact.id in view.owners(each) and (view.day_of(each) == day or each.id in linked)
    }
    own_ids = {each.id for each in own}
    made_by = _made_lately(active, lately, contact.ids, lambda made: made.contact_id)
    credits_ = credits_for(view, contact.id, exam.text("mock_type"))
    refusals = {
        "EXAM_FULL": len(linked) >= capacity,
        "DUPLICATE_BOOKING": len(standing & own_ids) > 0,
        "INSUFFICIENT_CREDITS": all(view.balance(contact.id, name) < 1 for name in credits_),
    }
    may = {
        "EXAM_FULL": len(linked | unshown) >= capacity,
        "DUPLICATE_BOOKING": len(standing & made_by) > 0 or len(made_by & made_for) > 0,
    }
    must = next((code for code, holds in refusals.items() if holds), "")
    return must, frozenset(code for code, holds in may.items() if holds)


def credits_for(view: PortalView, contact_id: str, mock_type: str) -> list[str]:
    """Return the credit properties that pay for this type, in the order they are spent."""
    known = view.profile.mock_type(mock_type)
    assert known is not None
    shared = known.shared_credit_property
    return [known.credit_property, *([] if shared is None else [shared])]


def possible_changes(
    view: PortalView, contact: Stored, booking: Stored, lately: Mapping[str, Made]
) -> set[str]:
    """Return what a cancel or an update may be answered with where nobody tells of links that were
    taken away: a booking made lately that is shown to be linked to nobody may be one whose link
    HubSpot does not show yet."""
    with_unshown = replace(view, contact_links={**_made_links(view, lately), **_shown(view)})
    return {judge_change(each, contact, booking) for each in (view, with_unshown)}


def _made_links(view: PortalView, lately: Mapping[str, Made]) -> dict[str, frozenset[str]]:
    links: dict[str, frozenset[str]] = {}
    for booking in view.bookings.values():
        made_for = {lately[each].contact_id for each in booking.ids if each in lately}
        survivors = [view.survivor(each) for each in made_for]
        links[booking.id] = frozenset(each.id for each in survivors if each is not None)
    return links


def _shown(view: PortalView) -> dict[str, frozenset[str]]:
    return {booking_id: ends for booking_id, ends in view.contact_links.items() if ends}


def judge_change(view: PortalView, contact: Stored, booking: Stored) -> str:
    """Return what a cancel or an update must be answered with, "" for a change."""
    if booking.archived:
        return "BOOKING_NOT_FOUND"
    if contact.id not in view.owners(booking):
        return "ACCESS_DENIED"
    return "" if view.is_active(booking) else "ALREADY_CANCELED"


def code_of(reply: Reply) -> str:
    """Return a refusal's code, "" for a success."""
    return "" if reply.status in {200, 201} else reply.code


def is_repeat(reply: Reply) -> bool:
    return reply.status == 200 and reply.body["data"].get("idempotent_request") is True


def _made_lately(
    active: Collection[Stored],
    lately: Mapping[str, Made],
    ids: Collection[str],
    of: Callable[[Made], str],
) -> set[str]:
    return {
        each.id
        for each in active
        if any(old in lately and of(lately[old]) in ids for old in each.ids)
    }
