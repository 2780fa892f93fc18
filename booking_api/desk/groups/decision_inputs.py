"""What the desk decides by: read from HubSpot now, and what its own journal knows beyond that.

Association reads are believed to be current, but no document promises it. Bookings the journal made
lately are read by id besides, so that a link HubSpot does not show yet sells no seat twice; those
that it shows with another exam by now, or told us to be taken away, take none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count, islice

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import known_bookings
from booking_api.rules.errors import ExamNotFound
from booking_api.rules.linked_exam import linked_exam
from booking_api.rules.seats import free_seat, seat_number
from hubspot_sync.batching.outcomes import FoundByKey, Many, merge
from hubspot_sync.errors import Unavailable
from hubspot_sync.portal.records import Booking, MockExam, ids_of
from hubspot_sync.reading.overlaid_links import (
    add_unshown,
    add_unshown_ends,
    contacts_of_bookings,
    exams_of_bookings,
)
from hubspot_sync.reading.own_links import KnownLinks
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

    def is_seat_named(self, number: int) -> bool:
        """Whether some booking has this seat, or a cancelled one still names it."""
        return number in self.numbers

    def list_unnamed(self, number: int) -> list[int]:
        """Return the lowest seats that no booking names, so many, in order."""
        return list(islice((each for each in count(1) if each not in self.numbers), number))

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
    """All that was read for one group; asking for what could not be read raises HubSpotError.

    `other_links` has the exams of the contacts' bookings that are not of the group's exams, `exams`
    has all of them.
    """

    contacts: Many[SeenContact]
    exams: Many[MockExam]
    exam_links: Many[tuple[str, ...]]
    contact_links: Many[tuple[str, ...]]
    other_links: Many[tuple[str, ...]]
    bookings: Many[Booking]
    unlisted: known_bookings.UnlistedBookings
    _exam_inputs: dict[str, ExamInputs] = field(default_factory=dict)

    def exam(self, exam_id: str) -> ExamInputs:
        """Return the exam with its bookings, the same object every time; raise ExamNotFound."""
        if exam_id not in self._exam_inputs:
            self._exam_inputs[exam_id] = self._gather_exam(exam_id)
        return self._exam_inputs[exam_id]

    def bookings_of_contact(self, contact_id: str) -> list[Booking]:
        """Return all bookings of the contact, cancelled ones too."""
        return self._existing_bookings(self.contact_links.answered(contact_id) or ())

    def exam_of(self, booking: Booking) -> MockExam | None:
        """Return the exam that a contact's booking is of now; the journal's word where HubSpot
        shows no link yet. None where there is none, or HubSpot refuses to read it, today and
        tomorrow: it must not keep its students from booking others."""
        # By the id that it is linked by: of a merged one, perhaps an old one.
        own_ids = ids_of(booking)
        of_group = tuple(
            exam_id
            for exam_id, linked in self.exam_links.found.items()
            if not set(own_ids).isdisjoint(linked)
        )
        asked_by = next((each for each in own_ids if self.other_links.covers(each)), booking.id)
        if len(of_group) == 0 and not self.other_links.covers(asked_by):
            self.exam_links.require_complete()  # of an exam whose links are unknown now
        exam_ids = of_group or self.other_links.answered(asked_by) or ()
        readable = [each for each in exam_ids if each not in self.exams.refused]
        return linked_exam(booking, exam_ids, self.exams.require(readable).found)

    def exams_of_others(self) -> set[str]:
        """All exams that the contacts' active bookings are linked to, of those found."""
        return {
            exam_id
            for booking_id, linked in self.other_links.found.items()
            if (booking := self.bookings.if_found(booking_id)) is not None
            and booking.state == "active"
            for exam_id in linked
        }

    def _gather_exam(self, exam_id: str) -> ExamInputs:
        exam = self.exams.answered(exam_id)
        linked = set(self.exam_links.answered(exam_id) or ())
        if exam is None:
            raise ExamNotFound
        if exam.id != exam_id:
            raise Unavailable("The exam was merged into another while it was read.")
        bookings = self._existing_bookings(linked)
        named = {seat_number(exam_id, booking.seat_key) for booking in bookings}
        pending = self.unlisted.pending_seats.get(exam_id, frozenset())
        inputs = ExamInputs(
            exam=exam,
            bookings={booking.id: booking for booking in bookings},
            taken=0,
            numbers={number for number in named if number is not None} | pending,
        )
        active = [each for each in inputs.bookings.values() if each.state == "active"]
        doubtful = sum(self._count_doubtful(each, active) for each in ids_of(exam))
        inputs.taken = inputs.active + doubtful
        return inputs

    def _count_doubtful(self, exam_id: str, active: Collection[Booking]) -> int:
        """Return how many creates for this exam, by the id it had then, nobody has heard of. One
        may stand among the active bookings already: its seat tells. One whose seat nobody can tell
        may be any: it takes one more."""
        pending = self.unlisted.pending_seats.get(exam_id, frozenset())
        seats = {seat_number(exam_id, booking.seat_key) for booking in active}
        return len(pending - seats) + self.unlisted.pending_unnumbered.get(exam_id, 0)

    def _existing_bookings(self, ids: Collection[str]) -> list[Booking]:
        """Return those of the bookings that exist; an archived one is gone."""
        return list(self.bookings.require(sorted(ids)).found.values())


