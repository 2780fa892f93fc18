"""Finds a student's requests by what a school knows: an id, an e-mail.

Whole and exact, by indexes: the journal may have a million rows, and what finds a part of a text
tells it letter by letter. E-mails and student ids are compared as everywhere
(`portal/identities.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce
from operator import or_

from django.db.models import ExpressionWrapper, Q, QuerySet, TextField
from django.db.models.fields.json import KT, KeyTextTransform

from booking_api.desk.journal.merges import same_contacts
from booking_api.desk.journal.models import JournalEntry
from hubspot_sync.portal.identities import normalize_email, normalize_student_id
from hubspot_sync.portal.record_names import is_record_id

Rows = QuerySet[JournalEntry]


def find_requests(rows: Rows, term: str, *, by_person: bool) -> Rows:
    """Return the rows that a term names: by the id of a contact, with all that became one with it,
    of an exam or of a booking; and `by_person` by an e-mail, a student id or an idempotency key."""
    term = term.strip()
    meanings: list[Q] = []
    if is_record_id(term):
        meanings += [Q(contact_id__in=same_contacts({term})), Q(record_id=term), _is_of_exam(term)]
    if by_person:
        meanings += [Q(email=normalize_email(term)), Q(idempotency_key=term)]
        meanings += [Q(asked_student=normalize_student_id(term))]
    asked = _with_asked(rows)
    # Each by its own index; of all together a database that expects many reads the whole table.
    named = [meaning for meaning in meanings if asked.filter(meaning).exists()]
    return asked.filter(reduce(or_, named, Q(pk__in=())))


def find_by_exam(rows: Rows, exam_id: str) -> Rows:
    """Return the rows about an exam. What was refused has taken no seat: its exam is the one that
    was asked for."""
    return _with_asked(rows).filter(_is_of_exam(exam_id))


def find_by_contacts(contact_ids: Collection[str], emails: Collection[str]) -> Rows:
    """Return a person's rows: their own, and those in which they asked, under one of these e-mails,
    for what another contact is credited for."""
    asked = Q(email__in=emails, plan__asked_by__in=sorted(contact_ids))
    return JournalEntry.objects.filter(Q(contact_id__in=contact_ids) | asked)


def text_in_json(path: str) -> ExpressionWrapper[KeyTextTransform]:
    """Return a text in a column of JSON, to be compared with texts, as an index has it."""
    return ExpressionWrapper(KT(path), output_field=TextField())


def _with_asked(rows: Rows) -> Rows:
    """As the journal's indexes have them, so that they are used."""
    return rows.alias(
        asked_student=text_in_json("request__student_id"),
        asked_exam=text_in_json("request__mock_exam_id"),
    )


def _is_of_exam(exam_id: str) -> Q:
    return Q(exam_id=exam_id) | Q(exam_id="", asked_exam=exam_id)
