"""The same students and people before an application that is told by the change journal alone: it
says twice, its place or its files are lost, and who follows it ends, or is another."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from booking_api import composition
from booking_api.desk.journal.models import ErasureRequest, JournalEntry
from booking_api.ops.remedies import HeldBack, request_missed_erasures
from hubspot_sync.feed.file_trouble import MAX_BROKEN_S
from hubspot_sync.feed.models import FeedPosition
from tests.merges.deployment import Hearing
from tests.merges.people import ANY, FEW, pick_one
from tests.merges.portal_view import live
from tests.merges.rest import broken_answers
from tests.merges.students import StudentsAndPeople, check_none


class FedStudentsAndPeople(StudentsAndPeople):
    """Each run begins a new portal with a journal; its first entries are of before."""

    has_lost_place = False
    forgotten: frozenset[str] = frozenset()
    """The e-mails of persons whom HubSpot has forgotten."""

    @initialize(known=st.booleans())
    def begin(self, known: bool) -> None:
        self.begin_with(Hearing.FED, known)
        assert self.deployment.following.proves
        # A new process does not know what the one before has searched for.
        self.portal.sandbox.configure(search_rate=1_000)

    @rule(twice=st.booleans(), tells_links=st.booleans(), as_number=st.booleans())
    def change_the_journals_ways(self, twice: bool, tells_links: bool, as_number: bool) -> None:
        """What nobody documents: whether events come twice, links go with their ends, ids are
        numbers."""
        ways = {"deletion_links": tells_links, "merge_links": tells_links}
        ids = "number" if as_number else "text"
        self._journal(duplicate=0.5 if twice else 0.0, ids=ids, **ways)

    @rule()
    def read_a_little(self) -> None:
        """Events are stored and not applied yet."""
        self.deployment.following.step()

    @rule()
    def change_hands(self) -> None:
        self.deployment.following.hand_on()

    @rule()
    def restart(self) -> None:
        note("a new process")
        self.deployment.following.restart()
        self.has_lost_place = False

    @precondition(lambda self: not self.has_lost_place)
    @rule(which=ANY, end=ANY)
    def lose_the_place(self, which: int, end: int) -> None:
        """As after three days in which nobody followed: what was told meanwhile is unknown. A
        second time within an hour would not be made good at once, to spare the cache."""
        self.has_lost_place = True
        self.come_to_rest()  # else a link made lately is shown, whose end was not heard
        self._change_what_is_cached(which, end)
        note("the offset is gone")
        FeedPosition.objects.update(offset=str(uuid.uuid4()))
        self._be_right_at_once()

    @rule(which=ANY, end=ANY)
    def lose_a_file(self, which: int, end: int) -> None:
        """What is told next cannot be read, and is passed over after a minute."""
        self.come_to_rest()
        self._change_what_is_cached(which, end)
        note("a file is none")
        sandbox = self.portal.sandbox
        fault = sandbox.fault("status", path="/journal-files/", status=403)
        self.deployment.following.step()
        self.deployment.desk.clock.ahead += timedelta(seconds=MAX_BROKEN_S)
        self.deployment.following.step()
        sandbox.clear_faults(fault)
        self._be_right_at_once()

    @rule(which=ANY, end=ANY)
    def be_right_at_once(self, which: int, end: int) -> None:
        """Nothing is lost: a change is seen as soon as it was told of."""
        self._change_what_is_cached(which, end)
        self._be_right_at_once()

    def _change_what_is_cached(self, which: int, end: int) -> None:
        """Have the cache hold all that anybody may ask for, and then change some of it."""
        self.hear()
        self._read_all()
        self.rename_student(which=which, field="student_id")
        self.move_booking(which=which, end=end)
        self.archive(which=end, kind="bookings")

    def _be_right_at_once(self) -> None:
        self.hear()
        check_none(self._read_all())

    def _read_all(self) -> list[str]:
        """Return what is answered wrongly."""
        api = self.deployment.desk.api
        return broken_answers(api, self.view(), self._types, counted=False)

    @rule(which=ANY)
    def forget(self, which: int) -> None:
        """A person's contact is deleted for good, as the law has it."""
        contacts = live(self.view().contacts)
        if len(contacts) < FEW:
            return
        contact = pick_one(contacts, which)
        with self._changing(f"forget {contact.id}"):
            self.portal.sandbox.forget(self._type("contacts"), contact.id)
        self.forgotten |= frozenset(contact.emails)

    @rule()
    def come_to_rest(self) -> None:
        """As ever; and whoever HubSpot has forgotten, by whatever it told, is not named here."""
        super().come_to_rest()
        services = composition.services()
        assert services.feed is not None
        if services.feed.positions.erasures_missed_since() is not None:
            try:
                request_missed_erasures(services)
            except HeldBack:  # of so few they are soon too many: a person decides
                with transaction.atomic():
                    vanished = services.booking.find_vanished_persons()
                    services.booking.erasures.request(vanished.contact_ids)
        ErasureRequest.objects.update(next_attempt_at=self.deployment.desk.clock.now())
        services.booking.erasures.erase_due()
        named = JournalEntry.objects.filter(email__in=self.forgotten)
        assert list(named.values_list("id", "state", "email")) == []

    def _journal(self, **ways: object) -> None:
        note(f"the journal is {ways}")
        self.portal.sandbox.configure(journal=ways)