def read_decision_inputs(
    desk_context: DeskContext,
    contact_ids: Collection[str],
    exam_ids: Collection[str],
    context: CallContext,
    excluded_rows: Collection[int] = (),
) -> DecisionInputs:
    """Read all, in two round trips, and in three where contacts have bookings of other exams, and
    neither the journal nor the cache tells which. Nothing is raised for a part that failed. The
    journal's rows with the excluded ids take no seat."""
    hubspot = desk_context.hubspot
    contacts, exam_links, contact_links = run_together(
        desk_context.fan_out,
        lambda: desk_context.evidence.contacts(contact_ids, context),
        lambda: hubspot.exam_bookings(exam_ids, context),
        lambda: hubspot.contact_bookings(contact_ids, context),
    )
    ids_of_contacts: dict[str, tuple[str, ...]] = {each: (each,) for each in contact_ids}
    ids_of_contacts |= {key: ids_of(seen.contact) for key, seen in contacts.found.items()}
    all_contact_ids = set(chain.from_iterable(ids_of_contacts.values()))
    unlisted = known_bookings.read_unlisted_bookings(
        exam_ids, all_contact_ids, desk_context.now(), excluded_rows
    )
    ends = exams_of_bookings(hubspot, desk_context.recent)
    made = unlisted.of_exams({exam_id: (exam_id,) for exam_id in exam_ids})
    exam_links = add_unshown(exam_links, made, {}, ends, context)
    contact_links = add_unshown(
        contact_links,
        unlisted.of_contacts(ids_of_contacts),
        ids_of_contacts,
        contacts_of_bookings(hubspot, desk_context.recent),
        context,
    )
    of_exams, of_contacts = _join(exam_links.found), _join(contact_links.found)
    others = of_contacts - of_exams
    early = _list_early_exams(desk_context, exam_ids, others)
    bookings, other_links, exams = run_together(
        desk_context.fan_out,
        lambda: hubspot.bookings(of_exams | of_contacts, context),
        lambda: hubspot.booking_exams(others, context),
        lambda: hubspot.exams(early, context),
    )
    other_links = add_unshown_ends(
        other_links, ends, partial(_read_made_for, desk_context), context
    ).links
    inputs = DecisionInputs(
        contacts=contacts,
        exams=exams,
        exam_links=exam_links,
        contact_links=contact_links,
        other_links=other_links,
        bookings=bookings,
        unlisted=unlisted,
    )
    late = {*exam_ids, *inputs.exams_of_others()} - early
    inputs.exams = merge((exams, hubspot.exams(late, context)))
    found = (inputs.exams.found[each] for each in exam_ids if each in inputs.exams.found)
    all_ids = {exam.id: ids_of(exam) for exam in found if len(exam.merged_ids) > 0}
    if len(all_ids) > 0:
        # What was begun for an exam before it was merged takes a seat of the survivor.
        known_as = {*exam_ids, *chain.from_iterable(all_ids.values())}
        inputs.unlisted = known_bookings.read_unlisted_bookings(
            known_as, all_contact_ids, desk_context.now(), excluded_rows
        )
        made = inputs.unlisted.of_exams(all_ids)
        inputs.exam_links = add_unshown(exam_links, made, all_ids, ends, context)
        further = _join(inputs.exam_links.found) - of_exams - of_contacts
        inputs.bookings = merge((bookings, hubspot.bookings(further, context)))
    return inputs


def _list_early_exams(
    desk_context: DeskContext, exam_ids: Collection[str], booking_ids: Collection[str]
) -> set[str]:
    """Return these exams with those of the bookings, where the journal or the cache tells all of
    them, else nothing: they are read in one call, which then has to wait."""
    made_for = known_bookings.exams_of_bookings(booking_ids)
    guessed = desk_context.guess_exams(set(booking_ids) - made_for.keys())
    if made_for.keys() | guessed.keys() != booking_ids:
        return set()
    return {*exam_ids, *made_for.values(), *chain.from_iterable(guessed.values())}


def _read_made_for(desk_context: DeskContext, booking_ids: Collection[str]) -> KnownLinks:
    found = known_bookings.read_unlisted_links(booking_ids, desk_context.now())
    return KnownLinks(by_id={key: (links.exam_id,) for key, links in found.items()})


def _join(*links: FoundByKey[Collection[str]]) -> set[str]:
    return {each for linked in links for ids in linked.values() for each in ids}
