"""Persons who want to be forgotten: done in the background, durable, and looked after for a day.

HubSpot tells of it (`contact.privacyDeletion`), or an operator does (`manage.py forget_student`).
What has not ended yet is forgotten once it has; what comes a little later is found by the contact's
id, or by a digest of its e-mail. Any process may do it, and doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import storable_text
from booking_api.desk.journal import erasure, follow_ups
from booking_api.desk.journal.erasure import Person, Traces
from booking_api.desk.journal.merges import same_contacts
from booking_api.desk.journal.models import ErasureRequest, JournalEntry
from cache_layer.operating.audit import count_named, forget_named
from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.isolation import do_apart
from hubspot_sync.background.worker import Worker
from hubspot_sync.portal.identities import spell_email
from hubspot_sync.portal.unreadable_values import forget_contacts
from hubspot_sync.reading.tags import booking_tag, tags_of_student, tags_with_links

LOOK_AFTER: Final = timedelta(days=1)
"""As long as HubSpot repeats what it tells."""
QUEUED_BEFORE: Final = timedelta(minutes=10)
"""A row may have changed so long before it was asked for, and be known by its e-mail alone."""
MAX_AT_ONCE: Final = 50
POLL_INTERVAL_S: Final = 10.0
FIRST_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 300.0

ForgetContacts = Callable[[Collection[str]], None]

log = structlog.get_logger(__name__)


def forget_nothing(_: Collection[str]) -> None:
    """For a desk beside which nobody keeps anything of persons."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasureReport:
    """What was found of persons, or was forgotten: journal entries, notes, records of who removed
    what from the cache; and how many entries and notes are left, at work or refused."""

    contact_ids: frozenset[str]
    entries: int
    notes: int
    invalidations: int
    left: int


