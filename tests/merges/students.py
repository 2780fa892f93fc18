"""The whole machine: what students ask, by whichever ids and e-mails of theirs, beside what people
do; what each answer has to be; and what holds once nothing is left to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.api import Reply
from tests.desk import cancel, create, update
from tests.faults.groups import MAX_WAIT_S
from tests.merges.deployment import Deployment, Hearing
from tests.merges.judgements import (
    STALE,
    Asked,
    as_exam,
    code_of,
    credits_for,
    is_repeat,
    judge_create,
    possible_changes,
)
from tests.merges.people import ANY, PeopleAtWork, pick, pick_one
from tests.merges.portal_view import PortalView, Stored, live
from tests.merges.rest import broken_answers, broken_records

log = logging.getLogger(__name__)

HEARINGS = st.sampled_from([Hearing.TOLD, Hearing.LOST, Hearing.UNCACHED])


class StudentsAndPeople(PeopleAtWork):
    """One portal of one profile; each run begins it anew."""

    def __init__(self, deployment: Deployment, profile_name: str) -> None:
        super().__init__(deployment)
        self.profile_name = profile_name
        self.unanswered: list[Callable[[], Reply]] = []

    @initialize(hearing=HEARINGS, known=st.booleans())
    def begin(self, hearing: Hearing, known: bool) -> None:
        self.begin_with(hearing, known)

    def begin_with(self, hearing: Hearing, known: bool) -> None:
        """A student, a duplicate of theirs, another one, and a parent; exams of two days and two
        types, one of them with a single seat."""
        self.portal = portal = self.deployment.begin(
            self.profile_name, hearing, batches_know_merged=known
        )
        first, second = (each.value for each in portal.profile.mock_types[:2])
        students = [
            portal.student("alice", credits=3),
            portal.student("ann", credits=2, student_id="S1001"),
            portal.student("dana", credits=2),
            portal.student("parent", credits=1),
        ]
        portal.exam(mock_type=first, capacity=1)
        portal.exam(mock_type=first, capacity=2)
        portal.exam(mock_type=first, capacity=2, in_days=9)
        portal.exam(mock_type=second, capacity=3, in_days=9)
        portal.sandbox.edit(portal.profile.object_types.contacts, students[-1].id, student_id=None)
        view = self.view()
        for student in students:
            self.ledger.open_account(view, student.id)

    # What students ask

    @rule(who=ANY, what=ANY, spelling=ANY)
    def book(self, who: int, what: int, spelling: int) -> None:
        self._book(who, what, spelling)

    @rule(who=ANY, what=ANY, spelling=ANY)
    def book_once_more(self, who: int, what: int, spelling: int) -> None:
        """Booking is what the rest is about: it comes twice as often."""
        self._book(who, what, spelling)

    def _book(self, who: int, what: int, spelling: int) -> None:
        view = self.view()
        contact, exam = pick(view.students(), who), pick_one([*view.exams.values()], what)
        if contact is None:
            return
        asked = self._ask_as(contact, spelling)
        known_as = as_exam(exam, exam.ids[spelling % len(exam.ids)])
        reply = self._send(lambda: create(self.deployment.desk.api, asked.student, known_as))
        note(f"{asked.email} {asked.contact_id} books {known_as.id}: {_said(reply)}")
        self._judge_booked(view, asked, exam, reply)

    def _judge_booked(self, view: PortalView, asked: Asked, exam: Stored, reply: Reply) -> None:
        if is_repeat(reply):
            self._check_stands(reply.data["booking_record_id"])
            return
        lately, is_told = self.ledger.lately, self._is_told
        must, may = judge_create(view, asked.contact, exam, lately, is_told=is_told)
        self._check_code(reply, {must, *may})
        if reply.status == 201:
            self._check_booked(view, asked.contact, exam, reply.data["booking_record_id"])

    def _check_stands(self, record_id: str) -> None:
        view = self.view()
        (booking,) = [each for each in view.bookings.values() if record_id in each.ids]
        assert view.is_active(booking), "a repeat was told of a booking that does not stand"

    def _check_booked(
        self, before: PortalView, contact: Stored, exam: Stored, record_id: str
    ) -> None:
        view = self.view()
        booking = view.bookings[record_id]
        assert view.is_active(booking)
        assert view.owners(booking) == {contact.id} == view.contact_links[record_id]
        assert view.exam_links[record_id] == {exam.id}
        assert view.active_in(exam.id) <= int(exam.text("capacity"))
        names = credits_for(before, contact.id, exam.text("mock_type"))
        spent = next(name for name in names if before.balance(contact.id, name) >= 1)
        assert view.credit_named(booking) == spent
        self.ledger.add_booking(view, booking, contact.id, exam.id)

    @rule(what=ANY)
    def book_all_at_once(self, what: int) -> None:
        view = self.view()
        exam = pick_one(live(view.exams), what)
        known_as, taken = as_exam(exam, exam.id), view.active_in(exam.id)
        replies: list[tuple[Stored, Reply]] = []

        def book(contact: Stored) -> None:
            student = self._ask_as(contact, 0).student
            replies.append((contact, create(self.deployment.desk.api, student, known_as)))

        threads = [threading.Thread(target=book, args=(each,)) for each in view.students()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(MAX_WAIT_S)
        assert len(replies) == len(threads), "a request was never answered"
        after = self.view()
        for contact, reply in replies:
            note(f"{contact.id} books {exam.id} with all: {_said(reply)}")
            if reply.status == 201:
                booking = after.bookings[reply.data["booking_record_id"]]
                self.ledger.add_booking(after, booking, contact.id, exam.id)
        assert after.active_in(exam.id) <= max(taken, int(exam.text("capacity")))

    @rule(who=ANY, which=ANY, spelling=ANY, is_own=st.booleans())
    def cancel(self, who: int, which: int, spelling: int, is_own: bool) -> None:
        view = self.view()
        booking = pick([*view.bookings.values()], which)
        contact = None if booking is None else self._choose_asker(view, booking, who, is_own)
        if booking is None or contact is None:
            return
        asked, record_id = self._ask_as(contact, spelling), _one_of(booking.ids, spelling)
        reply = self._send(lambda: cancel(self.deployment.desk.api, asked.student, record_id))
        note(f"{asked.email} cancels {record_id}: {_said(reply)}")
        self._check_code(reply, self._possible_changes(view, contact, booking))
        if reply.status == 200:
            self.ledger.end_booking(view, booking, contact.id)
            assert not self.view().is_active(self.view().bookings[booking.id])

    @rule(who=ANY, which=ANY, spelling=ANY, is_own=st.booleans())
    def update(self, who: int, which: int, spelling: int, is_own: bool) -> None:
        view = self.view()
        booking = pick([*view.bookings.values()], which)
        contact = None if booking is None else self._choose_asker(view, booking, who, is_own)
        if booking is None or contact is None:
            return
        asked, record_id = self._ask_as(contact, spelling), _one_of(booking.ids, spelling)
        place = ("calgary", "montreal")[spelling % 2]
        api = self.deployment.desk.api
        reply = self._send(lambda: update(api, asked.student, record_id, attending_location=place))
        note(f"{asked.email} changes {record_id}: {_said(reply)}")
        self._check_code(reply, self._possible_changes(view, contact, booking))
        if reply.status == 200:
            assert reply.data["booking"]["id"] == booking.id
            assert self.view().bookings[booking.id].text("attending_location").lower() == place

    @rule(who=ANY, which=ANY, spelling=ANY)
    def look(self, who: int, which: int, spelling: int) -> None:
        """Read everything, which is how the cache gets to hold what people then change."""
        view, api = self.view(), self.deployment.desk.api
        contact = pick(view.students(), who)
        if contact is None:
            return
        pair = self._ask_as(contact, spelling).student.pair
        booking = pick([*view.bookings.values()], which)
        ways = [
            lambda: api.get("/api/bookings/list", **pair),
            lambda: api.get("/api/mock-exams/available", mock_type=self._types[0]),
            lambda: api.get(
                "/api/mock-exams/available", mock_type=self._types[-1], realtime="true"
            ),
        ]
        if booking is not None:
            path = f"/api/bookings/{_one_of(booking.ids, spelling)}"
            ways.append(lambda: api.get(path, **pair))
        for ask in ways:
            note(f"{pair['email']} looks: {_said(self._send(ask))}")

    # Rest

    @rule()
    def hear(self) -> None:
        """What HubSpot tells comes in."""
        if self.deployment.hears:
            self.deployment.hear()
            self.is_current = True

    @rule()
    def come_to_rest(self) -> None:
        """Told of all, the cache has to be right at once; untold, once its entries are old."""
        self.hear()
        self.deployment.recount(self._all_exam_ids())
        if self.deployment.hears:
            api = self.deployment.desk.api
            check_none(broken_answers(api, self.view(), self._types, counted=False))
        self.deployment.wait_long()
        self.ledger.lately.clear()
        self.deployment.recount(self._all_exam_ids())
        view, api = self.view(), self.deployment.desk.api
        self.is_current = True
        check_none(broken_records(view, self.ledger))
        check_none(broken_answers(api, view, self._types, counted=True))
        check_none([str(each.body) for ask in self.unanswered if (each := ask()).status == 503])
        self.unanswered.clear()

    def teardown(self) -> None:
        if hasattr(self, "portal"):
            self.come_to_rest()

    # The ways

    @property
    def _types(self) -> list[str]:
        return [each.value for each in self.portal.profile.mock_types[:2]]

    def _all_exam_ids(self) -> list[str]:
        return [each for exam in self.view().exams.values() for each in exam.ids]

    def _ask_as(self, contact: Stored, spelling: int) -> Asked:
        return Asked(contact, _one_of(contact.ids, spelling), _one_of(contact.emails, spelling))

    def _choose_asker(
        self, view: PortalView, booking: Stored, who: int, is_own: bool
    ) -> Stored | None:
        """One whose the booking is, if there is one and `is_own`, else anybody."""
        students = view.students()
        owners = [each for each in students if each.id in view.owners(booking)]
        return pick(owners if is_own and owners else students, who)

    def _send(self, ask: Callable[[], Reply]) -> Reply:
        reply = ask()
        assert reply.status < 500 or reply.status == 503, reply.body
        if reply.status == 503:
            self.unanswered.append(ask)
        return reply

    def _possible_changes(self, view: PortalView, contact: Stored, booking: Stored) -> set[str]:
        lately = {} if self._is_told else self.ledger.lately
        return possible_changes(view, contact, booking, lately)

    @property
    def _is_told(self) -> bool:
        return self.deployment.hears and self.is_current

    def _check_code(self, reply: Reply, expected: set[str]) -> None:
        if reply.status == 503:
            return
        allowed = expected if self.is_current else expected | STALE
        check_none([] if code_of(reply) in allowed else [f"{_said(reply)}, not {expected}"])


def check_none(broken: list[str]) -> None:
    """Fail, and say why in the log, too: what threads do may be another thing the next time, and of
    a failure that does not come again Hypothesis says no more than that."""
    for each in broken:
        log.error(each)
    assert len(broken) == 0, "\n".join(broken)


def _one_of(texts: tuple[str, ...], which: int) -> str:
    return texts[which % len(texts)]


def _said(reply: Reply) -> str:
    body = reply.body if isinstance(reply.body, dict) else {}
    return f"{reply.status} {body.get('code', '')}"
