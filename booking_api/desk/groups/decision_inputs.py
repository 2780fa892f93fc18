"""What the desk decides by: read from HubSpot now, and what its own journal knows beyond that.

Association reads are believed to be current, but no document promises it. Bookings the journal made
lately are read by id besides, so that a link HubSpot does not show yet sells no seat twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import journal
from booking_api.rules.eligibility import free_seat, seat_number
from booking_api.rules.errors import ExamNotFound
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.portal.records import Booking, MockExam
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import run_together
from hubspot_sync.writing.authoritative_reads import SeenContact


@dataclass(slots=True)
class ExamInputs:
    """An exam with all its bookings; seats given out while deciding are counted in."""

    exam: MockExam
    bookings: Mapping[str, Booking]
    taken: int
    numbers: set[int]

    @property
    def active(self) -> int:
        """Active bookings that HubSpot has."""
        return sum(booking.state == "active" for booking in self.bookings.values())

    def check_seat(self) -> None:
        """Raise ExamFull where no seat is free."""
        free_seat(self.exam.capacity, self.taken, self.numbers)

    def count_in(self, booking: Booking) -> None:
        """Count a booking that is not among those HubSpot lists for the exam."""
        if booking.state == "active" and booking.id not in self.bookings:
            self.taken += 1

    def take_seat(self, refused: Collection[int] = ()) -> int:
        """Give out the lowest free number but `refused`; raise ExamFull."""
        number = free_seat(self.exam.capacity, self.taken, self.numbers.union(refused))
        self.taken += 1
        self.numbers.add(number)
        return number


@dataclass(slots=True)
class DecisionInputs:
    """All that was read for one group; asking for what could not be read raises HubSpotError."""

    contacts: Many[SeenContact]
    exams: Many[MockExam]
    exam_links: Many[tuple[str, ...]]
    contact_links: Many[tuple[str, ...]]
    bookings: Many[Booking]
    vouched: journal.Vouched
    _known: dict[str, ExamInputs] = field(default_factory=dict)

    def exam(self, exam_id: str) -> ExamInputs:
        """Return the exam's facts, the same object every time; raise ExamNotFound."""
        if exam_id not in self._known:
            self._known[exam_id] = self._exam(exam_id)
        return self._known[exam_id]

    def bookings_of_contact(self, contact_id: str) -> list[Booking]:
        linked = set(self.contact_links.answered(contact_id) or ())
        return list(self._read(linked | self.vouched.by_contact.get(contact_id, frozenset())))

    def _exam(self, exam_id: str) -> ExamInputs:
        exam = self.exams.answered(exam_id)
        linked = set(self.exam_links.answered(exam_id) or ())
        if exam is None:
            raise ExamNotFound
        bookings = self._read(linked | self.vouched.by_exam.get(exam_id, frozenset()))
        pending = self.vouched.pending_seats.get(exam_id, frozenset())
        named = {seat_number(exam_id, booking.seat_key) for booking in bookings}
        sat_on = {seat_number(exam_id, one.seat_key) for one in bookings if one.state == "active"}
        facts = ExamInputs(
            exam=exam,
            bookings={booking.id: booking for booking in bookings},
            taken=0,
            numbers={number for number in named if number is not None} | pending,
        )
        # A create that nobody has heard of may stand among them already: its seat tells.
        facts.taken = facts.active + len(pending - sat_on)
        return facts

    def _read(self, ids: Collection[str]) -> list[Booking]:
        """The bookings there are; an archived one is gone."""
        answered = (self.bookings.answered(id_) for id_ in sorted(ids))
        return [booking for booking in answered if booking is not None]


def read_decision_inputs(
    tools: DeskContext,
    contact_ids: Collection[str],
    exam_ids: Collection[str],
    context: CallContext,
    but: Collection[int] = (),
) -> DecisionInputs:
    """Read all at once, in two round trips; nothing is raised for a part that failed. The journal's
    rows `but` hold no seat."""
    hubspot = tools.hubspot
    contacts, exams, exam_links, contact_links = run_together(
        tools.fan_out,
        lambda: tools.evidence.contacts(contact_ids, context),
        lambda: hubspot.exams(exam_ids, context),
        lambda: hubspot.exam_bookings(exam_ids, context),
        lambda: hubspot.contact_bookings(contact_ids, context),
    )
    vouched = journal.vouched(exam_ids, contact_ids, tools.now(), but)
    ids: set[str] = set()
    for links in (exam_links.found, contact_links.found):
        ids.update(id_ for linked in links.values() for id_ in linked)
    for known in (vouched.by_exam, vouched.by_contact):
        ids.update(id_ for records in known.values() for id_ in records)
    return DecisionInputs(
        contacts=contacts,
        exams=exams,
        exam_links=exam_links,
        contact_links=contact_links,
        bookings=hubspot.bookings(ids, context),
        vouched=vouched,
    )