class ErasureQueue:
    """Does what `ErasureRequest` says in a thread of its own; `forget_also` has those forget who
    keep something of contacts besides the desk. It may raise Django's database errors."""

    def __init__(
        self, desk_context: DeskContext, forget_also: ForgetContacts = forget_nothing
    ) -> None:
        self._desk_context = desk_context
        self._forget_also = forget_also
        self.worker = Worker("erasure", self.erase_due)

    def request(self, contact_ids: Collection[str]) -> None:
        """Have these contacts' persons forgotten; durable with the transaction around it."""
        if len(contact_ids) > 0:
            follow_ups.request_erasures(contact_ids, self._desk_context.now())
            transaction.on_commit(self.worker.wake)

    def erase_due(self) -> float:
        """Forget whom it is time to look after; return for how many seconds to rest."""
        due = ErasureRequest.objects.filter(next_attempt_at__lte=self._desk_context.now())
        do_apart(list(due[:MAX_AT_ONCE]), self._erase_all, self._postpone_failed)
        following = ErasureRequest.objects.order_by("next_attempt_at").first()
        if following is None:
            return POLL_INTERVAL_S
        wait_s = (following.next_attempt_at - self._desk_context.now()).total_seconds()
        return min(POLL_INTERVAL_S, max(FIRST_RETRY_S, wait_s))

    def look_for(self, person: Person) -> ErasureReport:
        """Return what is kept of a person, and change nothing."""
        whole = self._complete(person)
        traces = erasure.find_traces(whole, self._desk_context.now())
        named = count_named(self._spell_all(whole.emails))
        return _build_report(whole, traces, named, left=traces.at_work)

    def erase(self, person: Person) -> ErasureReport:
        """Forget now what has ended of a person, and have the rest forgotten later."""
        whole = self._complete(person)
        with transaction.atomic():
            follow_ups.request_erasures(whole.contact_ids, self._desk_context.now())
            for request in ErasureRequest.objects.filter(subject_id__in=whole.contact_ids):
                _remember_emails(request, whole.emails)
        return self._erase_whole(whole)

    def _spell_all(self, emails: Collection[str]) -> frozenset[str]:
        """Return the e-mails in every spelling in which somebody may have written them, and what
        stands for them in keys."""
        spellings = {spelling for email in emails for spelling in spell_email(email)}
        names_of = self._desk_context.cache.catalogue.names_of
        return frozenset(spellings.union(*map(names_of, spellings)))

    def _complete(self, person: Person) -> Person:
        contact_ids = same_contacts(person.contact_ids | erasure.contacts_of(person.emails))
        emails = person.emails | erasure.emails_of(contact_ids)
        return Person(
            contact_ids=contact_ids,
            emails=emails,
            email_digests=person.email_digests,
            since=person.since,
        )

    def _erase_all(self, requests: Sequence[ErasureRequest]) -> None:
        for request in requests:
            contact_ids = same_contacts({request.subject_id})
            # Kept before the first row is forgotten: whoever is killed then begins anew.
            emails = erasure.emails_of(contact_ids)
            _remember_emails(request, emails)
            person = Person(
                contact_ids=contact_ids,
                emails=emails,
                email_digests=frozenset(request.email_digests),
                since=request.asked_at - QUEUED_BEFORE,
            )
            self._settle(request, self._erase_whole(person))

    def _erase_whole(self, person: Person) -> ErasureReport:
        traces = erasure.find_traces(person, self._desk_context.now())
        self._desk_context.invalidate_cache(_tags_of(person, traces))
        invalidations = forget_named(self._spell_all(person.emails))
        forget_contacts(person.contact_ids)
        self._forget_also(person.contact_ids)
        left = traces.at_work + erasure.erase(traces)
        report = _build_report(person, traces, invalidations, left=left)
        log.info(
            "person_forgotten",
            contacts=sorted(person.contact_ids),
            entries=report.entries,
            notes=report.notes,
            left=left,
        )
        return report

    def _postpone_failed(self, request: ErasureRequest, error: Exception) -> None:
        """One that nobody foresaw must not keep the others from being forgotten."""
        log.error("erasure_failed", contact=request.subject_id, exc_info=error)
        self._postpone(request, storable_text(error))

    def _settle(self, request: ErasureRequest, report: ErasureReport) -> None:
        """Look again later, or be done with it: nothing has come for a day."""
        if report.left > 0:
            self._postpone(request, f"{report.left} rows are not forgotten yet.")
        elif self._desk_context.now() - request.asked_at < LOOK_AFTER:
            self._postpone(request, "")
        else:
            ErasureRequest.objects.filter(id=request.id, version=request.version).delete()

    def _postpone(self, request: ErasureRequest, reason: str) -> None:
        wait = backoff(request.attempts + 1, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
        ErasureRequest.objects.filter(id=request.id, version=request.version).update(
            attempts=request.attempts + 1,
            next_attempt_at=self._desk_context.now() + wait,
            last_error=reason,
        )


def _tags_of(person: Person, traces: Traces) -> set[str]:
    """Return the tags of all that shows the person: the contact's, and those of their bookings,
    which not every portal links by a property."""
    booked = JournalEntry.objects.filter(contact_id__in=person.contact_ids).exclude(record_id="")
    record_ids = {*booked.values_list("record_id", flat=True)}
    record_ids |= {row.record_id for row in traces.entries if row.record_id != ""}
    bookings = (tags_with_links(booking_tag(record_id)) for record_id in record_ids)
    return set().union(*bookings, *map(tags_of_student, person.contact_ids))


def _remember_emails(request: ErasureRequest, emails: Collection[str]) -> None:
    digests = set(request.email_digests).union(map(erasure.digest_email, emails))
    if digests != set(request.email_digests):
        request.email_digests = sorted(digests)
        request.save(update_fields=("email_digests",))


def _build_report(
    person: Person, traces: Traces, invalidations: int, *, left: int
) -> ErasureReport:
    return ErasureReport(
        contact_ids=person.contact_ids,
        entries=len(traces.entries),
        notes=len(traces.notes),
        invalidations=invalidations,
        left=left,
    )
